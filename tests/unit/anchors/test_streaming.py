"""Anchors shard by shard: the same figures as in memory, by every way in, and damaged shards name themselves."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whygen.anchors.options import AnchorOptions
from whygen.anchors.selection.points import farthest_first
from whygen.anchors.streaming import AnchorStream, picking, sources, stream_anchors
from whygen.anchors.streaming.passes import SpreadPicks, spread_by_candidates, spread_in_passes
from whygen.calls import RunOptions
from whygen.cli import main
from whygen.errors import DataError, StoreError, UsageError


class Linear:
    """Keeps the first half of a sample, and forgets the rest."""

    shape = (6,)
    value_range = (-np.inf, np.inf)

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, samples: Any) -> tuple[Any, Any]:
        self.encoded += len(samples)
        return 0.8 * samples[:, :3], np.full((len(samples), 3), -3.0, np.float32)

    def decode(self, latents: Any) -> Any:
        return np.concatenate([latents / 0.8, np.zeros_like(latents)], axis=1)


def data(n: int = 700) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    anchors = rng.normal(size=(n, 6)).astype(np.float32)
    anchors[: n // 6] *= 3
    anchors[5] = anchors[3]
    return anchors, rng.normal(size=(200, 6)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ROWS", 200)
    monkeypatch.setattr(sources, "ITEMS", 150)


def streamed(anchors: object, folder: Path, model: object | None = None, **more: Any) -> AnchorStream:
    preset = AnchorOptions(replicates=20, controls="none", space="pixels")
    named = RunOptions(name="linear")  # the model is an object, which nobody can identify
    choices = {"reference": data()[1], "cache": None, "preset": preset, "run": named, **more}
    return stream_anchors(model or Linear(), anchors, folder, **choices)


def as_folder(anchors: Any, folder: Path) -> Path:
    folder.mkdir()
    for number, part in enumerate(np.array_split(anchors, 3)):
        np.save(folder / f"part-{number}.npy", part)
    return folder


def ways(anchors: Any, tmp_path: Path) -> Iterator[tuple[str, object]]:
    np.save(tmp_path / "anchors.npy", anchors)
    yield "a file", tmp_path / "anchors.npy"
    yield "an array", anchors
    yield "a folder", as_folder(anchors, tmp_path / "parts")
    yield "batches", iter(np.array_split(anchors, 5))
    yield "one by one", (row for row in anchors)


def test_every_way_in_gives_the_figures_of_all_in_memory(tmp_path: Path) -> None:
    anchors, _ = data()
    for name, source in ways(anchors, tmp_path):
        found = streamed(source, tmp_path / f"out {name}")
        kept = found.sample  # of so few anchors all are explained in memory too
        assert kept.n_anchors == found.n == len(anchors), name
        assert {each.group: each.count for each in found.groups} == {g: r.count for g, r in kept.groups.items()}, name
        assert [each.low for each in found.groups] == pytest.approx([each.low for each in kept.groups.values()])
        assert found.mean_flip_rate == pytest.approx(kept.mean_flip_rate)
        assert {group: each.rows for group, each in found.picked.items()} == {
            group: rows for group, rows in kept.selected.items() if rows
        }, name


def test_large_groups_are_picked_from_in_passes_as_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anchors, _ = data()
    monkeypatch.setattr(picking, "HELD", 20)
    found = streamed(anchors, tmp_path / "out")
    assert any("passes" in each.how for each in found.picked.values())
    for group, each in found.picked.items():
        assert each.rows == found.sample.selected[group]


def test_a_run_goes_on_from_the_shards_that_are_there(tmp_path: Path) -> None:
    anchors, _ = data()
    source, model = as_folder(anchors, tmp_path / "parts"), Linear()
    damaged = source / "part-2.npy"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"part-2\.npy.*What was scored before it is kept"):
        streamed(source, tmp_path / "out", model)
    first = model.encoded
    left = streamed(source, tmp_path / "out", model, damaged="skip")
    assert first - (model.encoded - first) == left.n, "shards that are there are not scored again"
    assert left.n == len(anchors) - len(np.array_split(anchors, 3)[2])
    assert list(left.left_out) == ["part-2.npy"]
    assert left.warnings[0].code == "skipped-shards"
    damaged.write_bytes(whole)
    mended = streamed(source, tmp_path / "out", model)
    assert mended.n == len(anchors)
    assert {each.group: each.count for each in mended.groups} == {g: r.count for g, r in mended.sample.groups.items()}


def test_a_shard_with_a_bad_number_or_of_another_shape_names_itself(tmp_path: Path) -> None:
    anchors, _ = data()
    source = as_folder(anchors, tmp_path / "parts")
    part = np.load(source / "part-1.npy")
    part[7, 2] = np.nan
    np.save(source / "part-1.npy", part)
    with pytest.raises(DataError, match=r"part-1\.npy.*7 holds NaN"):
        _streamed_late(source, tmp_path)
    np.save(source / "part-1.npy", np.zeros((5, 7), np.float32))
    with pytest.raises(DataError, match=r"part-1\.npy.*\(7,\), those of the first shard \(6,\)"):
        streamed(source, tmp_path / "out")


def _streamed_late(source: Path, tmp_path: Path) -> None:
    """As if the sample that is explained in memory had missed the bad shard."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("whygen.anchors.streaming.stream.HEAD", 3)
        streamed(source, tmp_path / "late")


