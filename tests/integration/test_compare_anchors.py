"""Two models on the same anchors: what changed is found, noise is no change, and other questions are refused."""

# pyright: basic
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import whygen
from whygen.anchors import changes, groups
from whygen.anchors.data import SampleSet
from whygen.anchors.options import AnchorOptions
from whygen.cli import main
from whygen.errors import MissingError, UsageError
from whygen.models.latent import LatentModel
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_compared import AnchorComparison
from whygen.stats.seeds import generator

SIDE, CLASSES = 6, 3
STRIPES = np.stack([np.roll(np.repeat([1.0, 0.2, 0.2], SIDE // CLASSES), 2 * k) for k in range(CLASSES)])


def stripes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of bright columns, of three kinds that differ in which are bright, with noise."""
    kinds = generator(seed, "kinds").integers(CLASSES, size=n)
    rng = generator(seed, "stripes")
    return np.concatenate([drawn(1, rng, (kind,)) for kind in kinds]), kinds


def drawn(n: int, rng: np.random.Generator, kinds: tuple[int, ...]) -> np.ndarray:
    columns = np.repeat(STRIPES[rng.choice(kinds, size=n)][:, None, :], SIDE, axis=1)
    noise = 0.06 * rng.standard_normal((n, SIDE, SIDE))
    return np.clip(columns * rng.uniform(0.6, 0.9, (n, 1, 1)) + 0.05 + noise, 0, 1).astype(np.float32)


FEWER = AnchorOptions(replicates=10)
REFERENCE, _ = stripes(150, 1)
ANCHORS, KINDS = stripes(200, 2)


def knows(*kinds: int, scale: float = 1.0, logvar: float = -2.0) -> LatentModel:
    """A model whose decoder has the patterns of some kinds alone; its latent is their strengths."""
    basis = np.stack([np.tile(STRIPES[k], SIDE) / np.linalg.norm(np.tile(STRIPES[k], SIDE)) for k in range(CLASSES)])
    kept = np.zeros((CLASSES, 1), np.float32)
    kept[list(kinds)] = scale

    def encode(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        strengths = (x.reshape(len(x), -1) @ np.linalg.pinv(basis)).astype(np.float32)
        return strengths, np.full_like(strengths, logvar)

    return LatentModel(
        encode=encode,
        decode=lambda z: np.clip(z @ (basis * kept), 0, 1).astype(np.float32).reshape(-1, SIDE, SIDE),
        shape=(SIDE, SIDE),
        value_range=(0.0, 1.0),
        sampler=lambda n, rng: drawn(n, rng, kinds),
    )


def explain(model: LatentModel, *, seed: int = 0, anchors=ANCHORS, reference=REFERENCE, **options) -> AnchorExplanation:
    return whygen.explain_anchors(
        model,
        anchors,
        reference=reference,
        seed=seed,
        cache=None,
        **{"controls": "none", "criteria": "kld,sse"} | options,
    )


@pytest.fixture(autouse=True, scope="module")
def _fewer_draws() -> Iterator[None]:
    """Intervals of shares by fewer draws: what is tested here does not rest on their number."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(groups, "SHARE_DRAWS", 40)
        patched.setattr(changes, "REDRAWN", 60)
        yield


@pytest.fixture(scope="module")
def pair() -> tuple[AnchorExplanation, AnchorExplanation]:
    """Two models of kinds 0 and 1, by a reference of these: the second has learned kind 2, and lost a little of 0."""
    return explained_by(knows(0, 1, logvar=-3.0)), explained_by(knows(0, 1, 2, logvar=-3.0))


def explained_by(model: LatentModel) -> AnchorExplanation:
    """By a reference of kinds 0 and 1."""
    pictures, kinds = stripes(260, 1)
    anchors = SampleSet(samples=ANCHORS, layout="NHW", labels=tuple(int(k) for k in KINDS), source="stripes")
    return explain(model, anchors=anchors, reference=pictures[kinds != 2], controls="trivial")


def test_what_was_learned_is_found_and_nothing_else(pair) -> None:
    one, other = pair
    found = whygen.compare(one, other)
    assert isinstance(found, AnchorComparison)
    assert found.tested
    before, after = (each.evidence.codes for each in (one, other))
    truly = set(np.flatnonzero(KINDS == 2))
    changed = {each.index for each in found.changed}
    assert len(changed - truly) <= 0.05 * len(changed), "only kind 2 is new to the second model"
    # The extrinsic criterion is all that the decoder changes: what comes back now did not before.
    assert len(changed & truly) >= 0.9 * len(truly & set(np.flatnonzero(before != after))) > 40
    assert found.learned + found.forgotten + found.moved == len(changed) == len(found.changed)
    assert all(before[each.index] != after[each.index] for each in found.changed)
    by_label = {each.label: each for each in found.labels}
    assert by_label[2].learned + by_label[2].moved == len(changed & truly)
    assert not any("does not mean" in note for note in found.notes), "what was learned does come back better"
    assert any("compare a second training" in note for note in found.notes), "the noise is not that of training"
    turned = whygen.compare(other, one)
    assert (turned.learned, turned.forgotten, turned.moved) == (found.forgotten, found.learned, found.moved)
    for there, back in zip(found.groups, turned.groups, strict=True):
        assert there.difference == pytest.approx(-back.difference)
        assert there.low <= there.difference <= there.high


def test_another_seed_changes_nothing() -> None:
    runs = [explain(knows(0, 1, 2), seed=seed) for seed in range(9)]
    quiet = [whygen.compare(one, other) for one, other in pairwise(runs)]
    assert np.mean([len(each.changed) == 0 for each in quiet]) >= 0.95
    assert np.mean([each.unsure for each in quiet]) > 0, "the seeds differ in nothing: this tests nothing"
    assert not any("second training" in note for each in quiet if not each.changed for note in each.notes)


def test_another_reference_of_the_same_kind_changes_nothing() -> None:
    model, pool = knows(0, 1, 2), stripes(8 * 150, 5)[0]
    first = explain(model)
    runs = [whygen.compare(first, explain(model, reference=pool[150 * k : 150 * (k + 1)])) for k in range(8)]
    assert np.mean([len(each.changed) == 0 for each in runs]) >= 0.95
    assert np.mean([each.unsure for each in runs]) > 1
    assert all("references differ" in " ".join(each.notes) for each in runs)


@pytest.mark.slow
@pytest.mark.parametrize("same_reference", [True, False])
def test_intervals_of_differences_hold_the_truth(same_reference: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of the population by the thresholds of an endless reference are known from a large sample."""
    monkeypatch.setattr(groups, "SHARE_DRAWS", 400)
    models = knows(0, 1, 2), knows(0, 1, 2, scale=0.93)
    whole, known = stripes(6000, 8)[0], stripes(6000, 9)[0]
    far = [explain(each, anchors=whole, reference=known, seed=9) for each in models]
    truth = far[1].groups["HILE"].share - far[0].groups["HILE"].share
    held = 0
    for run in range(24):
        anchors = stripes(150, 100 + run)[0]
        references = (
            [stripes(120, 200 + run)[0]] * 2 if same_reference else [stripes(120, 200 + run + k)[0] for k in (0, 500)]
        )
        a, b = (explain(m, anchors=anchors, reference=r, seed=run) for m, r in zip(models, references, strict=True))
        row = next(each for each in whygen.compare(a, b).groups if each.group == "HILE")
        held += row.low - 0.005 <= truth <= row.high + 0.005
    assert held >= 21, f"{held} of 24 intervals hold {truth:.3f}"


def test_thresholds_without_a_reference_are_compared_by_their_margins() -> None:
    options = {"reference": None, "calibration": "mean-max", "rounds": 8, "per_round": 200}
    first = explain(knows(0, 1, 2, logvar=-4.0), **options)
    assert not whygen.compare(first, explain(knows(0, 1, 2, logvar=-4.0), seed=3, **options)).changed
    lost = whygen.compare(first, explain(knows(1, 2, logvar=-4.0), **options))
    assert lost.tested
    assert {KINDS[each.index] for each in lost.changed} == {0}
    one_round = whygen.compare(*(explain(knows(0, 1), seed=seed, **options | {"rounds": 1}) for seed in (0, 1)))
    assert not one_round.tested
    assert "cannot be told" in one_round.headline
    assert "rounds=10" in one_round.notes[0]


def test_a_single_random_draw_is_no_evidence() -> None:
    found = whygen.compare(explain(knows(0, 1), draws=1), explain(knows(0, 1, 2), draws=1))
    assert not found.tested
    assert not found.changed
    assert "draws=8" in found.notes[0]
    by_mean = whygen.compare(explain(knows(0, 1), draws="mean"), explain(knows(0, 1, 2), draws="mean"))
    assert by_mean.tested


def test_other_questions_are_refused(pair, tmp_path: Path) -> None:
    one, _ = pair
    with pytest.raises(UsageError, match=r"different anchors: 200 .* and 100 .*; 100 samples are in both"):
        whygen.compare(explain(knows(0)), explain(knows(0), anchors=ANCHORS[:100]))
    with pytest.raises(UsageError, match="200 samples are in both, in another order"):
        whygen.compare(explain(knows(0)), explain(knows(0), anchors=ANCHORS[::-1]))
    with pytest.raises(UsageError, match=r"read\(criteria='kld'\)"):
        whygen.compare(explain(knows(0)), explain(knows(0), criteria="kld,mse"))
    with pytest.raises(UsageError, match=r"different rules: conformal, alpha 0.025.* alpha 0.1"):
        whygen.compare(one, one.read(alpha=0.1))
    one.save(tmp_path / "one")
    alone = AnchorExplanation.load(tmp_path / "one" / "explanation.json")
    with pytest.raises(MissingError, match="first explanation holds no scores"):
        whygen.compare(alone, one)
    with pytest.raises(UsageError, match="strongest counts units"):
        whygen.compare(one, one, strongest=3)


def test_the_same_samples_in_another_range_are_the_same_anchors() -> None:
    small, wide = knows(0, 1, 2), replace(knows(0, 1, 2), value_range=(-1.0, 1.0))
    whole = (ANCHORS * 255).round().astype(np.uint8)
    wide = replace(wide, encode=lambda x: knows(0, 1, 2).encode((x + 1) / 2), decode=lambda z: 2 * small.decode(z) - 1)
    first, second = (explain(each, anchors=whole, reference=REFERENCE.copy() if each is small else 2 * REFERENCE - 1)
                     for each in (small, wide))  # fmt: skip
    assert not whygen.compare(first, second).changed


def test_a_worse_model_with_wider_thresholds_is_not_taken_for_one_that_learned(pair) -> None:
    dull = explained_by(knows(0, 1, scale=0.1, logvar=-3.0))
    for found, word, how in (
        (whygen.compare(pair[0], dull), "learned", "worse"),
        (whygen.compare(dull, pair[0]), "forgotten", "better"),
    ):
        many = getattr(found, word)
        assert many > 20, "kind 2 lies within what the dull model does to its own kinds"
        sse = next(each for each in found.criteria if each.criterion == "sse")
        assert (sse.low > 0) if how == "worse" else (sse.high < 0)
        said = next(note for note in found.notes if f"Of the {many:,} {word}, " in note)
        assert f"are {how} by sse" in said
        assert said in " ".join(found.to_html().split())


def test_readings_of_one_alpha_are_compared(pair) -> None:
    one, other = (each.read(alpha=0.1) for each in pair)
    assert whygen.compare(one, other).changed
    one, other = (each.read(level="joint", alpha=0.1) for each in pair)
    assert whygen.compare(one, other).changed


def test_the_command_shows_saves_and_refuses(pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, each in zip(("a", "b"), pair, strict=True):
        each.save(tmp_path / name)
    places = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert ended(["compare", *places, "-o", str(tmp_path / "c")]) == 0
    shown = capsys.readouterr().out
    assert "look like the reference to the second model and did not to the first" in " ".join(shown.split())
    document = json.loads((tmp_path / "c" / "comparison.json").read_text())
    page = (tmp_path / "c" / "report.html").read_text()
    assert document["learned"] + document["moved"] == len(document["changed"]) > 30
    assert page.count("data:image/png") == 3 * min(48, len(document["changed"]))
    assert ended(["compare", *places, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1
    assert ended(["compare", *places, "--strongest", "2"]) != 0
    assert "Leave it out" in capsys.readouterr().err


def ended(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


def test_names_from_files_cannot_write_into_the_page(pair) -> None:
    one, other = pair
    hostile = tuple(f"<script>alert({k})</script>\x1b[2J" for k in range(len(ANCHORS)))
    facts = one.scores.facts.model_copy(update={"names": hostile})
    named = one.model_copy(update={"scores": replace(one.scores, facts=facts)})
    page = whygen.compare(named, other).to_html()
    assert "<script>alert" not in page
    assert "\x1b" not in page
