"""The anchor wing end to end on a VAE of real handwritten digits, and everything that can be wrong with the input."""

# pyright: basic
from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import whygen
from whygen.anchors.data import SampleSet
from whygen.anchors.explain import explain_anchors
from whygen.errors import DataError, FormatError, MissingError, ModelError, UnknownNameError, UsageError
from whygen.evaluation.check import check
from whygen.models.latent import LatentModel
from whygen.results.anchors import GROUPS, AnchorExplanation
from whygen.results.anchors_rows import UNSURE
from whygen.stats.seeds import generator

pytest.importorskip("torch")
from small_digits import TRAINED_CLASS, small_digits, small_vae

KEYS = [
    "schema", "whygen", "preset", "model", "n_anchors", "criteria", "calibration", "thresholds", "groups",
    "mean_flip_rate", "selected", "seed", "versions", "warnings", "tails", "comes_back", "controls", "foils", "power",
    "likeness", "yardsticks", "given_back", "generated", "metrics", "modes", "memorisation", "roles",
]  # fmt: skip


@pytest.fixture(scope="module")
def vae() -> LatentModel:
    return small_vae()


@pytest.fixture(scope="module")
def anchors() -> SampleSet:
    return small_digits("anchors")


@pytest.fixture(scope="module")
def reference() -> SampleSet:
    return small_digits("reference")


@pytest.fixture(scope="module")
def explained(vae: LatentModel, anchors: SampleSet, reference: SampleSet) -> AnchorExplanation:
    return explain_anchors(vae, anchors, reference=reference)


def codes(explanation: AnchorExplanation) -> np.ndarray:
    assert explanation.evidence is not None
    return explanation.evidence.codes


def linear(**fields: object) -> LatentModel:
    weights = generator(0, "weights").normal(scale=0.2, size=(16, 3)).astype(np.float32)
    known = {
        "encode": lambda x: (x @ weights, np.zeros((len(x), 3), np.float32)),
        "decode": lambda z: (1 / (1 + np.exp(-z @ weights.T))).astype(np.float32),
        "shape": (16,),
    }
    return LatentModel(**{**known, **fields})


def blobs(n: int, seed: int = 0) -> np.ndarray:
    return generator(seed, "blobs").random((n, 16)).astype(np.float32)


def codes_of(explanation: AnchorExplanation) -> set[str]:
    return {warning.code for warning in explanation.warnings}


# --- what it says of a real model ----------------------------------------------------------------------------------


def test_the_model_knows_the_digit_it_learned_and_few_others(explained: AnchorExplanation, anchors: SampleSet) -> None:
    own = np.array(anchors.labels) == TRAINED_CLASS
    known = codes(explained) == GROUPS.index("HIHE")
    assert known[own].mean() > 0.9
    assert known[~own].mean() < 0.1


def test_the_json_is_the_contract(explained: AnchorExplanation) -> None:
    found = explained.to_dict()
    assert list(found) == KEYS
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["criteria"] == [
        {"name": "kld", "kind": "intrinsic", "unit": "nats"},
        {"name": "sse", "kind": "extrinsic", "unit": "squared values, summed over the sample"},
    ]
    assert found["calibration"] == {
        "kind": "conformal",
        "n": 79,
        "role": "held-out",
        "alpha": 0.025,
        "level": "per-criterion",
    }
    assert set(found["thresholds"]) == {"kld", "sse"}
    assert list(found["groups"]) == list(GROUPS)
    assert set(found["groups"]["HIHE"]) == {"count", "share", "low", "high"}
    assert sum(group["count"] for group in found["groups"].values()) == found["n_anchors"]


def test_representatives_belong_to_their_group_and_most_of_them_are_sure(explained: AnchorExplanation) -> None:
    evidence = explained.evidence
    assert evidence is not None
    for name, picks in explained.selected.items():
        members = explained.members(name)
        assert set(picks) <= set(members.tolist())
        sure, unsure = (int((evidence.flip_rate[members] <= UNSURE).sum()), evidence.flip_rate[list(picks)] > UNSURE)
        assert len(picks) == len(set(picks)) == min(8, 2 * sure, len(members))
        assert unsure.sum() == max(0, len(picks) - sure) <= len(picks) / 2
        if picks:
            assert explained.details.selections[name].unsure == tuple(np.array(picks)[unsure])
            assert evidence.flip_rate[picks[0]] <= np.median(evidence.flip_rate[members])
    assert evidence.originals is not None
    assert evidence.originals.shape == (sum(map(len, explained.selected.values())), 8, 8, 1)


