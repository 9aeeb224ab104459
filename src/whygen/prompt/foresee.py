"""What an explanation would ask for: calls and tokens, before anything is sent (``--dry-run``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from whygen.encoders import TextEncoder
from whygen.models import HasContext, Model, ModelOptions, load_model
from whygen.prompt.options import PromptChoices, PromptOptions, choose
from whygen.prompt.prepare import prepare
from whygen.prompt.units import Sent
from whygen.types import Request, Settings, Source


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
    prompt: Source,
    *,
    preset: str | PromptOptions | None = None,
    encoder: str | TextEncoder = "auto",
    settings: Settings | None = None,
    seed: int = 0,
    options: ModelOptions | None = None,
    **choices: Unpack[PromptChoices],
) -> Forecast:
    """Count the calls and tokens that `explain_prompt` would use with these arguments; nothing is sent.

    Raises:
        UsageError: for an argument that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if the model or an extra is missing.
    """
    question = prepare(prompt, choose(preset, choices), encoder=encoder, seed=seed)
    design = question.design(differs=False)
    rendered = design.prompts or [question.operator.render(question.units, mask) for mask in design.masks]
    paid = dict.fromkeys(text for text, mask in zip(rendered, design.masks, strict=True) if not mask.all())
    prompts = [question.units.prompt] * question.plan.overhead + list(paid) * question.plan.options.draws
    sent = settings or Settings(seed=seed)
    return Forecast(
        units=len(question.units),
        calls=len(prompts),
        tokens_in=count_tokens(load_model(model, options), prompts, sent),
        tokens_out_at_most=len(prompts) * sent.max_tokens,
    )


def count_tokens(model: Model, prompts: Sequence[Sent], settings: Settings) -> int | None:
    """Tokens of all prompts; None when the model cannot count them."""
    if not isinstance(model, HasContext):
        return None
    return sum(model.count_tokens(Request(prompt=prompt, settings=settings)) for prompt in prompts)
