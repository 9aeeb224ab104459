"""Making many calls of one model: deduplicate, look up, send, record, hand back in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal, TypeAlias, TypeGuard

from whygen._arguments import Option, check_fields, documented, told
from whygen.calls.agenda import Agenda, Answer, Clock, End, EndedError, Gate, MonotonicClock, RetryPolicy, together
from whygen.calls.batches import BatchDispatcher
from whygen.calls.dispatch import Dispatcher, LocalDispatcher, RemoteDispatcher, Send
from whygen.calls.leases import SharedClaims
from whygen.calls.pool import PoolDispatcher
from whygen.calls.progress import AsksToStop, Progress, ShowsPromise, ShowsSpending, usual_progress
from whygen.calls.rows import RecordedCall, call_key, identity_of
from whygen.calls.spending import Budget, BudgetGate, RateGate, Rates, SharedBudget, Spent, promised
from whygen.calls.store import Notice, Store
from whygen.errors import BudgetError, ModelError, UnknownNameError, UsageError, WhygenError
from whygen.models.prices import FREE, Price, batch_price_of, price_of
from whygen.models.protocols import HasWorkers, Model, ScoresText
from whygen.safe import is_stop, says
from whygen.texts import counted
from whygen.types import Failure, JsonValue, Output, Request

Watch: TypeAlias = Callable[[Request, Answer], End | None]
"""Told of each final answer as it arrives; an `End` sends nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Calls so far. ``asked + retried == made + cached``, unless a run ended with calls in flight.

    Attributes:
        asked: requests that were handed in and handed back, duplicates included; a budget of requests counts these.
        made: requests sent to the model, retries included: what costs time and money.
        cached: requests answered without a call of their own, from the store or by an equal one.
        failed: requests that were handed back as a `Failure`; one that the service refused has been answered.
        retried: requests sent again after a failure that could pass.
    """

    asked: int = 0
    made: int = 0
    cached: int = 0
    failed: int = 0
    retried: int = 0

    def __str__(self) -> str:
        if self.asked and not self.made:
            return (
                "No call was made: the answer was recorded before."
                if self.asked == 1
                else f"No call was made: all {self.asked} answers were recorded before."
            )
        failed = f", {self.failed} failed" if self.failed else ""
        return (
            f"{counted(self.asked, 'answer')} asked for, {counted(self.made, 'call')} made, "
            f"{counted(self.cached, 'answer')} cached{failed}."
        )


class Runner:
    """Asks one model. Every answer is recorded in ``store`` before it is handed back, so a killed run can go on.

    A model whose `HasIdentity.identity` is ``None`` is answered from this object's memory only. Refusals are kept
    like that too, because a later run may be answered, and failures not at all. Empty answers and those that were cut
    short are answers: they are recorded with their finish.

    Once a run has ended early, every later question that is not recorded ends early too.

    Args:
        model: the black box.
        store: where answers are looked up and recorded; the caller closes it.
        budget: the most requests that may be asked for in all; ``None`` sets no bound.
        progress: told how far each call of `ask` or `score` is.
        dispatcher: how requests reach the model; by its limits, one batch after another or many calls at once.
        retry: how often and when to ask again after a failure that may pass.
        spending: what may be spent in calls, tokens or money, never exceeded by what is in flight either; a
            `SharedBudget` is shared with others.
        rates: calls and tokens a minute.
        price: what tokens cost; that of the table (`whygen.models.prices`) unless given.
        prices: reads that table: at the usual price, or at that of batches.
        deadline: seconds from now, after which nothing more is sent.
        clock: the time.
        name: of the run, under which answers of a model that nobody can identify are recorded.
    """

    def __init__(
        self,
        model: Model,
        *,
        store: Store,
        progress: Progress | None = None,
        budget: int | None = None,
        dispatcher: Dispatcher | None = None,
        retry: RetryPolicy | None = None,
        spending: Budget | SharedBudget | None = None,
        rates: Rates | None = None,
        price: Price | None = None,
        prices: Callable[[Model], Price | None] = price_of,
        deadline: float | None = None,
        clock: Clock | None = None,
        name: str | None = None,
    ) -> None:
        identity = identity_of(model)
        if identity is None and name is not None:
            identity = {"uri": model.uri, "run": name}
        self._model = model
        self._identity: Mapping[str, JsonValue] = {"uri": model.uri} if identity is None else identity
        self._shared_store = store
        self._store = store if identity is not None else Store(None)
        self._refused: dict[str, Output] = {}
        self._progress = progress or usual_progress()
        self._budget = budget
        self._dispatcher = dispatcher or dispatcher_for(model)
        self._retry = retry or RetryPolicy()
        self._clock = clock or MonotonicClock()
        self._until = math.inf if deadline is None else self._clock.now() + deadline
        self._end: End | None = None
        self._prices = prices
        shared_budget = spending if isinstance(spending, SharedBudget) else SharedBudget(spending or Budget())
        self._budget_gate = BudgetGate(
            model, shared_budget, price or _listed_price(model, shared_budget.budget, prices)
        )
        self._gates: list[Gate] = [self._budget_gate, *([] if rates is None else [RateGate(model, rates)])]
        self._asked = self._cached = self._made = self._failed = self._retried = self._repeated = 0

    @property
    def tally(self) -> Tally:
        """What was asked so far, and how much of that took a call."""
        return Tally(
            asked=self._asked, made=self._made, cached=self._cached, failed=self._failed, retried=self._retried
        )

    @property
    def spent(self) -> Spent:
        """Calls, tokens and money so far."""
        return self._budget_gate.total

    @property
    def shared_budget(self) -> SharedBudget:
        """The budget, and what was spent of it by all who share it."""
        return self._budget_gate.shared_budget

    def beside(self, model: Model, *, budget: int | None = None) -> Runner:
        """A runner that spends from the same budget, records in the same store and ends by the same deadline.

        A helping model is always called directly, never in batches. A local one costs no money.

        Args:
            model: a helping model, or the same model for another question.
            budget: the most requests that it may be asked.

        Raises:
            UsageError: if money is bounded, and the price of a remote model is not known.
        """
        same = model is self._model
        here = not same and model.limits.max_in_flight <= 1
        runner = Runner(
            model,
            store=self._shared_store,
            progress=self._progress,
            budget=budget,
            dispatcher=self._dispatcher if same else None,
            retry=self._retry,
            spending=self.shared_budget,
            price=FREE if here else None,
            prices=self._prices if same else price_of,
            clock=self._clock,
        )
        runner._until = self._until
        runner._gates += self._gates[1:] if same else []
        return runner

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the person should know of the store: answers that could not be recorded, why, and what to do."""
        return self._store.notices

    def ask(self, requests: Sequence[Request], *, label: str = "Asking", watch: Watch | None = None) -> list[Answer]:
        """Generations, in the order of the requests.

        Args:
            requests: what to ask.
            label: what progress calls it.
            watch: told of every answer as it arrives; may end the run.

        Raises:
            BudgetError: if this would exceed the budget; nothing was sent then.
            DataError: if a request cannot be named because a setting is not JSON.
            ModelError: if the model raises or breaks its contract. What it answered before is recorded.
            StoreError: if the store cannot be read.
            EndedError: if a deadline, a budget or the server ended the run. `recall` gives the answers there are.
            KeyboardInterrupt: after Ctrl-C, once what was in flight is recorded. `recall` gives the answers there are.
        """
        if any(request.continuation is not None for request in requests):
            raise UsageError("ask() takes requests without a continuation; give those to score().")
        return self._serve(requests, self._model.answer, label, watch)

    def score(self, requests: Sequence[Request], *, label: str = "Scoring", watch: Watch | None = None) -> list[Answer]:
        """Log-probabilities of each request's continuation, in the order of the requests; raises what `ask` does."""
        self.check_scoring()
        if not isinstance(self._model, ScoresText):
            raise UsageError(f"{self._model.uri} gives no log-probabilities of a given text. Use a target that asks.")
        if any(request.continuation is None for request in requests):
            raise UsageError("score() takes requests with a continuation; give the others to ask().")
        return self._serve(requests, self._model.score, label, watch)

    @property
    def records(self) -> bool:
        """Whether answers outlive this process."""
        return self._store.path is not None

    @property
    def hands_over(self) -> bool:
        """Whether requests go to the provider in batches, which go on when a run ends."""
        return isinstance(self._dispatcher, BatchDispatcher)

    def check_scoring(self) -> None:
        """Refuse log-probabilities of a given text where the way to the model carries none.

        Raises:
            UsageError: if requests are handed over in batches.
        """
        if self.hands_over:
            raise UsageError(
                "batch='provider' takes no log-probabilities of a given text. Leave batch out, or use a target that "
                "compares answers, such as 'cosine' or 'tfidf'."
            )

    def recall(self, requests: Sequence[Request]) -> list[Answer | None]:
        """What is recorded of these requests; nothing is sent. None where there is no answer yet.

        For a run that was interrupted or ended early: what it was answered counts as asked.
        """
        keys = [call_key(self._identity, request) for request in requests]
        known = self._look_up(dict(zip(keys, requests, strict=True)))
        answers = [known.get(key) for key in keys]
        self._asked += sum(answer is not None for answer in answers)
        return answers

    def _serve(self, requests: Sequence[Request], verb: Send, label: str, watch: Watch | None) -> list[Answer]:
        self._check_budget(len(requests))
        keys = [call_key(self._identity, request) for request in requests]
        wanted = dict(zip(keys, requests, strict=True))
        known: dict[str, Answer] = {}
        self._progress.begin(len(requests), label)
        try:
            known = self._look_up(wanted)
            missing = {key: request for key, request in wanted.items() if key not in known}
            self._progress.advance(len(requests) - len(missing), cached=True)
            if watch is not None:  # what was heard before counts as well
                for key in known.keys() & wanted.keys():
                    watch(wanted[key], known[key])
            self._fetch(missing, verb, known, watch)
        except KeyboardInterrupt as stop:
            self._store.flush()  # it may have hit in the middle of a write
            if str(stop):
                raise
            answered = sum(isinstance(known.get(key), Output) for key in keys)
            raise _ended(_INTERRUPTED, answered, len(keys), recorded=self.records) from None
        finally:
            self._progress.end()
        if self._end is not None and not wanted.keys() <= known.keys():
            answered = sum(isinstance(known.get(key), Output) for key in keys)
            raise _ended(self._end, answered, len(keys), recorded=self.records)
        answers = [known[key] for key in keys]
        self._asked += len(requests)
        self._cached += len(requests) - len(missing)
        self._failed += sum(isinstance(answer, Failure) and answer.kind != "refused" for answer in answers)
        return answers

    def _check_budget(self, n: int) -> None:
        if self._budget is not None and self._asked + n > self._budget:
            raise BudgetError(
                f"budget={self._budget} does not allow {n} more requests after {self._asked}. Nothing of these was "
                f"sent. Give a budget of at least {self._asked + n}.",
                smallest=self._asked + n,
            )

    def _look_up(self, wanted: Mapping[str, Request]) -> dict[str, Answer]:
        refused = {key: output for key, output in self._refused.items() if key in wanted}
        return {**self._store.get_many(wanted), **refused}

    def _fetch(self, missing: Mapping[str, Request], verb: Send, known: dict[str, Answer], watch: Watch | None) -> None:
        """Ask for what is missing; answers are recorded before they are put into ``known``."""
        if self._is_stopped():
            self._end = self._end or _INTERRUPTED
        if not missing or self._end is not None:
            return
        self._promise()
        missing = together(missing)
        keys, requests = list(missing), list(missing.values())
        # Processes that share a store claim what they send, so that none pays twice; batches have a ledger for that.
        leases = None if self.hands_over else self._store.leases
        claims = None if leases is None else SharedClaims(leases, keys)
        agenda = Agenda(
            requests,
            policy=self._retry,
            gates=self._gates,
            clock=self._clock,
            until=self._until,
            repeats=self._retry.repeats(self._asked + len(missing)) - self._repeated,
            claims=claims,
        )
        answered = self._dispatcher.dispatch(partial(_checked, self._model.uri, verb), agenda, self._model.limits)
        try:
            # An error below must not leave the generator to the garbage collector: it holds the signal handlers.
            with closing(answered):
                for batch in answered:
                    recorded = self._record([(keys[place], requests[place], answer) for place, answer in batch])
                    known |= recorded
                    self._show(len(recorded))
                    # Whoever wants an end goes by the agenda, so that calls in flight are waited for: they are paid.
                    if self._is_stopped():
                        agenda.stop(_INTERRUPTED)
                    for key, answer in recorded.items():
                        if watch is not None and (end := watch(missing[key], answer)) is not None:
                            agenda.stop(end)
        finally:
            if leases is not None:
                leases.release(keys)
            self._cached += agenda.shared
            self._made += agenda.sent
            self._retried += agenda.retried
            self._repeated += agenda.repeated
            # An error is raised where it happened. Kept as the end of the run, it would meet all later calls.
            self._end = None if agenda.end is not None and agenda.end.reason == "error" else agenda.end

    def _is_stopped(self) -> bool:
        return isinstance(self._progress, AsksToStop) and self._progress.stopped

    def _promise(self) -> None:
        """Say once of each model what the budget cannot promise, before it is asked."""
        if isinstance(self._progress, ShowsPromise) and self._model.uri not in self.shared_budget.announced:
            self.shared_budget.announced.add(self._model.uri)
            if text := promised(self._model, self.shared_budget.budget):
                self._progress.promise(text)

    def _show(self, arrived: int) -> None:
        self._progress.advance(arrived, cached=False)
        if isinstance(self._progress, ShowsSpending):
            self._progress.spend(str(self.shared_budget.total))

    def _record(self, arrived: Sequence[tuple[str, Request, Answer]]) -> dict[str, Answer]:
        """Record answers, and give back what the store holds: of two processes, the first to record is believed."""
        answers = {key: answer for key, _, answer in arrived}
        self._refused |= {key: answer for key, answer in answers.items() if _is_refusal(answer)}
        calls = [
            RecordedCall(
                key=key, uri=self._model.uri, identity=self._identity, request=request.to_json(), output=answer
            )
            for key, request, answer in arrived
            if isinstance(answer, Output) and not _is_refusal(answer)
        ]
        if self._store.put_many(calls) < len(calls):
            answers |= self._store.get_many([call.key for call in calls])
        return answers


