"""`explain_targets`: several questions about one output. `PromptExplanation.read` takes its place next release."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from whygen._arguments import typed
from whygen.calls import DEFAULT_STORE, Progress, RunOptions
from whygen.encoders import TextEncoder
from whygen.errors import UsageError
from whygen.models import ModelOptions
from whygen.prompt.ask import ask
from whygen.prompt.assemble import explained
from whygen.prompt.findings import find
from whygen.prompt.offline import read
from whygen.prompt.options import PromptOptions, check_rounds, choose
from whygen.prompt.question import Question, check, check_cut, prepare
from whygen.prompt.session import Session, open_session
from whygen.prompt.targets import Continues, Target, TargetLike
from whygen.results.prompt import PromptExplanation
from whygen.types import Settings


@typed("prompt", options=PromptOptions)
def explain_targets(
    model: object,
    prompt: str,
    *,
    targets: Sequence[TargetLike],
    preset: str | PromptOptions | None = None,
    encoder: str | TextEncoder = "auto",
    settings: Settings | None = None,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
    **choices: Any,
) -> tuple[PromptExplanation, ...]:
    """One explanation for each target, read from the same masks and the same answers.

    Kept for one release: ``explain_prompt(..., target=first)`` and then ``.read(target=other)`` on what it returns do
    the same, now or later, from the saved folder too.

    Targets that read answers share one set of calls, and so do those that read log-probabilities of the reference
    (whole or a span): the first of each kind asks, the others make no call at all. ``budget`` is that of one set.
    Each contrast of log-probabilities scores a text of its own, so it asks, and spans are then read from its answers.
    With ``tolerance``, the first target of a kind decides when to stop; ``sets`` shrinks sets of units for it alone.

    Args:
        model: as in `explain_prompt`, as are all that follow.
        prompt: the text to explain.
        targets: names, or what else `load_target` takes.
        preset: the options to start from.
        encoder: for the targets and kernels that need one.
        settings: how to generate.
        seed: of everything random.
        cache: file of recorded answers.
        options: of local models.
        progress: where to report progress.
        run: what the run may spend in calls, tokens or money, how fast, and how long.
        **choices: as in `explain_prompt`, but ``target``.

    Returns:
        The explanations, in the order of the targets. Those that made no call say so in ``calls``.

    Raises:
        UsageError: for no target, or an argument that cannot work.
        DataError: if a target cannot be measured on what the model said.
        MissingError: if the model, an encoder or an extra is missing.
        ModelError: if the model does not answer the prompt.
    """
    warnings.warn(
        "explain_targets goes with the next release: explain_prompt(..., target=first).read(target=other) does it.",
        DeprecationWarning,
        stacklevel=3,
    )
    if len(targets) == 0 or "target" in choices:
        raise UsageError(
            "explain_targets takes targets=[...], at least one, and no target: 'tfidf', 'logprob:snow' ..."
        )
    chosen = choose(preset, choices)
    check_rounds(chosen, run)
    if chosen.hierarchy is not None:
        raise UsageError(
            f"hierarchy={chosen.hierarchy!r}: which parts are opened depends on the target. Call explain_prompt for "
            "each target; what was recorded costs nothing."
        )
    if chosen.proxy is not None:
        raise UsageError("A proxy predicts effects of one target. Leave proxy out, or call explain_prompt for each.")
    check(prompt, chosen)
    check_cut(prompt, chosen)
    unnamed = any(isinstance(target, str) and target == "auto" for target in targets)
    alike = replace(chosen, target="auto" if unnamed else targets[0])
    found: dict[int, PromptExplanation] = {}
    with open_session(
        model, alike, encoder=encoder, settings=settings, seed=seed, cache=cache, options=options, progress=progress,
        run=run,
    ) as session:  # fmt: skip
        questions = [_question(session, prompt, replace(chosen, target=target)) for target in targets]
        goals = [question.target for question in questions]
        asking = session.runner(None)
        operator = session.operator(questions[0], asking)
        for first, *others in _sharing(goals):
            question = questions[first]
            # All targets together keep to what the run may spend.
            runner = asking.beside(session.model, budget=chosen.budget + question.plan.beside)
            asker = session.asker(question, runner, operator=operator)
            own = explained(
                find(ask(asker, question), question.plan, asker.meter, seed), asker, further=chosen.sets or 0
            )
            found[first] = own
            for place in others:
                by = session.encoder if _compares(targets[place]) else "auto"
                found[place] = read(own, target=targets[place], encoder=by)
    return tuple(found[place] for place in range(len(goals)))


def _question(session: Session, prompt: str, chosen: PromptOptions) -> Question:
    """The encoder is for the targets that use one; it is no mistake beside others that do not."""
    encoder = session.encoder if _compares(chosen.target) else "auto"
    return prepare(prompt, chosen, model=session.model, encoder=encoder, seed=session.seed)


def _compares(target: TargetLike) -> bool:
    return isinstance(target, str) and target in {"auto", "optimal-transport", "cosine"}


def _sharing(goals: Sequence[Target]) -> list[list[int]]:
    """Places of the targets that share calls; in each list the first is the one that asks."""
    answering = [place for place, goal in enumerate(goals) if goal.verb == "answer"]
    contrasts = [place for place, goal in enumerate(goals) if isinstance(goal, Continues)]
    scoring = [place for place, goal in enumerate(goals) if goal.verb == "score" and place not in contrasts]
    groups = [answering, *([place] for place in contrasts)]
    if contrasts:
        groups[1] = [*groups[1], *scoring]
    else:
        groups.append(scoring)
    return [group for group in groups if group]
