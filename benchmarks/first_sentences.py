# pyright: basic
"""The first sentences of reports on models that have learned nothing, or another thing, with what their controls say.

Each is a case in which a page could say "the model knows and reproduces": the five of which it once did (decision 13),
and models that fit too little, too much, or something else. A person reads what is printed. ``claims`` says where the
words of a claim are used; they may be for the models alone that have learned the reference (``knows``).
``python -m benchmarks first_sentences --data FOLDER``, with ``mnist.npz`` and ``cifar10.zip`` in the folder.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import record
from benchmarks.vaes import flat
from whygen.anchors.data import SampleSet
from whygen.anchors.explain import explain_anchors
from whygen.demo.digits import LATENT, WEIGHTS, WIDTH, digits, digits_path
from whygen.demo.digits.vae import DigitsVae, load_vae
from whygen.models import LatentModel
from whygen.results.anchors_words import control, earned, headline
from whygen_experiments.mlp_vae import MlpVae, Schedule, Sizes, train_mlp_vae
from whygen_experiments.pxgen_mnist0 import Mnist, load_mnist

SMALL = Sizes(hidden=200, latent=16)
EACH = 500
COMPONENTS = 48
OTHER_CLASSES = ("automobile", "ship", "truck", "horse", "frog")
TRAINED = 4_000
DEMO_REFERENCES = (600, 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model, its anchors and its reference; ``knows``: it has learned the reference, and may be said to."""

    name: str
    model: object
    anchors: SampleSet
    reference: SampleSet
    knows: bool = False


class Constant(DigitsVae):
    """Encodes as the trained model does, and returns one picture, whatever it was given."""

    def __init__(self, picture: np.ndarray) -> None:
        super().__init__(width=WIDTH, latent=LATENT)
        self.load_state_dict(trained().state_dict())
        self.register_buffer("picture", torch.as_tensor(picture, dtype=torch.float32)[None, None])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self.picture.expand(len(latents), -1, -1, -1)


class Memory(MlpVae):
    """Returns of its training samples the one whose code is nearest: it memorises, and makes nothing of its own."""

    def __init__(self, module: MlpVae, samples: np.ndarray) -> None:
        super().__init__(SMALL)
        self.load_state_dict(module.state_dict())
        self.register_buffer("samples", torch.as_tensor(samples))
        with torch.no_grad():
            self.register_buffer("codes", module.encode(self.samples)[0])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self.samples[torch.cdist(latents, self.codes).argmin(dim=1)]


def trained() -> DigitsVae:
    """The network of ``demo/digits-vae``."""
    return load_vae(digits_path() / WEIGHTS, width=WIDTH, latent=LATENT)


def untrained() -> DigitsVae:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return DigitsVae(width=WIDTH, latent=LATENT)


