"""Puts the questions: renders masks, sends requests through `whygen.calls`, hands back effects.

Draw numbers keep answers honest. The references, the repeats and the redraws of one prompt are different draws, so a
reference is never compared with itself. Two masks that render to one text share its answer only where the model is
known to give equal answers to equal questions; any other is asked again for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from whygen.calls import EndedError, Runner
from whygen.errors import DataError, ModelError, UsageError
from whygen.models import CUT, AnswersAlike, ChecksRequests, GivesNotices, HasContext, Model, ScoresText, output_kind
from whygen.prompt.designs import Design
from whygen.prompt.failing import Failing
from whygen.prompt.noise import Steadiness
from whygen.prompt.operators import Operator
from whygen.prompt.targets import Continues, HearsRefusals, ReadsReference, Target, join_scores
from whygen.prompt.units import Sent, Units, shown
from whygen.results.prompt import Sample
from whygen.types import Edit, Failure, Output, Request, Settings

REPEATS = 2
"""Fresh answers to the whole prompt, asked before any mask: they give f(1) and show whether the model differs."""

REDRAWS = 8
"""Masked prompts that are asked again, of a sampled design, to measure the model's noise (METHODS A3)."""

MOST_DRAWS = 8
"""Draws of one mask at most where every mask is asked and calls are left: more say little more."""


LARGEST = 1e100
"""Effects of this size and more are refused: their squares and products are no numbers."""
SMALLEST = 1e-100
"""Effects that are all under this size, and not 0, are refused: their squares are 0."""

_EMPTY = "the prompt without any unit"


@dataclass(frozen=True, slots=True)
class Whole:
    """What the model says to the whole prompt.

    Attributes:
        references: the reference outputs.
        repeats: effects of fresh answers, shape ``(repeats,)``; their mean is f(1).
        differs: whether any repeat differed from its first reference.
        fresh: the repeats themselves.
        steadiness: what is known of equal questions getting equal answers.
    """

    references: tuple[Output, ...]
    repeats: NDArray[np.float64]
    differs: bool
    fresh: tuple[Output, ...] = ()
    steadiness: Steadiness = "so far"

    @property
    def known(self) -> bool:
        """Whether equal questions are known to get equal answers."""
        return self.steadiness == "known"

    @property
    def effect(self) -> float:
        """f(1), in the target's unit."""
        return float(self.repeats.mean())


