"""`Panel`: asks one template with many inputs, whole and without some of its units, and says what each input lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whygen.calls import Runner
from whygen.errors import DataError, ModelError, UsageError
from whygen.models import Model, ScoresText
from whygen.prompt.operators import Operator
from whygen.prompt.reading import Meter, reach
from whygen.prompt.relevance import GRADED
from whygen.prompt.targets import Continues, HearsRefusals, ReadsReference, Target, join_scores
from whygen.prompt.targets.called import OutputScore, TextScore
from whygen.prompt.units import Sent, UnitsOver
from whygen.types import Failure, Floats, Output, Request, Settings

Mask = NDArray[np.bool_]

WORST = 1.0
"""The loss of an input whose answer is wholly other, or that gets none; losses are shares of what the target spans."""
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Told:
    """The answers of one input to one prompt, and their mean effect; NaN where one was not answered."""

    effect: float
    outputs: tuple[Output, ...]


@dataclass(slots=True, kw_only=True)
class Panel:
    """Many inputs to one template.

    Attributes:
        runner: makes the calls.
        model: what is asked.
        cut: the template with each input, in units.
        operator: takes units away.
        target: says what is measured.
        settings: how to generate.
        texts: whether the model answers with texts: then a refusal is an answer.
        steady: whether equal questions are known to get equal answers: then none is asked twice.
        draws: answers asked for of each input and prompt; their mean counts.
        worst: the most that an effect can fall, in the target's unit; None takes what the target spans.
        references: what the whole prompt answered, by input; what is compared with.
        dead: inputs that the whole prompt does not answer, and why.
    """

    runner: Runner
    model: Model
    cut: UnitsOver
    operator: Operator
    target: Target
    settings: Settings
    steady: bool
    texts: bool = True
    draws: int = 1
    worst: float | None = None
    references: dict[int, Output] = field(default_factory=dict[int, Output])
    dead: dict[int, Failure] = field(default_factory=dict[int, Failure])
    _meters: dict[int, Meter] = field(default_factory=dict[int, Meter])
    _spans: dict[int, float] = field(default_factory=dict[int, float])
    _used: Counter[Sent] = field(default_factory=Counter[Sent])

    @property
    def one_sided(self) -> bool:
        """Whether the target scores an answer by itself, so that only a fall is a loss; else any change is."""
        return isinstance(self.target, TextScore | OutputScore)

    @property
    def whole(self) -> Mask:
        return np.ones(len(self.cut.shown), dtype=bool)

    def check(self) -> None:
        """Refuse a target that this model, or this question, cannot be measured by, before anything is paid.

        Raises:
            DataError: if it needs log-probabilities that the model does not give.
            UsageError: if nobody can say how much an input can lose.
        """
        record = self.target.record
        if self.target.verb == "score" and not isinstance(self.model, ScoresText):
            raise DataError(
                f"target={record.name!r} needs log-probabilities of a given text, and {self.model.uri} gives none. Use "
                "target='optimal-transport', 'cosine' or 'tfidf'."
            )
        bounded = "(0 to" in record.unit or record.name in GRADED or reach(self.target, ()) > 0.0
        if self.worst is None and not self.one_sided and not bounded:
            raise UsageError(
                f"target={record.name!r} is measured in {record.unit}, and nobody knows how far it can fall. Give "
                "worst=: the fall that counts as losing everything."
            )

    def begin(self, inputs: Sequence[int]) -> list[int]:
        """Ask the whole prompt of these inputs for the first time; returns those that were answered.

        Raises:
            ModelError: if none was.
            DataError: if the target cannot be measured on what was said.
        """
        new = [each for each in inputs if each not in self.references and each not in self.dead]
        prompts = [self.cut.each[each].prompt for each in new]
        for prompt in prompts:
            self._used[prompt] = max(self._used[prompt], 1)
        requests = [Request(prompt=prompt, settings=self.settings) for prompt in prompts]
        for each, answer in zip(new, map(self._heard, self.runner.ask(requests)), strict=True):
            if isinstance(answer, Failure):
                self.dead[each] = answer
                continue
            if isinstance(self.target, ReadsReference):
                self.target.check(answer)
            self.references[each] = answer
            self._meters[each] = Meter(self.target, (answer,))
            self._spans[each] = self._span(answer)
        alive = [each for each in inputs if each in self.references]
        if inputs and not alive:
            failure = self.dead[inputs[0]]
            raise ModelError(f"The model did not answer the whole prompt ({failure.kind}): {failure.sentence}")
        return alive

    def _span(self, reference: Output) -> float:
        """How far the effect of an input can fall: what was given, what the target spans, or 1 for a score in 0..1."""
        return self.worst or reach(self.target, (reference,)) or 1.0

    def told(self, wanted: Sequence[tuple[int, Mask]], *, times: int = 1) -> list[Told]:
        """The answers to masks, of new draws, in one go; each mask with the input that it is asked of.

        ``times`` as many draws as usual count together, where the model may answer otherwise.

        Raises:
            UsageError: if a score leaves the range that was supposed.
        """
        prompts = [self.operator.render(self.cut.each[each], mask) for each, mask in wanted]
        draws = 1 if self.steady else self.draws * times
        questions: list[tuple[int, Request]] = []
        for (each, _), prompt in zip(wanted, prompts, strict=True):
            for _ in range(draws):
                draw = 0 if self.steady else self._used[prompt]
                self._used[prompt] += 1
                questions.append((each, Request(prompt=prompt, settings=self.settings, draw=draw)))
        answers = iter(self._answers(questions))
        found: list[Told] = []
        for each, _ in wanted:
            drawn = [next(answers) for _ in range(draws)]
            outputs = tuple(answer for answer in drawn if isinstance(answer, Output))
            whole = len(outputs) == len(drawn)
            found.append(Told(self._effect(each, outputs) if whole else float("nan"), outputs))
        return found

    def losses(self, inputs: Sequence[int], before: Sequence[Told], after: Sequence[Told]) -> Floats:
        """What each input lost, shape ``(n,)``, as a share of all it can lose; below 0 where it gained.

        A distance counts up to where texts about other things are. No answer is the worst one.
        """
        spans = np.array([self._spans[each] for each in inputs])
        fall = np.array([one.effect for one in before]) - np.array([one.effect for one in after])
        return np.where(np.isnan(fall), WORST, np.clip(fall / spans, -WORST, WORST))

    def shares(self, inputs: Sequence[int], told: Sequence[Told]) -> Floats:
        """Effects, shape ``(n,)``, each as a share of all that its input can lose; NaN without an answer."""
        return np.array([one.effect / self._spans[each] for each, one in zip(inputs, told, strict=True)])

    def _effect(self, each: int, outputs: Sequence[Output]) -> float:
        effects = self._meters[each](outputs)
        supposed = self.one_sided and self.worst is None
        if supposed and (effects.min() < -_SLACK or effects.max() > 1.0 + _SLACK):
            extreme = effects[np.abs(effects - 0.5).argmax()]
            raise UsageError(
                f"target={self.target.record.name!r} gave {extreme:g}. Without worst= scores lie between 0 and 1. Give "
                "worst=: the fall of the score that counts as losing everything."
            )
        return float(effects.mean())

    def _answers(self, questions: Sequence[tuple[int, Request]]) -> list[Output | Failure]:
        requests = [request for _, request in questions]
        if self.target.verb != "score":
            return [self._heard(answer) for answer in self.runner.ask(requests)]
        texts = [self._continuations(self.references[each]) for each, _ in questions]
        asked = [
            Request(prompt=request.prompt, settings=request.settings, draw=request.draw, continuation=text)
            for request, wanted in zip(requests, texts, strict=True)
            for text in wanted
        ]
        scored = iter(self.runner.score(asked))
        groups = [[next(scored) for _ in wanted] for wanted in texts]
        return [
            group[0] if len(group) == 1 else join_scores(group, wanted)
            for group, wanted in zip(groups, texts, strict=True)
        ]

    def _continuations(self, reference: Output) -> tuple[str, ...]:
        return self.target.continuations(reference) if isinstance(self.target, Continues) else (reference.text,)

    def _heard(self, answer: Output | Failure) -> Output | Failure:
        """A refusal is an answer: of a text without one."""
        if isinstance(answer, Output):
            return answer
        if isinstance(self.target, HearsRefusals):
            return self.target.heard(answer)
        return Output(finish="refused") if answer.kind == "refused" and self.texts else answer
