"""Copies in any type, layout and scale; near copies by noise, compression and a shift; and what is no copy."""

# pyright: basic
from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from whygen.anchors.copies import check_shared, may_coincide, once, repeated, shared
from whygen.anchors.data import SampleSet
from whygen.anchors.explain import explain_anchors
from whygen.anchors.samples import Prepared, prepare
from whygen.demo.digits import digits
from whygen.errors import UsageError
from whygen.models.latent import UNBOUNDED, LatentModel
from whygen.stats.seeds import generator

SIDE = 28


def model(**fields: object) -> LatentModel:
    known = {"encode": len, "decode": len, "shape": (1, SIDE, SIDE), "layout": "NCHW"}
    return LatentModel(**{**known, **fields})


def ready(samples: np.ndarray, what: str = "anchor", **fields: object) -> Prepared:
    return prepare(samples, model(**fields), what=what)


def told(anchors: np.ndarray, reference: np.ndarray) -> str:
    found = check_shared(
        ready(anchors), ready(reference, "reference sample"), SampleSet(samples=anchors), SampleSet(samples=reference)
    )
    return found[0].text if found else ""


@pytest.fixture(scope="module")
def zeros() -> np.ndarray:
    return digits("reference").samples[:200]


@pytest.fixture(scope="module")
def others() -> np.ndarray:
    return digits("reference").samples[200:400]


SPELLINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uint8": lambda x: x,
    "float32": lambda x: (x / 255).astype(np.float32),
    "float64": lambda x: x / 255,
    "float16": lambda x: (x / 255).astype(np.float16),
    "NHWC": lambda x: x[..., None],
    "NCHW": lambda x: x[:, None].astype(np.float32) / np.float32(255),
    "flat": lambda x: x.reshape(len(x), -1) / 255,
}


@pytest.mark.parametrize("other", SPELLINGS)
@pytest.mark.parametrize("one", SPELLINGS)
def test_copies_are_found_across_types_and_layouts(zeros: np.ndarray, one: str, other: str) -> None:
    anchors = SPELLINGS[one](zeros[:20][::-1])
    found = shared(ready(anchors), ready(SPELLINGS[other](zeros)))
    assert found.rows.tolist() == list(range(20))
    assert found.of.tolist() == list(range(19, -1, -1))


def test_copies_are_found_in_a_range_from_minus_one_to_one_and_without_a_range(zeros: np.ndarray) -> None:
    signed = (zeros / 127.5 - 1).astype(np.float32)
    assert len(shared(ready(signed, value_range=(-1.0, 1.0)), ready(zeros, value_range=(-1.0, 1.0)))) == 200
    for scaled in (zeros, zeros / 255, signed):
        found = shared(ready(scaled, value_range=UNBOUNDED), ready(zeros.astype(float), value_range=UNBOUNDED))
        assert len(found) == 200


@given(seed=st.integers(0, 2**32 - 1), copies=st.integers(0, 12), spread=st.sampled_from([1e-3, 1.0, 1e5]))
@settings(max_examples=40, deadline=None)
def test_continuous_numbers_are_copies_only_where_they_are_equal(seed: int, copies: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    rows = (spread * rng.normal(size=(30, 5))).astype(np.float32)
    of = rng.integers(30, size=copies)
    known = LatentModel(encode=len, decode=len, shape=(5,), value_range=UNBOUNDED)
    found = repeated(prepare(np.concatenate([rows, rows[of]]), known))
    assert found.rows.tolist() == list(range(30, 30 + copies))
    assert found.of.tolist() == of.tolist()
    assert len(shared(prepare(rows, known), prepare(rows + np.float32(0.01) * spread, known))) == 0


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jpeg 75": lambda x: np.stack([jpeg(image, 75) for image in x]),
    "jpeg 50": lambda x: np.stack([jpeg(image, 50) for image in x]),
    "noise of 2%": lambda x: np.clip(x / 255 + generator(0, "noise").normal(0, 0.02, x.shape), 0, 1),
    "shifted down": lambda x: np.roll(x, 1, axis=1),
    "shifted up and left": lambda x: np.roll(x, (-1, -1), axis=(1, 2)),
    "darker by 5%": lambda x: x / 255 * 0.95,
}


@pytest.mark.parametrize("change", CHANGES)
def test_near_copies_are_told_with_numbers_and_examples(zeros: np.ndarray, others: np.ndarray, change: str) -> None:
    anchors = CHANGES[change](zeros)
    assert told(anchors, np.concatenate([others, zeros])).startswith(
        "Of the 200 anchors 200 are nearly in the reference too (0 is nearly reference sample 200; 1 is nearly "
        "reference sample 201; 2 is nearly reference sample 202; ...)"
    )