def dispatcher_for(model: Model) -> Dispatcher:
    """Batches at several workers, or many calls at once, for a model that takes them; else one batch after another."""
    if model.limits.max_in_flight > 1:
        return RemoteDispatcher()
    return PoolDispatcher(model) if isinstance(model, HasWorkers) else LocalDispatcher()


_INTERRUPTED = End("interrupt", "Interrupted.")


def _ended(end: End, answered: int, asked: int, *, recorded: bool) -> EndedError | KeyboardInterrupt:
    text = f"{end.text} {answered} of {counted(asked, 'request')} {'was' if asked == 1 else 'were'} answered."
    if answered and end.again:
        goes_on = "These are recorded: the same command goes on from here."
        text += f" {goes_on if recorded else 'They were kept in memory only, since there is no store.'}"
    if end.reason == "interrupt" or end.reason == "error":  # noqa: PLR1714 - the type is narrowed
        return KeyboardInterrupt(text)
    return EndedError(text, reason=end.reason)


def _listed_price(model: Model, spending: Budget, prices: Callable[[Model], Price | None]) -> Price | None:
    is_paid = model.limits.max_in_flight > 1 or spending.money is not None
    return prices(model) if is_paid else None


def _is_refusal(answer: Answer) -> TypeGuard[Output]:
    return isinstance(answer, Output) and answer.finish == "refused"


