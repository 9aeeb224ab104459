"""Puts the questions: renders masks, sends requests through `whygen.runs`, hands back effects.

Draw numbers keep answers honest. The references, the repeats and the redraws of one prompt are different draws, so a
reference is never compared with itself. Two masks that render to one text share its answer only when repeats of the
whole prompt agreed; a model that differs is asked again for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whygen.errors import DataError, ModelError
from whygen.models import HasContext, Model, ScoresText
from whygen.prompt.designs import Design
from whygen.prompt.operators import Operator
from whygen.prompt.targets import Target
from whygen.prompt.units import Sent, Units, shown
from whygen.results.prompt import Sample
from whygen.runs import Runner
from whygen.types import Failure, Output, Request, Settings

REPEATS = 2
"""Fresh answers to the whole prompt, asked before any mask: they give f(1) and show whether the model differs."""

REDRAWS = 8
"""Masked prompts asked again when repeats differ, to pool the variance of the model's noise (METHODS A3)."""


@dataclass(frozen=True, slots=True)
class Whole:
    """What the model says to the whole prompt.

    Attributes:
        references: the reference outputs.
        repeats: effects of fresh answers, shape ``(repeats,)``; their mean is f(1).
        differs: whether any repeat differed from its first reference.
        fresh: the repeats themselves.
    """

    references: tuple[Output, ...]
    repeats: NDArray[np.float64]
    differs: bool
    fresh: tuple[Output, ...] = ()

    @property
    def effect(self) -> float:
        """f(1), in the target's unit."""
        return float(self.repeats.mean())


