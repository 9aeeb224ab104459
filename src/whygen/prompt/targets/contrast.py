"""This output rather than that, for models that only answer: how much nearer to what was said than to another text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whygen.prompt.targets.protocol import Compares, Verb
from whygen.prompt.targets.scored import check_alternative
from whygen.results.prompt import TargetRecord
from whygen.types import Floats, Output


@dataclass(frozen=True, slots=True)
class ContrastiveDistance:
    """``D(out, alternative) - D(out, reference)``, in the unit of the distance; swapping the two turns the sign."""

    record: TargetRecord
    base: Compares
    alternative: str
    verb: Verb = "answer"

    def check(self, reference: Output) -> None:
        """Raise `DataError` if the alternative is what the model said."""
        check_alternative(self.alternative, reference)

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        """Difference of the distances, mean over references, shape ``(n,)``."""
        both = self.base.against(outputs, [*references, Output(text=self.alternative)])
        return both[:, :-1].mean(axis=1) - both[:, -1]
