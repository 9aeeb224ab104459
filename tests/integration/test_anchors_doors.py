"""What people hold goes through the whole anchor wing, and what cannot work is said before a sample is encoded."""

# pyright: basic
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.small_digits import small_digits

import whygen
from whygen.anchors.explain import explain_anchors
from whygen.cli.app import app
from whygen.errors import UsageError
from whygen.models.latent import LatentModel

SIZE = 8


class Counting:
    """A model that counts its calls: what it encodes are the four means of a picture's quarters."""

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, samples: np.ndarray):
        self.calls += 1
        flat = samples.reshape(len(samples), -1)
        mean = np.stack([part.mean(axis=1) for part in np.array_split(flat, 4, axis=1)], axis=1)
        return mean.astype(np.float32), np.full((len(samples), 4), -2, np.float32)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        self.calls += 1
        return np.repeat(latents, SIZE * SIZE // 4, axis=1).reshape(len(latents), 1, SIZE, SIZE).clip(0, 1)

    def latent(self) -> LatentModel:
        return LatentModel(
            encode=self.encode, decode=self.decode, shape=(1, SIZE, SIZE), layout="NCHW", latent_dim=4
        )  # fmt: skip


ANCHORS = small_digits("anchors").samples[:30]
REFERENCE = small_digits("reference").samples


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"criteria": "kld,ssee"}, "criterion"),
        ({"criteria": "kld,kld"}, "each once"),
        ({"criteria": "nll"}, "can tell the density"),
        ({"criteria": "kld,nll-complexity"}, "criteria='auto', or of kld, sse, nearest-sample, realism"),
        ({"criteria": "kld,feature-l2"}, "encoder="),
        ({"space": "features"}, "encoder="),
        ({"space": "pixles"}, "space"),
        ({"alpha": 0.001}, "needs at least 999"),
        ({"alpha": 0.02, "level": "joint"}, "needs at least"),
        ({"alpha": 1.5}, "alpha"),
        ({"draws": 0}, "draws"),
        ({"classifier": len}, "trained="),
        ({"classifier": len, "trained": []}, "trained="),
        ({"select": "k-center:8,outliers=-1"}, "outliers"),
        ({"select": "k-center:8,solver=exact,outliers=2"}, "outliers"),
        ({"select": "k-dispersion:8,drop_share=2"}, "drop_share"),
        ({"select": "k-dispersion:8,drop_share=much"}, "drop_share|wrong kind"),
        ({"select": "k-center:8,solver=quick"}, "solver"),
        ({"encoder": "dinov3000"}, "encoder"),
        ({"calibration": "conformal", "reference": None}, "reference="),
        ({"size": (8, 8)}, "arrays"),
        ({"mode": "L"}, "arrays"),
        ({"controls": "untraned"}, "control"),
        ({"labels": ["a"]}, "labels"),
    ],
    ids=str,
)
def test_what_cannot_work_is_said_before_a_sample_is_encoded(wrong: dict[str, Any], words: str) -> None:
    model = Counting()
    with pytest.raises(whygen.errors.WhygenError, match=words):
        explain_anchors(model.latent(), ANCHORS, **{"reference": REFERENCE, **wrong})
    # One call alone is allowed: a blank sample tries the shape. Nothing of the person's own has been encoded.
    assert model.calls <= 1


def test_a_reference_that_copies_make_too_small_is_refused_before_it_is_encoded() -> None:
    model = Counting()
    with pytest.raises(UsageError, match=r"has 20 samples.*cop"):
        explain_anchors(model.latent(), ANCHORS, reference=np.repeat(REFERENCE[:20], 5, axis=0))
    assert model.calls <= 1


def write(folder: Path, images: np.ndarray) -> None:
    folder.mkdir()
    for place, image in enumerate(images):
        Image.fromarray((image * 255).astype(np.uint8)).save(folder / f"{place:03}.png")


def test_one_coloured_picture_in_a_folder_of_grey_ones_does_not_end_the_run(tmp_path: Path) -> None:
    write(tmp_path / "anchors", ANCHORS)
    write(tmp_path / "held-out", REFERENCE)
    Image.open(tmp_path / "anchors" / "003.png").convert("RGB").save(tmp_path / "anchors" / "003.png")
    found = explain_anchors(
        Counting().latent(), tmp_path / "anchors", reference=tmp_path / "held-out", controls="none"
    )  # fmt: skip
    said = [each.text for each in found.warnings if each.code == "converted-pictures"]
    assert len(said) == 1
    assert "003.png" in said[0]


def test_the_channels_of_the_model_decide_where_it_states_them(tmp_path: Path) -> None:
    write(tmp_path / "anchors", ANCHORS)
    for file in (tmp_path / "anchors").iterdir():
        Image.open(file).convert("RGB").resize((16, 16)).save(file)
    found = explain_anchors(
        Counting().latent(), tmp_path / "anchors", reference=REFERENCE, size=(8, 8), controls="none"
    )  # fmt: skip
    assert "converted-pictures" in {each.code for each in found.warnings}


def test_pairs_and_loaders_of_torch_go_all_the_way() -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    anchors = TensorDataset(torch.from_numpy(ANCHORS)[:, None], torch.arange(30) % 10)
    reference = DataLoader(TensorDataset(torch.from_numpy(REFERENCE)[:, None]), batch_size=16)
    found = explain_anchors(Counting().latent(), anchors, reference=reference, controls="none")
    plain = explain_anchors(Counting().latent(), ANCHORS, reference=REFERENCE, controls="none")
    assert repr(found) == repr(plain)


def test_one_sample_is_answered_with_what_it_can_say() -> None:
    picture = Image.fromarray((ANCHORS[0] * 255).astype(np.uint8))
    found = explain_anchors(Counting().latent(), picture, reference=REFERENCE)
    assert "one-anchor" in {each.code for each in found.warnings}
    alone = explain_anchors(Counting().latent(), ANCHORS[:1], reference=REFERENCE, controls="none")
    assert len(alone.evidence.codes) == 1
    with pytest.raises(UsageError, match=r"one sample.*\[None\]"):
        explain_anchors(Counting().latent(), ANCHORS[0], reference=REFERENCE)


def test_size_and_mode_are_options_of_the_command_line(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    write(tmp_path / "anchors", ANCHORS[:3])
    told = CliRunner().invoke(
        app, ["anchors", "demo/digits-vae", "--anchors", str(tmp_path / "anchors"), "--size", "a"]
    )
    assert isinstance(told.exception, UsageError)
    assert "28x28" in str(told.exception)
