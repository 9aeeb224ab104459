"""`explain_hierarchy`: the way of a long prompt, from its levels to an explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from whygen.calls import DEFAULT_STORE, Progress, RunOptions, make_runner, open_store
from whygen.encoders import TextEncoder
from whygen.errors import BudgetError, ModelError, UnknownNameError, UsageError
from whygen.models import ModelOptions, load_model, timed_kind
from whygen.prompt.asker import Asker
from whygen.prompt.designs import MAX_ENUMERATED, fits_enumeration
from whygen.prompt.failing import cause
from whygen.prompt.hierarchy.laws import ESTIMANDS
from whygen.prompt.hierarchy.levels import cost_of_opening, pairs_for
from whygen.prompt.hierarchy.record import explanation_of
from whygen.prompt.hierarchy.root import cost_of_root, first_level
from whygen.prompt.hierarchy.search import Search
from whygen.prompt.hierarchy.skeleton import MOST_CHILDREN, Skeleton, lay_out, parse_levels
from whygen.prompt.hierarchy.together import FEWEST, MOST, pairs_of_leaves
from whygen.prompt.interactions import Interaction
from whygen.prompt.operators import OperatorLike, OperatorOptions, Tools, load_operator
from whygen.prompt.options import EstimandName, PromptOptions, SurrogateName
from whygen.prompt.plan import REDRAWS, Plan
from whygen.prompt.question import encoder_for, find_encoder
from whygen.prompt.surrogates import load_surrogate
from whygen.prompt.targets import Continues, TargetLike, load_target
from whygen.prompt.units import check_source, split
from whygen.results.prompt import PromptExplanation
from whygen.stats.seeds import generator
from whygen.types import Floats, Masks, Settings

WORTH = 1e-6
"""Without a tolerance, a part is not opened for less than this share of the largest effect: that is rounding."""

_ELSEWHERE = 10**9
"""Row number of masks that cut leaves: they are no evidence, since the leaves' masks cannot tell them."""


