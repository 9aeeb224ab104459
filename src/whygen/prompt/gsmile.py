"""The published gSMILE procedure, step by step, so that results can be compared (METHODS A6, preset ``gsmile``).

Sources: the authors' notebook (repository Dependable-Intelligent-Systems-Lab/xwhy at commit 69b8500), arXiv 2602.01206.
What it computes is audited elsewhere; nothing here is used by the default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.prompt.designs import Design
from whygen.types import Masks

SEED = 1024
SAMPLES = 64
KERNEL_WIDTH = 0.25
EPSILON = 1e-8


@dataclass(frozen=True, slots=True)
class DrawnMasks:
    """Masks ``(k, n)`` and, for rows that keep fewer than two words, the two filler words sent beside them."""

    masks: Masks
    fillers: dict[int, tuple[str, str]]

    def words(self, prompt_words: list[str], row: int) -> list[str]:
        """The words that were sent for a row, in prompt order, fillers last and once each."""
        kept = [word for word, keep in zip(prompt_words, self.masks[row], strict=True) if keep]
        return list(dict.fromkeys([*kept, *self.fillers.get(row, ())]))


def draw_masks(words: list[str], k: int = SAMPLES, *, seed: int = SEED) -> DrawnMasks:
    """The authors' masks: Bernoulli(one half), none empty, none twice, at most 10 k attempts, then one seen is reused.

    The two filler words are drawn on the same generator right after a mask with fewer than two words is accepted;
    without that draw the masks differ from row 7 on. A reused mask is picked from a Python set of integer tuples,
    whose order is fixed by CPython's hash of integers.

    Raises:
        UsageError: if there are fewer than two words to draw fillers from.
    """
    if len(words) < 2:
        raise UsageError(
            "preset='gsmile' needs a prompt of at least two words: it pads short prompts with two of them."
        )
    rng = np.random.default_rng(seed)
    seen: set[tuple[int, ...]] = set()
    rows: list[tuple[int, ...]] = []
    fillers: dict[int, tuple[str, str]] = {}
    attempts = 0
    while len(rows) < k:
        if attempts < 10 * k:
            attempts += 1
            row = tuple(int(bit) for bit in rng.binomial(1, 0.5, size=len(words)))
            if not any(row) or row in seen:
                continue
        else:
            row = list(seen)[int(rng.choice(len(seen)))]
        seen.add(row)
        if sum(row) < 2:
            one, two = rng.choice(words, 2, replace=False)
            fillers[len(rows)] = (str(one), str(two))
        rows.append(row)
    return DrawnMasks(np.array(rows, dtype=bool), fillers)


def design(words: list[str], masks: int) -> Design:
    """The published draw as a design: each row is its own group, and brings the prompt that is sent for it."""
    drawn = draw_masks(words, min(masks, SAMPLES))
    rows = range(len(drawn.masks))
    prompts = tuple(" ".join(drawn.words(words, row)) for row in rows)
    return Design(name="gSMILE, as published", masks=drawn.masks, groups=np.arange(len(drawn.masks)), prompts=prompts)


def similarity(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Min-max of ``1 / (d + 1e-8)`` over the run, shape ``(k,)``: the published target."""
    closeness = 1.0 / (distances + EPSILON)
    if np.ptp(closeness) == 0.0:
        return np.zeros(len(distances))
    return (closeness - closeness.min()) / (closeness.max() - closeness.min())


def kernel(distances: NDArray[np.float64], *, width: float = KERNEL_WIDTH) -> NDArray[np.float64]:
    """``sqrt(exp(-delta^2 / width^2))`` of the distances between the prompts, shape ``(k,)``."""
    return np.sqrt(np.exp(-(distances**2) / width**2))


@dataclass(frozen=True, slots=True)
class GsmileFit:
    """Weighted least squares with intercept: coefficients ``(n,)`` and the in-sample weighted R2."""

    intercept: float
    coefficients: NDArray[np.float64]
    weighted_r2: float
    predicted: NDArray[np.float64]


def fit(masks: Masks, target: NDArray[np.float64], weights: NDArray[np.float64]) -> GsmileFit:
    """The published surrogate, and the thesis's fidelity ``1 - sum w (y - yhat)^2 / sum w (y - mean_w y)^2``.

    A target that does not vary has no fidelity: there it is NaN.
    """
    root = np.sqrt(weights)
    x = np.hstack([np.ones((len(masks), 1)), masks.astype(np.float64)])
    solution: NDArray[Any] = np.linalg.lstsq(x * root[:, None], target * root, rcond=None)[0]
    predicted = x @ solution
    mean = float((weights * target).sum() / weights.sum())
    error = float((weights * (target - predicted) ** 2).sum())
    total = float((weights * (target - mean) ** 2).sum())
    varies = bool((target != target[0]).any()) and total > 0.0
    fidelity = 1.0 - error / total if varies else float("nan")
    return GsmileFit(float(solution[0]), solution[1:], fidelity, predicted)


def coordinate_wasserstein(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """One-dimensional Wasserstein distance between the *coordinate values* of two vectors of equal length.

    This is what the published image pipeline computes. It ignores which coordinate holds which value: a permuted vector
    has distance 0. It is here for comparison only.
    """
    return float(np.abs(np.sort(a) - np.sort(b)).mean())