def test_a_group_of_unsure_members_has_nobody_to_stand_for_it(explained: AnchorExplanation) -> None:
    flips = explained.evidence.flip_rate[explained.members("LIHE")]
    sure = (flips <= UNSURE).sum()
    told = [each.text for each in explained.warnings if each.code == "unsure-group" and "LIHE" in each.text]
    assert [text.startswith(f"Of the {len(flips)} members of LIHE {sure} are sure") for text in told] == [True]
    assert ("none stands for the group" in told[0]) == (sure == 0) == (explained.selected["LIHE"] == ())


def test_details_tell_how_it_was_made(explained: AnchorExplanation) -> None:
    details = explained.details
    assert details is not None
    assert "8 x 8 x 1" in details.criteria_reason
    assert details.realised_level == pytest.approx(0.025)
    assert details.coverage is not None
    assert details.label_table is not None
    assert np.sum(details.label_table.counts) == explained.n_anchors
    assert details.missable_mode == pytest.approx(math.log(20) / explained.n_anchors)
    assert set(details.seconds) >= {"criteria", "calibration", "groups", "selection", "diagnostics"}


def test_it_is_saved_and_loaded_whole(explained: AnchorExplanation, tmp_path: Path) -> None:
    loaded = whygen.load(explained.save(tmp_path / "out"))
    assert isinstance(loaded, AnchorExplanation)
    assert loaded.to_dict() == explained.to_dict()
    assert loaded.details == explained.details
    assert loaded.table() == explained.table()
    assert loaded.evidence is not None
    assert explained.evidence is not None
    for name in ("draws", "basis", "originals", "reconstructions", "shown", "p_values"):
        np.testing.assert_array_equal(getattr(loaded.evidence, name), getattr(explained.evidence, name))
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "explanation.json", "details.json", "anchors.jsonl", "arrays.safetensors", "look_at.csv", "scores.json",
        "scores.safetensors",
    }  # fmt: skip