def _checked(uri: str, verb: Send, batch: Sequence[Request]) -> Sequence[Answer]:
    """The answers to one batch, or a `ModelError` if the model broke its contract."""
    try:
        answers = list(verb(batch))
    except WhygenError:
        raise
    except BaseException as error:
        if is_stop(error):
            raise
        raise ModelError(
            f"The model {uri} raised {says(error)}. This was in a batch of {len(batch)} requests; "
            "what was answered before is recorded, so the same command goes on from there once this is mended."
        ) from error
    if len(answers) != len(batch):
        raise ModelError(
            f"The model {uri} gave {len(answers)} answers to {len(batch)} requests. `answer` must return one Output "
            "or Failure for each request, in their order."
        )
    for answer in answers:
        if not isinstance(answer, Output | Failure):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
            raise ModelError(
                f"The model {uri} answered with {type(answer).__name__}. `answer` must return one Output or Failure "
                "for each request, in their order."
            )
    return answers


@documented
@told
@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is made. What ends it early leaves a partial explanation, and everything recorded.

    What it may spend is never exceeded, not by what is in flight either.
    """

    spending: Budget | SharedBudget = field(default_factory=Budget)
    """A `SharedBudget` is spent by all runs that are given it."""
    rates: Rates = field(default_factory=Rates)
    deadline: Annotated[
        float | None, Option("Seconds, after which nothing more is sent.", panel="For experts: the run")
    ] = None
    batch: Annotated[
        Literal["provider"] | None,
        Option(
            "provider: by its batch endpoint, within a day, at about half the price.",
            "A run that ends meanwhile is continued by the same call again, and asks for nothing twice.",
            panel="For experts: the run",
        ),
    ] = None
    name: Annotated[
        str | None,
        Option(
            "A name, under which what nobody can identify is recorded.",
            "Such a thing is a function of one's own. Change the name whenever the function changes.",
            panel="For experts: the run",
            flag="--run",
        ),
    ] = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.deadline is not None and not self.deadline > 0:
            raise UsageError(f"deadline={self.deadline}: give a number of seconds above 0, or leave it out.")
        if self.batch is None:
            return
        if self.batch != "provider":  # pyright: ignore[reportUnnecessaryComparison] - users are not type-checked
            raise UnknownNameError("batch", str(self.batch), ["provider"])
        if self.rates != Rates():
            raise UsageError(
                "rates do not go with batch='provider': the provider sets the pace of a batch. Leave out "
                "requests_per_minute and tokens_per_minute, or batch."
            )


def make_runner(
    model: Model, store: Store, *, budget: int | None, progress: Progress | None, options: RunOptions | None
) -> Runner:
    """A runner for one explanation.

    Args:
        model: the black box.
        store: where answers are recorded; the caller closes it.
        budget: the most requests that may be asked for.
        progress: where to report progress.
        options: None for no bounds but the budget.
    """
    chosen = options or RunOptions()
    later = None if chosen.batch is None else BatchDispatcher(model, store, progress=progress)
    return Runner(
        model,
        store=store,
        budget=budget,
        progress=progress,
        spending=chosen.spending,
        rates=chosen.rates,
        deadline=chosen.deadline,
        name=chosen.name,
        dispatcher=later,
        prices=price_of if later is None else batch_price_of,
    )
