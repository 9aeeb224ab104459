"""Everything that was found about one prompt, before it is put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whygen.prompt.asking import Whole
from whygen.prompt.designs import Design
from whygen.prompt.effects import Effects, Seen
from whygen.prompt.intervals import Estimate
from whygen.prompt.noise import MeasuredNoise


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found, before it is put into words."""

    observed: Effects
    design: Design
    whole: Whole
    estimate: Estimate
    seen: Seen

    @property
    def noise(self) -> MeasuredNoise:
        """What is known of how effects would differ if the model were asked again."""
        return self.seen.noise

    @property
    def rows(self) -> Sequence[int]:
        """Row of the design that each observed mask was."""
        return self.seen.rows