def test_the_tables_tell_each_anchor_and_why(explained: AnchorExplanation, tmp_path: Path) -> None:
    explained.save(tmp_path)
    table = [json.loads(line) for line in (tmp_path / "anchors.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(table) == explained.n_anchors
    assert {"label", "group", "flip_rate", "kld", "p_kld", "neighbour", "reason", "selected"} <= set(table[0])
    with (tmp_path / "look_at.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["selected"] == "True"
    assert all(row["reason"] for row in rows)
    failed = next(row for row in rows if row["group"] == "LILE")
    assert "kld" in failed["reason"]
    assert "sse" in failed["reason"]


def test_a_table_of_an_earlier_schema_is_read(explained: AnchorExplanation, tmp_path: Path) -> None:
    explained.save(tmp_path)
    lines = tmp_path / "anchors.jsonl"
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "anchors.parquet")
    lines.unlink()
    document = json.loads((tmp_path / "explanation.json").read_text(encoding="utf-8"))
    del document["parts"]
    (tmp_path / "explanation.json").write_text(json.dumps(document | {"schema": 2}), encoding="utf-8")
    loaded = AnchorExplanation.load(tmp_path)
    assert loaded.table() == explained.table()
    loaded.save(tmp_path)
    assert not (tmp_path / "anchors.parquet").exists()
    assert AnchorExplanation.load(tmp_path).table() == explained.table()


def test_the_json_alone_loads_and_says_what_is_missing(explained: AnchorExplanation, tmp_path: Path) -> None:
    explained.save(tmp_path)
    alone = AnchorExplanation.load(tmp_path / "explanation.json")
    assert alone.to_dict() == explained.to_dict()
    with pytest.raises(UsageError, match="JSON alone"):
        alone.table()


def test_names_that_spreadsheets_would_run_are_quoted(vae: LatentModel, tmp_path: Path) -> None:
    some = small_digits("anchors")
    named = replace(some, samples=some.samples[:3], labels=None, names=("=1+1", "b", "c"))
    explain_anchors(vae, named, calibration="mean-max", rounds=1, per_round=50).save(tmp_path)
    assert "'=1+1" in (tmp_path / "look_at.csv").read_text() or "=1+1" not in (tmp_path / "look_at.csv").read_text()


@pytest.mark.parametrize("damage", ["text", "schema", "arrays", "field"])
def test_damaged_files_are_named(explained: AnchorExplanation, tmp_path: Path, damage: str) -> None:
    explained.save(tmp_path)
    file = tmp_path / "explanation.json"
    if damage == "text":
        file.write_text("{")
    elif damage == "arrays":
        (tmp_path / "arrays.safetensors").write_bytes(b"damaged")
    else:
        fields = json.loads(file.read_text())
        fields.update({"schema": 99} if damage == "schema" else {"groups": "none"})
        file.write_text(json.dumps(fields))
    with pytest.raises(FormatError):
        AnchorExplanation.load(tmp_path)
    with pytest.raises(MissingError, match="no explanation"):
        AnchorExplanation.load(tmp_path / "nowhere")


# --- the same seed, another order, another batch ---------------------------------------------------------------------


def test_the_same_seed_gives_the_same_answer(explained: AnchorExplanation, vae, anchors, reference) -> None:
    again = explain_anchors(vae, anchors, reference=reference)
    assert again.to_dict() == explained.to_dict()
    assert again.table() == explained.table()


@pytest.mark.parametrize("size", [7, 256])
def test_the_batch_size_changes_nothing_but_rounding(explained, vae, anchors, reference, size: int) -> None:
    other = explain_anchors(replace(vae, batch_size=size), anchors, reference=reference)
    assert other.thresholds == pytest.approx(explained.thresholds, rel=1e-5)
    np.testing.assert_array_equal(codes(other), codes(explained))
    np.testing.assert_allclose(other.evidence.draws, explained.evidence.draws, rtol=1e-4, atol=1e-5)


def test_a_permutation_of_the_anchors_permutes_the_answer(explained, vae, anchors, reference) -> None:
    order = generator(0, "order").permutation(len(anchors.samples))
    shuffled = replace(anchors, samples=anchors.samples[order], labels=tuple(np.array(anchors.labels)[order].tolist()))
    other = explain_anchors(vae, shuffled, reference=reference)
    np.testing.assert_array_equal(codes(other), codes(explained)[order])
    assert {name: group.count for name, group in other.groups.items()} == {
        name: group.count for name, group in explained.groups.items()
    }
    assert {int(order[i]) for i in other.selected["HIHE"]} == set(explained.selected["HIHE"])


# --- the ways to run it ----------------------------------------------------------------------------------------------


def test_the_preset_does_what_the_authors_code_does(vae, anchors) -> None:
    found = explain_anchors(vae, anchors, preset="pxgen", rounds=3, per_round=500)
    assert found.preset == "pxgen"
    assert found.calibration.kind == "mean-max"
    assert found.calibration.alpha is None
    assert (found.details.draws, found.details.noise, found.details.space) == (1, "independent", "pixels")
    assert (found.details.rounds, found.details.per_round) == (3, 500)
    assert {threshold.comparison for threshold in found.details.thresholds} == {"<"}
    members = found.members("LILE")
    lowest = members[np.argmin(found.evidence.values[members].sum(axis=1))]
    assert found.selected["LILE"][0] == lowest
    assert len(found.selected["LILE"]) == 10


def test_the_saturating_loader_is_a_preset_of_its_own(vae, anchors) -> None:
    plain, slip = (
        explain_anchors(vae, anchors, preset=name, rounds=2, per_round=300) for name in ("pxgen", "pxgen-saturated")
    )
    assert plain.thresholds == slip.thresholds
    assert set(np.unique(slip.evidence.originals)) == {0.0, 1.0}
    assert slip.groups["HIHE"].share < plain.groups["HIHE"].share


def test_without_a_reference_it_is_mean_max_and_says_so(vae, anchors) -> None:
    found = explain_anchors(vae, anchors, rounds=2, per_round=400)
    assert found.calibration.kind == "mean-max"
    assert "no-reference" in codes_of(found)
    assert found.details.coverage is None
    with pytest.raises(UsageError, match="needs a reference"):
        explain_anchors(vae, anchors, calibration="conformal")


@pytest.mark.parametrize("kind", ["percentile", "std"])
def test_the_other_calibrations_run_on_reference_and_on_generated(vae, anchors, reference, kind: str) -> None:
    on_real = explain_anchors(vae, anchors, reference=reference, calibration=kind)
    assert (on_real.calibration.kind, on_real.calibration.role) == (kind, "held-out")
    generated = explain_anchors(vae, anchors, calibration=kind, per_round=500)
    assert generated.calibration.role == "generated"
    assert "generated-percentile" in codes_of(generated)
    assert generated.groups["HIHE"].share <= on_real.groups["HIHE"].share


def test_joint_level_training_role_and_benjamini_hochberg(vae, anchors, reference) -> None:
    joint = explain_anchors(vae, anchors, reference=reference, level="joint", alpha=0.05)
    assert joint.calibration.alpha == pytest.approx(0.025)
    assert joint.calibration.level == "joint"
    trained = explain_anchors(vae, anchors, reference=small_digits("training"), reference_role="training")
    assert trained.calibration.role == "training"
    assert "training-reference" in codes_of(trained)
    adjusted = explain_anchors(vae, anchors, reference=reference, multiplicity="benjamini-hochberg")
    assert adjusted.details.multiplicity == "benjamini-hochberg"


@pytest.mark.parametrize("space", ["pixels", "latent", "criteria", "features"])
@pytest.mark.parametrize("select", ["k-dispersion:4", "k-center:4,outliers=2", "k-medoids:3", "facility-location:4"])
def test_any_selection_in_any_space(vae, anchors, reference, space: str, select: str) -> None:
    some = replace(anchors, samples=anchors.samples[:150], labels=anchors.labels[:150])
    found = explain_anchors(
        vae, some, reference=reference, space=space, select=select, encoder=lambda x: x[:, ::3], criteria="kld,sse"
    )
    assert found.details.space == space
    for record in found.details.selections.values():
        assert select.startswith(record.name)
        assert record.objective is None or math.isfinite(record.objective)


def test_the_preset_keeps_the_published_iteration_and_every_member(vae, anchors, reference) -> None:
    some = replace(anchors, samples=anchors.samples[:200], labels=anchors.labels[:200])
    told = {"reference": reference, "select": "k-medoids:3", "calibration": "conformal"}
    published = explain_anchors(vae, some, preset="pxgen", **told)
    ours = explain_anchors(vae, some, criteria="kld,sse", draws=1, space="pixels", **told)
    assert {record.first for record in published.details.selections.values()} == {"random"}
    assert {record.first for record in ours.details.selections.values()} == {"best of 5 starts"}
    assert "unsure-group" not in codes_of(published)


def test_exact_for_small_groups_and_greedy_with_a_warning_for_large(vae, anchors, reference) -> None:
    found = explain_anchors(vae, anchors, reference=reference, select="k-dispersion:3,solver=exact")
    assert found.details.selections["HIHE"].exact
    assert not found.details.selections["HILE"].exact
    assert "greedy-instead" in codes_of(found)


def test_more_criteria_features_and_callables(vae, anchors, reference) -> None:
    found = explain_anchors(
        vae, anchors, reference=reference, criteria="kld,sse,dssim,feature-l2", encoder=lambda x: x[:, :30], draws=2
    )
    assert [record.name for record in found.criteria] == ["kld", "sse", "dssim", "feature-l2"]
    assert found.groups["HIHE"].count < explain_anchors(vae, anchors, reference=reference).groups["HIHE"].count + 5


def test_delusion_is_tested_with_a_classifier(vae, anchors, reference) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    reader = KNeighborsClassifier(3).fit(anchors.samples.reshape(-1, 64), anchors.labels)
    found = explain_anchors(vae, anchors, reference=reference, classifier=reader.predict)
    reading = found.details.of_hile
    assert reading.group == "HILE"
    assert reading.label is None
    assert reading.low <= reading.share <= reading.high
    assert reading.share > 0.5  # a model of one digit makes that digit of what it takes for one


def test_a_folder_of_images_end_to_end(vae, anchors, reference, tmp_path: Path) -> None:
    for place in range(40):
        label = tmp_path / "a" / str(anchors.labels[place])
        label.mkdir(parents=True, exist_ok=True)
        Image.fromarray((anchors.samples[place] * 255).round().astype(np.uint8)).save(label / f"{place}.png")
    (tmp_path / "a" / "broken.png").write_bytes(b"broken")
    found = explain_anchors(vae, tmp_path / "a", reference=reference)
    assert found.n_anchors == 40
    assert "skipped-files" in codes_of(found)
    assert found.details.skipped[0].name == "broken.png"
    assert found.evidence.names[0].endswith(".png")


# --- bad input -----------------------------------------------------------------------------------------------------


def test_no_anchors(vae) -> None:
    with pytest.raises(DataError, match="no anchors"):
        explain_anchors(vae, np.zeros((0, 8, 8)))


def test_one_anchor(vae, anchors, reference) -> None:
    found = explain_anchors(vae, anchors.samples[:1], reference=reference)
    assert "one-anchor" in codes_of(found)
    assert sum(group.count for group in found.groups.values()) == 1


def test_anchors_of_another_shape(vae) -> None:
    with pytest.raises(DataError, match=r"shape \(9, 9\).*takes \(64\)"):
        explain_anchors(vae, np.zeros((5, 9, 9)))


def test_anchors_of_another_range(vae, anchors) -> None:
    with pytest.raises(DataError, match=r"0\.\.255"):
        explain_anchors(vae, anchors.samples * 255)


def test_nan_in_the_anchors_and_from_the_model() -> None:
    broken = blobs(9)
    broken[4, 0] = np.nan
    with pytest.raises(DataError, match="anchor 4 holds NaN"):
        explain_anchors(linear(), broken)

    def decode(latents: np.ndarray) -> np.ndarray:
        return np.full((len(latents), 16), np.inf, np.float32)

    with pytest.raises(ModelError, match="decode of latent gave NaN or an infinite value for reference sample"):
        explain_anchors(linear(decode=decode), blobs(5), reference=blobs(50, 1))


def test_constant_criteria() -> None:
    flat = linear(decode=lambda z: np.zeros((len(z), 16), np.float32))
    one = np.repeat(blobs(1), 4, axis=0)
    found = explain_anchors(flat, one, reference=blobs(50, 1))
    assert "constant-criterion" in codes_of(found)


def test_a_group_smaller_than_k() -> None:
    found = explain_anchors(linear(), blobs(6), reference=blobs(60, 1), select="k-dispersion:20")
    assert "small-group" in codes_of(found)


def test_a_reference_that_overlaps_the_anchors() -> None:
    known = blobs(60, 1)
    found = explain_anchors(linear(), np.concatenate([blobs(5), known[:3]]), reference=known)
    assert "reference-overlap" in codes_of(found)
    text = next(each.text for each in found.warnings if each.code == "reference-overlap")
    assert text.startswith("Of the 8 anchors 3 are exactly in the reference too (5 is reference sample 0; 6 is")


def test_an_encoder_that_collapses() -> None:
    zeros = linear(encode=lambda x: (np.zeros((len(x), 3), np.float32),) * 2)
    assert "encoder-collapse" in codes_of(explain_anchors(zeros, blobs(9), reference=blobs(60, 1)))
    found = explain_anchors(
        linear(),
        blobs(9),
        reference=blobs(60, 1),
        criteria="kld,sse,feature-l2",
        encoder=lambda x: np.ones((len(x), 2)),
    )
    assert "encoder-collapse" in codes_of(found)


def test_a_decoder_of_logits() -> None:
    logits = linear(decode=lambda z: np.full((len(z), 16), -7, np.float32))
    assert "reconstruction-range" in codes_of(explain_anchors(logits, blobs(9), reference=blobs(60, 1)))


def test_a_reference_too_small_for_the_level() -> None:
    with pytest.raises(UsageError, match="39"):
        explain_anchors(linear(), blobs(9), reference=blobs(38, 1))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"calibration": "conformel"}, UnknownNameError),
        ({"preset": "pxgenn"}, UnknownNameError),
        ({"space": "pixel"}, UnknownNameError),
        ({"space": "features"}, UsageError),
        ({"select": "k-despersion:8"}, UnknownNameError),
        ({"select": "k-dispersion:0"}, UsageError),
        ({"select": "k-dispersion:3,outlier=2"}, UsageError),
        ({"criteria": "nll"}, UsageError),
        ({"bank": 0}, UsageError),
        ({"level": "both"}, UnknownNameError),
        ({"rounds": 0}, UsageError),
        ({"draws": 0}, UsageError),
        ({"reference_role": "test"}, UsageError),
        ({"classifier": len}, UsageError),
    ],
)
def test_arguments_that_cannot_work(arguments: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        explain_anchors(linear(), blobs(9), reference=blobs(60, 1), **arguments)


def test_the_verdicts_are_evaluated_and_checked_without_a_call(explained: AnchorExplanation, tmp_path: Path) -> None:
    found = whygen.evaluate(explained.save(tmp_path / "a"))
    assert found.calls.asked == 0
    flips = found.measure("flip_rate")
    assert flips.low <= flips.value <= flips.high < flips.chance
    assert found.measure("coverage").chance == pytest.approx(explained.details.coverage.expected)
    assert {measure.metric for measure in found.measures} == {"groups", "coverage", "representatives"}
    with pytest.raises(UsageError, match="not for anchors"):
        whygen.evaluate(explained, metrics="fidelity")
    share = explained.groups["HILE"].share
    [inside] = check(tmp_path / "a", [f"group HILE share <= {share}"])
    assert inside.verdict == "unknown"
    with pytest.raises(UsageError, match="explains anchors"):
        check(explained, ["top 1 contains 'x'"])
    bare = AnchorExplanation.model_validate(explained.to_dict())
    assert [left.metric for left in whygen.evaluate(bare).left_out] == ["groups", "coverage", "representatives"]
