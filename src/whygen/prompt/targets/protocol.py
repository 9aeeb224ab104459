"""What whygen asks of a target, and the small capabilities that some have besides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from whygen.results.prompt import TargetRecord
from whygen.types import Failure, Floats, Output

Verb: TypeAlias = Literal["answer", "score"]
"""Whether the model is asked to write (and the answer is read) or to score texts that it is given."""


KEPT = "The answers are recorded: correct the score and run again, without a new call."
"""What to say where somebody's own code failed on answers that were paid for."""


@runtime_checkable
class Target(Protocol):
    """Turns outputs into effects."""

    @property
    def record(self) -> TargetRecord: ...

    @property
    def verb(self) -> Verb: ...

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Effect of each output ``(n,)``; higher is nearer to what the model said.

        Pure: the same outputs and references give the same effects, so recorded answers can be read again.
        """
        ...


@runtime_checkable
class Compares(Protocol):
    """A target whose effect is minus a distance to the reference: 0 is the same, and a repeat shows a noise level."""

    def against(self, outputs: Sequence[Output], references: Sequence[Output]) -> NDArray[np.float64]:
        """Minus the distance of each output to each reference, shape ``(n, references)``; encodes each text once."""
        ...


@runtime_checkable
class ReadsReference(Protocol):
    """A target that can find the reference unfit, as soon as it came and before any mask is paid for."""

    def check(self, reference: Output) -> None:
        """Raise `DataError`, which shows the reference, where the target cannot be measured on it."""
        ...


@runtime_checkable
class Continues(Protocol):
    """A scoring target that wants other texts scored than the reference alone, each one call for each prompt."""

    @property
    def texts(self) -> int:
        """How many."""
        ...

    def continuations(self, reference: Output) -> tuple[str, ...]:
        """The texts to score, in order; `join_scores` makes one output of their answers."""
        ...


@runtime_checkable
class HearsRefusals(Protocol):
    """A target for which a refused request is an answer like any other."""

    def heard(self, failure: Failure) -> Output | Failure:
        """An output that refuses, or the failure where it was another."""
        ...


@runtime_checkable
class Counts(Protocol):
    """A target that reads answers as data: what each says, and why some cannot be read."""

    def outcomes(self, outputs: Sequence[Output], references: Sequence[Output]) -> tuple[str, ...]:
        """What each output says, or why it cannot be read, for counting."""
        ...

    def unread(self, outputs: Sequence[Output]) -> tuple[str, ...]:
        """Why outputs cannot be read (``no JSON``, ``several labels`` ...), once for each that cannot."""
        ...
