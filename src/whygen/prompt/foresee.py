"""What an explanation would ask for: calls and tokens, before anything is sent (``--dry-run``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whygen.models import HasContext, Model, ModelOptions, load_model
from whygen.prompt.operators import load_operator
from whygen.prompt.plan import Plan, check_choices, check_prompt, design_for
from whygen.prompt.surrogates import load_surrogate
from whygen.prompt.units import split
from whygen.stats.seeds import generator
from whygen.types import Request, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would be asked for.

    Attributes:
        units: how many units would be attributed.
        calls: model calls if repeats agree; a model that differs is asked up to the whole budget.
        tokens_in: tokens of all prompts; None when the model cannot count them.
        tokens_out_at_most: calls times the length limit of an answer.
    """

    units: int
    calls: int
    tokens_in: int | None
    tokens_out_at_most: int


def foresee_prompt(
    model: object,
    prompt: str,
    *,
    budget: int = 64,
    units: str = "word",
    pin: Sequence[str] = (),
    operator: str = "delete",
    placeholder: str = "...",
    estimand: str = "banzhaf",
    keep: float = 0.5,
    surrogate: str = "ridge",
    draws: int = 1,
    references: int = 1,
    empty: str = "include",
    settings: Settings | None = None,
    seed: int = 0,
    options: ModelOptions | None = None,
) -> Forecast:
    """Count the calls and tokens that `explain_prompt` would use with these arguments; nothing is sent.

    Raises:
        UsageError: for an argument that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if the model or an extra is missing.
    """
    check_prompt(prompt)
    check_choices(estimand, keep=keep, empty=empty, draws=draws, references=references, tolerance=None)
    parts = split(prompt, units, pin=pin)
    how = load_operator(operator, placeholder=placeholder)
    plan = Plan(
        estimand=estimand, keep=keep, surrogate=load_surrogate(surrogate), budget=budget, draws=draws,
        references=references, empty=empty == "include", tolerance=None,
    )  # fmt: skip
    design = design_for(len(parts), plan, generator(seed, "masks"), differs=False)
    paid = np.unique(design.masks[~design.masks.all(axis=1)], axis=0)
    prompts = [prompt] * plan.overhead + [how.render(parts, mask) for mask in paid] * draws
    sent = settings or Settings(seed=seed)
    return Forecast(
        units=len(parts),
        calls=len(prompts),
        tokens_in=_tokens(load_model(model, options), prompts, sent),
        tokens_out_at_most=len(prompts) * sent.max_tokens,
    )


def _tokens(model: Model, prompts: Sequence[str], settings: Settings) -> int | None:
    if not isinstance(model, HasContext):
        return None
    return sum(model.count_tokens(Request(prompt=prompt, settings=settings)) for prompt in prompts)
