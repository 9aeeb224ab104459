"""What an explanation would ask for: calls and tokens, before anything is sent (``--dry-run``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from whygen.calls import RunOptions
from whygen.calls.spending import SharedBudget, promised, worst_case
from whygen.encoders import AnyEncoder, has_text_encoder
from whygen.encoders.registry import Unopened
from whygen.errors import DataError, UsageError
from whygen.models import ChecksRequests, HasContext, Model, ModelOptions, output_kind
from whygen.models.prices import Price, batch_price_of, price_of
from whygen.prompt.arguments import ForecastArguments, takes
from whygen.prompt.ask import paid
from whygen.prompt.asker import steadiness
from whygen.prompt.designs import Design
from whygen.prompt.edits import no_levels
from whygen.prompt.inputs import cut_over, question_over
from whygen.prompt.long.parts import parse_levels, split_finest
from whygen.prompt.noise import Steadiness
from whygen.prompt.operators.base import Unprepared
from whygen.prompt.options import Over, PromptOptions, check_hierarchy, check_rounds, choose
from whygen.prompt.question import Question, check, check_cut, prepare
from whygen.prompt.session import Session, SessionOptions, foresight
from whygen.prompt.units import Input, Sent, UnitsOver
from whygen.prompt.why.door import call_question, no_inputs, said_of
from whygen.records import Call
from whygen.texts import counted
from whygen.types import Chat, Edit, Request, Settings, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would be asked for.

    Attributes:
        units: how many units would be attributed.
        calls: model calls if repeats of the whole prompt agree at temperature 0; above it, if they differ. A model that
            differs at temperature 0 is asked up to the whole budget.
        tokens_in: tokens of all prompts; None when the model cannot count them.
        tokens_out_at_most: calls times the length limit of an answer.
        cost_if_kept: dollars, likewise, if the provider keeps what all prompts begin with and bills it as read before;
            None where that price is unknown, or the beginning is shorter than providers keep.
        helping_calls: calls of the model that an operator asks for replacements, besides.
        cost_at_most: dollars, if every answer is as long as it may be; a model that does not count its tokens is taken
            at one a byte. None when the price is unknown, or nobody can say what a prompt takes.
        proxy_calls: calls of the proxy at most, besides; it has a price of its own.
        promise: what the run's bound on tokens or money can and cannot promise; empty where there is none, or it holds
            in any case.
        about: of a recorded call, what would be explained, of which parts, and what of the record is not sent.
        doubt: why so many calls would tell little of so many units; empty where nothing speaks for that.
    """

    units: int
    calls: int
    tokens_in: int | None
    tokens_out_at_most: int
    cost_at_most: float | None = None
    helping_calls: int = 0
    proxy_calls: int = 0
    promise: str = ""
    cost_if_kept: float | None = None
    about: tuple[str, ...] = ()
    doubt: str = ""


