"""What a model answered: all that costs money. Everything else is read from it, free and offline.

`whygen.prompt.ask` fills it, `whygen.prompt.reading` reads it by any target. Nothing in here is measured yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.designs import Design
from whygen.prompt.noise import Steadiness
from whygen.prompt.operators import Operator
from whygen.prompt.units import Sent, Units
from whygen.results.prompt import Calls
from whygen.results.recipe import ModelRecipe
from whygen.types import Failure, Output, OutputKind, Settings

Draws: TypeAlias = tuple[Output | None, ...]
"""The answers to one mask, in the order of its draws; None where the model gave none."""

Stopped: TypeAlias = Literal["width", "order"]
"""What a stop rule ended a run by: every interval narrow enough, or an order of units that no longer changed."""

AnswerKind: TypeAlias = Literal["reference", "repeat", "mask", "empty", "redraw", "further"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and its answer.

    Attributes:
        kind: what it was asked for: the whole prompt (``reference``, ``repeat``), a mask of the design (``mask``, again
            ``redraw``), the prompt without any unit (``empty``), or a mask beside the design (``further``).
        row: of the design, if it is one of its masks.
        draw: which of several answers to the same question.
        prompt: what was sent.
        output: what came back.
    """

    kind: AnswerKind
    row: int | None
    draw: int
    prompt: Sent
    output: Output


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything that one run was told, and by whom.

    Attributes:
        model: which model, at which server.
        units: the prompt, as it was cut.
        operator: what rendered masks.
        design: the masks, in the order in which they were asked for.
        prompts: what was sent for each mask.
        references: answers to the whole prompt that others are compared with.
        repeats: further answers to the whole prompt: their mean effect is f(1).
        first: the draws of each mask, shape ``(m, draws)``.
        again: redraws of each mask, as many columns as the mask that was drawn again most often has.
        stands: which masks ``(m,)`` were not asked, since they send the whole prompt: its repeats stand for them.
        empty: answers to the prompt without any unit, where the estimand needs f(0).
        log: every answer, in the order in which it was read back.
        failures: calls without an answer.
        steadiness: what is known of equal questions getting equal answers.
        differs: whether any repeat differed from the first reference.
        stopped: what a stop rule ended the run by; None where the whole design was asked.
        ended: what ended the run early, if anything did.
        kept: what is said of the answers on record, to go on from them.
        answers_with: what the model answers with.
        settings: how the model generated.
        notices: what the person should know of how it was asked: code and text.
        calls: how many calls were made.
    """

    model: ModelRecipe
    units: Units
    operator: Operator
    design: Design
    prompts: Sequence[Sent]
    references: tuple[Output, ...]
    repeats: tuple[Output, ...]
    first: tuple[Draws, ...]
    again: tuple[Draws, ...] = ()
    stands: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    empty: tuple[Output, ...] = ()
    log: tuple[Exchange, ...] = ()
    failures: tuple[Failure, ...] = ()
    steadiness: Steadiness = "so far"
    differs: bool = False
    stopped: Stopped | None = None
    ended: BaseException | None = None
    kept: str = ""
    answers_with: OutputKind = "text"
    settings: Settings = field(default_factory=Settings)
    notices: tuple[tuple[str, str], ...] = ()
    calls: Calls = field(default_factory=lambda: Calls(asked=0, made=0, cached=0, failed=0))

    @property
    def known(self) -> bool:
        """Whether equal questions are known to get equal answers."""
        return self.steadiness == "known"

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Masks of groups in which every call was answered, shape ``(m,)``: a pair counts as a whole, or not at all."""
        rows, groups = len(self.first), self.design.groups
        failed = [
            not self.stands[row] and any(output is None for output in draws) for row, draws in enumerate(self.first)
        ]
        dead = set(groups[:rows][np.array(failed, dtype=bool)].tolist())
        alive = np.zeros(len(groups), dtype=bool)
        alive[:rows] = [group not in dead for group in groups[:rows].tolist()]
        return alive

    def of(self, row: int) -> tuple[Output, ...]:
        """The answers to a mask, redraws included; the repeats, where the whole prompt stands for it."""
        if self.stands[row]:
            return self.repeats
        again = self.again[row] if self.again else ()
        return tuple(output for output in (*self.first[row], *again) if output is not None)

    def outputs(self) -> Iterator[Output]:
        """Every output that has an effect, each once."""
        seen: set[int] = set()
        drawn = (output for draws in (*self.first, *self.again) for output in draws)
        logged = (one.output for one in self.log if one.kind != "reference")
        for output in chain(self.repeats, self.empty, drawn, logged):
            if output is not None and id(output) not in seen:
                seen.add(id(output))
                yield output
