"""How a run is made: what it may spend, how fast, and how long. One object for every call that asks a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from whygen.errors import UnknownNameError, UsageError
from whygen.models.prices import batch_price_of, price_of
from whygen.models.protocols import Model
from whygen.runs.batches import BatchDispatcher
from whygen.runs.progress import Progress
from whygen.runs.rates import Rates
from whygen.runs.runner import Runner
from whygen.runs.spending import Budget
from whygen.runs.store import Store
from whygen.typed import check_fields, told


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is made. What ends it early leaves a partial explanation, and everything recorded.

    Attributes:
        spending: the most it may spend in calls, tokens or money; never exceeded, not by what is under way either.
        rates: calls and tokens a minute.
        deadline: seconds, after which nothing more is sent.
        batch: ``provider`` hands the requests to the provider's batch endpoint: answers within a day, at about half the
            price. A run that ends meanwhile is gone on with by the same call again, and asks for nothing twice.
    """

    spending: Budget = field(default_factory=Budget)
    rates: Rates = field(default_factory=Rates)
    deadline: float | None = None
    batch: Literal["provider"] | None = None

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
        dispatcher=later,
        prices=price_of if later is None else batch_price_of,
    )