def half_noised(module: DigitsVae) -> DigitsVae:
    """Each weight replaced with a chance of one half by noise as large as its layer's are."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            noise = torch.randn(weight.shape, generator=rng) * weight.square().mean().sqrt()
            weight.copy_(torch.where(torch.rand(weight.shape, generator=rng) < 0.5, noise, weight))
    return module


def fitted(images: np.ndarray, *, epochs: int = 15, weight: float = 1.0) -> MlpVae:
    schedule = Schedule(epochs=epochs, weight=weight)
    return train_mlp_vae(flat(images), seed=1, sizes=SMALL, schedule=schedule)


def shown_digits(mnist: Mnist, *labels: int, first: int = 0) -> SampleSet:
    """Test digits of these labels (all without any), from a place on."""
    rows = np.flatnonzero(np.isin(mnist.test_labels, labels or range(10)))[first : first + EACH]
    return _set(mnist.test_images[rows], mnist.test_labels[rows], "MNIST test digits")


def _set(images: np.ndarray, labels: np.ndarray, source: str) -> SampleSet:
    names = tuple(int(label) for label in labels)
    return SampleSet(samples=images, layout="NHW", labels=names, source=source)


def of_digits(mnist: Mnist) -> Iterator[Case]:
    """The cases on MNIST."""
    every, more = shown_digits(mnist), shown_digits(mnist, first=EACH)
    zeros, held = shown_digits(mnist, 0), shown_digits(mnist, 0, first=EACH)
    of_zeros = {"anchors": every, "reference": held}
    mean = mnist.zeros.mean(axis=0) / 255
    inverted = _set(255 - more.samples, np.asarray(more.labels), "inverted digits")
    ones, own = mnist.train_images[mnist.train_labels == 1][:TRAINED], mnist.zeros[:TRAINED]
    everything = mnist.train_images[:10_000]
    yield Case(name="zeros-only model, reference of all digits", model=trained(), anchors=every, reference=more)
    yield Case(name="never trained, reference of all digits", model=untrained(), anchors=every, reference=more)
    yield Case(name="never trained, reference of zeros", model=untrained(), **of_zeros)
    yield Case(name="returns one zero", model=Constant(own[0] / 255), **of_zeros)
    yield Case(name="inverted reference", model=fitted(everything), anchors=every, reference=inverted)
    collapsed = fitted(everything, weight=100, epochs=8)
    yield Case(name="KLD weighs 100 times", model=collapsed, anchors=every, reference=more)
    remembers = Memory(fitted(own), flat(own))
    yield Case(name="memorises its training zeros", model=remembers, **of_zeros)
    yield Case(name="returns the mean zero", model=Constant(mean), **of_zeros)
    yield Case(name="learned ones, asked of zeros", model=fitted(ones), anchors=every, reference=held)
    yield Case(name="half of its weights are noise", model=half_noised(trained()), **of_zeros)
    yield Case(name="learned zeros, asked of zeros", model=trained(), anchors=every, reference=held, knows=True)
    yield Case(name="learned zeros, anchors are zeros", model=trained(), anchors=zeros, reference=held, knows=True)
    learned = fitted(everything, epochs=30)
    yield Case(name="learned all digits", model=learned, anchors=every, reference=more, knows=True)


def of_pictures(data: Path) -> Iterator[Case]:
    """The case of CIFAR-10: principal components of airplanes, and anchors of which many are something else."""
    with zipfile.ZipFile(data / "cifar10.zip") as packed:
        own = _pictures(packed, "airplane", 1_400)
        others = [_pictures(packed, name, 40) for name in OTHER_CLASSES]
    anchors = np.concatenate([own[1_100:1_400], *others])
    labels = ("airplane",) * 300 + tuple(name for name in OTHER_CLASSES for _ in range(40))
    yield Case(
        name="CIFAR-10 airplanes by principal components",
        model=by_components(own[:800]),
        anchors=SampleSet(samples=anchors, layout="NHWC", labels=labels, source="CIFAR-10"),
        reference=SampleSet(samples=own[800:1_100], layout="NHWC", labels=("airplane",) * 300, source="CIFAR-10"),
    )


def _pictures(packed: zipfile.ZipFile, label: str, most: int) -> np.ndarray:
    names = sorted(name for name in packed.namelist() if f"/{label}/" in name)[:most]
    return np.stack([np.asarray(Image.open(io.BytesIO(packed.read(name))).convert("RGB")) for name in names])


def by_components(pictures: np.ndarray) -> LatentModel:
    """Principal components as an autoencoder with a narrow posterior."""
    samples = pictures.reshape(len(pictures), -1) / 255
    mean = samples.mean(axis=0)
    _, spread, axes = np.linalg.svd(samples - mean, full_matrices=False)
    scale, axes = spread[:COMPONENTS] / np.sqrt(len(samples)), axes[:COMPONENTS]

    def encode(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = ((x.reshape(len(x), -1) - mean) @ axes.T / scale).astype(np.float32)
        return z, np.full_like(z, -6.0)

    def decode(z: np.ndarray) -> np.ndarray:
        return ((z * scale) @ axes + mean).astype(np.float32).reshape(-1, *pictures.shape[1:])

    return LatentModel(encode=encode, decode=decode, shape=pictures.shape[1:], layout="NHWC", value_range=(0.0, 1.0))


def told(case: Case) -> dict[str, Any]:
    """What the report begins with, and the figures behind it."""
    found = explain_anchors(case.model, case.anchors, reference=case.reference)
    copy, back = control(found, "untrained"), found.comes_back
    return {
        "case": case.name,
        "sentences": headline(found),
        "alike": found.groups["HIHE"].share,
        "untrained copy": None if copy is None else copy.groups["HIHE"].share,
        "comes back": None if back is None else back.share,
        "warnings": sorted({each.code for each in found.warnings}),
        "claims": earned(found),
        "knows": case.knows,
    }


def of_demo(n: int) -> dict[str, Any]:
    """What the demo says with so many of its reference samples, and how sure it is."""
    whole = digits("reference")
    reference = replace(whole, samples=whole.samples[:n], labels=(whole.labels or ())[:n])
    found = explain_anchors("demo/digits-vae", digits("anchors"), reference=reference)
    assert found.details is not None
    return {
        "reference": n,
        "sentences": headline(found),
        "flip rate": found.mean_flip_rate,
        "spreads": {each.criterion: each.spread for each in found.details.thresholds},
        "seconds": found.details.seconds,
    }


def main(data: Path | None = None) -> None:
    if data is None:
        raise SystemExit("Give the folder of mnist.npz and cifar10.zip with --data.")
    torch.set_num_threads(1)
    rows = list[dict[str, Any]]()
    for cases in (of_digits(load_mnist(data)), of_pictures(data)):
        for case in cases:
            rows.append(told(case))
            print(f"{case.name}\n  {rows[-1]['sentences']}\n  {', '.join(rows[-1]['warnings'])}", flush=True)
    wrong = [row["case"] for row in rows if row["claims"] and not row["knows"]]
    demo = [of_demo(n) for n in DEMO_REFERENCES]
    record.write("first_sentences", {"rows": rows, "claims without knowing": wrong, "demo": demo}, seed=0)
    print(f"claims without knowing: {wrong or 'none'}\ndemo: {demo}")


if __name__ == "__main__":
    main()