@dataclass(slots=True)
class Asker:
    """Asks one model about one prompt. Everything that was asked is kept in ``samples``."""

    runner: Runner
    model: Model
    units: Units
    operator: Operator
    target: Target
    settings: Settings
    samples: list[Sample] = field(default_factory=list[Sample])
    used: Counter[Sent] = field(default_factory=Counter[Sent])
    failures: list[Failure] = field(default_factory=list[Failure])
    answers: dict[int, list[Output]] = field(default_factory=dict[int, "list[Output]"])
    """Answers to each row of the design, in the order of their draws."""

    def check_context(self) -> None:
        """Refuse a prompt that the model cannot take, before anything is paid.

        Raises:
            DataError: naming both numbers of tokens.
        """
        if not isinstance(self.model, HasContext) or self.model.context_tokens is None:
            return
        tokens = self.model.count_tokens(Request(prompt=self.units.prompt, settings=self.settings))
        if tokens >= self.model.context_tokens:
            raise DataError(
                f"The prompt is {tokens} tokens long, and {self.model.uri} takes {self.model.context_tokens}, its "
                "answer included. Shorten the prompt, or use a model with a longer context."
            )

    def check_target(self) -> None:
        """Refuse log-probabilities of a model that gives none.

        Raises:
            DataError: naming the model and the targets that work.
        """
        if self.target.verb == "score" and not isinstance(self.model, ScoresText):
            raise DataError(
                f"target={self.target.record.name!r} needs log-probabilities of a given text, and {self.model.uri} "
                "gives none. Use target='optimal-transport', 'cosine' or 'tfidf'."
            )

    def whole(self, references: int, *, repeats: int = REPEATS) -> Whole:
        """Ask for the references and the repeats, in one batch.

        Raises:
            ModelError: if the model does not answer the whole prompt.
        """
        prompt = self.units.prompt
        wanted = references if self.target.verb == "score" else references + repeats
        answers = self.runner.ask([self._request(prompt, draw) for draw in range(wanted)])
        outputs = [self._must(answer) for answer in answers]
        self.used[prompt] = wanted
        if self.target.verb == "score":
            scored = self._scored([prompt] * repeats, outputs[:1], draws=list(range(repeats)))
            fresh = [self._must(answer) for answer in scored]
        else:
            fresh = outputs[references:]
        chosen = tuple(outputs[:references])
        effects = self.target.effects(fresh, chosen)
        for draw, output in enumerate(chosen):
            self._keep("reference", None, draw, prompt, output, None)
        for draw, (output, effect) in enumerate(zip(fresh, effects, strict=True), start=references):
            self._keep("repeat", None, draw, prompt, output, float(effect))
        differs = _differ(fresh, chosen) if self.target.verb == "answer" else bool(np.ptp(effects) > 0)
        return Whole(chosen, effects, differs, tuple(fresh))

    def rendered(self, design: Design) -> list[Sent]:
        """The prompt that is sent for each mask of a design."""
        if design.prompts is not None:
            return list(design.prompts)
        return [self.operator.render(self.units, mask) for mask in design.masks]

    def is_whole(self, design: Design, prompts: Sequence[Sent]) -> NDArray[np.bool_]:
        """Which rows send the whole prompt, as it stands: their effect is f(1), which the repeats give."""
        same = np.array([text == self.units.prompt for text in prompts], dtype=bool)
        return np.asarray(design.masks.all(axis=1)) & same

    def masks(
        self, prompts: Sequence[Sent], full: NDArray[np.bool_], whole: Whole, *, draws: int, first_row: int = 0
    ) -> NDArray[np.float64]:
        """Effect of each masked prompt and draw, shape ``(m, draws)``; NaN where the model gave no answer.

        The full mask (where ``full`` ``(m,)`` is True) is not asked: its effect is f(1), from the repeats.
        """
        effects = np.full((len(prompts), draws), np.nan)
        effects[full] = whole.effect
        todo = [(row, draw) for row in np.flatnonzero(~full).tolist() for draw in range(draws)]
        numbers = self._draw_numbers([prompts[row] for row, _ in todo], fresh=whole.differs or draws > 1)
        texts = [prompts[row] for row, _ in todo]
        values = self._effects("mask", texts, numbers, whole, rows=[first_row + row for row, _ in todo])
        for (row, draw), value in zip(todo, values, strict=True):
            effects[row, draw] = value
        for row in np.flatnonzero(full).tolist():
            self.answers[first_row + row] = list(whole.fresh[:draws])
        return effects

    def empty(self, whole: Whole) -> float:
        """f(0): the effect of the prompt without any unit; pinned parts remain."""
        nothing = self.operator.render(self.units, np.zeros(len(self.units), dtype=bool))
        numbers = self._draw_numbers([nothing], fresh=whole.differs)
        return float(self._effects("empty", [nothing], numbers, whole, rows=[None])[0])

    def redraws(self, prompts: Sequence[Sent], rows: Sequence[int], whole: Whole) -> NDArray[np.float64]:
        """Effects of asking the given masked prompts once more, shape ``(len(rows),)``."""
        numbers = self._draw_numbers(prompts, fresh=True)
        return self._effects("redraw", prompts, numbers, whole, rows=list(rows))

    def _draw_numbers(self, prompts: Sequence[Sent], *, fresh: bool) -> list[int]:
        if not fresh:
            return [0 if prompt != self.units.prompt else self.used[prompt] for prompt in prompts]
        numbers: list[int] = []
        for prompt in prompts:
            numbers.append(self.used[prompt])
            self.used[prompt] += 1
        return numbers

    def _effects(
        self, kind: str, prompts: Sequence[Sent], draws: Sequence[int], whole: Whole, *, rows: Sequence[int | None]
    ) -> NDArray[np.float64]:
        """Effect of each question, shape ``(len(prompts),)``; equal questions (prompt and draw) are asked once."""
        questions: dict[tuple[Sent, int], int] = {}
        place = [questions.setdefault(question, len(questions)) for question in zip(prompts, draws, strict=True)]
        answers = self._ask(list(questions), whole)
        good = [index for index, answer in enumerate(answers) if isinstance(answer, Output)]
        outputs = [answer for answer in answers if isinstance(answer, Output)]
        self.failures.extend(answer for answer in answers if isinstance(answer, Failure))
        if answers and not outputs:
            raise ModelError(_nothing_answered(self.failures[0], self.model.uri, len(answers)))
        effects = np.full(len(questions), np.nan)
        if outputs:
            effects[good] = self.target.effects(outputs, whole.references)
        first_row = dict(reversed(list(zip(place, rows, strict=True))))
        asked = list(questions)
        for index, output in zip(good, outputs, strict=True):
            prompt, draw = asked[index]
            self._keep(kind, first_row[index], draw, prompt, output, float(effects[index]))
        if kind == "mask":
            found = dict(zip(good, outputs, strict=True))
            for index, row in zip(place, rows, strict=True):
                if row is not None and index in found:
                    self.answers.setdefault(row, []).append(found[index])
        return effects[place]

    def _ask(self, questions: Sequence[tuple[Sent, int]], whole: Whole) -> list[Output | Failure]:
        if self.target.verb == "score":
            prompts, draws = [prompt for prompt, _ in questions], [draw for _, draw in questions]
            return self._scored(prompts, whole.references[:1], draws=draws)
        return self.runner.ask([self._request(prompt, draw) for prompt, draw in questions])

    def _scored(
        self, prompts: Sequence[Sent], references: Sequence[Output], *, draws: Sequence[int]
    ) -> list[Output | Failure]:
        text = references[0].text
        return self.runner.score(
            [
                Request(prompt=prompt, settings=self.settings, draw=draw, continuation=text)
                for prompt, draw in zip(prompts, draws, strict=True)
            ]
        )

    def _request(self, prompt: Sent, draw: int) -> Request:
        return Request(prompt=prompt, settings=self.settings, draw=draw)

    def _must(self, answer: Output | Failure) -> Output:
        if isinstance(answer, Failure):
            raise ModelError(_nothing_answered(answer, self.model.uri, 1))
        return answer

    def _keep(self, kind: str, row: int | None, draw: int, prompt: Sent, output: Output, effect: float | None) -> None:
        sample = Sample(kind, row, draw, shown(prompt), output.text, output.finish, effect)  # pyright: ignore[reportArgumentType]
        self.samples.append(sample)


def _differ(fresh: Sequence[Output], references: Sequence[Output]) -> bool:
    answers = {(output.text, output.picture) for output in (*fresh, *references)}
    return len(answers) > 1


def _nothing_answered(failure: Failure, uri: str, asked: int) -> str:
    what = "the whole prompt" if asked == 1 else f"any of {asked} perturbed prompts"
    advice = f" {failure.advice}" if failure.advice else ""
    return f"{uri} did not answer {what} ({failure.kind}): {failure.message}.{advice} Answers so far are recorded."
