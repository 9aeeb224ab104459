"""`explain_hierarchy`: a long prompt from its levels to an explanation, its leaves as units and its tree beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Unpack, cast

import numpy as np
from numpy.typing import NDArray

from whygen.encoders import TextEncoder
from whygen.errors import BudgetError, ModelError, UnknownNameError, UsageError
from whygen.models import timed_kind
from whygen.prompt.asker import Asker
from whygen.prompt.assemble import assemble, partial
from whygen.prompt.designs import LEVEL_BY_LEVEL, MAX_ENUMERATED, Design, fits_enumeration
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import ESTIMANDS
from whygen.prompt.failing import cause
from whygen.prompt.findings import Findings, Interaction
from whygen.prompt.intervals import Estimate
from whygen.prompt.long.cancel import FEWEST, MOST, pairs_of_leaves
from whygen.prompt.long.levels import Level, cost_of_opening, cost_of_root, first_level, pairs_for
from whygen.prompt.long.parts import MOST_CHILDREN, PromptPart, Skeleton, lay_out, parse_levels, split_finest
from whygen.prompt.long.search import Search
from whygen.prompt.operators import load_operator
from whygen.prompt.options import PromptOptions
from whygen.prompt.plan import REDRAWS, Plan
from whygen.prompt.question import Question, encoder_for, encoder_of_texts
from whygen.prompt.session import SessionOptions, open_session
from whygen.prompt.surrogates import load_surrogate
from whygen.prompt.targets import Continues, load_target
from whygen.prompt.units import ChatUnits, Piece, Units, check_source
from whygen.results.prompt import PromptExplanation, Warned
from whygen.results.records import InteractionRecord, Node, Tree
from whygen.stats.intervals import Interval
from whygen.stats.seeds import generator
from whygen.texts import counted
from whygen.types import Chat, Floats, Masks, Source

WORTH = 1e-6
"""Without a tolerance, a part is not opened for less than this share of the largest effect: that is rounding."""

METHOD = "Student t over cross-fitted pair scores, level by level"

_ELSEWHERE = 10**9
"""Row number of masks that cut leaves: they are no evidence, since the leaves' masks cannot tell them."""


def explain_hierarchy(
    model: object,
    prompt: Source,
    chosen: PromptOptions,
    **how: Unpack[SessionOptions],
) -> PromptExplanation:
    """Which parts of a long prompt drove what the model answered: coarse parts first, then inside those that matter.

    Estimands are ``banzhaf`` for the symmetric coalitional Banzhaf value (Alonso-Meijide and Fiestras-Janeiro 2002) and
    ``shapley`` for the Owen value (Owen 1977), nested over the levels (Winter 1989). METHODS A4.

    Args:
        model: what `load_model` takes.
        prompt: the text or the chat to explain.
        chosen: the options. Calls grow with the number of opened parts, not with the number of words.
        **how: what a session is opened with.

    Returns:
        An explanation whose units are the finest parts that were opened to, with its ``tree``.

    Raises:
        UsageError: for an argument that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if the model, an encoder or an extra is missing.
        ModelError: if the model does not answer.
    """
    check_source(prompt)
    if not isinstance(prompt, str | Chat):
        raise UsageError(f"hierarchy needs a plain text or a Chat, and the prompt is a {type(prompt).__name__}.")
    _check_choices(chosen.estimand, references=chosen.references, tolerance=chosen.tolerance)
    levels = parse_levels(chosen.hierarchy or "auto", prompt)
    parts = split_finest(prompt, levels, pin=chosen.pin)
    skeleton = lay_out(parts, levels)
    named, encoder, seed = isinstance(chosen.target, str), cast("str | TextEncoder", how["encoder"]), how["seed"]
    goal = load_target(chosen.target, encoder=encoder if named else "auto")
    if isinstance(goal, Continues):
        raise UsageError(
            f"target={goal.record.name!r} by log-probabilities scores two texts for each prompt, and is not explained "
            "level by level. Use load_target('contrastive', alternative=..., distance='tfidf')."
        )
    surrogate = "ridge" if chosen.surrogate == "auto" else chosen.surrogate
    chosen = replace(chosen, units=levels[-1], surrogate=surrogate)
    plan = Plan(options=chosen, surrogate=load_surrogate(surrogate), verb=goal.verb, encoder=encoder)
    _check_budget(skeleton, plan)
    with open_session(model, chosen, **how) as session:
        if (kind := timed_kind(session.model)) is not None:
            raise UsageError(
                f"{session.model.uri} answers with {kind}, and hierarchy={chosen.hierarchy!r} compares texts. Leave "
                "the hierarchy out, and use coarser units for a long prompt."
            )
        operator = load_operator(chosen.operator, chosen.operator_options)
        if operator.by_settings:
            raise UsageError(
                f"operator={operator.name!r} changes no text, and a hierarchy sends texts. Use 'delete' or 'synonym'."
            )
        found = encoder_for(chosen, encoder_of_texts(session.encoder, session.model), session.model)
        if found != encoder and named:
            goal = load_target(chosen.target, encoder=found)
        session.encoder = found
        asker = session.asker(Question(parts, operator, goal, plan, seed), session.runner(chosen.budget))
        asker.check_target()
        asker.check_context()
        asker.whole(chosen.references)
        levelled = _SearchedModel(asker, chosen.budget)
        search = levelled.search(skeleton, plan, seed=seed)
        pairs = levelled.pairs(search, plan, seed=seed)
        return explanation_of(asker, search, pairs, levels=levels, plan=plan, seed=seed)


