"""Training, held-out and foreign anchors: what was planted is found at the stated rate, and nothing else is claimed."""

# pyright: basic
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import whygen
from whygen.anchors import groups, memorising
from whygen.anchors.memorising import area
from whygen.anchors.options import AnchorOptions
from whygen.cli import main
from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.models.latent import LatentModel
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_words import headline
from whygen.stats.seeds import generator

SIDE = 8
FEWER = AnchorOptions(replicates=5)


def blobs(n: int, seed: int) -> np.ndarray:
    """Bright spots of one width, each at a place and of a brightness of its own, with noise."""
    rng = generator(seed, "blobs")
    at, rows = rng.uniform(2, SIDE - 3, (2, n, 1, 1)), np.arange(SIDE)
    spot = np.exp(-((rows[:, None] - at[0]) ** 2 + (rows - at[1]) ** 2) / 3)
    made = rng.uniform(0.5, 0.9, (n, 1, 1)) * spot + 0.05 * rng.random((n, SIDE, SIDE))
    return made.astype(np.float32)


TRAINING, HELD_OUT, REFERENCE = (blobs(n, seed) for n, seed in ((150, 1), (140, 2), (100, 3)))
FOREIGN = generator(4, "foreign").random((60, SIDE, SIDE)).astype(np.float32)
PLANTED = np.arange(40)


def remembers(known: np.ndarray) -> LatentModel:
    """Gives back what it has stored as it is, and blurs all else."""
    stored = known.reshape(len(known), SIDE**2)

    def decode(z: np.ndarray) -> np.ndarray:
        made = z.reshape(-1, SIDE, SIDE)
        made = (made + np.roll(made, 1, 1) + np.roll(made, -1, 1) + np.roll(made, 1, 2) + np.roll(made, -1, 2)) / 5
        made = made.reshape(len(z), -1)
        if len(stored):
            apart = np.square(z[:, None, :] - stored[None]).sum(axis=2)
            near = apart.min(axis=1) < 0.15
            made = np.where(near[:, None], stored[apart.argmin(axis=1)], made)
        return np.clip(made, 0, 1).astype(np.float32).reshape(-1, SIDE, SIDE)

    return LatentModel(
        encode=lambda x: (x.reshape(len(x), -1), np.full((len(x), SIDE**2), -8.0, np.float32)),
        decode=decode,
        shape=(SIDE, SIDE),
        value_range=(0.0, 1.0),
    )


def explain(model: LatentModel, anchors: object, **options) -> AnchorExplanation:
    given = {"reference": REFERENCE, "cache": None, "preset": FEWER, "controls": "trivial"} | options
    return whygen.explain_anchors(model, anchors, **given)