@takes(ForecastArguments, "prompt")
def forecast(
    model: object,
    prompt: Source | Call,
    *,
    inputs: Sequence[Input] | None = None,
    over: Over = "like-these",
    preset: str | PromptOptions | None = None,
    encoder: AnyEncoder = "auto",
    settings: Settings | None = None,
    seed: int = 0,
    options: ModelOptions | None = None,
    run: RunOptions | None = None,
    **choices: Any,
) -> Forecast:
    """Count the calls and tokens that `explain_prompt` would use with these arguments; nothing is sent.

    Raises:
        UsageError: for an argument that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if the model or an extra is missing.
    """
    if isinstance(prompt, Call):
        if inputs is not None:
            raise no_inputs(prompt)
        call = call_question(
            model,
            prompt,
            preset=preset,
            choices=choices,
            how=SessionOptions(
                encoder=encoder, settings=settings, seed=seed, cache=None, options=options, progress=None, run=run
            ),
        )
        found = forecast(
            call.model, prompt.chat, preset=call.chosen, encoder=encoder, settings=call.how["settings"], seed=seed,
            options=call.how["options"], run=run,
        )  # fmt: skip
        return replace(found, about=said_of(call))
    if inputs is not None:
        chosen, cut = cut_over(prompt, inputs, over, preset, choices, run=run)
        session = foresight(model, encoder=encoder, settings=settings, seed=seed, options=options, run=run)
        question = question_over(cut, chosen, session)
        return count(session.model, len(cut.shown), _over(cut, question, session), session.settings, run=run)
    chosen = choose(preset, choices, prompt=prompt)
    check_rounds(chosen, run)
    prices = price_of if run is None or run.batch is None else batch_price_of
    if chosen.hierarchy is None:
        check(prompt, chosen)
        check_cut(prompt, chosen)
    session = foresight(model, encoder=encoder, settings=settings, seed=seed, options=options, run=run)
    box, sent = session.model, session.settings
    if chosen.hierarchy is not None:
        if isinstance(prompt, Edit):
            raise no_levels(chosen.hierarchy)
        check_hierarchy(chosen)
        parts = split_finest(prompt, parse_levels(chosen.hierarchy, prompt), pin=chosen.pin)
        return count(box, len(parts), [parts.prompt] * chosen.budget, sent, prices=prices, run=run)
    # These targets open their encoder, which takes most of the time, and counting uses none of its vectors.
    takes = chosen.target in ("auto", "optimal-transport", "cosine") and chosen.kernel != "word-mover"
    texts = output_kind(box) == "text" and not isinstance(prompt, Edit)
    if takes and texts and encoder == "auto" and has_text_encoder():
        encoder = Unopened()
    question = prepare(prompt, chosen, model=box, encoder=encoder, seed=seed)
    alike = steadiness(box, sent, question.target, stated=chosen.model_noise == "none", differs=False)
    whole, plan = question.units.prompt, question.plan
    design = question.design(alike)
    masked = _masked(question, design, alike)
    again = plan.redraws(design, alike)
    prompts = [whole] * (plan.overhead + plan.beside + (again - plan.unasked(design)) * plan.texts) + masked * plan.each
    helping = question.operator.calls(question.units)
    found = count(box, len(question.units), prompts, sent, helping=helping, prices=prices, run=run)
    asks = chosen.proxy is not None and not design.enumerated
    beside = chosen.proxy_budget + len(design.masks) if asks else 0
    return replace(found, proxy_calls=beside, doubt="" if asks else _doubt(design, prompt))


def _doubt(design: Design, prompt: Source) -> str:
    """That there are fewer pairs of masks than units, said before anything is paid."""
    pairs, n = len(np.unique(design.groups)), design.masks.shape[1]
    if design.asks_all or pairs >= n:
        return ""
    coarser = "coarser units" if isinstance(prompt, Edit | Chat) else "coarser units (sentences) or a hierarchy"
    return (
        f"{counted(pairs, 'pair')} of masks for {n:,} units: attributions will be shrunk towards zero, and intervals "
        f"wide. {coarser[0].upper()}{coarser[1:]} need fewer calls; a larger budget tells more."
    )


def summed(each: Sequence[Forecast]) -> Forecast:
    """What several explanations would ask for together; ``units`` are those of all of them."""
    tokens = [one.tokens_in for one in each]
    costs = [one.cost_at_most for one in each]
    kept = [one.cost_if_kept for one in each]
    return Forecast(
        units=sum(one.units for one in each),
        calls=sum(one.calls for one in each),
        tokens_in=None if None in tokens else sum(one.tokens_in or 0 for one in each),
        tokens_out_at_most=sum(one.tokens_out_at_most for one in each),
        cost_at_most=None if None in costs else sum(one.cost_at_most or 0.0 for one in each),
        cost_if_kept=None if None in kept else sum(one.cost_if_kept or 0.0 for one in each),
        helping_calls=sum(one.helping_calls for one in each),
        proxy_calls=sum(one.proxy_calls for one in each),
        promise=each[0].promise if each else "",
    )