def _check_choices(estimand: str, *, references: int, tolerance: float | None) -> None:
    nested = [each.name for each in ESTIMANDS.values() if each.nested]
    if estimand not in nested:
        raise UnknownNameError("estimand of a hierarchy", estimand, nested)
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
    # Where all masks of the first level are asked, the empty one is among them, and costs no call of its own.
    overhead = plan.overhead - (plan.estimand.shares_total and _is_enumerated(n))
    smallest = overhead + cost_of_root(n)
    if plan.options.budget < smallest:
        raise BudgetError(
            f"budget={plan.options.budget} is too small: {overhead} calls go to the reference and its repeats, "
            f"and the first level of {n} parts takes {cost_of_root(n)}. The smallest budget that works is {smallest}; "
            f"each part that is opened takes {cost_of_opening(2)} to {cost_of_opening(MOST_CHILDREN)} more.",
            smallest=smallest,
        )


def _is_enumerated(n: int) -> bool:
    return n <= MAX_ENUMERATED and fits_enumeration(n, 2 * pairs_for(n))


@dataclass(slots=True)
class _SearchedModel:
    """The model as the search sees it; ``rows`` of masks were asked as evidence."""

    asker: Asker
    budget: int
    rows: int = 0

    def left(self) -> int:
        return self.budget - self.asker.runner.tally.asked

    def ask(self, masks: Masks) -> Floats:
        first_row, self.rows = self.rows, self.rows + len(masks)
        return self.asker.effects(masks, first_row=first_row)[:, 0]

    def probe(self, masks: Masks) -> Floats:
        return self.asker.effects(masks, first_row=_ELSEWHERE)[:, 0]

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
        # NaN where a mask was not asked again: the mean of draws then rests on those that there are.
        again = np.full((len(effects), 1), np.nan)
        chosen: list[int] = rows.tolist()
        prompts = [self.asker.operator.render(self.asker.units, mask) for mask in masks[rows]]
        again[rows] = self.asker.meter.table([(output,) for output in self.asker.redraws(prompts, chosen)])
        return np.hstack([drawn, again])

    def search(self, skeleton: Skeleton, plan: Plan, *, seed: int) -> Search:
        estimand, surrogate, tolerance = plan.estimand, plan.surrogate, plan.options.tolerance
        total = None
        if estimand.shares_total and not _is_enumerated(len(skeleton.parts[0].children)):
            total = self.asker.effect - float(self.asker.meter(self.asker.empty()).mean())
        found = first_level(
            skeleton, self.ask, generator(seed, "hierarchy", 0), estimand=estimand, surrogate=surrogate,
            measure_noise=self.redrawn, total=total, known=self.asker.steadiness == "known",
        )  # fmt: skip
        if found is None and self.asker.ended is not None:
            raise self.asker.ended
        if found is None:
            raise ModelError(
                f"{self.asker.model.uri} answered too few of the perturbed prompts to say anything: pin what keeps the "
                f"prompt valid. {cause(self.asker.failures)}"
            )
        first, noise = found
        # The scale of effects, from what was asked already: a part is worth opening by its share of it.
        largest = max(float(np.abs(first.rows.effects).max()), abs(self.asker.effect), 1e-12)
        search = Search(
            skeleton, self.ask, self.probe, self.left, estimand=estimand, surrogate=surrogate, seed=seed,
            noise=noise, worth=WORTH * largest if tolerance is None else tolerance,
            reserve=(FEWEST, MOST) if plan.options.interactions else (0, 0), asked=self.rows,
        )  # fmt: skip
        search.run(first)
        return search

    def pairs(self, search: Search, plan: Plan, *, seed: int) -> tuple[Interaction, ...]:
        """Leaves that act together, where the values of the search leave something over."""
        if not search.left_over:
            return ()
        return pairs_of_leaves(
            search.leaves, search.skeleton.n, self.probe, generator(seed, "hierarchy", "interactions"),
            calls=self.left(), surrogate=plan.surrogate, most=plan.options.interactions,
        )  # fmt: skip


