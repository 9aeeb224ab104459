"""Puts the questions: renders masks, sends requests through `whygen.calls`, and keeps the answers.

Draw numbers keep answers honest. The references, the repeats and the redraws of one prompt are different draws, so a
reference is never compared with itself. Two masks that render to one text share its answer only where the model is
known to give equal answers to equal questions; any other is asked again for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from whygen.calls import End, EndedError, Runner
from whygen.calls.runner import Watch
from whygen.errors import DataError, ModelError, UsageError
from whygen.models import CUT, AnswersAlike, ChecksRequests, GivesNotices, HasContext, Model, ScoresText, output_kind
from whygen.plugins import said_of
from whygen.prompt.answers import AnswerKind, Answers, Draws, Exchange
from whygen.prompt.designs import Design
from whygen.prompt.failing import Failing
from whygen.prompt.maps import size_notices
from whygen.prompt.noise import Steadiness
from whygen.prompt.operators import Operator
from whygen.prompt.plan import REPEATS
from whygen.prompt.reading import Meter
from whygen.prompt.recipe import model_recipe
from whygen.prompt.targets import Continues, HearsRefusals, ReadsReference, Target, join_scores
from whygen.prompt.units import Sent, Units
from whygen.prompt.watching import Arrivals, Arrived, ShowsLooks, rows_by_question
from whygen.results.prompt import Calls
from whygen.types import Edit, Failure, Floats, Masks, Output, Request, Settings

RECORDED = "Answers are recorded: the same call again asks only for the rest."
BATCH_GOES_ON = "Its batch goes on at the provider: the same call again collects it and asks for nothing twice."

_EMPTY = "the prompt without any unit"


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
    """Asks one model about one prompt. Everything that was answered is kept in ``log``.

    Attributes:
        runner: makes the calls.
        model: what is asked.
        units: the prompt, as it was cut.
        operator: renders masks.
        target: says what is asked for: answers, or log-probabilities of a given text.
        settings: how to generate.
        stated: whether the person states that equal questions get equal answers (``model_noise="none"``).
        references: answers to the whole prompt that others are compared with.
        repeats: further answers to the whole prompt.
        differs: whether any repeat differed from its first reference.
        meter: the effects of what was answered, by the target.
        log: every answer.
        failures: calls without an answer.
        recorded: an answer of before to the whole prompt: the reference, if there is one.
        told: what else the person should know, as pairs of a code and a text.
        shows: who is shown what the answers to masks say while they come.
        ended: what ended the run while masks were asked for; what was answered by then has been read back.
    """

    runner: Runner
    model: Model
    units: Units
    operator: Operator
    target: Target
    settings: Settings
    stated: bool = False
    references: tuple[Output, ...] = ()
    repeats: tuple[Output, ...] = ()
    differs: bool = False
    meter: Meter = field(init=False)
    log: list[Exchange] = field(default_factory=list[Exchange])
    failures: list[Failure] = field(default_factory=list[Failure])
    recorded: Output | None = None
    told: tuple[tuple[str, str], ...] = ()
    shows: ShowsLooks | None = None
    ended: KeyboardInterrupt | EndedError | None = None
    _used: Counter[Asked] = field(default_factory=Counter[Asked])
    _told: dict[int, Settings] = field(default_factory=dict[int, Settings])
    """Settings of each row of the design, where the operator has a say in them."""
    _failing: Failing = field(init=False)
    """Hears every answer to a perturbed prompt, and ends a run in which too few can be answered."""

    def __post_init__(self) -> None:
        self.meter = Meter(self.target)
        self._failing = Failing(self.units)

    @property
    def steadiness(self) -> Steadiness:
        """What is known of equal questions getting equal answers, after the whole prompt was repeated."""
        return steadiness(self.model, self.settings, self.target, stated=self.stated, differs=self.differs)

    @property
    def effect(self) -> float:
        """f(1), in the target's unit."""
        return float(self.meter(self.repeats).mean())

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

    def whole(self, references: int, *, repeats: int = REPEATS) -> None:
        """Ask for the references and the repeats, in one batch. With a recorded answer all that is asked are repeats.

        Raises:
            ModelError: if the model does not answer the whole prompt.
            DataError: if the target cannot be measured on what it says.
        """
        prompt = self.units.prompt
        scored = self.target.verb == "score"
        before = () if self.recorded is None else (self.recorded,)
        number = len(before) or references
        if before and isinstance(self.target, ReadsReference):
            self.target.check(before[0])  # before anything is paid
        wanted = 0 if scored and before else references if scored else references + repeats
        asked = Asked(prompt, self.settings)
        drawn = [self._must(answer) for answer in self._answered([(asked, draw) for draw in range(wanted)])]
        outputs = [*before, *drawn]
        # Draws that are taken: a mask that sends the whole prompt must not get the reference's own answer back.
        self._used[asked] = max(wanted, repeats)
        if not before and isinstance(self.target, ReadsReference):
            self.target.check(outputs[0])
        fresh = outputs[number:]
        if scored:
            fresh = [self._must(each) for each in self._scored([(asked, draw) for draw in range(repeats)], outputs[:1])]
        self.compare_with(outputs[:number])
        self.repeats = tuple(fresh)
        for draw, output in enumerate(self.references):
            self.log.append(Exchange("reference", None, draw, prompt, output))
        for draw, output in enumerate(fresh, start=number - len(before)):
            self.log.append(Exchange("repeat", None, draw, prompt, output))
        effects = self.meter(fresh)
        self.differs = bool(np.ptp(effects) > 0) if scored else _differ(fresh, () if before else self.references)

    def compare_with(self, references: Sequence[Output]) -> None:
        """Measure answers against these references."""
        self.references, self.meter = tuple(references), Meter(self.target, tuple(references))

    def answers(
        self, design: Design, prompts: Sequence[Sent], *, stands: NDArray[np.bool_], empty: Sequence[Output] = ()
    ) -> Answers:
        """Everything that was asked so far, as the answers to a design of which no mask has been asked yet."""
        goes_on = BATCH_GOES_ON if self.runner.hands_over else RECORDED
        found = Answers(
            model=model_recipe(self.model),
            units=self.units,
            operator=self.operator,
            design=design,
            prompts=prompts,
            references=self.references,
            repeats=self.repeats,
            first=(),
            stands=stands,
            empty=tuple(empty),
            steadiness=self.steadiness,
            differs=self.differs,
            kept=goes_on if self.runner.hands_over or self.runner.records else "",
            answers_with=output_kind(self.model),
            settings=self.settings,
        )
        return self.updated(found)

    def updated(self, answers: Answers) -> Answers:
        """The answers with everything that was asked since."""
        tally = self.runner.tally
        calls = Calls(asked=tally.asked, made=tally.made, cached=tally.cached, failed=tally.failed)
        return replace(
            answers, repeats=self.repeats, log=tuple(self.log), failures=tuple(self.failures), calls=calls,
            ended=self.ended,
        )  # fmt: skip

    @property
    def notices(self) -> tuple[tuple[str, str], ...]:
        """What the person should know of how the model was asked: code and text."""
        whole = Request(prompt=self.units.prompt, settings=self.settings)
        said = self.model.notices(whole) if isinstance(self.model, GivesNotices) else ()
        drawn = next((output.picture for output in self.references if output.picture is not None), None)
        sizes = () if drawn is None else size_notices(self.model.uri, whole, drawn)
        return (*self.told, *said, *sizes, *self.runner.notices, *self.operator.notices, *self.units.notices)

    def rendered(self, design: Design) -> list[Sent]:
        """The prompt that is sent for each mask of a design; its settings are kept, where the operator sets some."""
        self._told.clear()
        if design.prompts is not None:
            return [self.units.sent(text) for text in design.prompts]
        with said_of(self.operator, f"operator={self.operator.name!r}"):
            if self.operator.by_settings:
                told = (self.operator.settings(self.units, mask, self.settings) for mask in design.masks)
                self._told.update(enumerate(told))
            return [self.operator.render(self.units, mask) for mask in design.masks]

    def _made(self, mask: NDArray[np.bool_]) -> Asked:
        """What is sent for a mask, and how."""
        with said_of(self.operator, f"operator={self.operator.name!r}"):
            prompt = self.operator.render(self.units, mask)
            return Asked(prompt, self.operator.settings(self.units, mask, self.settings))

    def is_whole(self, design: Design, prompts: Sequence[Sent]) -> NDArray[np.bool_]:
        """Which rows send the whole prompt, as it stands: their effect is f(1), which the repeats give."""
        same = np.array([text == self.units.prompt for text in prompts], dtype=bool)
        return np.asarray(design.masks.all(axis=1)) & same

    def is_known(self, design: Design, prompts: Sequence[Sent], *, draws: int) -> NDArray[np.bool_]:
        """Which rows ``(m,)`` need not be asked, since they are whole and the repeats give f(1).

        None where answers may differ from draw to draw and several rows are whole: one estimate of f(1) in all of them
        is an error that they share, which no interval over rows sees (a third of the runs on four words then found one
        significant in pure noise).
        """
        full = self.is_whole(design, prompts)
        return np.zeros_like(full) if (self.steadiness != "known" or draws > 1) and full.sum() > 1 else full

    def masks(
        self,
        prompts: Sequence[Sent],
        stands: NDArray[np.bool_],
        *,
        draws: int,
        first_row: int = 0,
        arrived: Arrived | None = None,
    ) -> list[Draws]:
        """The draws of each masked prompt; None where the model gave no answer.

        Where the whole prompt ``stands`` ``(m,)`` for a mask it is not asked: the repeats are its answers. ``arrived``
        is told of each answer as it comes.
        """
        todo = [(row, draw) for row in np.flatnonzero(~stands).tolist() for draw in range(draws)]
        sent = [self._sent(prompts[row], first_row + row) for row, _ in todo]
        numbers = self._draw_numbers(sent, fresh=self.steadiness != "known" or draws > 1)
        rows = [first_row + row for row, _ in todo]
        answers = self._read_back("mask", sent, numbers, rows=rows, arrived=arrived)
        found: list[list[Output | None]] = [[] for _ in prompts]
        for (row, _), answer in zip(todo, answers, strict=True):
            found[row].append(answer)
        return [(self.repeats[0],) * draws if stands[row] else tuple(each) for row, each in enumerate(found)]

    def effects(self, masks: Masks, *, draws: int = 1, first_row: int = 0) -> Floats:
        """Effects of masks that are asked now, shape ``(m, draws)``; the full mask has f(1), NaN without an answer."""
        design = Design(name="asked one by one", masks=masks, groups=np.arange(len(masks), dtype=np.int64))
        prompts = self.rendered(design)
        stands = self.is_whole(design, prompts)
        found = self.meter.table(self.masks(prompts, stands, draws=draws, first_row=first_row))
        found[stands] = self.effect
        return found

    def empty(self, *, draws: int = 1) -> list[Output]:
        """Answers to the prompt without any unit, whose effect is f(0); pinned parts remain.

        Raises:
            ModelError: if the model did not answer it.
        """
        mask = np.zeros(len(self.units), dtype=bool)
        nothing = [self._made(mask)] * draws
        numbers = self._draw_numbers(nothing, fresh=self.steadiness != "known" or draws > 1)
        found = self._read_back("empty", nothing, numbers, rows=[None] * draws)
        answered = [output for output in found if output is not None]
        if len(answered) < len(found):
            raise _nothing_answered(self.failures[-1], self.model.uri, _EMPTY)
        return list({id(output): output for output in answered}.values())

    def redraws(self, prompts: Sequence[Sent], rows: Sequence[int | None]) -> list[Output | None]:
        """Ask masked prompts again, and the whole prompt where the row is None. A row may come several times.

        Answers to the whole prompt join its repeats.
        """
        whole = self._whole
        sent = [whole if row is None else self._sent(p, row) for p, row in zip(prompts, rows, strict=True)]
        found = self._read_back("redraw", sent, self._draw_numbers(sent, fresh=True), rows=list(rows))
        again = [output for output, row in zip(found, rows, strict=True) if row is None and output is not None]
        self.repeats = (*self.repeats, *again)
        return found

    def further(self, mask: NDArray[np.bool_]) -> Exchange | None:
        """Ask for a mask that is not of the design, once; None where the model gives no answer."""
        sent = self._made(mask)
        [draw] = self._draw_numbers([sent], fresh=self.steadiness != "known")
        [answer] = self._ask([(sent, draw)], watch=None)
        if isinstance(answer, Failure):
            self.failures.append(answer)
            return None
        self.log.append(Exchange("further", None, draw, sent.prompt, answer))
        return self.log[-1]

    @property
    def _whole(self) -> Asked:
        return Asked(self.units.prompt, self.settings)

    def _sent(self, prompt: Sent, row: int) -> Asked:
        """What is sent for a row of the design."""
        if self.operator.by_settings and row not in self._told:
            raise UsageError(
                f"operator={self.operator.name!r} says in the settings what is dropped, and here only texts are sent "
                "(levels of a long prompt, the published masks). Use operator='delete', or one prompt without levels."
            )
        return Asked(prompt, self._told.get(row, self.settings))

    def _draw_numbers(self, sent: Sequence[Asked], *, fresh: bool) -> list[int]:
        if not fresh:
            whole = self._whole
            return [0 if asked != whole else self._used[asked] for asked in sent]
        numbers: list[int] = []
        for asked in sent:
            numbers.append(self._used[asked])
            self._used[asked] += 1
        return numbers

    def _read_back(
        self,
        kind: AnswerKind,
        sent: Sequence[Asked],
        draws: Sequence[int],
        *,
        rows: Sequence[int | None],
        arrived: Arrived | None = None,
    ) -> list[Output | None]:
        """The answer to each question; equal questions (what is sent, and draw) are asked once."""
        questions: dict[tuple[Asked, int], int] = {}
        place = [questions.setdefault(question, len(questions)) for question in zip(sent, draws, strict=True)]
        watch: Watch | None = self._failing if kind == "mask" else None
        if arrived is not None:
            watch = self._telling(rows_by_question(zip(sent, draws, strict=True), rows), arrived)
        answers = self._ask_or_recall(kind, list(questions), watch)
        self.failures.extend(answer for answer in answers if isinstance(answer, Failure))
        found = [answer if isinstance(answer, Output) else None for answer in answers]
        # Without redraws there is an estimate still: they only tell of the noise. Without anything else there is none.
        if answers and not any(output is not None for output in found) and self.ended is None and kind != "redraw":
            what = _EMPTY if kind == "empty" else f"any of {len(answers)} perturbed prompts"
            raise _nothing_answered(self.failures[0], self.model.uri, what)
        first_row = dict(reversed(list(zip(place, rows, strict=True))))  # reversed: of rows that share one, the first
        for index, ((asked, draw), output) in enumerate(zip(questions, found, strict=True)):
            if output is not None:
                again = kind == "redraw" and first_row[index] is None
                self.log.append(Exchange("repeat" if again else kind, first_row[index], draw, asked.prompt, output))
        return [found[index] for index in place]

    def _telling(self, rows: Mapping[Hashable, Sequence[int]], arrived: Arrived) -> Watch:
        """Tells of each answer by the rows of its question, read as it will be in the end; and hears failures."""
        texts = self._continuations(self.references[0]) if self.target.verb == "score" else (None,)
        arrivals = Arrivals(rows, texts, arrived)

        def hear(request: Request, answer: Output | Failure) -> End | None:
            taken = answer if self.target.verb == "score" else self._taken(answer)
            arrivals((Asked(request.prompt, request.settings), request.draw), request.continuation, taken)
            return self._failing(request, answer)

        return hear

    def _ask_or_recall(
        self, kind: AnswerKind, questions: Sequence[tuple[Asked, int]], watch: Watch | None
    ) -> Sequence[Output | Failure | None]:
        """Answers; after an interruption among the masks those that are recorded, and None for the others."""
        try:
            return self._ask(questions, watch=watch)
        except (KeyboardInterrupt, EndedError) as stop:
            if kind not in {"mask", "redraw"}:
                raise
            self.ended = stop
            return self._recalled(questions)

    def _ask(self, questions: Sequence[tuple[Asked, int]], *, watch: Watch | None) -> list[Output | Failure]:
        """Answers to perturbed prompts. A service that refuses one has answered it: its refusal is a text of none."""
        if self.target.verb == "score":
            return self._scored(questions, self.references[:1], watch=watch)
        return [self._taken(answer) for answer in self._answered(questions, watch=watch)]

    def _taken(self, answer: Output | Failure) -> Output | Failure:
        """An answer to a perturbed prompt, as it is read: a refusal is a text of none."""
        draws = isinstance(self.units.prompt, Edit) or output_kind(self.model) != "text"
        return self._heard(answer) if draws else _refusal(self._heard(answer))

    def _answered(
        self, questions: Sequence[tuple[Asked, int]], *, watch: Watch | None = None
    ) -> list[Output | Failure]:
        requests = [asked.request(draw) for asked, draw in questions]
        return [self._heard(answer) for answer in self.runner.ask(requests, watch=watch)]

    def _heard(self, answer: Output | Failure) -> Output | Failure:
        if isinstance(answer, Failure) and isinstance(self.target, HearsRefusals):
            return self.target.heard(answer)
        return answer

    def _recalled(self, questions: Sequence[tuple[Asked, int]]) -> list[Output | Failure | None]:
        """What is recorded of these questions; one that takes several scores needs all of them."""
        texts = self._continuations(self.references[0]) if self.target.verb == "score" else (None,)
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
        self, questions: Sequence[tuple[Asked, int]], references: Sequence[Output], *, watch: Watch | None = None
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
            raise _nothing_answered(answer, self.model.uri, "the whole prompt")
        return answer


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


def least_steady(askers: Sequence[Asker]) -> Steadiness:
    """What is known of equal questions about all of several prompts."""
    order: tuple[Steadiness, ...] = ("known", "so far", "differs")
    return order[max(order.index(asker.steadiness) for asker in askers)]


def _differ(fresh: Sequence[Output], references: Sequence[Output]) -> bool:
    return len({(output.said, output.medium) for output in (*fresh, *references)}) > 1


def _nothing_answered(failure: Failure, uri: str, what: str) -> ModelError:
    """An `EndedError` where no other prompt would be answered either."""
    text = f"{uri} did not answer {what} ({failure.kind}): {failure.sentence}"
    return EndedError(text, reason="failures") if failure.kind == "fatal" else ModelError(text)
