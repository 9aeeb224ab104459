"""What `local` calls near: a weight for each mask, by how little of the prompt it changed. METHODS A1, A6."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from whygen import distances
from whygen.encoders import TextEncoder, load_text_encoder
from whygen.errors import UnknownNameError
from whygen.prompt.effects import Effects
from whygen.prompt.surrogates import Linear
from whygen.types import Floats, Masks


@runtime_checkable
class Kernel(Protocol):
    """Weights ``(m,)`` of masks ``(m, n)`` that were rendered to ``prompts``."""

    @property
    def name(self) -> str: ...

    def weights(self, masks: Masks, prompts: Sequence[str], whole: str) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Dropped:
    """``exp(-h^2 / width^2)``, h the share of units dropped."""

    width: float = 0.5
    name: str = "dropped"

    def weights(self, masks: Masks, prompts: Sequence[str], whole: str) -> Floats:
        del prompts, whole
        dropped: Floats = 1.0 - masks.mean(axis=1)
        return np.exp(-((dropped / self.width) ** 2))


@dataclass(frozen=True, slots=True)
class Embedding:
    """``exp(-(1 - cos)^2 / width^2)`` of the prompts in the encoder's space."""

    encoder: TextEncoder
    width: float = 0.5
    name: str = "embedding"

    def weights(self, masks: Masks, prompts: Sequence[str], whole: str) -> Floats:
        del masks
        apart = distances.cosine(self.encoder.sentences(prompts), self.encoder.sentences([whole])[0])
        return np.exp(-((apart / self.width) ** 2))


@dataclass(frozen=True, slots=True)
class WordMover:
    """``sqrt(exp(-d^2 / width^2))``, d the optimal transport between the prompts' tokens: the published kernel."""

    encoder: TextEncoder
    width: float = 0.25
    name: str = "word-mover"

    def weights(self, masks: Masks, prompts: Sequence[str], whole: str) -> Floats:
        del masks
        apart = distances.optimal_transport(self.encoder.tokens(prompts), self.encoder.tokens([whole])[0])
        return np.sqrt(np.exp(-((apart / self.width) ** 2)))


@dataclass(frozen=True, slots=True)
class Letters:
    """``sqrt(exp(-d^2 / width^2))``, d between the shares of letters of the prompts: the published kernel for pictures.

    There a word mover's distance was given texts instead of lists of words, and compared their characters. With every
    character as far from every other, 1, that is the total variation distance; word2vec's own letters are not shipped.
    """

    width: float = 0.25
    name: str = "letters"

    def weights(self, masks: Masks, prompts: Sequence[str], whole: str) -> Floats:
        del masks
        apart = np.array([_letters_apart(prompt, whole) for prompt in prompts], dtype=np.float64)
        return np.sqrt(np.exp(-((apart / self.width) ** 2)))


def _letters_apart(a: str, b: str) -> float:
    """Total variation distance between the shares of characters, 0 to 1; white space does not count."""
    one, two = (Counter(character for character in text if not character.isspace()) for text in (a, b))
    if not one or not two:
        return float(bool(one) != bool(two))
    # In order: a sum over a set, whose order changes from process to process, would differ in its last digits.
    return 0.5 * sum(abs(one[c] / one.total() - two[c] / two.total()) for c in sorted(one.keys() | two.keys()))


def _opened(encoder: str | TextEncoder) -> TextEncoder:
    return load_text_encoder(encoder) if isinstance(encoder, str) else encoder


KERNELS: dict[str, Callable[[str | TextEncoder], Kernel]] = {
    "dropped": lambda _: Dropped(),
    "embedding": lambda encoder: Embedding(_opened(encoder)),
    "letters": lambda _: Letters(),
    "word-mover": lambda encoder: WordMover(_opened(encoder)),
}


def load_kernel(name: str, *, encoder: str | TextEncoder = "auto") -> Kernel:
    """The kernel of that name.

    Raises:
        UnknownNameError: if there is none.
    """
    if name not in KERNELS:
        raise UnknownNameError("kernel", name, KERNELS)
    return KERNELS[name](encoder)


@dataclass(frozen=True, slots=True)
class WeightedLeastSquares:
    """Least squares in which each mask weighs what the kernel says; the smallest solution where there are many."""

    name: str = "wls"

    def smallest_pairs(self, n: int) -> int:
        return (n + 2) // 2

    def fit(self, observed: Effects) -> Linear:
        root: NDArray[np.float64] = np.sqrt(observed.importance())
        x = np.hstack([np.ones((len(observed), 1)), observed.centred()])
        solution: NDArray[Any] = np.linalg.lstsq(x * root[:, None], observed.values * root, rcond=None)[0]
        return Linear(float(solution[0]), solution[1:], observed.keep)