def explain_hierarchy(
    model: object,
    prompt: str,
    *,
    budget: int = 512,
    hierarchy: str = "auto",
    pin: Sequence[str] = (),
    operator: OperatorLike = "delete",
    operator_options: OperatorOptions | None = None,
    target: TargetLike = "auto",
    encoder: str | TextEncoder = "auto",
    estimand: EstimandName = "banzhaf",
    surrogate: SurrogateName = "ridge",
    references: int = 1,
    model_noise: Literal["measure", "none"] = "measure",
    tolerance: float | None = None,
    interactions: int = 5,
    settings: Settings | None = None,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
) -> PromptExplanation:
    """Which parts of a long prompt drove what the model answered: coarse parts first, then inside those that matter.

    Args:
        model: a URI, a callable ``str -> str``, or a model object.
        prompt: the text to explain.
        budget: model calls in all. They grow with the number of opened parts, not with the number of words.
        hierarchy: levels from coarse to fine, ``paragraph>sentence>word`` by default (``auto``); ``line`` may be one.
        pin: texts of the prompt that are always sent and never attributed.
        operator: as of `explain_prompt`; one that works on the settings (``noise``) is refused.
        operator_options: what it is told.
        target: as of `explain_prompt`.
        encoder: as of `explain_prompt`.
        estimand: ``banzhaf`` for the symmetric coalitional Banzhaf value (Alonso-Meijide and Fiestras-Janeiro 2002),
            ``shapley`` for the Owen value (Owen 1977), nested over the levels (Winter 1989). METHODS A4.
        surrogate: fitted at each level.
        references: reference answers; effects are averaged over them.
        model_noise: ``measure``, or ``none`` where you state that equal questions get equal answers.
        tolerance: a part is split only where its possible effect exceeds this, in the target's unit.
        interactions: at most so many pairs of leaves that act together are reported; they are looked for where the
            values leave something over and calls are left. 0 for none.
        settings: how to generate; greedy, 256 tokens by default.
        seed: of masks, folds and sign flips, and of sampling.
        cache: file of recorded answers; None keeps them in memory.
        options: device, precision and batch size of local models.
        progress: where to report progress.
        run: what the run may spend in calls, tokens or money, how fast, and how long.

    Returns:
        An explanation whose units are the finest parts that were opened to, with its ``tree``.

    Raises:
        UsageError: for an argument that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if the model, an encoder or an extra is missing.
        ModelError: if the model does not answer.
    """
    check_source(prompt)
    _check_choices(estimand, references=references, tolerance=tolerance)
    levels = parse_levels(hierarchy)
    parts = split(prompt, levels[-1], pin=pin)
    skeleton = lay_out(parts, levels)
    goal = load_target(target, encoder=encoder if isinstance(target, str) else "auto")
    if isinstance(goal, Continues):
        raise UsageError(
            f"target={goal.record.name!r} by log-probabilities scores two texts for each prompt, and is not explained "
            "level by level. Use load_target('contrastive', alternative=..., distance='tfidf')."
        )
    chosen = PromptOptions(
        budget=budget, units=levels[-1], pin=pin, operator=operator, target=target,
        estimand=estimand, surrogate=surrogate, references=references, model_noise=model_noise,
        tolerance=tolerance, interactions=interactions,
    )  # fmt: skip
    plan = Plan(options=chosen, surrogate=load_surrogate(surrogate), verb=goal.verb, encoder=encoder)
    _check_budget(skeleton, plan)
    box = load_model(model, options or ModelOptions())
    if (kind := timed_kind(box)) is not None:
        raise UsageError(
            f"{box.uri} answers with {kind}, and hierarchy={hierarchy!r} compares texts. Leave the hierarchy out, and "
            "use coarser units for a long prompt."
        )
    how = load_operator(operator, operator_options)
    if how.by_settings:
        raise UsageError(
            f"operator={how.name!r} changes no text, and a hierarchy sends texts. Use 'delete' or 'synonym'."
        )
    found = encoder_for(chosen, find_encoder(encoder, chosen, box) or encoder, box)
    if found != encoder and isinstance(target, str):
        goal = load_target(target, encoder=found)
    with open_store(cache) as store:
        runner = make_runner(box, store, budget=budget, progress=progress, options=run)
        tools = Tools(
            model=box, encoder=found, store=store, options=options, progress=progress, seed=seed, runner=runner
        )
        asker = Asker(
            runner, box, parts, how.prepare(parts, tools), goal, settings or Settings(seed=seed), model_noise == "none"
        )
        asker.check_target()
        asker.check_context()
        asker.whole(references)
        seen = _Run(asker, budget)
        search = seen.search(skeleton, plan, seed=seed)
        pairs = seen.pairs(search, plan, seed=seed)
        return explanation_of(asker, search, pairs, levels=levels, plan=plan, seed=seed)


