"""`explain_prompt`: units -> designs -> operators -> targets -> surrogates -> intervals -> an explanation.

One prompt can be followed through this folder: `units` cuts it, `plan` and `designs` choose masks, `operators` renders
them, `asking` sends them, `targets` measures the answers, `surrogates` and `intervals` estimate, `assemble` reports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whygen.calls import DEFAULT_STORE, Progress, RunOptions, make_runner, open_store
from whygen.encoders import AnyEncoder, ImageEncoder, TextEncoder, TimedEncoder
from whygen.errors import UsageError
from whygen.models import LearnsKind, ModelOptions, load_model
from whygen.prompt.ask import ask
from whygen.prompt.asker import Asker
from whygen.prompt.assemble import explained
from whygen.prompt.edits import no_levels
from whygen.prompt.findings import find
from whygen.prompt.operators import Tools
from whygen.prompt.options import PromptArguments, PromptOptions, check_hierarchy, check_rounds, choose, takes
from whygen.prompt.question import check, check_cut, encoder_of_texts, find_encoder, prepare
from whygen.results.prompt import PromptExplanation
from whygen.types import Edit, Request, Settings, Source


@takes(PromptArguments, "prompt")
def explain_prompt(
    model: object,
    prompt: Source,
    *,
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
            its tokenizer (``(model, tokenizer)``) or a text pipeline, or a model object.
        prompt: the text to explain, a `Chat`, a `Template` with its values, or an `Edit`: a picture and the instruction
            that says how to change it.
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
    chosen = choose(preset, choices, prompt=prompt)
    check_rounds(chosen, run)
    if chosen.hierarchy is not None:
        if isinstance(prompt, Edit) or isinstance(encoder, ImageEncoder):
            raise no_levels(chosen.hierarchy)
        if isinstance(encoder, TimedEncoder):
            raise UsageError(f"hierarchy compares texts, and encoder={encoder.name!r} takes none. Leave one out.")
        return _by_levels(
            model, prompt, chosen, encoder=encoder, settings=settings, seed=seed, cache=cache, options=options,
            progress=progress, run=run,
        )  # fmt: skip
    check(prompt, chosen)
    check_cut(prompt, chosen)
    box = load_model(model, options or ModelOptions())
    encoder = find_encoder(encoder, chosen, box) or encoder
    question = prepare(prompt, chosen, model=box, encoder=encoder, seed=seed)
    sent = settings or Settings(seed=seed)
    if isinstance(box, LearnsKind) and box.learn(Request(prompt=question.units.prompt, settings=sent)) != "text":
        question = prepare(prompt, chosen, model=box, encoder=encoder, seed=seed)
    with open_store(cache) as store:
        runner = make_runner(box, store, budget=chosen.budget + question.plan.beside, progress=progress, options=run)
        texts = encoder_of_texts(encoder, box)
        tools = Tools(
            model=box, encoder=texts, store=store, options=options, progress=progress, seed=seed, runner=runner
        )
        operator = question.operator.prepare(question.units, tools)
        asker = Asker(runner, box, question.units, operator, question.target, sent, chosen.model_noise == "none")
        found = find(ask(asker, question), question.plan, asker.meter, question.seed)
        return explained(found, asker, further=chosen.sets or 0)


def _by_levels(
    model: object,
    prompt: Source,
    chosen: PromptOptions,
    *,
    encoder: str | TextEncoder,
    settings: Settings | None,
    seed: int,
    cache: Path | str | None,
    options: ModelOptions | None,
    progress: Progress | None,
    run: RunOptions | None,
) -> PromptExplanation:
    """A long prompt: coarse parts first, then inside those that matter."""
    from whygen.prompt.hierarchy import explain_hierarchy

    check_hierarchy(chosen)
    if not isinstance(prompt, str):
        raise UsageError(f"hierarchy needs a plain text, and the prompt is a {type(prompt).__name__}.")
    explanation = explain_hierarchy(
        model,
        prompt,
        budget=chosen.budget,
        hierarchy=chosen.hierarchy or "auto",
        pin=chosen.pin,
        operator=chosen.operator,
        operator_options=chosen.operator_options,
        target=chosen.target,
        encoder=encoder,
        estimand=chosen.estimand,
        surrogate="ridge" if chosen.surrogate == "auto" else chosen.surrogate,
        references=chosen.references,
        model_noise=chosen.model_noise,
        tolerance=chosen.tolerance,
        interactions=chosen.interactions,
        settings=settings,
        seed=seed,
        cache=cache,
        options=options,
        progress=progress,
        run=run,
    )
    return explanation.model_copy(update={"preset": chosen.preset})
