# pyright: basic
"""What a diffusion model of zeros tells of digits, beside controls that know no model, and how long it takes.

Digits of MNIST at 14 x 14, test set: zeros against the other classes, and against sixes alone. Each criterion is asked
of the model of zeros, and of one trained on the other classes, which must not tell zeros as its own. Beside them what
needs no model: the distance to the nearest training zero and to their mean, the compressed size. Intervals are of a
bootstrap over the samples of both sides, paired where scores are compared. One training seed.

``python -m benchmarks denoisers --data FOLDER``; models are trained once, into ``build/`` (four minutes each).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
from numpy.typing import NDArray
from training.denoiser.train import pooled, train, training_digits
from training.digits.train import split

import whygen
from benchmarks import record
from whygen.anchors.foils import sizes
from whygen.models.denoisers.loading import of_network, of_pipeline
from whygen.stats.auroc import auroc
from whygen.stats.seeds import generator
from whygen_experiments.pxgen_mnist0 import Mnist, load_mnist

SEED = 0
HELD, IN_CLASS, EACH, SIXES = 300, 300, 50, 300
RESAMPLES = 2_000
CRITERIA = ("denoising-loss", "redenoised")
RATIOS = (0.1, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.4, 2.0, 2.8, 4.0)
NOISES = 3
TIMED = 100
"""Anchors, and reference samples, that the time is measured with."""

Numbers = NDArray[np.float64]
Sides = tuple[Numbers, ...]


def _model(mnist: Mnist, name: str, classes: tuple[int, ...]) -> Path:
    folder = Path("build") / name
    if not folder.is_dir():
        train(training_digits(mnist, classes, seed=SEED), seed=SEED).save_pretrained(folder)
    return folder


def _digits(mnist: Mnist) -> dict[str, Any]:
    rng = generator(SEED, "denoisers")
    test = [rng.permutation(np.flatnonzero(mnist.test_labels == label)) for label in range(10)]
    parts = [test[0][:IN_CLASS], np.concatenate([rows[:EACH] for rows in test[1:]]), test[6][:SIXES]]
    return {
        "sides": [pooled(mnist.test_images[rows]) for rows in parts],
        "held": pooled(mnist.train_images[split(mnist, seed=SEED).reference[:HELD]]),
        "known": training_digits(mnist, (0,), seed=SEED),
    }


def _scores(model: object, digits: dict[str, Any]) -> dict[str, Sides]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = whygen.explain_anchors(
            model, np.concatenate(digits["sides"]), reference=digits["held"], criteria=",".join(CRITERIA),
            controls="none", cache=None, seed=SEED,
        )  # fmt: skip
    cuts = np.cumsum([len(side) for side in digits["sides"]])[:-1]
    return {name: tuple(np.split(found.evidence.values[:, at], cuts)) for at, name in enumerate(CRITERIA)}


def _controls(digits: dict[str, Any]) -> dict[str, Sides]:
    known = digits["known"].reshape(len(digits["known"]), -1).astype(np.float64)
    points = [side.reshape(len(side), -1).astype(np.float64) for side in digits["sides"]]

    def nearest(part: Numbers) -> Numbers:
        apart = np.square(known).sum(axis=1) - 2 * part @ known.T
        return np.linalg.norm(part - known[apart.argmin(axis=1)], axis=1)

    return {
        "nearest training sample": tuple(nearest(part) for part in points),
        "distance to the mean": tuple(np.linalg.norm(part - known.mean(axis=0), axis=1) for part in points),
        "compressed size": tuple(
            sizes(side, like=np.array([0, 255], np.float32)).astype(np.float64) for side in digits["sides"]
        ),
    }


def _pairs(own: Numbers, foreign: Numbers) -> Numbers:
    return (own[:, None] < foreign) + 0.5 * (own[:, None] == foreign)


def _interval(pairs: Numbers, which: str) -> dict[str, float]:
    rng = generator(SEED, "resamples", which)
    rows, columns = (rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n for n in pairs.shape)
    low, high = np.quantile(np.einsum("bi,bi->b", rows @ pairs, columns), [0.025, 0.975])
    return {"area": float(pairs.mean()), "low": float(low), "high": float(high)}


def _row(name: str, sides: Sides, nearest: Sides, control: Sides | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"criterion": name}
    for place, which in ((1, "others"), (2, "sixes")):
        pairs = _pairs(sides[0], sides[place])
        row[which] = _interval(pairs, which)
        row[f"{which}, excess over nearest"] = _interval(pairs - _pairs(nearest[0], nearest[place]), which)
        if control is not None:
            other = _pairs(control[0], control[place])
            row[f"{which}, trained on others"] = _interval(other, which)
            row[f"{which}, excess over that"] = _interval(pairs - other, which)
    return row


def _levels(folder: Path, digits: dict[str, Any]) -> list[dict[str, Any]]:
    """At each level of noise alone: the area, and the lowest of a single class, averaged over draws of noise."""
    model = of_pipeline(diffusers.DDPMPipeline.from_pretrained(folder), uri="zeros")
    model = replace(model, grid=model.schedule.levels(RATIOS))
    own, others = (side[:, None].astype(np.float32) / 127.5 - 1 for side in digits["sides"][:2])
    rows: list[dict[str, Any]] = []
    for at, level in zip(model.grid, model.levels, strict=True):
        found: list[tuple[float, float]] = []
        for draw in range(NOISES):
            noise = generator(SEED, "levels", draw).standard_normal((1, 1, 14, 14), dtype=np.float32)
            inside, outside = (
                model.loss(side, level, noise) + model.loss(side, level, -noise) for side in (own, others)
            )
            single = [auroc(inside, outside[start : start + EACH])[0] for start in range(0, len(outside), EACH)]
            found.append((auroc(inside, outside)[0], min(single)))
        area, worst = np.mean(found, axis=0)
        rows.append({"ratio": at.ratio, "area": float(area), "worst class": float(worst)})
    return rows


def _seconds() -> dict[str, float]:
    """Processor time of the default criteria at 28 x 28, by the number of samples scored; controls included."""
    from training.denoiser.train import new_network

    network = new_network(SEED)
    network.register_to_config(sample_size=28)
    rng = generator(SEED, "timed")
    anchors, reference = rng.integers(0, 256, (2, TIMED, 28, 28)).astype(np.uint8)
    model = (network, diffusers.DDPMScheduler())
    of_network(*model)  # what is imported late is no part of the time
    spent: dict[str, float] = {}
    for controls in ("none", "auto"):
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whygen.explain_anchors(model, anchors, reference=reference, controls=controls, cache=None)
        spent[controls] = time.process_time() - began
    return {"anchors": TIMED, "reference": TIMED, **{f"controls={name}": each for name, each in spent.items()}}


def main(data: Path | None) -> None:
    mnist = load_mnist(data)
    digits = _digits(mnist)
    zeros = _model(mnist, "denoiser-0", (0,))
    others = _model(mnist, "denoiser-others", tuple(range(1, 10)))
    controls = _controls(digits)
    nearest = controls["nearest training sample"]
    found = {name: _scores(f"diffusers/{folder}", digits) for name, folder in (("own", zeros), ("other", others))}
    rows = [_row(name, sides, nearest) for name, sides in controls.items()]
    rows += [_row(name, found["own"][name], nearest, found["other"][name]) for name in CRITERIA]
    for row in rows:
        print(_line(row))
    levels = _levels(zeros, digits)
    for each in levels:
        print(f"noise {each['ratio']:.2f}: {each['area']:.3f} (worst class {each['worst class']:.3f})")
    seconds = _seconds()
    print(seconds)
    record.write("denoisers", {"rows": rows, "levels": levels, "seconds": seconds}, seed=SEED)


def _line(row: Mapping[str, Any]) -> str:
    cells = [
        f"{name} {cell['area']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"
        for name, cell in row.items()
        if isinstance(cell, dict)
    ]
    return " | ".join([row["criterion"], *cells])
