"""What a click costs, said before it: calls, tokens and money at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from whygen.models import Model
from whygen.prompt.forecast import Forecast, count, forecast
from whygen.prompt.units import Sent
from whygen.records import Call
from whygen.report.texts import counted
from whygen.types import Chat, Settings, Source
from whygen.web.bench_asked import Subject
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


def quote(form: Form, model: Model, asked: Subject) -> Quote:
    """What "Why?" costs. Nothing is sent.

    Args:
        form: the question.
        asked: what it is about.
        model: the one that it names, opened as far as counting needs.

    Raises:
        UsageError: if the question cannot work; `BudgetError` names the smallest budget that does.
    """
    each = [_foreseen(form, model, source, asked.over) for source in asked.prompts or (asked.source,)]
    money = [one[2] for one in each]
    return _quote(
        model, sum(one[0].calls for one in each), sum(one[1] for one in each),
        None if None in money else sum(one or 0.0 for one in money), units=sum(one[0].units for one in each),
    )  # fmt: skip


def _foreseen(
    form: Form, model: Model, source: Source | Call, over: Mapping[str, Any]
) -> tuple[Forecast, int, float | None]:
    """What one explanation asks, its calls in any case, and the money of these."""
    seen = forecast(model, source, **over, **form.choices(source))
    most = max(seen.calls, form.budget)
    # Where the model differs, the rest of the budget is asked as well; no prompt is longer than the whole one.
    if isinstance(source, str | Chat) and not over:
        return seen, most, count(model, 0, [source] * most, form.settings).cost_at_most
    money = None if seen.cost_at_most is None or not seen.calls else seen.cost_at_most * most / seen.calls
    return seen, most, money


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
