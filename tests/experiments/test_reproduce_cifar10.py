"""The experiments on CIFAR-10 on a small stand-in: losses in closed form, a killed training, every table, bad data."""

# pyright: basic
from __future__ import annotations

import io
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from whygen.cli import main
from whygen.errors import DataError, MissingError, UsageError
from whygen.stats.seeds import generator
from whygen_experiments import pxgen_cifar10_tables as tables
from whygen_experiments.cifar import CLASSES, load_cifar
from whygen_experiments.pxgen_cifar10 import (
    KEPT,
    REMOVED,
    TRAINED,
    Pictures,
    Scale,
    Workshop,
    cifar10,
    load_pictures,
    removal,
    thresholds,
)

pytest.importorskip("torch")
import torch

from whygen_experiments import soft_intro
from whygen_experiments.soft_intro import Recipe, SoftIntroVae, train_soft_intro, untrained

SCALE = Scale(training=24, held=20, test=3)
TINY = Recipe(width=4, latent=6, steps=6, batch=8)


def picture(label: str, place: int, *, side: int = 32) -> bytes:
    """Noise and stripes of a colour of its own, as wide as the class has them: no two are near each other."""
    rng = generator(place, "picture", label)
    phase = np.arange(side) * (1 + CLASSES.index(label)) / 3 + rng.uniform(0, 6)
    colour = rng.uniform(60, 190, 3) + 60 * np.sin(phase)[:, None, None] + rng.normal(0, 30, (side, side, 3))
    stream = io.BytesIO()
    Image.fromarray(colour.clip(0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def made(path: Path, *, top: str = "", side: int = 32, train: int = 44, test: int = 3) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for split, n, labels in (("train", train, TRAINED), ("test", test, CLASSES)):
            for label in labels:
                for place in range(n):
                    archive.writestr(f"{top}{split}/{label}/{place:04d}.png", picture(label, place, side=side))
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("cifar") / "cifar.zip")


@pytest.fixture(scope="module")
def pictures(archive: Path) -> Pictures:
    return load_pictures(archive, SCALE)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("weights")
    return Workshop(folder=folder, recipe={"width": 4, "latent": 6, "steps": 4}, scores=folder / "scores.sqlite")


def test_losses_are_those_of_the_paper() -> None:
    """By the formulas, one sample at a time, with posteriors so narrow that their draws are their means."""
    module = untrained(TINY, seed=0)
    with torch.no_grad():
        last = module.encoder[-1]
        last.bias[TINY.latent :] = -60.0
        last.weight[TINY.latent :] = 0.0
    rng = torch.Generator().manual_seed(1)
    real, latents = torch.rand(5, 3, 32, 32, generator=rng), torch.randn(5, TINY.latent, generator=rng)

    def parts(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, logvar = module.encode(samples)
        back = module.decode(mean)
        error = torch.stack([((one - other) ** 2).sum() for one, other in zip(back, samples, strict=True)])
        prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
        posterior = torch.distributions.Normal(mean, (logvar / 2).exp())
        return error, torch.distributions.kl_divergence(posterior, prior).sum(dim=1), back

    fakes = module.decode(latents)
    error, kl, back = parts(real)
    scale = 1 / 3072
    doubts = [torch.exp(-2 * scale * (e + 256 * k)).mean() for e, k, _ in (parts(fakes), parts(back))]
    wanted = scale * (error + kl).mean() + 0.25 * (doubts[0] + doubts[1])
    torch.testing.assert_close(soft_intro._encoder_loss(module, real, latents, TINY, rng), wanted)
    wanted = scale * (error.mean() + 0.5 * (parts(fakes)[1].mean() + parts(back)[1].mean()))
    torch.testing.assert_close(soft_intro._decoder_loss(module, real, latents, rng), wanted)


def test_each_part_learns_from_its_own_loss_alone(pictures: Pictures) -> None:
    training = soft_intro._Training.begin(TINY, 0, "x")
    module, rng = training.module, training.noise
    real = torch.rand(8, 3, 32, 32, generator=rng)
    before = {name: each.clone() for name, each in module.state_dict().items()}
    loss = soft_intro._encoder_loss(module, real, torch.randn(8, TINY.latent, generator=rng), TINY, rng)
    soft_intro._descend(loss, training, "encoder")
    moved = {name.split(".")[0] for name, each in module.state_dict().items() if not torch.equal(each, before[name])}
    assert moved == {"encoder"}


def test_a_killed_training_goes_on_and_ends_as_an_unbroken_one(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soft_intro, "CHECKPOINT_STEPS", 2)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    whole = train_soft_intro(pictures.training, seed=3, recipe=TINY)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)

    def kill(step: int) -> None:
        if step == 5:
            raise KeyboardInterrupt

    kept = tmp_path / "models" / "m.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_soft_intro(pictures.training, seed=3, recipe=TINY, kept=kept, after=kill)
    done: list[int] = []
    again = train_soft_intro(pictures.training, seed=3, recipe=TINY, kept=kept, after=done.append)
    assert done == [5, 6]
    assert weights_equal(whole, again)
    done.clear()
    assert weights_equal(whole, train_soft_intro(pictures.training, seed=3, recipe=TINY, kept=kept, after=done.append))
    assert not done


@pytest.mark.parametrize("change", ["seed", "data", "recipe", "damaged"])
def test_weights_of_another_training_are_not_taken_for_this_one(
    pictures: Pictures, tmp_path: Path, change: str
) -> None:
    recipe, kept = replace(TINY, steps=2), tmp_path / "m.safetensors"
    train_soft_intro(pictures.training, seed=3, recipe=recipe, kept=kept)
    seed, data = 3, pictures.training
    if change == "seed":
        seed = 4
    elif change == "data":
        data = data[:-1]
    elif change == "recipe":
        recipe = replace(recipe, negative=1.0)
    else:
        kept.write_bytes(kept.read_bytes()[:-50])
    done: list[int] = []
    found = train_soft_intro(data, seed=seed, recipe=recipe, kept=kept, after=done.append)
    assert done == [1, 2]
    assert weights_equal(found, train_soft_intro(data, seed=seed, recipe=recipe))


def weights_equal(one: SoftIntroVae, other: SoftIntroVae) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_presets_and_default_stand_side_by_side(pictures: Pictures, workshop: Workshop, tmp_path: Path) -> None:
    found = cifar10(pictures, workshop, seeds=(1,), rounds=2, per_round=30)
    assert [(each.kind, set(each.explanations)) for each in found.models] == [
        (kind, {"pxgen", "pxgen, features", "conformal", "default"}) for kind in ("soft-intro", "plain")
    ]
    assert {"kld, untrained", "nearest training picture", "distance to the mean picture", "compressed size"} <= set(
        found.areas
    )
    page = tables.write("pxgen-cifar10", tables.cifar10(found), tmp_path)
    whole_tables(page.read_text(), 4)
    assert "mean sample" in page.read_text()


def test_shares_by_thresholds_and_single_criteria(pictures: Pictures, workshop: Workshop) -> None:
    rows = thresholds(pictures, workshop, seeds=(1,), rounds=2, alphas=(0.025, 0.1), per_round=(20, 40))
    whole_tables(tables.thresholds(rows, pictures), 1)
    by = {(row.kind, row.way, row.criteria): row for row in rows}
    strict, loose = (by["plain", f"conformal, alpha = {alpha}", "kld,sse"] for alpha in (0.025, 0.1))
    assert strict.own >= loose.own
    for row in rows:
        names = row.criteria.split(",")
        assert set(row.thresholds) == set(names)
        assert row.own <= min(by[row.kind, row.way, name].own for name in names)


def test_removal_leaves_equally_many_out_and_keeps_the_reference_fixed(pictures: Pictures, workshop: Workshop) -> None:
    rows = {row.removed: row for row in removal(pictures, workshop, seeds=(1,))}
    assert {name: row.count for name, row in rows.items()} == {
        "nothing": 0, "nothing, other seed": 0, "class": 24, "least known": 24, "best known": 24, "random": 24,
    }  # fmt: skip
    assert rows["class"].of_class == 24
    assert rows["random"].of_class < 24
    assert set(pictures.reference_of(KEPT).labels or ()) == set(KEPT)
    assert REMOVED not in KEPT
    assert min(row.distance for row in rows.values()) == rows["nothing"].distance
    text = tables.removal(list(rows.values()), pictures)
    whole_tables(text, 2)


def whole_tables(text: str, count: int) -> None:
    """So many tables, each with lines of one width."""
    blocks = [[line for line in block.splitlines() if line.startswith("|")] for block in text.split("\n\n")]
    blocks = [block for block in blocks if block]
    assert len(blocks) == count
    assert all(line.count("|") == block[0].count("|") for block in blocks for line in block)
    assert all(len(block) > 2 for block in blocks)


def test_pictures_come_from_a_zip_a_zip_of_a_folder_and_a_folder(archive: Path, tmp_path: Path) -> None:
    wanted = {"train": dict.fromkeys(TRAINED, 5), "test": dict.fromkeys(CLASSES, 2)}
    one = load_cifar(archive, **wanted)
    other = load_cifar(made(tmp_path / "inner.zip", top="cifar10/", train=6, test=2), **wanted)
    with zipfile.ZipFile(tmp_path / "inner.zip", "a") as held:
        held.writestr("__MACOSX/cifar10/train/frog/._0000.png", b"what macOS adds")
    with zipfile.ZipFile(archive) as held:
        held.extractall(tmp_path / "unpacked")
    third = load_cifar(tmp_path / "unpacked", **wanted)
    for found in (other, third):
        np.testing.assert_array_equal(found.train["frog"], one.train["frog"])
        np.testing.assert_array_equal(found.test["ship"], one.test["ship"])


def test_what_is_not_cifar_10_is_refused_in_one_sentence_with_a_way_out(tmp_path: Path) -> None:
    few = {"train": dict.fromkeys(TRAINED, 5), "test": dict.fromkeys(CLASSES, 2)}
    with pytest.raises(UsageError, match="--data PATH"):
        load_cifar(None, **few)
    with pytest.raises(MissingError, match="There is nothing at"):
        load_cifar(tmp_path / "nowhere.zip", **few)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"\x1f\x8bnot a zip")
    with pytest.raises(DataError, match="is not a zip file"):
        load_cifar(tmp_path / "cifar-10-python.tar.gz", **few)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match="has 0 pictures in train/airplane; this takes 5"):
        load_cifar(tmp_path / "other.zip", **few)
    with pytest.raises(DataError, match="has 3 pictures in train/airplane"):
        load_cifar(made(tmp_path / "few.zip", train=3, test=2), **few)
    with pytest.raises(DataError, match="has 28 x 28 pixels"):
        load_cifar(made(tmp_path / "small.zip", side=28, train=5, test=2), **few)
    whole, frog = made(tmp_path / "whole.zip", train=5, test=2).read_bytes(), picture("frog", 2)
    broken = whole.replace(frog, b"x" * len(frog))
    (tmp_path / "broken.zip").write_bytes(broken)
    with pytest.raises(DataError, match=r"train/frog/0002\.png' cannot be read"):
        load_cifar(tmp_path / "broken.zip", **few)
    with zipfile.ZipFile(tmp_path / "huge.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for place in range(5):
            archive.writestr(f"train/airplane/{place}.png", bytes(2 << 20))
    with pytest.raises(DataError, match="has 2,097,152 bytes"):
        load_cifar(tmp_path / "huge.zip", **few)


@pytest.mark.parametrize("name", ["pxgen-cifar10", "pxgen-removal", "pxgen-thresholds"])
def test_the_command_says_what_is_missing_before_it_makes_anything(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["whygen", "reproduce", name, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code not in (0, None)
    assert "--data PATH" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "whygen_experiments.soft_intro", raising=False)
    monkeypatch.delattr("whygen_experiments.soft_intro", raising=False)
    with pytest.raises(SystemExit):
        main()
    assert "pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