def explanation_of(
    asker: Asker,
    search: Search,
    pairs: Sequence[Interaction],
    *,
    levels: Sequence[str],
    plan: Plan,
    seed: int,
) -> PromptExplanation:
    """The explanation, with its tree.

    Args:
        asker: with everything that was asked.
        search: after its run.
        pairs: of leaves that act together.
        levels: names, coarse to fine.
        plan: what was chosen.
        seed: of the run.
    """
    leaves = search.leaves
    masks, values, predicted, groups, rows = _gather(search, leaves)
    name = f"{LEVEL_BY_LEVEL} ({' > '.join(levels)}), {counted(len(search.opened) - 1, 'part')} opened"
    design = Design(name=name, masks=masks, groups=groups)
    # The leaves are the units of what is stored: a reader of the folder needs nothing of levels.
    answers = asker.answers(design, (), stands=np.zeros(0, dtype=bool))
    leafy = replace(answers, units=_leaf_units(asker.units, leaves), notices=asker.notices)
    effects = Effects(
        masks, values, groups, whole=asker.meter(asker.repeats), noise=search.noise, rows=tuple(rows.tolist())
    )
    flat = assemble(Findings(leafy, asker.meter, plan, seed, effects, _estimate(search, leaves, predicted)))
    warnings = (*flat.warnings, *_closed(search, plan.options.budget))
    tree = _tree(search, asker.units, levels)
    together = tuple(InteractionRecord(**asdict(pair)) for pair in pairs)
    found = {"pinned": asker.units.pinned, "warnings": warnings, "tree": tree, "interactions": together}
    return partial(flat.model_copy(update=found), answers)


def _leaf_units(units: Units, leaves: Sequence[PromptPart]) -> Units:
    free = units.free
    pieces = [
        Piece(free[leaf.first].start, free[leaf.first].core, free[leaf.last - 1].stop, free[leaf.last - 1].end, place)
        for place, leaf in enumerate(leaves)
    ]
    if isinstance(units, ChatUnits):
        return replace(units, pieces=tuple(pieces), notices=())
    return Units(units.text, tuple(pieces))


def _estimate(search: Search, leaves: Sequence[PromptPart], predicted: Floats) -> Estimate:
    found = [search.standings[leaf.index] for leaf in leaves]
    values, low, high = (np.array(column) for column in zip(*((s.value, s.low, s.high) for s in found), strict=True))
    p_values = np.array([standing.p_value for standing in found])
    return Estimate(values, Interval(values, low, high), p_values, METHOD, predicted=predicted)


def _gather(
    search: Search, leaves: Sequence[PromptPart]
) -> tuple[Masks, Floats, Floats, NDArray[np.int64], NDArray[np.int64]]:
    """All that was asked, over the leaves: masks, effects, held-out predictions, groups and numbers of rows."""
    starts = [leaf.first for leaf in leaves]
    masks: list[Masks] = []
    columns: list[tuple[Floats, Floats, NDArray[np.int64], NDArray[np.int64]]] = []
    groups = 0
    for index, level in search.opened.items():
        rows = level.rows
        # Groups of different levels are different draws, though each level numbers its own from zero.
        _, own_groups = np.unique(rows.groups, return_inverse=True)
        masks.append(rows.masks[:, starts])  # a leaf is wholly in or out, so its first unit says which
        columns.append((rows.effects, search.predicted(index), own_groups + groups, rows.asked))
        groups += int(own_groups.max()) + 1
    effects, predicted, numbers, asked = zip(*columns, strict=True)
    return (
        np.concatenate(masks), np.concatenate(effects), np.concatenate(predicted), np.concatenate(numbers),
        np.concatenate(asked),
    )  # fmt: skip


def _closed(search: Search, budget: int) -> tuple[Warned, ...]:
    """A warning when the budget ended before the search did; what is left of it goes elsewhere first."""
    waiting = search.waiting
    if not waiting:
        return ()
    needed = budget + min(cost_of_opening(len(part.children)) for part in waiting)
    text = (
        f"The budget ended with {counted(len(waiting), 'part')} closed that may matter, attributed whole. A budget of "
        f"at least {needed} opens one more; a tolerance says which parts are too small to open."
    )
    return (Warned(code="closed-parts", text=text),)


def _tree(search: Search, units: Units, levels: Sequence[str]) -> Tree:
    skeleton = search.skeleton
    measured = [part for part in skeleton.parts if part.index in search.standings]
    place = {part.index: i for i, part in enumerate(measured)}
    nodes = tuple(_node(search, skeleton, part, units, place) for part in measured)
    return Tree(levels=tuple(levels), nodes=nodes)


def _node(search: Search, skeleton: Skeleton, part: PromptPart, units: Units, place: dict[int, int]) -> Node:
    standing = search.standings[part.index]
    level: Level | None = search.opened.get(part.index)
    total, total_low, total_high = (None, None, None) if level is None or level.total is None else level.total
    return Node(
        start=units.free[part.first].core,
        end=units.free[part.last - 1].stop,
        kind=part.kind,
        level=skeleton.depth(part.index),
        parent=place.get(-1 if part.parent is None else part.parent),
        children=() if level is None else tuple(place[child] for child in part.children),
        value=standing.value,
        low=standing.low,
        high=standing.high,
        p_value=standing.p_value,
        opened=level is not None,
        divisible=bool(part.children),
        total=total,
        total_low=total_low,
        total_high=total_high,
        hidden=standing.hidden,
    )