@dataclass(slots=True)
class _Run:
    """The model as the search sees it; ``rows`` of masks were asked as evidence."""

    asker: Asker
    budget: int
    rows: int = 0

    def left(self) -> int:
        return self.budget - self.asker.runner.tally.asked

    def ask(self, masks: Masks) -> Floats:
        first_row, self.rows = self.rows, self.rows + len(masks)
        return self._effects(masks, first_row)

    def probe(self, masks: Masks) -> Floats:
        return self._effects(masks, _ELSEWHERE)

    def _effects(self, masks: Masks, first_row: int) -> Floats:
        return self.asker.effects(masks, first_row=first_row)[:, 0]

    def redrawn(self, masks: Masks, effects: Floats) -> Floats:
        """All draws ``(m, d)`` of masks, with those of some that are asked again, at random. METHODS A3.

        Where the model samples all are, if a quarter of what is left pays for it: of a first level whose masks were
        all asked, nothing else shows the noise.
        """
        drawn = effects[:, None]
        rows = np.flatnonzero(~np.isnan(effects) & ~masks.all(axis=1))
        if self.asker.steadiness == "known" or self.left() < REDRAWS or not len(rows):
            return drawn
        every = self.asker.steadiness == "differs" and 4 * len(rows) <= self.left()
        rows = generator(self.asker.settings.seed, "redraws").permutation(rows)[: None if every else REDRAWS]
        again = np.full((len(effects), 1), np.nan)
        chosen: list[int] = rows.tolist()
        prompts = [self.asker.operator.render(self.asker.units, mask) for mask in masks[rows]]
        again[rows] = self.asker.meter.table([(output,) for output in self.asker.redraws(prompts, chosen)])
        return np.hstack([drawn, again])

    def search(self, skeleton: Skeleton, plan: Plan, *, seed: int) -> Search:
        estimand, surrogate, tolerance = plan.options.estimand, plan.surrogate, plan.options.tolerance
        total = None
        if estimand == "shapley" and not _is_enumerated(len(skeleton.parts[0].children)):
            total = self.asker.effect - float(self.asker.meter(self.asker.empty()).mean())
        first = first_level(
            skeleton, self.ask, generator(seed, "hierarchy", 0), estimand=estimand, surrogate=surrogate,
            measure_noise=self.redrawn, total=total, known=self.asker.steadiness == "known",
        )  # fmt: skip
        if first is None and self.asker.ended is not None:
            raise self.asker.ended
        if first is None:
            raise ModelError(
                f"{self.asker.model.uri} answered too few of the perturbed prompts to say anything: pin what keeps the "
                f"prompt valid. {cause(self.asker.failures)}"
            )
        largest = max(float(np.abs(first.level.rows.effects).max()), abs(self.asker.effect), 1e-12)
        search = Search(
            skeleton, self.ask, self.probe, self.left, estimand=estimand, surrogate=surrogate, seed=seed,
            noise=first.noise, worth=WORTH * largest if tolerance is None else tolerance,
            reserve=(FEWEST, MOST) if plan.options.interactions else (0, 0), asked=self.rows,
        )  # fmt: skip
        search.run(first.level)
        return search

    def pairs(self, search: Search, plan: Plan, *, seed: int) -> tuple[Interaction, ...]:
        """Leaves that act together, where the values of the search leave something over."""
        if not search.left_over:
            return ()
        return pairs_of_leaves(
            search.leaves, search.skeleton.n, self.probe, generator(seed, "hierarchy", "interactions"),
            calls=self.left(), surrogate=plan.surrogate, most=plan.options.interactions,
        )  # fmt: skip


def _is_enumerated(n: int) -> bool:
    return n <= MAX_ENUMERATED and fits_enumeration(n, 2 * pairs_for(n))


def _check_choices(estimand: str, *, references: int, tolerance: float | None) -> None:
    if estimand not in ESTIMANDS:
        raise UnknownNameError("estimand of a hierarchy", estimand, ESTIMANDS)
    if references < 1:
        raise UsageError(f"references={references}: give a whole number of at least 1.")
    if tolerance is not None and tolerance <= 0:
        raise UsageError(f"tolerance={tolerance}: give a positive size in the target's unit, or leave it out.")


def _check_budget(skeleton: Skeleton, plan: Plan) -> None:
    """Refuse a budget that does not reach past the first level, before anything is paid."""
    n = len(skeleton.parts[0].children)
    if n == 0:
        raise UsageError("A prompt of one unit has no levels. Leave hierarchy out, or use finer levels.")
    widest = max(len(part.children) for part in skeleton.parts)
    if plan.surrogate.smallest_pairs(widest) > pairs_for(widest):
        raise UsageError(f"surrogate={plan.surrogate.name!r} needs more masks than a level has. Use surrogate='ridge'.")
    overhead = plan.overhead - (plan.options.estimand == "shapley" and _is_enumerated(n))
    smallest = overhead + cost_of_root(n)
    if plan.options.budget < smallest:
        raise BudgetError(
            f"budget={plan.options.budget} is too small: {overhead} calls go to the reference and its repeats, "
            f"and the first level of {n} parts takes {cost_of_root(n)}. The smallest budget that works is {smallest}; "
            f"each part that is opened takes {cost_of_opening(2)} to {cost_of_opening(MOST_CHILDREN)} more.",
            smallest=smallest,
        )