@dataclass(frozen=True, slots=True)
class Asked:
    """What is sent for a mask. Two that are sent alike are equal, whatever their masks were."""

    prompt: Sent
    settings: Settings = field(compare=False)
    extra: str = field(init=False)
    """What tells the settings of one explanation apart, as text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", repr(self.settings.extra))

    def request(self, draw: int, *, continuation: str | None = None) -> Request:
        return Request(prompt=self.prompt, settings=self.settings, draw=draw, continuation=continuation)


@dataclass(slots=True)
class Asker:
    """Asks one model about one prompt. Everything that was asked is kept in ``samples``."""

    runner: Runner
    model: Model
    units: Units
    operator: Operator
    target: Target
    settings: Settings
    stated: bool = False
    """Whether the person states that equal questions get equal answers (``model_noise="none"``)."""
    samples: list[Sample] = field(default_factory=list[Sample])
    used: Counter[Asked] = field(default_factory=Counter[Asked])
    failures: list[Failure] = field(default_factory=list[Failure])
    answers: dict[int, list[Output]] = field(default_factory=dict[int, "list[Output]"])
    """Answers to each row of the design, in the order of their draws."""
    repeats: list[Output] = field(default_factory=list["Output"])
    """Answers to the whole prompt that were asked for together with redraws."""
    told: dict[int, Settings] = field(default_factory=dict[int, Settings])
    """Settings of each row of the design, where the operator has a say in them."""
    ended: KeyboardInterrupt | EndedError | None = None
    """What ended the run while masks were asked for; what was answered by then has been read back."""
    outputs: list[Output] = field(default_factory=list["Output"])
    """What each of ``samples`` is a record of, with its scores."""
    failing: Failing = field(init=False)
    """Hears every answer to a perturbed prompt, and ends a run in which too few can be answered."""

    def __post_init__(self) -> None:
        self.failing = Failing(self.units)

    def check_context(self) -> None:
        """Refuse a prompt or a setting that the model cannot take, before anything is paid.

        Raises:
            UsageError: as the model says it.
            DataError: naming both numbers of tokens.
        """
        if isinstance(self.model, ChecksRequests):
            self.model.check(Request(prompt=self.units.prompt, settings=self.settings))
        if not isinstance(self.model, HasContext) or self.model.context_tokens is None:
            return
        whole = Request(prompt=self.units.prompt, settings=self.settings)
        tokens = self.model.count_tokens(whole)
        if tokens >= self.model.context_tokens:
            told = dict(self.model.notices(whole)) if isinstance(self.model, GivesNotices) else {}
            if CUT in told:
                raise DataError(f"{told[CUT]} Shorten the prompt.")
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
        if self.target.verb == "score":
            self.runner.check_scoring()

    def whole(self, references: int, *, repeats: int = REPEATS) -> Whole:
        """Ask for the references and the repeats, in one batch.

        Raises:
            ModelError: if the model does not answer the whole prompt.
        """
        prompt = self.units.prompt
        wanted = references if self.target.verb == "score" else references + repeats
        asked = Asked(prompt, self.settings)
        answers = self._answered([(asked, draw) for draw in range(wanted)])
        outputs = [self._must(answer) for answer in answers]
        self.used[asked] = max(wanted, repeats)
        if isinstance(self.target, ReadsReference):
            self.target.check(outputs[0])
        if self.target.verb == "score":
            scored = self._scored([(asked, draw) for draw in range(repeats)], outputs[:1])
            fresh = [self._must(answer) for answer in scored]
        else:
            fresh = outputs[references:]
        chosen = tuple(outputs[:references])
        effects = self._measured(fresh, chosen)
        for draw, output in enumerate(chosen):
            self._keep("reference", None, draw, prompt, output, None)
        for draw, (output, effect) in enumerate(zip(fresh, effects, strict=True), start=references):
            self._keep("repeat", None, draw, prompt, output, float(effect))
        differs = _differ(fresh, chosen) if self.target.verb == "answer" else bool(np.ptp(effects) > 0)
        return Whole(chosen, effects, differs, tuple(fresh), self.steadiness(differs=differs))

    def steadiness(self, *, differs: bool) -> Steadiness:
        """What is known of equal questions getting equal answers, once the repeats of the whole prompt were compared.

        Repeats that differ refute what was stated. Above temperature 0 a model samples, however sure it is of its
        answer to the whole prompt.
        """
        return steadiness(self.model, self.settings, self.target, stated=self.stated, differs=differs)

    def rendered(self, design: Design) -> list[Sent]:
        """The prompt that is sent for each mask of a design; the settings it is sent with are kept in ``told``."""
        self.told.clear()
        if design.prompts is not None:
            return [self.units.sent(text) for text in design.prompts]
        if self.operator.by_settings:
            told = (self.operator.settings(self.units, mask, self.settings) for mask in design.masks)
            self.told.update(enumerate(told))
        return [self.operator.render(self.units, mask) for mask in design.masks]

    def is_whole(self, design: Design, prompts: Sequence[Sent]) -> NDArray[np.bool_]:
        """Which rows send the whole prompt, as it stands: their effect is f(1), which the repeats give."""
        same = np.array([text == self.units.prompt for text in prompts], dtype=bool)
        return np.asarray(design.masks.all(axis=1)) & same

    def is_known(self, design: Design, prompts: Sequence[Sent], whole: Whole, *, draws: int) -> NDArray[np.bool_]:
        """Which rows ``(m,)`` need not be asked, since they are whole and the repeats give f(1).

        None where answers may differ from draw to draw and several rows are whole: one estimate of f(1) in all of them
        is an error that they share, which no interval over rows sees (a third of the runs on four words then found one
        significant in pure noise).
        """
        full = self.is_whole(design, prompts)
        return np.zeros_like(full) if (not whole.known or draws > 1) and full.sum() > 1 else full

    def masks(
        self, prompts: Sequence[Sent], full: NDArray[np.bool_], whole: Whole, *, draws: int, first_row: int = 0
    ) -> NDArray[np.float64]:
        """Effect of each masked prompt and draw, shape ``(m, draws)``; NaN where the model gave no answer.

        The full mask (where ``full`` ``(m,)`` is True) is not asked: its effect is f(1), from the repeats.
        """
        effects = np.full((len(prompts), draws), np.nan)
        effects[full] = whole.effect
        todo = [(row, draw) for row in np.flatnonzero(~full).tolist() for draw in range(draws)]
        sent = [self._sent(prompts[row], first_row + row) for row, _ in todo]
        numbers = self._draw_numbers(sent, fresh=not whole.known or draws > 1)
        values = self._effects("mask", sent, numbers, whole, rows=[first_row + row for row, _ in todo])
        for (row, draw), value in zip(todo, values, strict=True):
            effects[row, draw] = value
        for row in np.flatnonzero(full).tolist():
            self.answers[first_row + row] = list(whole.fresh)
        return effects

    def empty(self, whole: Whole, *, draws: int = 1) -> tuple[NDArray[np.float64], list[Output]]:
        """Effects ``(draws,)`` and answers of the prompt without any unit, f(0); pinned parts remain.

        Raises:
            ModelError: if the model did not answer it.
        """
        mask = np.zeros(len(self.units), dtype=bool)
        settings = self.operator.settings(self.units, mask, self.settings)
        nothing = [Asked(self.operator.render(self.units, mask), settings)] * draws
        numbers = self._draw_numbers(nothing, fresh=not whole.known or draws > 1)
        first = len(self.outputs)
        effects = self._effects("empty", nothing, numbers, whole, rows=[None] * draws)
        if np.isnan(effects).any():
            raise ModelError(_nothing_answered(self.failures[-1], self.model.uri, _EMPTY))
        return effects, self.outputs[first:]

    def redraws(
        self, prompts: Sequence[Sent], rows: Sequence[int | None], whole: Whole
    ) -> tuple[NDArray[np.float64], Whole]:
        """Ask masked prompts again, and the whole prompt where the row is None. A row may come several times.

        Returns:
            Effects, shape ``(len(rows),)``, NaN where there is no answer; and what the whole prompt gave so far.
        """
        before = len(self.repeats)
        sent = [self._whole if row is None else self._sent(p, row) for p, row in zip(prompts, rows, strict=True)]
        numbers = self._draw_numbers(sent, fresh=True)
        effects = self._effects("redraw", sent, numbers, whole, rows=list(rows))
        again = effects[[row is None for row in rows]]
        fresh = (*whole.fresh, *self.repeats[before:])
        return effects, replace(whole, repeats=np.concatenate([whole.repeats, again[~np.isnan(again)]]), fresh=fresh)

    def further(self, mask: NDArray[np.bool_], whole: Whole) -> Sample | None:
        """Ask for a mask that is not of the design, once; None where the model gives no answer."""
        settings = self.operator.settings(self.units, mask, self.settings)
        sent = Asked(self.operator.render(self.units, mask), settings)
        [draw] = self._draw_numbers([sent], fresh=not whole.known)
        [answer] = self._ask([(sent, draw)], whole, watch=None)
        if isinstance(answer, Failure):
            self.failures.append(answer)
            return None
        effect = float(self.target.effects([answer], whole.references)[0])
        self._keep("further", None, draw, sent.prompt, answer, effect)
        return self.samples[-1]

    def _measured(self, outputs: Sequence[Output], references: Sequence[Output]) -> NDArray[np.float64]:
        """The target's effects.

        Raises:
            DataError: for effects so large that their squares are no numbers, or so small that they are 0.
        """
        effects = self.target.effects(outputs, references)
        if not (np.abs(effects) < LARGEST).all():
            raise DataError(
                f"target={self.target.record.name!r} gave {effects[np.abs(effects).argmax()]:g}: effects must be "
                f"finite and under {LARGEST:g} in size. Give a score on another scale, such as its logarithm."
            )
        size = np.abs(effects).max(initial=0.0)
        if 0.0 < size < SMALLEST:
            raise DataError(
                f"target={self.target.record.name!r} gave {size:g}: effects under {SMALLEST:g} in size cannot be told "
                "from nothing. Give a score on another scale, such as its logarithm."
            )
        return effects

    @property
    def _whole(self) -> Asked:
        return Asked(self.units.prompt, self.settings)

    def _sent(self, prompt: Sent, row: int) -> Asked:
        """What is sent for a row of the design."""
        if self.operator.by_settings and row not in self.told:
            raise UsageError(
                f"operator={self.operator.name!r} says in the settings what is dropped, and here only texts are sent "
                "(levels of a long prompt, the published masks). Use operator='delete', or one prompt without levels."
            )
        return Asked(prompt, self.told.get(row, self.settings))

    def _draw_numbers(self, sent: Sequence[Asked], *, fresh: bool) -> list[int]:
        if not fresh:
            whole = self._whole
            return [0 if asked != whole else self.used[asked] for asked in sent]
        numbers: list[int] = []
        for asked in sent:
            numbers.append(self.used[asked])
            self.used[asked] += 1
        return numbers

    def _effects(
        self, kind: str, sent: Sequence[Asked], draws: Sequence[int], whole: Whole, *, rows: Sequence[int | None]
    ) -> NDArray[np.float64]:
        """Effect of each question, shape ``(len(sent),)``; equal questions (what is sent, and draw) are asked once."""
        questions: dict[tuple[Asked, int], int] = {}
        place = [questions.setdefault(question, len(questions)) for question in zip(sent, draws, strict=True)]
        answers = self._ask_or_recall(kind, list(questions), whole)
        good = [index for index, answer in enumerate(answers) if isinstance(answer, Output)]
        outputs = [answer for answer in answers if isinstance(answer, Output)]
        self.failures.extend(answer for answer in answers if isinstance(answer, Failure))
        if answers and not outputs and self.ended is None and kind != "redraw":
            what = _EMPTY if kind == "empty" else f"any of {len(answers)} perturbed prompts"
            raise ModelError(_nothing_answered(self.failures[0], self.model.uri, what))
        effects = np.full(len(questions), np.nan)
        if outputs:
            effects[good] = self._measured(outputs, whole.references)
        first_row = dict(reversed(list(zip(place, rows, strict=True))))
        listed = list(questions)
        for index, output in zip(good, outputs, strict=True):
            asked, draw = listed[index]
            again = kind == "redraw" and first_row[index] is None
            self._keep("repeat" if again else kind, first_row[index], draw, asked.prompt, output, float(effects[index]))
            if again:
                self.repeats.append(output)
        if kind in {"mask", "redraw"}:
            found = dict(zip(good, outputs, strict=True))
            for index, row in zip(place, rows, strict=True):
                if row is not None and index in found:
                    self.answers.setdefault(row, []).append(found[index])
        return effects[place]

    def _ask_or_recall(
        self, kind: str, questions: Sequence[tuple[Asked, int]], whole: Whole
    ) -> Sequence[Output | Failure | None]:
        """Answers; after an interruption among the masks those that are recorded, and None for the others."""
        try:
            return self._ask(questions, whole, watch=self.failing if kind == "mask" else None)
        except (KeyboardInterrupt, EndedError) as stop:
            if kind not in {"mask", "redraw"}:
                raise
            self.ended = stop
            return self._recalled(questions, whole.references[0])

    def _ask(
        self, questions: Sequence[tuple[Asked, int]], whole: Whole, *, watch: Failing | None
    ) -> list[Output | Failure]:
        """Answers to perturbed prompts. A service that refuses one has answered it: its refusal is a text of none."""
        if self.target.verb == "score":
            return self._scored(questions, whole.references[:1], watch=watch)
        answers = self._answered(questions, watch=watch)
        draws = isinstance(self.units.prompt, Edit) or output_kind(self.model) != "text"
        return answers if draws else [_refusal(answer) for answer in answers]

    def _answered(
        self, questions: Sequence[tuple[Asked, int]], *, watch: Failing | None = None
    ) -> list[Output | Failure]:
        answers = self.runner.ask([asked.request(draw) for asked, draw in questions], watch=watch)
        if not isinstance(self.target, HearsRefusals):
            return answers
        return [self.target.heard(answer) if isinstance(answer, Failure) else answer for answer in answers]

    def _recalled(self, questions: Sequence[tuple[Asked, int]], reference: Output) -> list[Output | Failure | None]:
        """What is recorded of these questions; one that takes several scores needs all of them."""
        texts = self._continuations(reference) if self.target.verb == "score" else (None,)
        found = self.runner.recall(
            [asked.request(draw, continuation=text) for asked, draw in questions for text in texts]
        )
        if len(texts) == 1:
            return found
        groups = [found[start : start + len(texts)] for start in range(0, len(found), len(texts))]
        whole = [[answer for answer in group if answer is not None] for group in groups]
        return [join_scores(group, texts) if len(group) == len(texts) else None for group in whole]

    def _continuations(self, reference: Output) -> tuple[str, ...]:
        """The texts that are scored: the reference, or what the target wants besides (see `Continues`)."""
        return self.target.continuations(reference) if isinstance(self.target, Continues) else (reference.text,)

    def _scored(
        self, questions: Sequence[tuple[Asked, int]], references: Sequence[Output], *, watch: Failing | None = None
    ) -> list[Output | Failure]:
        """Scores of the reference, or of several texts end to end where the target wants them."""
        texts = self._continuations(references[0])
        answers = self.runner.score(
            [asked.request(draw, continuation=text) for asked, draw in questions for text in texts], watch=watch
        )
        if len(texts) == 1:
            return answers
        starts = range(0, len(answers), len(texts))
        return [join_scores(answers[start : start + len(texts)], texts) for start in starts]

    def _must(self, answer: Output | Failure) -> Output:
        if isinstance(answer, Failure):
            raise ModelError(_nothing_answered(answer, self.model.uri, "the whole prompt"))
        return answer

    def _keep(self, kind: str, row: int | None, draw: int, prompt: Sent, output: Output, effect: float | None) -> None:
        sample = Sample(kind, row, draw, shown(prompt), output.text, output.finish, effect)  # pyright: ignore[reportArgumentType]
        self.samples.append(sample)
        self.outputs.append(output)


def _refusal(answer: Output | Failure) -> Output | Failure:
    refused = isinstance(answer, Failure) and answer.kind == "refused"
    return Output(finish="refused") if refused else answer


def steadiness(model: Model, settings: Settings, target: Target, *, stated: bool, differs: bool) -> Steadiness:
    """What is known of a model's equal answers to equal questions; ``differs``: whether two were seen to differ."""
    if differs:
        return "differs"
    scored = target.verb == "score"  # a given text is scored without sampling
    asked = replace(settings, temperature=0.0) if scored else settings
    if stated or (isinstance(model, AnswersAlike) and model.answers_alike(asked)):
        return "known"
    return "differs" if asked.temperature > 0.0 else "so far"


def least_steady(wholes: Sequence[Whole]) -> Steadiness:
    """What is known of equal questions about all of several prompts."""
    order: tuple[Steadiness, ...] = ("known", "so far", "differs")
    return order[max(order.index(whole.steadiness) for whole in wholes)]


def _differ(fresh: Sequence[Output], references: Sequence[Output]) -> bool:
    answers = {(output.text, output.medium) for output in (*fresh, *references)}
    return len(answers) > 1


def _nothing_answered(failure: Failure, uri: str, what: str) -> str:
    return f"{uri} did not answer {what} ({failure.kind}): {failure.sentence}"
