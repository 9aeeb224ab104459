"""Bounds on what a run may cost (calls, tokens, money) and on its pace (calls and tokens a minute).

They hold for calls in flight as well: before a request is sent, the most that it can cost is set aside (its tokens, and
as many as its answer may have). When the answer is there, what it did cost is taken, and the rest given back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Annotated, NamedTuple

from whygen._arguments import Option, check_fields, documented, told
from whygen.calls.agenda import Answer
from whygen.errors import UsageError
from whygen.models.prices import Price
from whygen.models.protocols import HasContext, Model
from whygen.types import Edit, Failure, Output, Request

OVERHEAD = 16
"""Tokens that a message may take beside its text: roles and marks."""
_LENGTHS = ("max_tokens", "max_completion_tokens")
_CHOICES = ("n", "best_of")


@documented
@told
@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that a run may spend; ``None`` sets no bound. What is recorded already costs nothing."""

    calls: Annotated[
        int | None,
        Option(
            "The most calls that are sent, repeated ones included.", panel="For experts: the run", flag="--max-calls"
        ),
    ] = None
    tokens: Annotated[
        int | None,
        Option("The most tokens the run may read and write.", panel="For experts: the run", flag="--token-budget"),
    ] = None
    money: Annotated[
        float | None,
        Option(
            "The most the run may cost, in dollars. The price must be known.",
            "It is that of the table of `whygen.models.prices`, in whatever currency that is.",
            panel="How much to spend",
            flag="--max-cost",
        ),
    ] = None

    def __post_init__(self) -> None:
        check_fields(self)
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and not 0 <= value < math.inf:
                said = f"{each.name}={value!r} ({_FLAGS[each.name]})"
                raise UsageError(f"{said} is no budget: give a number of 0 or more, or leave it out.")


_FLAGS = {"calls": "--max-calls", "tokens": "--token-budget", "money": "--max-cost"}
"""The fields of a `Budget`, as a shell has them."""


class TokenCount(NamedTuple):
    """Tokens read and written."""

    read: int
    written: int


