"""`explain_prompt`: units -> designs -> operators -> targets -> surrogates -> intervals -> an explanation.

Read it from the top: each function below is one step of the flow, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whygen.errors import BudgetError, DataError, UnknownNameError, UsageError
from whygen.models import ModelOptions, load_model
from whygen.prompt import designs, intervals
from whygen.prompt.asking import REDRAWS, REPEATS, Asker, Whole
from whygen.prompt.assemble import Findings, assemble
from whygen.prompt.designs import Design
from whygen.prompt.observed import Observed
from whygen.prompt.operators import load_operator
from whygen.prompt.surrogates import Surrogate, load_surrogate
from whygen.prompt.targets import Verb, load_target
from whygen.prompt.units import split
from whygen.results.prompt import PromptExplanation
from whygen.runs import DEFAULT_STORE, Progress, Runner, open_store
from whygen.stats.seeds import generator
from whygen.types import Settings

ESTIMANDS = ("banzhaf", "shapley", "local", "loo")
EMPTY = ("include", "exclude")
KERNEL_WIDTH = 0.5
"""Width of the `local` kernel, in shares of units dropped."""

FIRST_LOOK = 16
"""Pairs before the stop rule looks for the first time; later looks come at one and a half times as many each."""

LOOK_GROWTH = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices that decide which masks are asked for and how they are read."""

    estimand: str
    keep: float
    surrogate: Surrogate
    budget: int
    draws: int
    references: int
    empty: bool
    tolerance: float | None
    verb: Verb = "answer"

    @property
    def overhead(self) -> int:
        """Calls that go to the reference, its repeats and, for Shapley values, the empty prompt."""
        return REPEATS + (1 if self.verb == "score" else self.references) + (self.estimand == "shapley")


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
    encoder: str = "auto",
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
        encoder: ``auto``, or the name or folder of a sentence encoder.
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
    _check_prompt(prompt)
    _check_choices(estimand, keep=keep, empty=empty, draws=draws, references=references, tolerance=tolerance)
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
    findings = Findings(seen.observed, design, whole, estimate, seen.noise, seen.degrees, seen.asked_masks)
    return assemble(asker, findings, plan.surrogate, estimand=estimand, seed=seed)


def _check_prompt(prompt: object) -> None:
    if not isinstance(prompt, str):
        raise UsageError(f"prompt is a {type(prompt).__name__}: give the text as a str.")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"The prompt is not valid Unicode: character {error.start} is half of a surrogate pair. "
            "Read the text as UTF-8."
        ) from None


def _check_choices(
    estimand: str, *, keep: float, empty: str, draws: int, references: int, tolerance: float | None
) -> None:
    if estimand not in ESTIMANDS:
        raise UnknownNameError("estimand", estimand, ESTIMANDS)
    if not 0.0 < keep < 1.0:
        raise UsageError(f"keep={keep}: give a probability between 0 and 1, such as 0.5 or 0.8.")
    if empty not in EMPTY:
        raise UnknownNameError("value of empty", empty, EMPTY)
    if estimand == "shapley" and (keep != 0.5 or empty == "exclude"):
        raise UsageError(
            f"estimand='shapley' averages over all sizes of masks, the empty one included: keep={keep} and "
            f"empty={empty!r} do not go with it. Leave them out, or use estimand='banzhaf'."
        )
    if tolerance is not None and tolerance <= 0:
        raise UsageError(f"tolerance={tolerance}: give a positive width in the target's unit, or leave it out.")
    for name, value in (("draws", draws), ("references", references)):
        if value < 1:
            raise UsageError(f"{name}={value}: give a whole number of at least 1.")


