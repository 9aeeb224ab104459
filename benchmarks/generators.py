# pyright: basic
"""Which generator families tell their own kind from others by anchors, beside controls that know no model.

MNIST digits of 14 x 14. A model of each family is trained on 2,000 zeros, and one of the same make on 2,000 digits of
all kinds. In-class are zeros of the test set, foreign the other digits (pooled, and sixes alone, which is harder). An
AUROC of such a pair is no feat: the distance to the nearest training zero, to their mean, and the compressed size have
one, too, and need no model. What counts is the excess over these, and that the same criterion on the model that was
trained on all digits falls to chance. Intervals are of a bootstrap over the samples of both sides, paired where two
scores are compared; one training seed.

``python -m benchmarks generators --data FOLDER``.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from training.generators.models import VALUES, halved, train_gan, train_made

import whygen
from benchmarks import record
from whygen.anchors.foils import sizes
from whygen.models.latent.mlp import Schedule, Sizes, train_mlp_vae
from whygen.stats.seeds import generator
from whygen_experiments.pxgen_mnist0 import Mnist, load_mnist

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]
SEED = 0
TRAINING, HELD = 2_000, 300
IN_CLASS, EACH, SIXES = 300, 50, 300
RESAMPLES = 2_000


class Family(NamedTuple):
    """How a model is trained, and by what criteria it is asked."""

    train: Callable[[Floats], object]
    criteria: tuple[str, ...]


class Digits(NamedTuple):
    """All ``(n, 14, 14)``: two training sets, the reference, and the samples that are told apart."""

    zeros: Floats
    mixed: Floats
    held: Floats
    own: Floats
    others: Floats
    sixes: Floats


def _vae(images: Floats) -> object:
    sizes_, schedule = Sizes(values=VALUES, hidden=128, latent=16), Schedule(epochs=15)
    return train_mlp_vae(images.reshape(len(images), -1), seed=SEED, sizes=sizes_, schedule=schedule)


def _mixture(images: Floats) -> object:
    model = GaussianMixture(10, covariance_type="diag", reg_covar=1e-2, random_state=SEED)
    return model.fit(images.reshape(len(images), -1).astype(np.float64))


FAMILIES: Mapping[str, Family] = {
    "VAE": Family(_vae, ("kld", "sse", "realism", "nearest-sample")),
    "GAN": Family(lambda images: train_gan(images, seed=SEED), ("realism", "nearest-sample", "inversion")),
    "autoregressive": Family(
        lambda images: train_made(images, seed=SEED), ("nll", "nll-complexity", "realism", "nearest-sample")
    ),
    "mixture": Family(_mixture, ("nll", "nearest-sample")),
    "PCA density": Family(lambda images: PCA(30).fit(images.reshape(len(images), -1)), ("nll",)),
}  # fmt: skip


def _digits(mnist: Mnist) -> Digits:
    rng = generator(SEED, "generators")
    train = [rng.permutation(np.flatnonzero(mnist.train_labels == label)) for label in range(10)]
    test = [rng.permutation(np.flatnonzero(mnist.test_labels == label)) for label in range(10)]
    zeros, mixed = train[0], np.concatenate([rows[: TRAINING // 10] for rows in train])
    others = np.concatenate([rows[:EACH] for rows in test[1:]])
    of_train, of_test = halved(mnist.train_images), halved(mnist.test_images)
    return Digits(
        of_train[zeros[:TRAINING]], of_train[mixed], of_train[zeros[TRAINING : TRAINING + HELD]],
        of_test[test[0][:IN_CLASS]], of_test[others], of_test[test[6][:SIXES]],
    )  # fmt: skip


def _scores(model: object, digits: Digits, criteria: tuple[str, ...]) -> dict[str, tuple[Numbers, ...]]:
    """The criteria of in-class samples, of other digits and of sixes, as `explain_anchors` measures them."""
    anchors = np.concatenate([digits.own, digits.others, digits.sixes])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = whygen.explain_anchors(
            model, anchors, reference=digits.held, criteria=",".join(criteria), controls="none", cache=None, seed=SEED
        )
    values = found.evidence.values
    cuts = [len(digits.own), len(digits.own) + len(digits.others)]
    return {name: tuple(np.split(values[:, place], cuts)) for place, name in enumerate(criteria)}


def _controls(digits: Digits) -> dict[str, tuple[Numbers, ...]]:
    """What needs no model: the nearest training zero, the mean of the training zeros, the compressed size."""
    known = digits.zeros.reshape(len(digits.zeros), -1).astype(np.float64)
    sides = (digits.own, digits.others, digits.sixes)
    points = [side.reshape(len(side), -1).astype(np.float64) for side in sides]

    def nearest(part: Numbers) -> Numbers:
        apart = np.square(known).sum(axis=1) - 2 * part @ known.T
        return np.linalg.norm(part - known[apart.argmin(axis=1)], axis=1)

    return {
        "nearest training sample": tuple(nearest(part) for part in points),
        "distance to the mean": tuple(np.linalg.norm(part - known.mean(axis=0), axis=1) for part in points),
        "compressed size": tuple(sizes(side, like=np.array([0, 1], np.float32)).astype(np.float64) for side in sides),
    }


def _pairs(own: Numbers, foreign: Numbers) -> Numbers:
    """For each pair whether the foreign sample scores higher, ties counting half."""
    return (own[:, None] < foreign) + 0.5 * (own[:, None] == foreign)


def _interval(pairs: Numbers, path: str) -> dict[str, float]:
    """The mean over pairs, and its interval over resamples of both sides: the same ones for every score."""
    rng = generator(SEED, "resamples", path)
    rows, columns = (rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n for n in pairs.shape)
    drawn = np.einsum("bi,ij,bj->b", rows, pairs, columns, optimize=True)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"area": float(pairs.mean()), "low": float(low), "high": float(high)}


def _row(name: str, criterion: str, sides: tuple[Numbers, ...], nearest: tuple[Numbers, ...]) -> dict[str, Any]:
    row: dict[str, Any] = {"family": name, "criterion": criterion}
    for place, which in ((1, "others"), (2, "sixes")):
        pairs = _pairs(sides[0], sides[place])
        row[which] = _interval(pairs, which)
        row[f"{which}, excess over nearest"] = _interval(pairs - _pairs(nearest[0], nearest[place]), which)
    return row


def main(data: Path | None, families: Mapping[str, Family] = FAMILIES) -> None:
    """Measure and keep the rows of some families; the rows of others stay."""
    digits = _digits(load_mnist(data))
    controls = _controls(digits)
    nearest = controls["nearest training sample"]
    rows = [_row("no model", name, sides, nearest) for name, sides in controls.items()]
    for name, family in families.items():
        began = time.process_time()
        models = {"zeros": family.train(digits.zeros), "all digits": family.train(digits.mixed)}
        trained = time.process_time() - began
        found = {kind: _scores(model, digits, family.criteria) for kind, model in models.items()}
        for criterion in family.criteria:
            row = _row(name, criterion, found["zeros"][criterion], nearest)
            for place, which in ((1, "others"), (2, "sixes")):
                own, other = (_pairs(found[kind][criterion][0], found[kind][criterion][place]) for kind in models)
                row[f"{which}, trained on all digits"] = _interval(other, which)
                row[f"{which}, excess over that"] = _interval(own - other, which)
            rows.append(row)
        print(f"{name}: trained in {trained:.0f} s, asked in {time.process_time() - began - trained:.0f} s", flush=True)
    kept = [row for row in record.rows("generators") if row["family"] not in {each["family"] for each in rows}]
    record.write("generators", {"rows": [*rows, *kept]}, seed=SEED)
    for row in [*rows, *kept]:
        print(_line(row))


def _line(row: Mapping[str, Any]) -> str:
    cells = [row["family"], row["criterion"]]
    for which in ("others", "sixes"):
        for name in ("", ", excess over nearest", ", trained on all digits", ", excess over that"):
            cell = row.get(f"{which}{name}")
            cells.append("" if cell is None else f"{cell['area']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]")
    return " | ".join(cells)
