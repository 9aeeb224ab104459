"""`explain_prompt`: question -> ask -> answers -> effects -> estimate -> findings -> an explanation.

One prompt can be followed through this folder: `question` cuts it and chooses masks, `ask` sends them, `answers` is
what came back, `reading` measures it, `estimands` attribute, `findings` joins both, `assemble` makes the explanation.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from whygen._arguments import bound
from whygen.calls import DEFAULT_STORE, Progress, RunOptions
from whygen.calls.progress import ShowsSpending, usual_progress
from whygen.encoders import AnyEncoder, ImageEncoder, TimedEncoder
from whygen.errors import UsageError
from whygen.models import ModelOptions
from whygen.prompt.arguments import PromptArguments, takes
from whygen.prompt.ask import ask_design, ask_whole
from whygen.prompt.ask_proxy import ask_proxy
from whygen.prompt.assemble import explained
from whygen.prompt.edits import no_levels
from whygen.prompt.findings import find
from whygen.prompt.inputs import cut_over, explain_over
from whygen.prompt.options import Over, PromptOptions, check_hierarchy, check_rounds, choose
from whygen.prompt.question import check, check_cut
from whygen.prompt.session import SessionOptions, open_session
from whygen.prompt.units import Input
from whygen.prompt.why.door import explain_call, no_inputs
from whygen.records import Call
from whygen.results.prompt import PromptExplanation
from whygen.types import Edit, Settings, Source

P = ParamSpec("P")
R = TypeVar("R")


@takes(PromptArguments, "prompt")
def explain_prompt(
    model: object,
    prompt: Source | Call,
    *,
    inputs: Sequence[Input] | None = None,
    over: Over = "like-these",
    preset: str | PromptOptions | None = None,
    encoder: AnyEncoder = "auto",
    settings: Settings | None = None,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
    **choices: Any,
) -> PromptExplanation:
    """Which units of a prompt drove what the model answered, with an interval for each.

    Args:
        model: a URI (``hf/ORG/NAME``, ``py/module:callable`` ...), a callable ``str -> str``, a transformers model with
            its tokenizer (``(model, tokenizer)``) or a text pipeline, or a model object. For a recorded call, None is
            the model that it names, where it was asked.
        prompt: the text to explain, a `Chat`, a `Template` with its values, or an `Edit`: a picture and the instruction
            that says how to change it. Or a recorded `Call`: its parts are the units then, its settings are sent as
            they were, what is explained is what was answered, and parts from outside are suspects (docs/why.md).
        inputs: for a template over many inputs: user messages, which are added to the `Chat` one by one, or dicts of
            the open fields of the `Template`. The units are then parts of the template, and what is explained is the
            mean over inputs. ``budget`` is for all of them together, 64 calls an input if it is left out; units are
            sentences if they are left out (words, where the template is a single sentence).
        over: what the intervals hold for, with inputs: inputs ``like-these``, or ``these`` and no others.
        preset: None for what is right, ``gsmile`` for what was published, or options of one's own.
        encoder: ``auto``, the name or folder of a sentence encoder, a file of word vectors, or an open encoder (many
            prompts, one loading). Where the answers are pictures: ``patches``, ``colour``, ``dinov2``, ``clip``, a
            transformers vision model by name or folder, or an open encoder of pictures. Where they are sounds or
            videos: what `load_timed_encoder` takes.
        settings: how to generate; greedy, 256 tokens by default.
        seed: of the masks, the folds and the sign flips, and of sampling.
        cache: file of recorded answers; None keeps them in memory.
        options: device, precision and batch size of local models.
        progress: where to report progress.
        run: what the run may spend in calls, tokens or money, how fast, how long, and whether by the provider's batch
            endpoint.
        **choices: what to change of the preset: ``budget``, ``units``, ``pin``, ``operator``, ``target``, ``estimand``,
            ``keep``, ``surrogate``, ``draws``, ``references``, ``distribution``, ``tolerance`` ... Each is described
            at `whygen.prompt.options.PromptOptions`.

    Returns:
        A frozen explanation, with its evidence.

    Raises:
        UsageError: for an argument that cannot work; `BudgetError` names the smallest budget that does.
        MissingError: if the model, an encoder or an extra is missing.
        ModelError: if the model does not answer the prompt.
        Interrupted: a `KeyboardInterrupt` with the partial ``explanation``, when one came while masks were asked for.
    """
    how = SessionOptions(
        encoder=encoder, settings=settings, seed=seed, cache=cache, options=options, progress=progress, run=run
    )
    if isinstance(prompt, Call):
        if inputs is not None:
            raise no_inputs(prompt)
        return explain_call(model, prompt, preset=preset, choices=choices, how=how)
    if inputs is not None:
        chosen, cut = cut_over(prompt, inputs, over, preset, choices, run=run)
        with open_session(model, chosen, **how) as session:
            return explain_over(cut, chosen, session, over=over)
    chosen = choose(preset, choices, prompt=prompt)
    check_rounds(chosen, run)
    if chosen.hierarchy is not None:
        if isinstance(prompt, Edit) or isinstance(encoder, ImageEncoder):
            raise no_levels(chosen.hierarchy)
        if isinstance(encoder, TimedEncoder):
            raise UsageError(f"hierarchy compares texts, and encoder={encoder.name!r} takes none. Leave one out.")
        from whygen.prompt.long import explain_hierarchy

        check_hierarchy(chosen)
        return explain_hierarchy(model, prompt, chosen, **how)
    check(prompt, chosen)
    check_cut(prompt, chosen)
    with open_session(model, chosen, **how) as session:
        question = session.question(prompt, chosen)
        asker = session.asker(question, session.runner(chosen.budget + question.plan.beside))
        design = ask_whole(asker, question)
        beside = None if session.proxy is None else ask_proxy(session, question, asker, design, session.proxy)
        question = question.beside(beside)
        found = find(ask_design(asker, design, question), question.plan, asker.meter, seed, proxy=beside)
        return explained(found, asker, further=chosen.sets or 0)


def _waited(
    door: Callable[P, R],
) -> Callable[[Callable[..., Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """A decorator: the function shows what the door takes, and refuses other arguments before anybody waits for it."""

    def decorate(function: Callable[..., Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        signature = inspect.signature(door)

        @functools.wraps(function)
        def checking(*given: P.args, **named: P.kwargs) -> Coroutine[Any, Any, R]:
            bound(function, signature, given, named)
            return function(*given, **named)

        cast("Any", checking).__signature__ = signature
        return checking

    return decorate


@_waited(explain_prompt)
async def aexplain_prompt(*given: Any, progress: Progress | None = None, **choices: Any) -> PromptExplanation:
    """`explain_prompt` for programs that run an event loop: the work is done in a thread, and the loop goes on.

    Where the task is cancelled, nothing more is sent, what is on its way is recorded, and then `CancelledError` goes
    on: the same call, with the same ``cache``, continues from there.

    Args:
        *given: as in `explain_prompt`.
        progress: where to report progress, from that thread.
        **choices: as in `explain_prompt`.

    Raises:
        WhygenError: as `explain_prompt` does.
    """
    watch = _Cancellable(progress or usual_progress())
    working = asyncio.get_running_loop().run_in_executor(
        None, lambda: explain_prompt(*given, progress=watch, **choices)
    )
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        watch.cancelled.set()
        with suppress(Exception, KeyboardInterrupt):  # however it ends now, the task was cancelled
            await working
        raise


class _Cancellable:
    """A progress that ends the run, as a person's interrupt does (`AsksToStop`), once its task was cancelled."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self.cancelled = threading.Event()

    @property
    def stopped(self) -> bool:
        return self.cancelled.is_set()

    def begin(self, total: int, label: str) -> None:
        self._shown.begin(total, label)

    def advance(self, n: int, *, cached: bool) -> None:
        self._shown.advance(n, cached=cached)

    def spend(self, text: str) -> None:
        if isinstance(self._shown, ShowsSpending):
            self._shown.spend(text)

    def end(self) -> None:
        self._shown.end()