class Cost(NamedTuple):
    """What is bounded: calls, tokens, and money."""

    calls: float = 0
    tokens: float = 0
    money: float = 0

    def plus(self, other: Cost, sign: int = 1) -> Cost:
        """The sum, or with ``sign=-1`` the difference."""
        return Cost(*(mine + sign * theirs for mine, theirs in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was spent so far.

    Attributes:
        calls: calls that were sent.
        tokens_in: tokens read, as far as the model said so.
        tokens_out: tokens written, as far as the model said so.
        money: what these cost; ``None`` where no price is known.
        untold: answers whose model did not say how many tokens they took. They are in none of these figures; a budget
            takes them at the most that they can have cost.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    money: float | None = None
    untold: int = 0

    def __str__(self) -> str:
        parts = [f"{self.tokens_in + self.tokens_out:,} tokens"] if self.tokens_in + self.tokens_out else []
        parts += [] if self.money is None else [f"${self.money:.4f}"]
        return " · ".join([*parts, f"{self.untold} without a count"] if self.untold and parts else parts)


@dataclass(slots=True)
class SharedBudget:
    """A budget, and what was spent of it by all who share it: what one has set aside, no other can spend.

    Attributes:
        budget: the bounds, together.
        used: what was spent, and what is in flight at its most.
        gates: of those who spend.
        announced: models of which was said what the budget can promise.
    """

    budget: Budget
    used: Cost = field(default_factory=Cost)
    gates: list[BudgetGate] = field(default_factory=list["BudgetGate"])
    announced: set[str] = field(default_factory=set[str])

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are bounded, by themselves or by what they cost."""
        return self.budget.tokens is not None or self.budget.money is not None

    @property
    def total(self) -> Spent:
        """What all have spent; money only if it is known of all who asked for anything."""
        each = [gate.total for gate in self.gates if gate.total.calls]
        known = [spent.money for spent in each if spent.money is not None]
        return Spent(
            calls=sum(spent.calls for spent in each),
            tokens_in=sum(spent.tokens_in for spent in each),
            tokens_out=sum(spent.tokens_out for spent in each),
            money=sum(known) if len(known) == len(each) and known else None,
            untold=sum(spent.untold for spent in each),
        )

    def lacks(self, amount: Cost) -> str:
        """Which bound so much more would break; empty if none."""
        for name, bound, wish in zip(Cost._fields, _bounds(self.budget), self.used.plus(amount), strict=True):
            if bound is not None and wish > bound:
                return f"with the next request it could come to {name}={wish:g}, and {name}={bound:g} is allowed"
        return ""

    def take(self, amount: Cost, sign: int = 1) -> None:
        """Set so much aside; with ``sign=-1``, give it back."""
        self.used = self.used.plus(amount, sign)


def promised(model: Model, budget: Budget) -> str:
    """What a budget in tokens or money can and cannot promise of this model; empty where it simply holds.

    To be said before anything is sent.
    """
    if (budget.tokens is None and budget.money is None) or isinstance(model, HasContext):
        return ""
    bounds = [] if budget.tokens is None else [f"{budget.tokens:,} tokens"]
    bounds += [] if budget.money is None else [f"${budget.money:g}"]
    return (
        f"At most {' and '.join(bounds)}, as {model.uri} counts: one call goes first to show how it counts, and the "
        "others are held by what it and those after it took. Not promised: that the first call alone takes less, that "
        "none takes far more than all before it, and tokens that the server counts and does not tell; where it tells "
        "none, those of the text are held."
    )


class BudgetGate:
    """Holds one model's calls to a budget; a `whygen.calls.agenda.Gate`.

    A call that was turned away costs no tokens. One that failed otherwise may have been charged for, and is taken at
    its most.

    Raises:
        UsageError: if money is bounded and no price is known.
    """

    def __init__(self, model: Model, budget: Budget | SharedBudget, price: Price | None = None) -> None:
        self.shared_budget = budget if isinstance(budget, SharedBudget) else SharedBudget(budget)
        if self.shared_budget.budget.money is not None and price is None:
            most = self.shared_budget.budget.money
            raise UsageError(
                f"The budget money={most} ({_FLAGS['money']}) needs the price of {model.uri}, "
                "which is not known. Put it into the table that WHYGEN_PRICES names, or give a budget in calls "
                f"({_FLAGS['calls']}) or tokens ({_FLAGS['tokens']})."
            )
        self._model = model
        self._price = price
        self.shared_budget.gates.append(self)
        self._tokens_in = self._tokens_out = self._untold = self._calls = 0
        self._over = ""
        self._in_flight = 0
        self._is_known = False  # whether an answer has shown how this server counts
        self._reserved: dict[int, list[Cost]] = {}  # what was set aside, by request: the bound grows meanwhile
        self._excess = TokenCount(0, 0)  # tokens that a call took over its bound at most

    @property
    def total(self) -> Spent:
        """What was spent so far."""
        money = None if self._price is None else self._price.cost(self._tokens_in, self._tokens_out)
        return Spent(
            calls=self._calls, tokens_in=self._tokens_in, tokens_out=self._tokens_out, money=money, untold=self._untold
        )

    @property
    def spent(self) -> str:
        """Which bound the next request does not fit under."""
        return f"The budget is spent: {self._over}."

    def wait(self, request: Request, now: float) -> float:
        """0 if the request fits whatever it costs, else infinite: only an answer can make room.

        Raises:
            UsageError: if tokens or money are bounded, and nobody can say what the request costs at most.
        """
        del now
        most = self._most(request)
        self._over = self.shared_budget.lacks(most)
        if self._over:
            return math.inf
        if not self.shared_budget.counts_tokens or not self._in_flight:
            return 0.0
        # One call alone shows how the server counts. While several are in flight each may take more than any before it,
        # so that room is left for as much again; near the bound they go one by one.
        crowded = not self._is_known or (self._excess != (0, 0) and self.shared_budget.lacks(self._room(most)))
        return math.inf if crowded else 0.0

    def reserve(self, request: Request) -> None:
        """Set the most aside."""
        self._calls += 1
        self._in_flight += 1
        most = self._most(request)
        self._reserved.setdefault(id(request), []).append(most)
        self.shared_budget.take(most)

    def _room(self, most: Cost) -> Cost:
        """What this call and those in flight may take besides, if each takes twice as much as is set aside for it."""
        waiting = [each for amounts in self._reserved.values() for each in amounts]
        extra = Cost(0, sum(each.tokens for each in waiting), sum(each.money for each in waiting))
        return most.plus(extra).plus(most._replace(calls=0))

    def settle(self, request: Request, answer: Answer) -> None:
        """Take what the answer did cost instead."""
        read, written = told_tokens(request, answer)
        self._tokens_in += read or 0
        self._tokens_out += written or 0
        self._untold += isinstance(answer, Output) and (read is None or written is None)
        self._in_flight -= 1
        # By identity, and a list for each: one request may be in flight several times, and equal ones beside it.
        amounts = self._reserved.get(id(request)) or [self._most(request)]
        most = amounts.pop()
        if not amounts:
            self._reserved.pop(id(request), None)
        if not self.shared_budget.counts_tokens:
            return
        self._learn(request, answer, read, written)
        # Only a call that was turned away surely cost nothing. Any other failure may be billed: its amount stays taken.
        if isinstance(answer, Failure) and answer.kind == "rate_limit":
            self.shared_budget.take(most._replace(calls=0), -1)
        elif isinstance(answer, Output):  # what is not told is taken at its most
            bound = self._bound(request)
            self.shared_budget.take(most._replace(calls=0), -1)
            self.shared_budget.take(
                self._amount(
                    TokenCount(bound.read if read is None else read, bound.written if written is None else written)
                )
            )

    def _learn(self, request: Request, answer: Answer, read: int | None, written: int | None) -> None:
        """Note by how much a call took more than can be known beforehand: templates, thoughts, a limit that is ignored.

        A server that does not say what it counts is held by the bytes of what it sent.
        """
        if isinstance(answer, Failure):
            return
        self._is_known = True
        bound = worst_case(self._model, request)
        took = TokenCount(read or 0, len(answer.text.encode("utf-8", "replace")) if written is None else written)
        if written is None and took.written > 8 * bound.written:  # no tokenizer has so long tokens throughout
            self.shared_budget.take(self._amount(TokenCount(0, took.written - bound.written)))
        over = TokenCount(max(0, took.read - bound.read), 0 if written is None else max(0, written - bound.written))
        self._excess = TokenCount(max(self._excess.read, over.read), max(self._excess.written, over.written))

    def _most(self, request: Request) -> Cost:
        if not self.shared_budget.counts_tokens:
            return Cost(calls=1)
        return self._amount(self._bound(request))._replace(calls=1)

    def _bound(self, request: Request) -> TokenCount:
        """The most that can be known beforehand, and what calls have taken over it."""
        bound, more = worst_case(self._model, request), self._excess
        # A quarter more than the most that was seen: counts may grow as a run goes on.
        return TokenCount(bound.read + (5 * more.read + 3) // 4, bound.written + (5 * more.written + 3) // 4)

    def _amount(self, tokens: TokenCount) -> Cost:
        return Cost(0, sum(tokens), 0.0 if self._price is None else self._price.cost(*tokens))


def worst_case(model: Model, request: Request) -> TokenCount:
    """The most tokens that a request can take.

    A model that counts (`HasContext`) is believed. Else a token has at least one byte of UTF-8, which holds for every
    tokenizer that can write any text.

    Raises:
        UsageError: if nobody can say: a picture's tokens, or an answer without a limit.
    """
    if isinstance(model, HasContext):
        read = model.count_tokens(request)
    else:
        read = sum(len(text.encode("utf-8", "surrogatepass")) + OVERHEAD for text in _texts(model, request))
    if request.continuation is not None:
        return TokenCount(read + len(request.continuation.encode("utf-8", "surrogatepass")), 1)
    return TokenCount(read, _longest_answer(request))


def _texts(model: Model, request: Request) -> list[str]:
    prompt = request.prompt
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, Edit) or any(message.images for message in prompt.messages):
        raise UsageError(
            f"A budget in tokens or money cannot be held: {model.uri} does not say how many tokens a picture takes. "
            f"Give a budget in calls ({_FLAGS['calls']})."
        )
    return prompt.texts


def _longest_answer(request: Request) -> int:
    """The limit of the answer; one that is set by the provider's own name (`Settings.extra`) counts."""
    extra = request.settings.extra
    named = {name: extra[name] for name in _LENGTHS if name in extra}
    limits = [value for value in named.values() if isinstance(value, int)]
    if named and not limits:
        raise UsageError(
            f"A budget in tokens or money needs a limit for the answers, and {', '.join(named)} takes it away. "
            f"Give max_tokens (--max-tokens 256), or a budget in calls ({_FLAGS['calls']})."
        )
    many = [value for name in _CHOICES if isinstance(value := extra.get(name), int)]
    return max([*limits, request.settings.max_tokens] if "max_tokens" not in named else limits) * max([1, *many])


_DENSEST = 32
"""Bytes of ordinary text that a token may hold; a server that counts fewer tokens has not counted."""


def told_tokens(request: Request, answer: Answer) -> tuple[int | None, int | None]:
    """Tokens read and written by the model's own word; None where it gives none that can be.

    Some servers fill the place with zeros, count the prompt alone, or leave out what came from a cache.
    """
    if not isinstance(answer, Output):
        return None, None
    return _credible(answer.tokens_in, _bytes_of(request)), _credible(answer.tokens_out, _size(answer.text))


def _credible(tokens: int | None, size: int) -> int | None:
    return None if tokens is None or tokens * _DENSEST < size else tokens


def _bytes_of(request: Request) -> int:
    prompt = request.prompt
    if isinstance(prompt, Edit):
        return 0
    return sum(_size(text) for text in ([prompt] if isinstance(prompt, str) else prompt.texts))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _bounds(budget: Budget) -> tuple[float | None, float | None, float | None]:
    return budget.calls, budget.tokens, budget.money


_MINUTE = 60.0
_ROUNDING = 1e-9


@documented
@told
@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What an account allows in a minute; ``None`` sets no bound."""

    requests_per_minute: Annotated[
        float | None, Option("Calls a minute that the account allows.", panel="For experts: the run")
    ] = None
    tokens_per_minute: Annotated[
        float | None, Option("Tokens a minute that the account allows.", panel="For experts: the run")
    ] = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"Rates({name}={value!r}): give a number above 0, or None for no bound.")


class Bucket:
    """Fills evenly with ``per_minute``, and holds a second's worth, but at least ``least``.

    What is larger than the bucket may be taken from a full one, which then owes. A clock that jumps ahead fills it
    once, and one that runs backwards fills nothing.
    """

    def __init__(self, per_minute: float, *, least: float = 1.0) -> None:
        self._a_second = per_minute / _MINUTE
        self._room = max(least, self._a_second)
        self._level = self._room
        self._seen = -math.inf

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much may be taken."""
        if now > self._seen:
            self._level = min(self._room, self._level + self._a_second * (now - self._seen))
            self._seen = now
        short = min(amount, self._room) - self._level
        return short / self._a_second if short > _ROUNDING * self._room else 0.0

    def take(self, amount: float) -> None:
        """Take it out; a negative amount gives back."""
        self._level = min(self._room, self._level - amount)


class RateGate:
    """Holds a run to its rates; a `whygen.calls.agenda.Gate`."""

    def __init__(self, model: Model, rates: Rates) -> None:
        self._model = model
        self._requests = None if rates.requests_per_minute is None else Bucket(rates.requests_per_minute)
        self._tokens = None if rates.tokens_per_minute is None else Bucket(rates.tokens_per_minute)

    @property
    def spent(self) -> str:
        """Never said: waiting always helps."""
        return ""

    def wait(self, request: Request, now: float) -> float:
        """Seconds until the request may go."""
        requests = 0.0 if self._requests is None else self._requests.wait(1.0, now)
        tokens = 0.0 if self._tokens is None else self._tokens.wait(self._most(request), now)
        return max(requests, tokens)

    def reserve(self, request: Request) -> None:
        """Take its call, and the most tokens that it can have."""
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(self._most(request))

    def settle(self, request: Request, answer: Answer) -> None:
        """Give back the tokens that it did not have."""
        if self._tokens is None or not isinstance(answer, Output):
            return
        if answer.tokens_in is not None and answer.tokens_out is not None:
            self._tokens.take(min(0.0, answer.tokens_in + answer.tokens_out - self._most(request)))

    def _most(self, request: Request) -> float:
        return float(sum(worst_case(self._model, request)))