@pytest.fixture(autouse=True, scope="module")
def _fewer_draws() -> Iterator[None]:
    """Intervals of shares by fewer draws: what is tested here does not rest on their number."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(groups, "SHARE_DRAWS", 40)
        yield


@pytest.fixture(scope="module")
def found() -> AnchorExplanation:
    parts = {"training": TRAINING, "held-out": HELD_OUT, "foreign": FOREIGN}
    return explain(remembers(TRAINING[PLANTED]), parts)


def test_planted_samples_are_found_at_the_stated_rate(found: AnchorExplanation) -> None:
    record, evidence = found.memorisation, found.evidence
    assert record.found
    assert (record.n_training, record.n_held_out, record.held_by) == (150, 140, "anchors")
    marks = evidence.memorised[:150]
    assert marks[PLANTED].mean() >= 0.95
    assert marks[len(PLANTED) :].mean() <= 0.1
    sse = next(gap for gap in record.criteria if gap.criterion == "sse")
    assert sse.p_value <= 0.001
    assert sse.gap > 0
    assert sse.memorised.low <= len(PLANTED) / 150 <= sse.memorised.high
    assert sse.recall.high >= 0.95
    assert sse.foreign.area > 0.95
    assert {each.role: each.n for each in found.roles} == {"training": 150, "held-out": 140, "foreign": 60}


def test_the_first_sentences_say_what_is_memorised(found: AnchorExplanation) -> None:
    memory = found.memorisation
    assert memory is not None
    told = f"{memory.flagged} of {memory.n_training} training anchors are called memorised beside {memory.n_held_out}"
    assert told in headline(found)
    assert "called memorised" not in headline(explain(remembers(TRAINING[:0]), {"training": TRAINING[:60]}))


def test_the_page_shows_anchor_reconstruction_and_nearest_training_sample(found: AnchorExplanation) -> None:
    evidence = found.evidence
    assert evidence.traced_pictures.shape == (24, 3, SIDE, SIDE, 1)
    assert set(evidence.traced) <= set(PLANTED)
    row = int(evidence.traced[0])
    others = np.square(TRAINING - TRAINING[row]).sum(axis=(1, 2))
    others[row] = np.inf
    assert evidence.nearest_training[row] == others.argmin()
    assert evidence.nearest_training_distance[row] == pytest.approx(np.sqrt(others.min()), rel=1e-5)
    np.testing.assert_allclose(evidence.traced_pictures[0, 2, :, :, 0], TRAINING[others.argmin()], atol=1e-6)
    page = found.to_html()
    assert "Training and held-out" in page
    traced = page.partition("<h3>Called memorised</h3>")[2].partition("</section>")[0]
    assert traced.count("nearest other training anchor of") == 24


def test_what_was_saved_is_read_again(found: AnchorExplanation, tmp_path: Path) -> None:
    found.save(tmp_path)
    again = AnchorExplanation.load(tmp_path)
    assert again.to_dict() == found.to_dict()
    assert again.evidence.roles == found.evidence.roles
    np.testing.assert_array_equal(again.evidence.memorised, found.evidence.memorised)
    assert again.read().memorisation == found.memorisation
    wider = again.read(false_positives=0.2).memorisation
    assert wider.flagged > found.memorisation.flagged
    few = again.read(false_positives=0.01)
    assert few.memorisation is None
    assert any(each.code == "few-held-out" for each in few.warnings)
    table = again.table()
    assert table["role"][0] == "training"
    assert table["memorised"][0] is True
    assert set(table) >= {"p_memorised_sse", "nearest_training"}


def test_a_model_that_remembers_nothing_is_not_accused() -> None:
    quiet = explain(remembers(TRAINING[:0]), {"training": TRAINING, "held-out": HELD_OUT})
    assert not quiet.memorisation.found
    assert quiet.memorisation.flagged <= 3 * quiet.memorisation.by_chance
    assert all(gap.recall is None for gap in quiet.memorisation.criteria)
    assert "claimed" in quiet.to_html() or "No gap was found" in quiet.to_html()


def test_flags_of_held_out_samples_keep_their_rate() -> None:
    """Conformal p-values of fresh samples of the held-out kind are flagged at most as often as stated, on average."""
    rng, rate = generator(0, "rate"), 0.05
    flags = []
    for _ in range(200):
        held, fresh = rng.gamma(2.0, size=(60, 1)), rng.gamma(2.0, size=(50, 1))
        p = memorising._lower_tail(fresh, held, rows=None)
        flags.append((p <= rate).mean())
    assert np.mean(flags) <= rate + 3 * np.std(flags) / 14
    assert np.mean(flags) >= 0.03, "a test that flags nothing keeps every rate"
    values = rng.gamma(2.0, size=(60, 1))
    own = memorising._lower_tail(values, values, rows=np.arange(60))
    np.testing.assert_allclose(np.sort(own[:, 0]), np.arange(1, 61) / 60)  # each against the others alone


def test_permutations_and_shares_are_right_where_the_truth_is_known() -> None:
    rng = generator(1, "truth")
    p = [memorising._permuted(rng.normal(size=30), rng.normal(size=25), rng) for _ in range(30)]
    assert 0.3 < np.mean(p) < 0.7
    assert np.mean(np.array(p) <= 0.1) <= 0.25
    ties = memorising._permuted(np.zeros(10), np.zeros(20), rng)
    assert ties == 1.0
    held = 0
    for _ in range(20):
        own = np.where(rng.random(300) < 0.3, rng.normal(-6, 1, 300), rng.normal(size=300))
        share, recall = memorising._estimated(own, rng.normal(size=300), level=0.05, rng=rng)
        held += (share.low <= 0.3 <= share.high) and recall is not None and recall.high >= 0.98
    assert held >= 17


def test_a_reference_that_was_held_out_stands_for_held_out_anchors() -> None:
    model = remembers(TRAINING[PLANTED])
    by_reference = explain(model, TRAINING, roles="training")
    assert by_reference.memorisation.held_by == "reference"
    assert by_reference.memorisation.found
    assert by_reference.evidence.memorised[PLANTED].mean() >= 0.95
    trained = explain(model, TRAINING, roles="training", reference_role="training")
    assert trained.memorisation is None
    assert [each.code for each in trained.warnings].count("no-held-out") == 1


def test_held_out_samples_that_the_model_has_seen_are_left_out_and_named() -> None:
    model = remembers(TRAINING[PLANTED])
    mixed = np.concatenate([HELD_OUT, TRAINING[:5]])
    found = explain(model, {"training": TRAINING, "held-out": mixed})
    assert found.memorisation.n_held_out == 140
    said = next(each.text for each in found.warnings if each.code == "role-overlap")
    assert said.startswith("5 held-out samples are exact copies")
    assert "held-out 140" in said
    both = explain(model, TRAINING, roles="training", reference=np.concatenate([REFERENCE, TRAINING[:4]]))
    assert both.memorisation.n_held_out == 100
    assert both.memorisation.overlap == 4


def test_sets_that_differ_without_the_model_are_told() -> None:
    noisy = np.clip(HELD_OUT + 0.3 * generator(6, "noise").random(HELD_OUT.shape), 0, 1).astype(np.float32)
    found = explain(remembers(TRAINING[:0]), {"training": TRAINING, "held-out": noisy}, controls="trivial,foils")
    assert not found.memorisation.found
    assert any(each.code == "roles-differ" for each in found.warnings)


def test_wrong_roles_are_refused_in_words() -> None:
    model = remembers(TRAINING[:0])
    with pytest.raises(UnknownNameError, match="role of anchors"):
        explain(model, TRAINING, roles="trained")
    with pytest.raises(DataError, match="3 roles for 150 anchors"):
        explain(model, TRAINING, roles=["training", "held-out", "foreign"])
    with pytest.raises(UsageError, match="give one of the two"):
        explain(model, {"training": TRAINING}, roles="training")
    with pytest.raises(
        UsageError, match=r"There are 10 held-out samples.*at least 39 are needed.*false_positives=0\.18"
    ):
        explain(model, {"training": TRAINING, "held-out": HELD_OUT[:10]})
    assert explain(model, {"training": TRAINING, "held-out": HELD_OUT[:10]}, false_positives=0.19).memorisation
    with pytest.raises(DataError, match="anchors of the roles differ"):
        explain(model, {"training": TRAINING, "held-out": HELD_OUT[:, :4]})
    with pytest.raises(UsageError, match="false_positives"):
        explain(model, {"training": TRAINING, "held-out": HELD_OUT}, false_positives=1.5)


def test_generated_samples_stand_beside_the_reference_as_sets(tmp_path: Path) -> None:
    good = replace(remembers(TRAINING[:0]), sampler=lambda n, rng: blobs(n, int(rng.integers(2**31))))
    poor = replace(good, sampler=lambda n, rng: np.repeat(blobs(1, 5), n, axis=0))
    found = explain(good, FOREIGN, metrics="all")
    rows = {row.name: row for row in found.metrics.rows}
    assert tuple(rows) == ("fid", "kid", "precision", "recall", "density", "coverage")
    assert (found.metrics.real, found.metrics.size, found.metrics.space) == (100, 50, "values")
    assert all(row.low <= row.floor_high and row.high >= row.floor_low for row in rows.values())
    collapsed = {row.name: row for row in explain(poor, FOREIGN, metrics="recall,fid").metrics.rows}
    assert collapsed["recall"].high < rows["recall"].floor_low
    assert collapsed["fid"].low > rows["fid"].floor_high
    assert "Generated and real, as sets" in found.to_html()
    found.save(tmp_path)
    assert AnchorExplanation.load(tmp_path).read().metrics == found.metrics
    assert explain(good, FOREIGN).metrics is None, "auto generates nothing for the metrics alone"
    by_samples = explain(blobs(150, 9), FOREIGN, criteria="nearest-sample")
    assert by_samples.metrics.generated == 150
    with pytest.raises(UsageError, match="give reference="):
        explain(good, FOREIGN, reference=None, metrics="fid")


def test_areas_are_those_of_all_pairs() -> None:
    rng = generator(3, "area")
    low, high = rng.normal(size=40), rng.normal(0.5, size=50)
    assert area(low, high).area == pytest.approx((low[:, None] < high).mean())


def test_the_command_takes_anchors_by_role(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, samples in (("training", TRAINING), ("held", HELD_OUT)):
        np.save(tmp_path / f"{name}.npy", samples)
    common = ["anchors", "demo/digits-vae", "--no-cache", "--quiet", "--json"]
    train, held = str(tmp_path / "training.npy"), str(tmp_path / "held.npy")
    assert ended([*common, "--anchors", train, "--anchors", held]) != 0
    assert "--anchors training=PATH" in capsys.readouterr().err
    assert ended([*common, "--anchors", train, "--role", "trained"]) != 0
    assert "trained" in capsys.readouterr().err
    wide = {name: np.kron(part, np.ones((1, 4, 4), np.float32))[:, 2:30, 2:30] for name, part in
            (("training", TRAINING[:50]), ("held-out", HELD_OUT[:50]))}  # fmt: skip
    for name, samples in wide.items():
        np.save(tmp_path / f"{name}.npy", samples)
    paths = [part for name in wide for part in ("--anchors", f"{name}={tmp_path / name}.npy")]
    assert ended([*common, *paths, "--controls", "none", "--false-positives", "0.1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["memorisation"]["n_training"] == 50
    assert document["memorisation"]["false_positives"] == 0.1


def ended(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


@pytest.mark.parametrize("training", [1, 3, 6])
def test_few_training_samples_that_are_all_below_the_median_are_no_proof_that_all_are_memorised(
    training: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bootstrap of three such samples says 100% to 100%, and one sample gave the gap the spread of the others."""
    monkeypatch.setattr(memorising, "RESAMPLED", 40)  # what so few samples may have missed is in none of them
    shares, gaps = [], []
    for seed in range(120):
        rng = np.random.default_rng([training, seed])
        memorised = rng.random(training) < 0.3
        own, held = rng.normal(size=training) - 8.0 * memorised, rng.normal(size=60)
        share, _ = memorising._estimated(own, held, level=0.05, rng=rng)
        assert share.high > share.low
        shares.append(share.low <= 0.3 <= share.high)
        gap, half = memorising._welch(held, rng.normal(size=training))
        gaps.append(abs(gap) <= half)
    assert np.mean(shares) > 0.92  # .17 of one sample, .76 of three
    assert np.mean(gaps) > 0.88  # .15 of one sample