def test_other_digits_of_the_same_class_are_no_copies(zeros: np.ndarray, others: np.ndarray) -> None:
    assert told(zeros, others) == ""
    anchors = digits("anchors").samples
    assert told(anchors, digits("reference").samples) == ""
    distinct, found = once(ready(anchors), SampleSet(samples=anchors))
    assert len(distinct) == len(anchors)
    assert found == ()


def test_files_are_named_and_both_kinds_stand_in_one_warning(zeros: np.ndarray, others: np.ndarray) -> None:
    anchors = np.concatenate([others[:3], zeros[:1], CHANGES["jpeg 75"](zeros[5:6])])
    names = tuple(f"{name}.png" for name in "abcde")
    [found] = check_shared(
        ready(anchors),
        ready(zeros, "reference sample"),
        SampleSet(samples=anchors, names=names),
        SampleSet(samples=zeros),
    )
    assert found.code == "reference-overlap"
    assert "1 is exactly in the reference too (d.png is reference sample 0)" in found.text
    assert "1 is nearly in the reference too (e.png is nearly reference sample 5)" in found.text


def test_answers_on_a_scale_are_equal_by_chance_and_all_counted() -> None:
    answers = generator(0, "answers").integers(1, 6, size=(300, 3))
    asked = LatentModel(encode=len, decode=len, shape=(3,), value_range=UNBOUNDED)
    distinct, [found] = once(prepare(answers, asked), SampleSet(samples=answers))
    assert len(distinct) == 300
    assert "by chance" in found.text
    assert may_coincide(prepare(answers.astype(float), asked))
    assert not may_coincide(prepare(answers + 0.5, asked))


# --- what copies do to an explanation ------------------------------------------------------------------------------


def linear() -> LatentModel:
    weights = generator(0, "weights").normal(scale=0.2, size=(16, 3)).astype(np.float32)
    return LatentModel(
        encode=lambda x: (x @ weights, np.full((len(x), 3), -1, np.float32)),
        decode=lambda z: (1 / (1 + np.exp(-z @ weights.T))).astype(np.float32),
        shape=(16,),
    )


def blobs(n: int, seed: int = 0) -> np.ndarray:
    return generator(seed, "blobs").random((n, 16)).astype(np.float32)


def test_ten_images_thirty_times_count_as_ten() -> None:
    ten, reference = blobs(10), blobs(100, 1)
    once_each = explain_anchors(linear(), ten, reference=reference, labels=list("aabbccddee"))
    repeated_ = explain_anchors(linear(), np.tile(ten, (30, 1)), reference=reference, labels=list("aabbccddee") * 30)
    assert repeated_.groups == once_each.groups
    assert repeated_.details.label_table == once_each.details.label_table
    assert repeated_.mean_flip_rate == once_each.mean_flip_rate
    assert (repeated_.n_anchors, repeated_.details.distinct) == (300, 10)
    assert len(repeated_.evidence.codes) == 300
    np.testing.assert_array_equal(repeated_.evidence.codes, np.tile(once_each.evidence.codes, 30))
    text = next(each.text for each in repeated_.warnings if each.code == "duplicate-anchors")
    assert "290 of the 300 anchors are copies of earlier ones (10 equals 0; 11 equals 1; 12 equals 2; ...)" in text


def test_forty_reference_samples_five_times_each_are_forty() -> None:
    forty, anchors = blobs(40, 1), blobs(30)
    plain = explain_anchors(linear(), anchors, reference=forty)
    copied = explain_anchors(linear(), anchors, reference=np.repeat(forty, 5, axis=0))
    assert copied.thresholds == plain.thresholds
    assert copied.calibration.n == copied.details.n_reference == 40
    assert "duplicate-reference" in {each.code for each in copied.warnings}
    looked = plain.evidence.neighbour >= 0
    np.testing.assert_array_equal(copied.evidence.neighbour[looked], 5 * plain.evidence.neighbour[looked])
    with pytest.raises(UsageError, match=r"has 38 samples.*152 of the 190 reference samples are copies"):
        explain_anchors(linear(), anchors, reference=np.repeat(forty[:38], 5, axis=0))


def test_near_copies_within_a_set_are_told_and_counted(zeros: np.ndarray) -> None:
    noisy = np.concatenate([CHANGES["noise of 2%"](zeros[:40]), zeros[:40] / 255])
    distinct, [found] = once(replace(ready(noisy), what="reference sample"), SampleSet(samples=noisy))
    assert len(distinct) == 80
    assert found.code == "near-duplicate-reference"
    assert found.text.startswith("80 of 80 reference samples are nearly the same as another (0 is nearly 40;")