def test_what_needs_all_anchors_at_once_is_refused(tmp_path: Path) -> None:
    anchors, _ = data(60)
    for choice in ({"multiplicity": "benjamini-hochberg"}, {"space": "criteria"}, {"labels": ["a"] * 60}):
        with pytest.raises(UsageError, match=r"Leave it out|Give space|in memory"):
            streamed(anchors, tmp_path / "out", **choice)
    with pytest.raises(UsageError, match="selecting"):
        streamed(anchors, tmp_path / "out", selecting="passses")


def test_a_full_disk_is_said_and_nothing_is_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anchors, _ = data()
    calls = itertools.count()

    def full(path: Path, content: bytes) -> Path:
        if next(calls) == 2:
            raise OSError(28, "No space left on device")
        written = path.with_name(".written")
        written.write_bytes(content)
        return written

    monkeypatch.setattr("whygen.anchors.streaming.scored.write_beside", full)
    with pytest.raises(StoreError, match=r"scores of shard 2 cannot be written.*others before it stay"):
        streamed(anchors, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("scores-*"))) == 2


def test_the_command_line_streams_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anchors, reference = data(300)
    np.save(tmp_path / "reference.npy", reference)
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n\nclass Model:\n    shape = (6,)\n    value_range = (-np.inf, np.inf)\n"
        "    def encode(self, x):\n        return 0.8 * x[:, :3], np.full((len(x), 3), -3.0, np.float32)\n"
        "    def decode(self, z):\n        return np.concatenate([z / 0.8, np.zeros_like(z)], axis=1)\n\n"
        "model = Model()\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        command = ["anchors", "py/mine:model", "--anchors", str(as_folder(anchors, tmp_path / "parts")), "--stream"]
        command += ["--reference", "reference.npy", "--no-cache", "--controls", "none", "-o", "out", "--json"]
        with pytest.raises(SystemExit) as ended:
            main(command)
    assert not ended.value.code
    told = json.loads(capsys.readouterr().out)
    assert told["n"] == 300
    assert told == json.loads((tmp_path / "out" / "stream.json").read_text())
    assert (tmp_path / "out" / "sample" / "report.html").is_file()


# ---- passes ----


def spread(points: Any, groups: Any, k: int, folder: Path, *, shards: int, candidates: bool = False) -> SpreadPicks:
    picked = np.unique(groups[(groups >= 0) & (groups < 3)])  # a group 3 is there and not asked for
    firsts = {int(code): int(np.flatnonzero(groups == code)[-1]) for code in picked}
    parts, labels = np.array_split(points, shards), np.array_split(groups, shards)
    opens = [lambda part=part: part for part in parts]
    if candidates:
        return spread_by_candidates(opens, labels, k, firsts)
    return spread_in_passes(opens, labels, k, firsts, folder=folder)


clouds = st.tuples(
    st.integers(0, 2**31), st.integers(3, 60), st.integers(1, 5), st.sampled_from([0.0, 1e3]), st.booleans()
)


def cloud(drawn: tuple[int, int, int, float, bool]) -> tuple[Any, Any]:
    seed, n, dim, offset, whole = drawn
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, dim)) * 3 + offset
    points = np.round(points) if whole else points  # whole numbers: ties, and points that are there twice
    return points.astype(np.float32), rng.integers(-1, 4, size=n).astype(np.int8)


@given(clouds, st.integers(1, 7), st.integers(1, 5))
def test_passes_pick_what_farthest_first_picks(
    tmp_path_factory: pytest.TempPathFactory, drawn: Any, k: int, shards: int
) -> None:
    points, groups = cloud(drawn)
    found = spread(points, groups, k, tmp_path_factory.mktemp("passes"), shards=shards)
    for code, walk in found.walks.items():
        members = np.flatnonzero(groups == code)
        known = farthest_first(points[members], min(k, len(members)), first=len(members) - 1)
        assert members[known.picks].tolist() == walk.picks.tolist()
        assert known.radii.tolist() == pytest.approx(walk.radii.tolist())


@settings(max_examples=30)
@given(clouds, st.integers(2, 3), st.integers(1, 4))
def test_candidates_keep_to_their_factors(drawn: Any, k: int, shards: int) -> None:
    points, _ = cloud(drawn)
    points = points[:12]
    groups = np.zeros(len(points), np.int8)
    if len(points) <= k:
        return
    found = spread(points, groups, k, Path(), shards=min(shards, len(points)), candidates=True)
    picks = found.walks[0].picks
    apart = np.linalg.norm(points[:, None].astype(float) - points[None], axis=2)
    every = [list(each) for each in itertools.combinations(range(len(points)), k)]
    widest = max(apart[np.ix_(each, each)][np.triu_indices(k, 1)].min() for each in every)
    nearest = min(apart[:, each].min(axis=1).max() for each in every)
    assert apart[np.ix_(picks, picks)][np.triu_indices(k, 1)].min() * found.factor[0] >= widest - 1e-6
    assert apart[:, picks].min(axis=1).max() <= found.factor[1] * nearest + 1e-6
