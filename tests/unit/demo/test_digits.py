"""The demo of the anchor wing: what is shipped, what it brings, and that its page convinces."""

# pyright: basic
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import whygen
from whygen.demo.digits import TRAINED_CLASS, digits, digits_path, open_digits_vae
from whygen.errors import FormatError, MissingError
from whygen.results.anchors import GROUPS, AnchorExplanation

pytest.importorskip("torch")
from whygen.demo.digits import vae

LARGEST = 2_500_000


@pytest.fixture(scope="module")
def explained() -> AnchorExplanation:
    return whygen.explain_anchors("demo/digits-vae", digits("anchors"))


def test_it_is_small_and_carries_the_licence_of_its_data() -> None:
    assert sum(file.stat().st_size for file in digits_path().iterdir()) < LARGEST
    licence = (digits_path() / "LICENSE-MNIST").read_text(encoding="utf-8")
    card = (digits_path() / "README.md").read_text(encoding="utf-8")
    for text in (licence, card):
        assert "Yann LeCun and Corinna Cortes" in text
        assert "Attribution-ShareAlike 3.0" in text


def test_digits_are_mnist_as_it_is() -> None:
    reference, anchors = digits("reference"), digits("anchors")
    assert (reference.samples.shape, anchors.samples.shape) == ((1000, 28, 28), (1500, 28, 28))
    assert reference.samples.dtype == anchors.samples.dtype == np.uint8
    assert set(reference.labels) == {TRAINED_CLASS}
    assert np.bincount(anchors.labels).tolist() == [150] * 10
    rows = np.load(digits_path() / "digits.npz", allow_pickle=False)
    assert all(len(np.unique(rows[name])) == len(rows[name]) for name in ("reference_rows", "anchor_rows"))


def test_zeros_are_known_and_nearly_all_other_digits_are_not(explained: AnchorExplanation) -> None:
    table = explained.details.label_table
    counts = np.array(table.counts)
    zero = table.labels.index(TRAINED_CLASS)
    known = counts[:, GROUPS.index("HIHE")] / counts.sum(axis=1)
    assert known[zero] > 0.9
    assert np.delete(known, zero).max() < 0.1
    assert np.delete(counts, zero, axis=0)[:, GROUPS.index("HIHE")].sum() < 0.02 * 1350


def test_verdicts_are_sure_and_thresholds_steady(explained: AnchorExplanation) -> None:
    assert explained.mean_flip_rate < 0.05
    assert all(threshold.spread < 0.2 for threshold in explained.details.thresholds)
    # What it must own up to: its KLD is low for noise, too, and hardly any anchor lies below the reference.
    assert {each.code for each in explained.warnings} <= {"no-power", "unsure-group"}
    evidence = explained.evidence
    for name in ("HIHE", "HILE", "LILE"):
        picks = list(explained.selected[name])
        assert len(picks) == 8
        assert (evidence.flip_rate[picks] <= 0.2).all()
    first = explained.selected["HIHE"][0]
    assert evidence.labels[first] == TRAINED_CLASS


def test_the_model_brings_its_reference_where_none_is_given(explained: AnchorExplanation) -> None:
    assert (explained.calibration.kind, explained.calibration.n) == ("conformal", 1000)
    assert explained.details.sources["reference"].endswith("(come with demo/digits-vae)")
    own = digits("reference").samples[:100]
    given = whygen.explain_anchors("demo/digits-vae", digits("anchors").samples[:50], reference=own, draws=1)
    assert given.calibration.n == 100
    assert given.details.sources["reference"] == "array"
    assert "come with demo/digits-vae" in explained.to_html()


def test_weights_kept_in_half_precision_run_in_single() -> None:
    model = open_digits_vae()
    mean, _ = model.encode(digits("reference").samples[:50, None].astype(np.float32) / 255)
    assert mean.dtype == np.float32
    assert np.isfinite(mean).all()
    assert mean.std() > 0.1


def test_weights_that_are_damaged_or_gone_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.safetensors"
    shutil.copy(digits_path() / "model.safetensors", file)
    with pytest.raises(FormatError, match="damaged"):
        vae.load_vae(file, width=8, latent=2)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(FormatError, match="Install whygen again"):
        vae.load_vae(file, width=16, latent=10)
    monkeypatch.setattr("whygen.demo.digits.digits_path", lambda: tmp_path / "nowhere")
    with pytest.raises(MissingError, match=r"training\.digits\.train"):
        open_digits_vae()
