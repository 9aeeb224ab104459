# pyright: basic
"""Which generator families tell their own kind from others by anchors, beside controls that know no model.

MNIST digits of 14 x 14, and of 28 x 28 for a second flow, which is timed by 1,000 anchors, too. A model of each family
is trained on 2,000 zeros, and one of the same make on 2,000 digits of all kinds. In-class are zeros of the test set,
foreign the other digits (pooled, and sixes alone, which is harder). An AUROC of such a pair is no feat: the distance to
the nearest training zero, to their mean, and the compressed size have one, too, and need no model. What counts is the
excess over these, and that the same criterion on the model that was trained on all digits falls to chance. It does not
where a kind of sample is harder for every model (zeros have more ink): so the contrast is measured besides, the
criterion by the model of zeros less that by the model of all digits, which is its background (Ren et al. 2019, arXiv
1906.02845). Its own control is the same contrast with a third model, trained on 2,000 other digits of all kinds, in the
place of the model of zeros: that one must be at chance. Intervals are of a bootstrap over the samples of both sides,
paired where two scores are compared; one training seed.

``python -m benchmarks generators --data FOLDER``.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from training.generators.models import VALUES, halved, train_flow, train_gan, train_made

import whygen
from benchmarks import record
from whygen.anchors.choosing import BANK
from whygen.anchors.foils import sizes
from whygen.anchors.set_metrics import labels_made
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson
from whygen_experiments.mlp_vae import Schedule, Sizes, train_mlp_vae
from whygen_experiments.pxgen_mnist0 import Mnist, load_mnist

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]
SEED = 0
TRAINING, HELD = 2_000, 300
IN_CLASS, EACH, SIXES = 300, 50, 300
RESAMPLES = 2_000
ANCHORS = 1_000
MODES_RUNS, MODES_REFERENCE = 80, (300, 1_000)
PAIRS = 8
"""Trainings behind the error of training."""


class Family(NamedTuple):
    """How a model is trained, by what criteria it is asked, and by what whygen has no criterion of."""

    train: Callable[[Floats], object]
    criteria: tuple[str, ...]
    more: Callable[[object, Floats], dict[str, Numbers]] = lambda model, images: {}
    read: Callable[[NDArray[np.uint8]], Floats] = halved


class Digits(NamedTuple):
    """All ``(n, side, side)``: three training sets, the reference, and the samples that are told apart."""

    zeros: Floats
    mixed: Floats
    others_mixed: Floats
    held: Floats
    own: Floats
    others: Floats
    sixes: Floats


def _vae(images: Floats, seed: int = SEED) -> object:
    sizes_, schedule = Sizes(values=VALUES, hidden=128, latent=16), Schedule(epochs=15)
    return train_mlp_vae(images.reshape(len(images), -1), seed=seed, sizes=sizes_, schedule=schedule)


def _regret(module: Any, images: Floats, *, steps: int = 150, draws: int = 8) -> dict[str, Numbers]:
    """Likelihood regret: how much the bound of each sample gains when its own posterior is sought, decoder held.

    Xiao et al. 2020 (arXiv 2003.02977) train the encoder on by one sample; here mean and log-variance of that sample
    are what is sought (Adam, .05), which is the same aim without weights that another sample shares. Noise is fixed
    while it is sought, and the gain is measured with 64 new draws, the same ones before and after. Beside it the bound.
    """
    x, noise = torch.from_numpy(images.reshape(len(images), -1)), torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        mean, logvar = module.encode(x)

    def bound(mean: torch.Tensor, logvar: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        made = module.decode((mean + torch.exp(logvar / 2) * eps).reshape(-1, eps.shape[-1]))
        made = made.reshape(len(eps), len(x), -1).clamp(1e-6, 1 - 1e-6)
        likely = (x * torch.log(made) + (1 - x) * torch.log1p(-made)).sum(dim=-1).mean(dim=0)
        return likely - 0.5 * (mean.square() + logvar.exp() - logvar - 1).sum(dim=1)

    known, new = (torch.randn(n, 1, mean.shape[1], generator=noise) for n in (draws, 64))
    sought = [each.clone().requires_grad_() for each in (mean, logvar)]
    optimiser = torch.optim.Adam(sought, lr=0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        (-bound(sought[0], sought[1], known).sum()).backward()
        optimiser.step()
    with torch.no_grad():
        before, after = bound(mean, logvar, new), bound(sought[0], sought[1], new)
    return {"likelihood regret": (after - before).double().numpy(), "minus the bound": -before.double().numpy()}


def whole(images: NDArray[np.uint8]) -> Floats:
    """Pictures as they are, between 0 and 1."""
    return images.astype(np.float32) / np.float32(255)


def _mixture(images: Floats) -> object:
    model = GaussianMixture(10, covariance_type="diag", reg_covar=1e-2, random_state=SEED)
    return model.fit(images.reshape(len(images), -1).astype(np.float64))


FAMILIES: Mapping[str, Family] = {
    "VAE": Family(_vae, ("kld", "sse", "realism", "nearest-sample"), _regret),
    "GAN": Family(lambda images: train_gan(images, seed=SEED), ("realism", "nearest-sample", "inversion")),
    "autoregressive": Family(
        lambda images: train_made(images, seed=SEED), ("nll", "nll-complexity", "realism", "nearest-sample")
    ),
    "flow": Family(
        lambda images: train_flow(images, seed=SEED), ("nll", "nll-complexity", "realism", "nearest-sample")
    ),
    "flow, 28 x 28": Family(
        lambda images: train_flow(images, seed=SEED), ("nll", "nll-complexity", "realism", "nearest-sample"), read=whole
    ),
    "mixture": Family(_mixture, ("nll", "nearest-sample")),
    "PCA density": Family(lambda images: PCA(30).fit(images.reshape(len(images), -1)), ("nll",)),
}  # fmt: skip


def _digits(mnist: Mnist, read: Callable[[NDArray[np.uint8]], Floats] = halved) -> Digits:
    rng = generator(SEED, "generators")
    train = [rng.permutation(np.flatnonzero(mnist.train_labels == label)) for label in range(10)]
    test = [rng.permutation(np.flatnonzero(mnist.test_labels == label)) for label in range(10)]
    zeros, part = train[0], TRAINING // 10
    mixed, others_mixed = (np.concatenate([rows[at : at + part] for rows in train]) for at in (0, TRAINING + HELD))
    others = np.concatenate([rows[:EACH] for rows in test[1:]])
    of_train, of_test = read(mnist.train_images), read(mnist.test_images)
    return Digits(
        of_train[zeros[:TRAINING]], of_train[mixed], of_train[others_mixed],
        of_train[zeros[TRAINING : TRAINING + HELD]], of_test[test[0][:IN_CLASS]], of_test[others],
        of_test[test[6][:SIXES]],
    )  # fmt: skip


def _scores(model: object, digits: Digits, family: Family) -> dict[str, tuple[Numbers, ...]]:
    """The criteria of in-class samples, of other digits and of sixes, as `explain_anchors` measures them."""
    anchors, criteria = np.concatenate([digits.own, digits.others, digits.sixes]), family.criteria
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = whygen.explain_anchors(
            model, anchors, reference=digits.held, criteria=",".join(criteria), controls="none", cache=None, seed=SEED
        )
    values = dict(zip(criteria, found.evidence.values.T, strict=True)) | family.more(model, anchors)
    cuts = [len(digits.own), len(digits.own) + len(digits.others)]
    return {name: tuple(np.split(each, cuts)) for name, each in values.items()}


def _points(images: Floats) -> Numbers:
    return images.reshape(len(images), -1).astype(np.float64)


def _nearest(images: Floats, digits: Digits) -> tuple[Numbers, ...]:
    """Of in-class samples, of other digits and of sixes the distance to the nearest of these images."""
    known, found = _points(images), list[Numbers]()
    for part in map(_points, (digits.own, digits.others, digits.sixes)):
        apart = np.square(known).sum(axis=1) - 2 * part @ known.T
        found.append(np.linalg.norm(part - known[apart.argmin(axis=1)], axis=1))
    return tuple(found)


def _controls(digits: Digits) -> dict[str, tuple[Numbers, ...]]:
    """What needs no model: the nearest training zero, the mean of the training zeros, the compressed size."""
    middle, sides = _points(digits.zeros).mean(axis=0), (digits.own, digits.others, digits.sixes)
    return {
        "nearest training sample": _nearest(digits.zeros, digits),
        "distance to the mean": tuple(np.linalg.norm(_points(part) - middle, axis=1) for part in sides),
        "compressed size": tuple(sizes(side, like=np.array([0, 1], np.float32)).astype(np.float64) for side in sides),
    }


def _pairs(own: Numbers, foreign: Numbers) -> Numbers:
    """For each pair whether the foreign sample scores higher, ties counting half."""
    return (own[:, None] < foreign) + 0.5 * (own[:, None] == foreign)


def _less(one: tuple[Numbers, Numbers], other: tuple[Numbers, Numbers]) -> tuple[Numbers, Numbers]:
    """Scores less those of the background, of in-class and foreign samples."""
    return one[0] - other[0], one[1] - other[1]


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


def _contrasted(row: dict[str, Any], scored: Mapping[str, tuple[Numbers, ...]]) -> None:
    """Adds what the same criterion says by what was trained on all digits, and the contrast with its control."""
    for place, which in ((1, "others"), (2, "sixes")):
        pair = {kind: (each[0], each[place]) for kind, each in scored.items()}
        own, other = _pairs(*pair["zeros"]), _pairs(*pair["all digits"])
        row[f"{which}, trained on all digits"] = _interval(other, which)
        row[f"{which}, excess over that"] = _interval(own - other, which)
        ahead, chance = (_less(pair[kind], pair["all digits"]) for kind in ("zeros", "other digits"))
        row[f"{which}, contrast"] = _interval(_pairs(*ahead), which)
        row[f"{which}, contrast of models of all digits"] = _interval(_pairs(*chance), which)


def main(data: Path | None, families: Mapping[str, Family] = FAMILIES) -> None:
    """Measure and keep the rows of some families; the rows of others stay."""
    mnist, rows, timed = load_mnist(data), list[dict[str, Any]](), dict[str, Any]()
    for read, without in ((halved, "no model"), (whole, "no model, 28 x 28")):
        some = {name: each for name, each in families.items() if each.read is read}
        if some:
            rows += _asked(_digits(mnist, read), some, without, timed)
    known = {(row["family"], row["criterion"]) for row in rows}
    kept = [row for row in record.rows("generators") if (row["family"], row["criterion"]) not in known]
    figures = record.figures("generators")
    timed = {**figures.get("timed", {}), **timed}
    record.write("generators", {**figures, "rows": [*rows, *kept], "timed": timed}, seed=SEED)
    for row in [*rows, *kept]:
        print(_line(row))
    if families is FAMILIES:
        modes(mnist)
        trainings(mnist, _digits(mnist))


def _asked(
    digits: Digits, families: Mapping[str, Family], without: str, timed: dict[str, Any]
) -> list[dict[str, Any]]:  # fmt: skip
    """The rows of families that are trained on pictures of one size, after those that need no model."""
    controls = _controls(digits)
    nearest = controls["nearest training sample"]
    rows = [_row(without, name, sides, nearest) for name, sides in controls.items()]
    sets = {"zeros": digits.zeros, "all digits": digits.mixed, "other digits": digits.others_mixed}
    _contrasted(rows[0], {kind: _nearest(images, digits) for kind, images in sets.items()})
    for name, family in families.items():
        began = time.process_time()
        models = {kind: family.train(images) for kind, images in sets.items()}
        trained = time.process_time() - began
        found = {kind: _scores(model, digits, family) for kind, model in models.items()}
        for criterion in found["zeros"]:
            row = _row(name, criterion, found["zeros"][criterion], nearest)
            _contrasted(row, {kind: each[criterion] for kind, each in found.items()})
            rows.append(row)
        print(f"{name}: trained in {trained:.0f} s, asked in {time.process_time() - began - trained:.0f} s", flush=True)
        if family.read is whole:
            timed[name] = {"trained": round(trained / len(sets), 1), **_timed(models["zeros"], digits)}
    return rows


def _timed(model: object, digits: Digits) -> dict[str, Any]:
    """Seconds that 1,000 anchors take by the default criteria, with the default controls."""
    anchors = np.concatenate([digits.own, digits.others, digits.sixes])[:ANCHORS]
    began, processor = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = whygen.explain_anchors(model, anchors, reference=digits.held, cache=None, seed=SEED)
    return {
        "anchors": len(anchors), "reference": len(digits.held), "criteria": [each.name for each in found.criteria],
        "threads": torch.get_num_threads(), "seconds": round(time.perf_counter() - began, 1),
        "processor seconds": round(time.process_time() - processor, 1),
    }  # fmt: skip


def modes(mnist: Mnist, *, runs: int = MODES_RUNS) -> None:
    """How often a label that a sampler makes none, a fourth, or all of is called dropped, over draws of everything.

    A sampler returns training digits that the reference does not hold, with a little noise: of the other nine labels,
    with a fourth of the one, or all of them. `none` and `others` are right and wrong calls of one set of runs.
    """
    points, labels, rows = halved(mnist.train_images).reshape(-1, VALUES), mnist.train_labels, list[dict[str, Any]]()
    for n in MODES_REFERENCE:
        called = {"none of it": 0, "another than it": 0, "a fourth of it": 0, "all labels": 0}
        for run in range(runs):
            rng, label = generator(SEED, "modes", str(n), str(run)), run % 10
            drawn = rng.permutation(len(points))
            held, own = drawn[:n], drawn[n:]
            few = rng.random(len(own)) < 0.25
            for name, kept in (
                ("none of it", labels[own] != label), ("a fourth of it", (labels[own] != label) | few),
                ("all labels", few | ~few),
            ):  # fmt: skip
                made = points[own[kept][:BANK]]
                made = np.clip(made + rng.normal(0, 0.05, made.shape), 0, 1)
                found = labels_made(points[held], labels[held].tolist(), made, None, rng=rng)
                told = {each.label for each in found if each.is_dropped}
                called[name] += bool(told) if name == "all labels" else label in told
                called["another than it"] += name == "none of it" and bool(told - {label})
        for name, count in called.items():
            low, high = wilson(count, runs)
            rows.append({"made": name, "reference": n, "runs": runs, "called": count, "low": low, "high": high})
            print(rows[-1], flush=True)
    record.write("generators", {**record.figures("generators"), "modes": rows}, seed=SEED)


def trainings(mnist: Mnist, digits: Digits) -> None:
    """The contrast and its control over `PAIRS` trainings each, on other draws of the training images.

    Two models of all digits are exchangeable, so the control's expectation is .5 exactly, whatever the criterion; how
    far one pair lies from it is the error of training, which the intervals of the table do not hold.
    """
    rows = list[dict[str, Any]]()
    of_train, labels = halved(mnist.train_images), mnist.train_labels
    asked = np.concatenate([digits.own, digits.others])

    def drawn(kind: str, turn: int) -> Floats:
        rng = generator(SEED, "trainings", kind, str(turn))
        each = [rng.permutation(np.flatnonzero(labels == label)) for label in range(10)]
        return of_train[each[0][:TRAINING] if kind == "zeros" else np.concatenate([r[: TRAINING // 10] for r in each])]

    def of_vae(images: Floats, turn: int) -> Numbers:
        return _regret(_vae(images, turn), asked, steps=0)["minus the bound"]

    def of_pca(images: Floats, turn: int) -> Numbers:
        return (
            -PCA(30, random_state=turn).fit(images.reshape(TRAINING, -1)).score_samples(asked.reshape(len(asked), -1))
        )

    for name, score in (("VAE, minus the bound", of_vae), ("PCA density, nll", of_pca)):
        scored = {
            kind: [score(drawn(kind, turn), turn) for turn in range(PAIRS)] for kind in ("zeros", "all", "others")
        }
        cut = len(digits.own)
        for what, kind in (("contrast", "zeros"), ("control", "others")):
            apart = [one - other for one, other in zip(scored[kind], scored["all"], strict=True)]
            areas = np.array([_pairs(each[:cut], each[cut:]).mean() for each in apart])
            half = float(student.ppf(0.975, PAIRS - 1) * areas.std(ddof=1) / np.sqrt(PAIRS))
            rows.append(
                {"score": name, "of": what, "trainings": PAIRS, "spread": float(areas.std(ddof=1)),
                 "area": {"mean": float(areas.mean()), "low": float(areas.mean() - half),
                          "high": float(areas.mean() + half)}}
            )  # fmt: skip
            print(rows[-1], flush=True)
    record.write("generators", {**record.figures("generators"), "trainings": rows}, seed=SEED)


def _line(row: Mapping[str, Any]) -> str:
    cells = [row["family"], row["criterion"]]
    for which in ("others", "sixes"):
        for name in (
            "", ", excess over nearest", ", trained on all digits", ", excess over that", ", contrast",
            ", contrast of models of all digits",
        ):  # fmt: skip
            cell = row.get(f"{which}{name}")
            cells.append("" if cell is None else f"{cell['area']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]")
    return " | ".join(cells)
