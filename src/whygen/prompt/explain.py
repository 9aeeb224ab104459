"""`explain_prompt`: units -> designs -> operators -> targets -> surrogates -> intervals -> an explanation.

One prompt can be followed through this folder: `units` cuts it, `plan` and `designs` choose masks, `operators` renders
them, `asking` sends them, `targets` measures the answers, `surrogates` and `intervals` estimate, `assemble` reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from whygen.encoders import TextEncoder
from whygen.models import ModelOptions, load_model
from whygen.prompt.asking import Asker
from whygen.prompt.assemble import Findings, assemble
from whygen.prompt.estimating import estimate_from
from whygen.prompt.observing import observe
from whygen.prompt.operators import load_operator
from whygen.prompt.plan import Plan, check_choices, check_prompt, design_for
from whygen.prompt.surrogates import load_surrogate
from whygen.prompt.targets import load_target
from whygen.prompt.units import split
from whygen.results.prompt import PromptExplanation
from whygen.runs import DEFAULT_STORE, Progress, Runner, open_store
from whygen.stats.seeds import generator
from whygen.types import Settings


def explain_prompt(
    model: object,
    prompt: str,
    *,
    budget: int = 64,
    units: str = "word",
    pin: Sequence[str] = (),
    operator: str = "delete",
    placeholder: str = "...",
    target: str = "auto",
    encoder: str | TextEncoder = "auto",
    estimand: str = "banzhaf",
    keep: float = 0.5,
    surrogate: str = "ridge",
    draws: int = 1,
    references: int = 1,
    empty: str = "include",
    tolerance: float | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
) -> PromptExplanation:
    """Which units of a prompt drove what the model answered, with an interval for each.

    Args:
        model: a URI (``hf/ORG/NAME``, ``py/module:callable`` ...), a callable ``str -> str``, or a model object.
        prompt: the text to explain.
        budget: model calls in all: reference, repeats, masks and redraws.
        units: ``word``, ``sentence``, ``line`` or ``paragraph``.
        pin: texts of the prompt that are always sent and never attributed.
        operator: ``delete`` or ``placeholder``, what happens to a unit that is not kept.
        placeholder: the text that stands for it, with ``operator="placeholder"``.
        target: ``auto``, ``optimal-transport``, ``cosine``, ``tfidf``, ``token-set``, ``edit``, ``exact`` or
            ``logprob``. A positive attribution means: keeping the unit pulls the output towards what the model said.
        encoder: ``auto``, the name or folder of a sentence encoder, or an open one (many prompts, one loading).
        estimand: ``banzhaf``, ``shapley``, ``local`` or ``loo``; what an attribution means (METHODS A1).
        keep: probability with which each other unit is kept.
        surrogate: ``ridge`` or ``ols``.
        draws: answers drawn for each mask.
        references: reference answers; effects are averaged over them.
        empty: ``include`` or ``exclude`` the prompt without any unit.
        tolerance: stop as soon as the widest interval is under this, in the target's unit.
        settings: how to generate; greedy, 256 tokens by default.
        seed: of the masks, the folds and the sign flips, and of sampling.
        cache: file of recorded answers; None keeps them in memory.
        options: device, precision and batch size of local models.
        progress: where to report progress.

    Returns:
        A frozen explanation, with its evidence.

    Raises:
        UsageError: for an argument that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if the model, an encoder or an extra is missing.
        ModelError: if the model does not answer the prompt.
    """
    check_prompt(prompt)
    check_choices(estimand, keep=keep, empty=empty, draws=draws, references=references, tolerance=tolerance)
    parts = split(prompt, units, pin=pin)
    goal = load_target(target, encoder=encoder)
    plan = Plan(
        estimand=estimand, keep=keep, surrogate=load_surrogate(surrogate), budget=budget, draws=draws,
        references=references, empty=empty == "include", tolerance=tolerance, verb=goal.verb,
    )  # fmt: skip
    box = load_model(model, options or ModelOptions())
    how = load_operator(operator, placeholder=placeholder)
    design_for(len(parts), plan, generator(seed, "masks"), differs=False)  # refuse a budget before anything is paid
    with open_store(cache) as store:
        runner = Runner(box, store=store, budget=budget, progress=progress)
        asker = Asker(runner, box, parts, how, goal, settings or Settings(seed=seed))
        asker.check_target()
        asker.check_context()
        whole = asker.whole(references)
        design = design_for(len(parts), plan, generator(seed, "masks"), differs=whole.differs)
        seen = observe(asker, design, whole, plan, seed)
        estimate = estimate_from(seen, whole, plan, seed)
    findings = Findings(seen.observed, design, whole, estimate, seen.noise, seen.rows)
    return assemble(asker, findings, plan.surrogate, estimand=estimand, seed=seed)