def design_for(n: int, plan: Plan, rng: np.random.Generator, *, differs: bool) -> Design:
    """The masks that the budget pays for.

    Args:
        n: number of units.
        plan: the choices.
        rng: draws the masks.
        differs: whether repeats of the whole prompt differed; then some calls are kept for redraws.

    Raises:
        BudgetError: if the budget is under what the estimand needs.
    """
    calls = (plan.budget - plan.overhead - (REDRAWS if differs and plan.draws == 1 else 0)) // plan.draws
    if plan.estimand == "loo":
        designs.require(calls, needed=n, overhead=plan.overhead, what="leave-one-out")
        return designs.leave_one_out(n)
    if plan.keep == 0.5 and designs.fits_enumeration(n, calls, empty=plan.empty) and (n > 1 or plan.empty):
        return designs.enumerated(n, empty=plan.empty)
    if n == 1:
        raise BudgetError(
            "A prompt of one unit has no mask left without the empty prompt. Use empty='include', or finer units.",
            smallest=plan.overhead + 1,
        )
    pairs = max(intervals.FEWEST_GROUPS, plan.surrogate.smallest_pairs(n))
    designs.require(calls, needed=2 * pairs, overhead=plan.overhead, what=f"surrogate={plan.surrogate.name!r}")
    if plan.estimand == "shapley":
        return designs.paired_by_size(n, calls, rng)
    if plan.estimand == "local" or plan.keep != 0.5:
        return designs.bernoulli(n, calls, rng, keep=plan.keep, empty=plan.empty)
    return designs.complement_pairs(n, calls // 2, rng, empty=plan.empty)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the masks showed: effects averaged over draws, and the model's noise in one of them."""

    observed: Observed
    noise: float
    degrees: int
    asked_masks: int


def observe(asker: Asker, design: Design, whole: Whole, plan: Plan, seed: int) -> Seen:
    """Ask for the masks, at the looks of the stop rule or all at once; groups with a failed call are left out."""
    total = _total(asker, design, whole, plan)
    effects = np.full((len(design.masks), plan.draws), np.nan)
    asked = 0
    for rows in _looks(design, plan):
        effects[asked:rows] = asker.masks(design.masks[asked:rows], whole, draws=plan.draws, first_row=asked)
        asked = rows
        if asked < len(design.masks) and _is_sharp(effects[:asked], design, whole, plan, total=total, seed=seed):
            break
    alive = _alive(effects, design.groups)
    noise, degrees = _noise(asker, design, effects, alive, whole, plan)
    means = effects[alive].mean(axis=1)
    observed = Observed(design.masks[alive], means, design.groups[alive], design.keep, design.sizes, total)
    return Seen(observed, noise, degrees, asked)


def _total(asker: Asker, design: Design, whole: Whole, plan: Plan) -> float | None:
    """f(1) - f(0), which sampled Shapley values share out; None where it is not needed."""
    if plan.estimand != "shapley" or design.enumerated:
        return None
    empty = asker.masks(np.zeros((1, design.masks.shape[1]), dtype=bool), whole, draws=1, first_row=-1)
    return whole.effect - float(empty[0, 0])


def _looks(design: Design, plan: Plan) -> list[int]:
    """Row counts at which the stop rule looks; the last is the whole design."""
    rows = len(design.masks)
    if plan.tolerance is None or design.enumerated or plan.estimand == "loo":
        return [rows]
    looks: list[int] = []
    pairs = float(FIRST_LOOK)
    while 2 * int(pairs) < rows:
        looks.append(2 * int(pairs))
        pairs *= LOOK_GROWTH
    return [*looks, rows]


def _is_sharp(
    effects: NDArray[np.float64], design: Design, whole: Whole, plan: Plan, *, total: float | None, seed: int
) -> bool:
    """Whether the widest interval is already under the tolerance. Noise is in the spread of the scores already."""
    rows = len(effects)
    alive = _alive(effects, design.groups[:rows])
    means = effects[alive].mean(axis=1)
    everything = Observed(design.masks[:rows], np.zeros(rows), design.groups[:rows], design.keep, design.sizes, total)
    observed = everything.take(alive).with_effects(means)
    interval = estimate_from(Seen(observed, 0.0, 0, rows), whole, plan, seed).interval
    widest = np.inf if interval is None else float((interval.high - interval.low).max())
    return plan.tolerance is not None and widest <= plan.tolerance


def _alive(effects: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows of groups in which every call was answered, shape ``(m,)``."""
    failed = np.isnan(effects).any(axis=1)
    dead = set(groups[: len(effects)][failed].tolist())
    alive = np.zeros(len(groups), dtype=bool)
    alive[: len(effects)] = [group not in dead for group in groups[: len(effects)].tolist()]
    return alive


def _noise(
    asker: Asker,
    design: Design,
    effects: NDArray[np.float64],
    alive: NDArray[np.bool_],
    whole: Whole,
    plan: Plan,
) -> tuple[float, int]:
    """Variance of one (mean) effect under repetition, and its degrees of freedom. METHODS A3.

    From the draws of each mask when there are several, else from redrawn masked prompts; 0 when repeats agreed.
    """
    if plan.draws > 1:
        spread = effects[alive].var(axis=1, ddof=1)
        return float(spread.mean()) / plan.draws, len(spread) * (plan.draws - 1)
    if not whole.differs:
        return 0.0, 0
    rows = np.flatnonzero(alive & ~design.masks.all(axis=1))[:REDRAWS]
    again = asker.redraws(design.masks, rows.tolist(), whole)
    differences = (again - effects[rows, 0])[~np.isnan(again)]
    return float((differences**2).mean() / 2.0) if len(differences) else 0.0, len(differences)


def estimate_from(seen: Seen, whole: Whole, plan: Plan, seed: int) -> intervals.Estimate:
    """Attributions, intervals and p-values of the plan's estimand."""
    observed = seen.observed
    if plan.estimand == "loo":
        return intervals.leave_one_out_estimate(observed, whole.effect)
    if plan.estimand == "local":
        return intervals.local_estimate(observed, width=KERNEL_WIDTH)
    groups = len(np.unique(observed.groups))
    population = 2 ** (observed.n - 1) - (not plan.empty) if observed.n <= designs.MAX_ENUMERATED else None
    if plan.keep == 0.5 and observed.sizes is None and groups == population:
        return _enumerated(seen, plan)
    if groups < intervals.FEWEST_GROUPS:
        raise BudgetError(
            f"Only {groups} pairs of masks were answered: at least {intervals.FEWEST_GROUPS} are needed. The answers "
            "are recorded; run again to ask for the missing ones.",
            smallest=plan.budget,
        )
    rng = generator(seed, "folds")
    fit = intervals.cross_fit(observed, plan.surrogate, rng)
    if plan.estimand == "shapley":
        return intervals.shapley_estimate(fit, observed, rng, noise=seen.noise * (1.0 + 1.0 / len(whole.repeats)))
    sampled = groups / population if plan.keep == 0.5 and population is not None else 0.0
    return intervals.sampled_estimate(fit, rng, sampled=sampled, noise=seen.noise, keep=plan.keep)


def _enumerated(seen: Seen, plan: Plan) -> intervals.Estimate:
    if plan.estimand == "shapley":
        return intervals.enumerated_shapley(seen.observed, noise=seen.noise, degrees=seen.degrees)
    return intervals.enumerated_estimate(seen.observed, noise=seen.noise, degrees=seen.degrees)
