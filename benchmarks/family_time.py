# pyright: basic
"""Seconds that 1,000 anchors take through the default criteria and controls of a model of each family.

Samples are of 28 x 28, or texts; one thread, processor time beside that by the clock. What a model has learned changes
nothing of it, so most weights are random. ``python -m benchmarks.family_time NAME...`` measures some of `FAMILIES`
and keeps the others.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from training.storyteller.planted import families

from benchmarks import record
from benchmarks.vaes import timed
from whygen.anchors.explain import explain_anchors
from whygen.demo.digits import digits
from whygen.stats.seeds import generator

NAME = "family_time"


def _gan() -> Any:
    from torch import nn

    layers = nn.Linear(64, 256), nn.LeakyReLU(), nn.Linear(256, 512), nn.LeakyReLU(), nn.Linear(512, 784), nn.Sigmoid()
    return nn.Sequential(*layers, nn.Unflatten(1, (28, 28)))


class _Density:
    """A normal law of independent pixels, cut at 0 and 1."""

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
        return np.clip(rng.normal(0.2, 0.3, (n, 28, 28)), 0, 1).astype(np.float32)

    def log_prob(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        return -0.5 * np.square((samples - 0.2) / 0.3).sum(axis=(1, 2), dtype=np.float64)


def _denoiser() -> Any:
    import diffusers
    from training.denoiser.train import new_network

    network = new_network(0)
    network.register_to_config(sample_size=28)
    return network, diffusers.DDPMScheduler()


FAMILIES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "VAE": (lambda: "demo/digits-vae", {}),
    "samples alone": (lambda: generator(1, "samples").random((5_000, 28, 28), dtype=np.float32), {}),
    "GAN": (_gan, {}),
    "GAN, inversion": (_gan, {"criteria": "inversion", "controls": "trivial"}),
    "density with samples": (_Density, {}),
    "diffusion, no controls": (_denoiser, {"controls": "none"}),
    "diffusion": (_denoiser, {}),
    "language model": (lambda: "demo/storyteller", {}),
}
"""A model of each family, and what is asked of it besides the default."""
ASKED, REFERENCE = 1000, 300


def family(name: str) -> dict[str, Any]:
    """Seconds for a family; what is imported or opened once is no part of them."""
    make, options = FAMILIES[name]
    if name == "language model":
        texts = [each.text for each in families("canaries", ASKED + REFERENCE, 1, part="timed")]
        anchors, reference = texts[:ASKED], texts[ASKED:]
        few: tuple[Any, Any] = anchors[:5], None
    else:
        anchors, reference = digits("anchors").samples[:ASKED], digits("reference").samples[:REFERENCE]
        few = anchors[:40], reference[:40]
    model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explain_anchors(model, few[0], reference=few[1], cache=None, **options)
        began = time.process_time()
        found, seconds = timed(lambda: explain_anchors(model, anchors, reference=reference, cache=None, **options))
    names = [each.name for each in getattr(found, "criteria", ())]
    return {
        "family": name, "anchors": len(anchors), "reference": len(reference), "criteria": ", ".join(names) or "twins",
        "processor seconds": round(time.process_time() - began, 1), "seconds": round(seconds, 1),
    }  # fmt: skip


def keep(names: Sequence[str]) -> None:
    """Measure some families, and keep them beside the others."""
    import torch

    torch.set_num_threads(1)
    for name in names or FAMILIES:
        known = record.figures(NAME)
        rows = [each for each in known.get("rows", []) if each["family"] != name]
        rows.append(family(name))
        print(rows[-1], flush=True)
        record.write(NAME, {"rows": rows}, seed=1)


def main(data: Path | None = None) -> None:
    """Every family."""
    del data
    keep(())


if __name__ == "__main__":
    keep(sys.argv[1:])
