"""What a click costs, said before it: calls, tokens and money at most."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from whygen.models import Model
from whygen.prompt.forecast import count, forecast
from whygen.prompt.units import Sent
from whygen.records import Call
from whygen.report.texts import counted
from whygen.types import Chat, Settings, Source
from whygen.web.bench_forms import Form


@dataclass(frozen=True, slots=True)
class Quote:
    """What a click costs at most.

    Attributes:
        calls: if answers to equal questions agree.
        most: calls in any case; some may be recorded already, and cost nothing.
        money: dollars at most; None where nobody knows, 0 for a model on this computer.
        text: all of it in a sentence.
        units: what the prompt is cut into, how many.
    """

    calls: int
    most: int
    money: float | None
    text: str
    units: int = 0

    def to_json(self) -> dict[str, Any]:
        """As a page knows it."""
        return asdict(self)


def quote(form: Form, model: Model, asked: Source | Call) -> Quote:
    """What "Why?" costs. Nothing is sent.

    Args:
        form: the question.
        asked: what it is about.
        model: the one that it names, opened as far as counting needs.

    Raises:
        UsageError: if the question cannot work; `BudgetError` names the smallest budget that does.
    """
    seen = forecast(model, asked, **form.choices(asked))
    most = max(seen.calls, form.budget)
    # Where the model differs, the rest of the budget is asked as well; no prompt is longer than the whole one.
    if isinstance(asked, str | Chat):
        money = count(model, 0, [asked] * most, form.settings).cost_at_most
    else:
        money = None if seen.cost_at_most is None or not seen.calls else seen.cost_at_most * most / seen.calls
    return _quote(model, seen.calls, most, money, units=seen.units)


def quote_one(prompt: Sent, model: Model, settings: Settings) -> Quote:
    """What a single call with this prompt costs."""
    return _quote(model, 1, 1, count(model, 0, [prompt], settings).cost_at_most)


def _quote(model: Model, calls: int, most: int, money: float | None, *, units: int = 0) -> Quote:
    here = model.limits.max_in_flight <= 1
    cost = 0.0 if here and money is None else money
    many = counted(calls, "call") + (f", {most:,} if its answers differ" if most > calls else "")
    if cost is None:
        paid = "the price of this model is not known"
    elif cost == 0.0:
        paid = "no money: the model is on this computer"
    else:
        paid = f"at most ${cost:,.4f}"
    return Quote(calls, most, cost, f"{many}; {paid}.", units)
