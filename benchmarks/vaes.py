# pyright: basic
"""What the benchmarks of the anchor wing share: VAEs trained with checkpoints, criteria, areas under curves."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from scipy.stats import t as student

from whygen import lab
from whygen_experiments.influence import Checkpoint
from whygen_experiments.mlp_vae import MlpVae, Schedule, Sizes, train_mlp_vae

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]
DRAWS = 8
NAMES = ("kld", "sse")


def flat(images: NDArray[np.uint8]) -> Floats:
    """Bytes as values between 0 and 1, ``(n, values)``."""
    return (images.reshape(len(images), -1) / 255).astype(np.float32)


def fit(
    data: Floats, seed: int, *, epochs: int, every: int | None = None, sizes: Sizes | None = None
) -> tuple[MlpVae, list[Checkpoint]]:
    """The paper's VAE (METHODS B5), and its checkpoints every so many epochs, the last one always."""
    schedule, kept = Schedule(epochs=epochs), list[Checkpoint]()
    every = every or epochs
    steps = -(-len(data) // schedule.batch)

    def watch(epoch: int, module: MlpVae) -> None:
        if (epoch + 1) % every == 0 or epoch + 1 == epochs:
            since = (epoch + 1) % every or every
            kept.append(
                Checkpoint(module=copy.deepcopy(module).eval(), rate=schedule.rate, batch=schedule.batch,
                           interval=since * steps, training=len(data))
            )  # fmt: skip

    module = train_mlp_vae(data, seed=seed, sizes=sizes, schedule=schedule, watch=watch)
    return module, kept


def criteria(module: object, samples: Floats, *, seed: int, names: str = "kld,sse") -> Numbers:
    """Criteria of every sample under every posterior draw, ``(S, n, c)``, as `explain_anchors` takes them."""
    return lab.scores(module, samples, criteria=names, draws=DRAWS, seed=seed)


def auroc(scores: Numbers, positive: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above another, ties counting half."""
    ranks, count = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))


def chance(positives: int, others: int) -> tuple[float, float]:
    """95% of the AUROCs of a score that knows nothing (normal approximation)."""
    width = 1.96 * np.sqrt((positives + others + 1) / (12 * positives * others))
    return float(0.5 - width), float(0.5 + width)


def summary(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and Student's 95% interval over seeds; None where there is nothing to say."""
    array = np.asarray(values, dtype=np.float64)
    half = student.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else np.nan
    limits = {"mean": array.mean(), "low": array.mean() - half, "high": array.mean() + half}
    return {name: None if np.isnan(value) else float(value) for name, value in limits.items()}


def over_seeds(rows: Sequence[Mapping[str, Any]], by: Sequence[str], of: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of all seeds that agree in ``by``, as one row with the `summary` of each figure in ``of``."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    return [
        {**dict(zip(by, key, strict=True)), **{name: summary([row[name] for row in members]) for name in of}}
        for key, members in groups.items()
    ]


def means(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with means alone, for a table on the terminal."""
    return [{name: each["mean"] if isinstance(each, dict) else each for name, each in row.items()} for row in rows]


def timed(task: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    found = task()
    return found, time.perf_counter() - began