def _over(cut: UnitsOver, question: Question, session: Session) -> list[Sent]:
    """The prompts that are sent for all inputs."""
    plan, stated = question.plan, question.plan.options.model_noise == "none"
    alike = steadiness(session.model, session.settings, question.target, stated=stated, differs=False)
    design = question.design(alike)
    masks = paid(design, fresh=alike != "known" or plan.options.draws > 1)
    again = plan.redraws(design, alike)
    return [
        prompt
        for units in cut.each
        for prompt in [units.prompt] * (plan.overhead + again)
        + [question.operator.render(units, mask) for mask in masks] * plan.each
    ]


def _masked(question: Question, design: Design, alike: Steadiness) -> list[Sent]:
    """The prompts of the masks that are paid for; the whole prompt stands for those not known beforehand."""
    operator, units = question.operator, question.units
    fresh = alike != "known" or question.plan.options.draws > 1
    if design.prompts is not None:
        texts = [units.sent(text) for text in design.prompts if text != units.text]
        return texts if fresh else list(dict.fromkeys(texts))
    masks = paid(design, fresh=fresh)
    if operator.by_settings or isinstance(operator, Unprepared):
        return [units.prompt] * len(masks)
    prompts = [operator.render(units, mask) for mask in masks]
    return prompts if fresh else list(dict.fromkeys(prompts))


def count(
    model: Model,
    units: int,
    prompts: Sequence[Sent],
    settings: Settings,
    *,
    helping: int = 0,
    prices: Callable[[Model], Price | None] = price_of,
    run: RunOptions | None = None,
) -> Forecast:
    """Calls, tokens and, where the price is known, cost of these prompts.

    Raises:
        UsageError: if the model says that it will not take them.
    """
    if isinstance(model, ChecksRequests) and prompts:
        model.check(Request(prompt=prompts[0], settings=settings))
    tokens_in, tokens_out = count_tokens(model, prompts, settings), len(prompts) * settings.max_tokens
    price = prices(model)
    cost = None if price is None else _cost(model, prompts, settings, price, tokens_in)
    return Forecast(
        units=units,
        calls=len(prompts),
        tokens_in=tokens_in,
        tokens_out_at_most=tokens_out,
        helping_calls=helping,
        promise="" if run is None or isinstance(run.spending, SharedBudget) else promised(model, run.spending),
        cost_at_most=cost,
        cost_if_kept=None if price is None or cost is None else _cost_if_kept(prompts, price, cost),
    )


_KEPT: Final = 4096
"""Characters of a beginning that providers keep at least: about 1,024 tokens."""


def _cost_if_kept(prompts: Sequence[Sent], price: Price, cost: float) -> float | None:
    """The cost less what is saved on the beginning of all prompts, read anew once; four characters count as a token."""
    texts = ["".join(each.texts) if isinstance(each, Chat) else each for each in prompts if not isinstance(each, Edit)]
    shared = _alike(min(texts), max(texts)) if len(texts) == len(prompts) > 1 else 0
    if price.cached is None or shared < _KEPT:
        return None
    return cost - (price.input - price.cached) * (len(texts) - 1) * (shared // 4) / 1e6


def _cost(
    model: Model, prompts: Sequence[Sent], settings: Settings, price: Price, tokens_in: int | None
) -> float | None:
    """The most that these prompts can cost, by the bound that holds a run to its budget; None if nobody can say."""
    try:
        most = [worst_case(model, Request(prompt=prompt, settings=settings)) for prompt in prompts]
    except (DataError, UsageError):
        return None
    read = sum(tokens.read for tokens in most) if tokens_in is None else tokens_in
    return price.cost(read, sum(tokens.written for tokens in most))


def _alike(low: str, high: str) -> int:
    """Characters that the first and the last text in order, and so all between them, begin with."""
    return next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))


def count_tokens(model: Model, prompts: Sequence[Sent], settings: Settings) -> int | None:
    """Tokens of all prompts; None when the model cannot count them, or would not take one of them."""
    if not isinstance(model, HasContext):
        return None
    try:
        return sum(model.count_tokens(Request(prompt=prompt, settings=settings)) for prompt in prompts)
    except DataError:  # such as a chat template that wants the roles to alternate; asked, it is a failed call
        return None
