"""`trim`: choose on some inputs, test on others, write what is left. And `foresee_trim`, which sends nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from whygen._arguments import typed
from whygen.calls import DEFAULT_STORE, EndedError, Interrupted, Progress, RunOptions
from whygen.encoders import AnyEncoder
from whygen.errors import UsageError
from whygen.models import ModelOptions, output_kind
from whygen.models.openai.turns import messages, tools
from whygen.models.prices import price_of
from whygen.prompt.asker import steadiness
from whygen.prompt.forecast import Forecast, count
from whygen.prompt.inputs import MANY, as_template, check_inputs, cut_over
from whygen.prompt.operators import Operator
from whygen.prompt.options import TRIM, Over, PromptOptions, unread
from whygen.prompt.question import Question, prepare_units
from whygen.prompt.session import Session, foresight, open_session
from whygen.prompt.trim.deciding import BROKEN, Stages
from whygen.prompt.trim.panel import Mask, Panel
from whygen.prompt.trim.plan import TrimPlan, check_numbers, plan_trim
from whygen.prompt.units import Input, TemplateUnits, Units, UnitsOver, holding, open_fields
from whygen.prompt.units.templates import doubled, parsed
from whygen.results.prompt import Calls, Warned
from whygen.results.trimmed import Trimmed, TrimUnit, WorseInput
from whygen.stats.crossed import share_unseen
from whygen.texts import counted, has_word
from whygen.types import Chat, Settings, Template
from whygen.version import __version__

MARGIN: Final = 0.1
ERROR: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrimOrder:
    """What was asked for, checked."""

    chosen: PromptOptions
    cut: UnitsOver
    margin: float
    error: float
    over: Over
    budget: int | None
    worst: float | None
    braces: str
    repeated: int
    """Inputs that were given before, and count once: equal questions would share recorded answers."""

    def plan(self, steady: bool) -> TrimPlan:
        return plan_trim(
            len(self.cut.shown), len(self.cut.each), margin=self.margin, error=self.error, over=self.over,
            draws=self.chosen.draws, budget=self.budget, steady=steady,
        )  # fmt: skip


@typed("template", options=PromptOptions, door=TRIM)
def trim(
    model: object,
    template: str | Chat | Template,
    *,
    inputs: Sequence[Input],
    margin: float = MARGIN,
    error: float = ERROR,
    over: Over = "like-these",
    worst: float | None = None,
    budget: int | None = None,
    encoder: AnyEncoder = "auto",
    settings: Settings | None = None,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
    **choices: Any,
) -> Trimmed:
    """The shortest prompt found that is not worse than the whole one over many inputs, by a stated margin.

    What an input loses is how much further its answer is from what the whole prompt said than the whole prompt's own
    new answers are; of a score (a callable, a pattern), how much it falls. Both as a share of all that an input can
    lose, and averaged over inputs. Some inputs choose what to try, others test it (or, over ``these``, new draws do):
    the error rate holds after choosing.

    Args:
        model: as in `explain_prompt`.
        template: a system prompt as a text, a `Chat`, or a text or a `Template` with open fields.
        inputs: user messages, or dicts of the open fields.
        margin: how much worse, on average over inputs, still counts as not worse: a share within (0, 1).
        error: the chance, at most, that a prompt which is worse by the margin or more is called not worse.
        over: whether that holds for inputs ``like-these``, of which they are a sample, or for ``these`` alone.
        worst: the fall of the effect, in the target's unit, that counts as losing everything. What the target spans
            unless it is given: 1 for yes or no, for distances that to texts about other things, for scores 0 to 1.
        budget: answers asked for in all, at most; as many as `foresee_trim` says unless it is given.
        encoder: as in `explain_prompt`, as are those that follow.
        settings: how to generate.
        seed: of everything random.
        cache: file of recorded answers; None keeps them in memory.
        options: of local models.
        progress: where to report progress.
        run: what the run may spend, how fast, and how long.
        **choices: ``units`` (sentences), ``pin``, ``target``, ``draws`` and ``model_noise``.

    Returns:
        The cleaned prompt, with what shows that it is not worse.

    Raises:
        UsageError: for an argument that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if the model, an encoder or an extra is missing.
        ModelError: if the model does not answer the whole prompt.
        Interrupted: a `KeyboardInterrupt` with what was shown by then.
    """
    wanted = _wanted(template, inputs, margin, error, over, budget=budget, worst=worst, choices=choices, run=run)
    with open_session(
        model, wanted.chosen, encoder=encoder, settings=settings, seed=seed, cache=cache, options=options,
        progress=progress, run=run,
    ) as session:  # fmt: skip
        question, steady = _question(wanted, session)
        plan = wanted.plan(steady)
        runner = session.runner(None)
        panel = Panel(
            runner=runner, model=session.model, cut=wanted.cut, operator=session.operator(question, runner),
            target=question.target, settings=session.settings, steady=steady,
            texts=output_kind(session.model) == "text", draws=plan.draws, worst=worst,
        )  # fmt: skip
        panel.check()
        return _trimmed(wanted, plan, Stages(panel, plan, seed), session)


@typed("template", options=PromptOptions, door=TRIM)
def foresee_trim(
    model: object, template: str | Chat | Template, *, inputs: Sequence[Input], margin: float = MARGIN,
    error: float = ERROR, over: Over = "like-these", worst: float | None = None, budget: int | None = None,
    encoder: AnyEncoder = "auto", settings: Settings | None = None, seed: int = 0,
    options: ModelOptions | None = None, run: RunOptions | None = None, **choices: Any,
) -> Forecast:  # fmt: skip
    """Calls, tokens and cost of `trim` with these arguments, at most; nothing is sent. Raises what `trim` does."""
    wanted = _wanted(template, inputs, margin, error, over, budget=budget, worst=worst, choices=choices, run=run)
    session = foresight(model, encoder=encoder, settings=settings, seed=seed, options=options, run=run)
    _, steady = _question(wanted, session)
    plan, prompts = wanted.plan(steady), [units.prompt for units in wanted.cut.each]
    asked = (prompts * (plan.budget // len(prompts) + 1))[: plan.budget]
    return count(session.model, plan.units, asked, session.settings, run=run)


def _wanted(
    template: object, inputs: Sequence[Input], margin: float, error: float, over: Over, *, budget: int | None,
    worst: float | None, choices: dict[str, Any], run: RunOptions | None,
) -> _TrimOrder:  # fmt: skip
    """What was asked for.

    Raises:
        UsageError: for what cannot work with any model.
    """
    braces = "doubled"
    if isinstance(template, str):
        texts = as_template(template, inputs)
        braces = "doubled" if any(not isinstance(each, str) for each in inputs) else "plain"
        template, inputs = texts
    if worst is not None and not 0.0 < worst < np.inf:
        raise UsageError(f"worst={worst}: give a number above 0, or leave it out.")
    if run is not None and run.batch is not None:
        raise UsageError(
            f"batch={run.batch!r} does not go with trim: what is asked next depends on the answers before, and each "
            "batch may take a day. Leave it out."
        )
    check_numbers(margin, error, over, choices.get("draws", 1))
    _check_fixed_text(template)
    check_inputs(inputs)
    once = list({json.dumps(each, sort_keys=True, default=repr): each for each in inputs}.values())
    repeated, inputs = len(inputs) - len(once), once
    chosen, cut = cut_over(template, inputs, "these", MANY, choices, run=run)
    cut = _whole_sentences(cut)
    for name in unread(replace(chosen, budget=MANY.budget, units="word"), TRIM):
        raise UsageError(f"{name}={getattr(chosen, name)!r} plays no part in trim: leave it out.")
    wanted = _TrimOrder(
        chosen=chosen,
        cut=cut,
        margin=margin,
        error=error,
        over=over,
        budget=budget,
        worst=worst,
        braces=braces,
        repeated=repeated,
    )
    replace(wanted, budget=None).plan(True)  # what so many inputs cannot show is said before a model is opened
    return wanted


def _whole_sentences(cut: UnitsOver) -> UnitsOver:
    """The same with marks that stand alone pinned, such as the full stop after a field: they are no instruction."""
    marks = {unit for unit, text in enumerate(cut.shown.texts) if not has_word(text)}
    if not marks or len(marks) == len(cut.shown):
        return cut
    return replace(cut, shown=holding(cut.shown, marks), each=tuple(holding(units, marks) for units in cut.each))


def _check_fixed_text(template: object) -> None:
    """Refuse a template without an instruction.

    Raises:
        UsageError: if no text of it is the same for all inputs.
    """
    texts: list[str] = []
    if isinstance(template, Template):
        texts = [literal for literal, _ in parsed(template.text)]
    elif isinstance(template, Chat):
        texts = template.texts
    else:
        return
    if not any(text.strip() for text in texts):
        raise UsageError("The template has no instruction, so there is nothing to trim: give a text beside the inputs.")


def _question(wanted: _TrimOrder, session: Session) -> tuple[Question, bool]:
    """Target and operator; and whether equal questions are known to get equal answers."""
    shown = Units(wanted.cut.shown.text, wanted.cut.shown.pieces, wanted.cut.shown.sections)
    enough = replace(wanted.chosen, budget=64 + 8 * len(shown))  # no design of it is asked
    question = prepare_units(shown, enough, model=session.model, encoder=session.encoder, seed=session.seed)
    stated = wanted.chosen.model_noise == "none"
    alike = steadiness(session.model, session.settings, question.target, stated=stated, differs=False)
    return question, alike == "known"


def _trimmed(wanted: _TrimOrder, plan: TrimPlan, stages: Stages, session: Session) -> Trimmed:
    """Run both stages; what ends them early leaves what was shown by then.

    Raises:
        Interrupted: with it, if a person ended the run.
    """
    ended: KeyboardInterrupt | EndedError | None = None
    mask, broken = None, list[int]()
    try:
        mask = stages.verify(stages.choose())
        broken = [] if mask is None else stages.broken(mask)
    except (KeyboardInterrupt, EndedError) as stop:
        if not stages.panel.references:
            raise
        ended = stop
        if mask is not None:  # shown already: only which inputs it breaks was still asked
            broken = [each for each, loss in stages.lost.items() if loss >= BROKEN]
    found = _result(wanted, plan, stages, session, stages.panel.whole if mask is None else mask, broken)
    if ended is None:
        return found
    early = isinstance(ended, EndedError)
    text = f"{ended if early else 'Interrupted.'} The run ended early: nothing more was shown by then."
    update = {
        "ended": ended.reason if isinstance(ended, EndedError) else "interrupt",
        "warnings": (Warned(code="ended-early", text=text), *found.warnings),
    }
    found = found.model_copy(update=update)
    if not early:
        raise Interrupted(found) from None
    return found


def _result(
    wanted: _TrimOrder, plan: TrimPlan, stages: Stages, session: Session, mask: Mask, broken: Sequence[int]
) -> Trimmed:
    """Everything that was found, as plain data."""
    panel, cut = stages.panel, wanted.cut
    text, chat = written(cut, panel.operator, mask, braces=wanted.braces)
    order = [None] * plan.units if stages.order is None else stages.order.tolist()
    tally = panel.runner.tally
    tokens, out = _counted(stages, "tokens_in"), _counted(stages, "tokens_out")
    return Trimmed(
        whygen=__version__,
        model=session.model.uri,
        target=panel.target.record,
        sides="one" if panel.one_sided else "two",
        margin=wanted.margin,
        error=wanted.error,
        over=wanted.over,
        inputs=len(cut.each),
        chosen_on=len(stages.choosing),
        verified_on=len(stages.lost),
        before=written(cut, panel.operator, panel.whole, braces=wanted.braces)[0],
        text=text,
        chat=chat,
        units=tuple(
            TrimUnit(text=unit, kept=bool(kept), attribution=value)
            for unit, kept, value in zip(cut.shown.texts, mask, order, strict=True)
        ),
        tests=tuple(stages.tests),
        worse=tuple(_worse(stages, each, cut) for each in broken),
        unseen=share_unseen(len(stages.lost)) if wanted.over == "like-these" and stages.lost else None,
        tokens=tokens,
        written=out,
        saved=_saved(session, tokens, out),
        cost=panel.runner.spent.money,
        calls=Calls(asked=tally.asked, made=tally.made, cached=tally.cached, failed=tally.failed),
        warnings=tuple(Warned(code=code, text=said) for code, said in _notices(stages, wanted)),
        seed=session.seed,
    )


def _worse(stages: Stages, each: int, cut: UnitsOver) -> WorseInput:
    before, after = stages.answered[each]
    said = [next((output.said for output in told.outputs), "") for told in (before, after)]
    return WorseInput(number=each + 1, text=cut.labels[each], loss=stages.lost[each], before=said[0], after=said[1])


def _counted(stages: Stages, name: str) -> tuple[float | None, float | None]:
    """Mean tokens of a call before and after, as the model counted them; None where it did not."""
    found: list[float | None] = []
    for side in (0, 1):
        outputs = [output for pair in stages.answered.values() for output in pair[side].outputs]
        counts = [getattr(output, name) for output in outputs]
        found.append(float(np.mean(counts)) if counts and None not in counts else None)
    return found[0], found[1]


def _saved(
    session: Session, tokens: tuple[float | None, float | None], out: tuple[float | None, float | None]
) -> float | None:
    """Dollars for 1,000 calls."""
    price = price_of(session.model)
    if price is None or None in tokens or None in out:
        return None
    cost = [price.cost(round(1000 * (tokens[k] or 0.0)), round(1000 * (out[k] or 0.0))) for k in (0, 1)]
    return cost[0] - cost[1]


def _notices(stages: Stages, wanted: _TrimOrder) -> list[tuple[str, str]]:
    found = [*wanted.cut.shown.notices, *stages.panel.runner.notices]
    if wanted.repeated:
        found.append(("repeated-inputs", f"Inputs that had been given before: {wanted.repeated}. Each counts once."))
    if stages.panel.dead:
        first = next(iter(stages.panel.dead.values()))
        number = len(stages.panel.dead)
        text = f"{counted(number, 'input')} left out: the whole prompt is not answered there ({first.sentence})"
        found.append(("inputs-left-out", text))
    if stages.tests and not any(test.passed for test in stages.tests) and stages.tests[-1].why in ("inputs", "budget"):
        more = "inputs" if stages.tests[-1].why == "inputs" else "budget"
        text = (
            "Shorter prompts did well on the inputs that chose, and the test could not show it: give more "
            f"{more}, or a larger margin."
        )
        found.append(("not-shown", text))
    return found


_OPEN, _CLOSE = "\ue000", "\ue001"
"""Stand for the braces of a field while those of the text are doubled: no prompt holds them in a pair around a name."""


def written(
    cut: UnitsOver, operator: Operator, mask: Mask, *, braces: str
) -> tuple[str, list[Any] | dict[str, Any] | None]:
    """What is left of a template: as one text, and as the JSON of a chat where it is more than a system message.

    Args:
        cut: the template in units.
        operator: takes units away.
        mask: which are kept.
        braces: ``doubled`` where those of the text are, as in a `Template`; ``plain`` where ``{input}`` alone is a
            field.
    """
    if isinstance(cut.shown, TemplateUnits):
        return _text(cut.shown, operator, mask, braces=braces), None
    chat = cast("Chat", operator.render(cut.shown, mask))
    own = replace(chat, messages=chat.messages[:-1])  # the last one is the input
    first = own.messages[0] if own.messages else None
    plain = not own.tools and (first is None or (len(own.messages) == 1 and first.role == "system"))
    whole = cut.each[0].source
    if plain and isinstance(whole, Chat) and len(whole.messages) == 2 and not whole.tools:
        return "" if first is None else first.text, None
    said, offered = messages(own), tools(own, own=False)
    listed = {"messages": said, "tools": offered["tools"]} if offered else said
    return "\n\n".join(message.text for message in own.messages if message.text), cast("Any", listed)


def _text(shown: TemplateUnits, operator: Operator, mask: Mask, *, braces: str) -> str:
    """The text of a template with its open fields in braces, and its other braces as `written` says."""
    names = set(open_fields(shown.template))
    fields = {(each.start, each.end) for each in shown.sections if each.kind == "field" and each.name in names}
    parts = operator.parts(shown, np.asarray(mask))
    for index, piece in enumerate(shown.pieces):
        if (piece.core, piece.stop) in fields and parts[index]:
            name = shown.text[piece.core + 1 : piece.stop - 1]
            parts[index] = shown.text_at(piece, f"{_OPEN}{name}{_CLOSE}")
    text = shown.join(parts)
    text = doubled(text) if braces == "doubled" else text
    return text.replace(_OPEN, "{").replace(_CLOSE, "}")
