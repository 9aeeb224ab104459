"""Maps of change against planted ones, and regions of a picture."""

from __future__ import annotations

import numpy as np
import pytest

from whygen.errors import DataError, UsageError
from whygen.media import pictures
from whygen.prompt.edits import REGION, RegionUnits, filled, split_edit
from whygen.prompt.maps import change_maps
from whygen.types import Edit, Picture


def planted(masks: np.ndarray, effects: np.ndarray) -> np.ndarray:
    return (0.3 + np.einsum("mn,nrc->mrc", masks, effects))[..., None].repeat(3, axis=-1).astype(np.float32)


def paired(pairs: int, n: int, seed: int = 0) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    half = np.random.default_rng(seed).random((pairs, n)) < 0.5
    return np.vstack([half, ~half]), (np.arange(pairs), np.arange(pairs) + pairs)


def planes() -> np.ndarray:
    effects = np.zeros((4, 3, 5))
    effects[0, 0, 1], effects[1, 2] = 0.25, -0.1
    return effects


def test_additive_changes_are_found_exactly_in_pairs_and_without() -> None:
    masks, pairs = paired(12, 4)
    drawn = planted(masks, planes())
    for maps in (change_maps(masks, drawn, pairs=pairs), change_maps(masks, drawn)):
        assert maps == pytest.approx(np.abs(planes()), abs=1e-4)


def test_all_masks_give_the_difference_of_means() -> None:
    masks = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(bool)
    drawn = np.random.default_rng(0).random((8, 2, 2, 3), dtype=np.float32)
    maps = change_maps(masks, drawn, exhaustive=True)
    means = np.array([drawn[masks[:, i]].mean(axis=0) - drawn[~masks[:, i]].mean(axis=0) for i in range(3)])
    assert maps == pytest.approx(np.sqrt((means**2).mean(axis=-1)), abs=1e-5)


def test_pure_noise_is_taken_away_on_average() -> None:
    masks, pairs = paired(40, 3)
    drawn = np.random.default_rng(1).normal(0.5, 0.1, (80, 12, 12, 3)).astype(np.float32)
    kept = change_maps(masks, drawn, pairs=pairs)
    raw = change_maps(masks, drawn, pairs=pairs, exhaustive=True)
    assert kept is not None
    assert raw is not None
    assert (kept**2).mean() < 0.5 * (raw**2).mean()
    assert (kept == 0).mean() > 0.3


def test_too_few_pictures_give_no_map() -> None:
    masks, pairs = paired(4, 4)
    assert change_maps(masks, planted(masks, planes()), pairs=pairs) is None


def picture() -> Picture:
    values = np.zeros((24, 24, 3), dtype=np.uint8)
    values[:12], values[12:, :12], values[12:, 12:] = (90, 160, 240), (60, 160, 60), (200, 30, 30)
    return pictures.picture_of(values)


def test_regions_cover_the_picture_and_are_painted_over_alone() -> None:
    edit = Edit(picture(), "make it night")
    units = split_edit(edit, REGION, regions=4)
    assert isinstance(units, RegionUnits)
    assert set(np.unique(units.labels)) == set(range(len(units)))
    assert units.prompt == edit
    parts = [units.text[piece.start : piece.end] for piece in units.pieces]
    assert units.join(parts) == edit
    sent = units.join([*parts[:1], "", *parts[2:]])
    changed = (pictures.pixels(sent.image) != pictures.pixels(edit.image)).any(axis=-1)
    assert sent.instruction == edit.instruction
    assert changed.any()
    assert not changed[units.labels != 0].any()


def test_pinned_regions_stay() -> None:
    units = split_edit(Edit(picture(), "make it night"), REGION, regions=4, pin=["region 1"])
    assert isinstance(units, RegionUnits)
    assert units.labels.min() == -1
    assert "region 1" not in units.texts
    assert units.join([""] * len(units.pieces)).instruction == "make it night"


@pytest.mark.parametrize("fill", ["mean", "blur", "#ff8000"])
def test_fills(fill: str) -> None:
    values = filled(pictures.pixels(picture()), fill)
    assert values.shape == (24, 24, 3)
    if fill == "#ff8000":
        assert (values == (255, 128, 0)).all()


def test_what_cannot_be_cut_says_so() -> None:
    edit = Edit(picture(), "make it night")
    for wrong, said in (
        (lambda: split_edit(Edit(picture(), "  ")), "instruction is empty"),
        (lambda: split_edit(edit, REGION, fill="plaid"), "fill='plaid'"),
        (lambda: split_edit(edit, REGION, regions=1), "at least two"),
        (lambda: split_edit(edit, REGION, pin=["house"]), "only regions"),
    ):
        with pytest.raises(UsageError, match=said):
            wrong()
    with pytest.raises(DataError, match="no picture"):
        split_edit(Edit(Picture(b"x"), "make it night"))
