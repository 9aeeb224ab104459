"""`whygen prompt MODEL TEXT`: which units of a prompt drove the output."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

import whygen
from whygen.calls import Budget, Rates, RunOptions
from whygen.cli import common, drawing
from whygen.cli import inputs as given_inputs
from whygen.cli.inputs import over, read_inputs, read_settings
from whygen.errors import UsageError
from whygen.models import ModelOptions
from whygen.prompt.chat_files import read_chat
from whygen.prompt.foresee import Forecast, foresee_prompt
from whygen.prompt.inputs import foresee_template
from whygen.prompt.units import Input
from whygen.results import PromptExplanation
from whygen.types import Chat, JsonValue, Settings, Template


def prompt(
    model: Annotated[str, typer.Argument(help="A model URI such as demo/storyteller or hf/ORG/NAME.")],
    source: Annotated[str | None, typer.Argument(metavar="TEXT|-|@FILE", help="The prompt.")] = None,
    *,
    text: Annotated[str | None, typer.Option("--text", help="The prompt, whatever it begins with.")] = None,
    chat: Annotated[
        Path | None, typer.Option("--chat", help="Instead of TEXT: a JSON list of role, content and images.")
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="A line each or a JSON list: explained over all of them. They stand at {input} in TEXT, fill its "
            "fields if they are objects, or follow it as user messages."
        ),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="gsmile: the published procedure.")] = None,
    budget: Annotated[int | None, typer.Option(help="Answers asked for in all; 64 unless a preset says so.")] = None,
    units: Annotated[str | None, typer.Option(help="word, token, whitespace, sentence, line or paragraph.")] = None,
    pin: Annotated[list[str] | None, typer.Option(help="A text that is always sent; may be given again.")] = None,
    operator: Annotated[
        str | None, typer.Option(help="delete, placeholder, synonym, neutral, paraphrase or noise.")
    ] = None,
    placeholder: Annotated[str | None, typer.Option(help="What stands for a missing unit; '...' unless given.")] = None,
    lexicon: Annotated[Path | None, typer.Option(help="For synonym: a JSON or TSV file of words.")] = None,
    infill: Annotated[str | None, typer.Option(help="For neutral: the model that fills in.")] = None,
    paraphraser: Annotated[str | None, typer.Option(help="For paraphrase: the model that says it otherwise.")] = None,
    instruction: Annotated[
        str | None, typer.Option(help="For neutral and paraphrase: what that model is asked, with {text} in it.")
    ] = None,
    noise: Annotated[float | None, typer.Option(help="For noise: its length, in average embeddings.")] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="auto, optimal-transport, cosine, tfidf, token-set, edit, exact, logprob[:SPAN], contains:SPAN, "
            "contrastive:TEXT, json:FIELD, label:A,B, tool, refusal, regex:PATTERN."
        ),
    ] = None,
    encoder: Annotated[str, typer.Option(help="auto, a sentence encoder's name or folder, or word vectors.")] = "auto",
    estimand: Annotated[str | None, typer.Option(help="banzhaf, shapley, local or loo.")] = None,
    keep: Annotated[float | None, typer.Option(help="Probability with which each other unit is kept; 0.5.")] = None,
    kernel: Annotated[str | None, typer.Option(help="For local: dropped, embedding or word-mover.")] = None,
    design: Annotated[str | None, typer.Option(help="auto, or gsmile: the published draw of masks.")] = None,
    scale: Annotated[str | None, typer.Option(help="For local: none, or min-max as published.")] = None,
    surrogate: Annotated[
        str | None, typer.Option(help="auto, ridge, ols, lasso, bayesian-ridge, kernel-ridge, pairs or boosting.")
    ] = None,
    draws: Annotated[int | None, typer.Option(help="Answers drawn for each mask; 1.")] = None,
    references: Annotated[int | None, typer.Option(help="Reference answers; 1.")] = None,
    model_noise: Annotated[
        str | None,
        typer.Option(
            help="measure, or none: you state that equal questions get equal answers, so none is asked twice."
        ),
    ] = None,
    distribution: Annotated[
        str | None, typer.Option(help="Compare sets of draws: energy, mmd, optimal-transport or sinkhorn.")
    ] = None,
    tolerance: Annotated[float | None, typer.Option(help="Stop when the widest interval is under this.")] = None,
    stable: Annotated[
        int | None, typer.Option(help="Stop once this many of the strongest units keep their order.")
    ] = None,
    empty: Annotated[str | None, typer.Option(help="include or exclude the empty prompt.")] = None,
    irrelevant: Annotated[str | None, typer.Option(help="count or exclude answers about something else.")] = None,
    hierarchy: Annotated[
        str | None, typer.Option(help="For long prompts: auto, or levels such as paragraph>sentence>word.")
    ] = None,
    interactions: Annotated[
        int | None, typer.Option(help="At most so many pairs of units that act together; 5.")
    ] = None,
    matrix: Annotated[str | None, typer.Option(help="sentence: what each sentence of the output hangs on.")] = None,
    sets: Annotated[
        int | None, typer.Option(help="Few units that change or keep the answer, with so many calls beside the budget.")
    ] = None,
    span: Annotated[
        str | None, typer.Option(help="Why did it say this? A text of the output, by log-probability.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy decoding.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(help="Length limit of an answer.")] = 256,
    top_p: given_inputs.TopP = None,
    stop: given_inputs.Stop = None,
    steps: drawing.Steps = None,
    guidance_scale: drawing.GuidanceScale = None,
    true_cfg_scale: drawing.TrueCfgScale = None,
    negative_prompt: drawing.NegativePrompt = None,
    size: drawing.Size = None,
    noise_seed: drawing.NoiseSeed = None,
    setting: given_inputs.Setting = None,
    over_inputs: Annotated[
        str | None, typer.Option("--over", help="With --inputs: what intervals hold for, like-these or these.")
    ] = None,
    max_cost: common.MaxCost = None,
    max_calls: common.MaxCalls = None,
    token_budget: common.TokenBudget = None,
    deadline: common.Deadline = None,
    requests_per_minute: common.RequestsPerMinute = None,
    tokens_per_minute: common.TokensPerMinute = None,
    out: common.Out = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    seed: common.Seed = 0,
    base_url: common.BaseUrl = None,
    endpoint: common.Endpoint = None,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    device: common.Device = None,
    dtype: given_inputs.DType = None,
    batch_size: given_inputs.BatchSize = None,
    timeout: given_inputs.Timeout = None,
    dry_run: common.DryRun = False,
    batch: common.Batch = None,
    debug: common.Debug = False,
) -> None:
    """Explain which units of a prompt drove what the model answered."""
    del debug  # read by the outermost handler of errors
    given = _given(model, source, text, chat)
    drawn: dict[str, JsonValue] = {
        "steps": steps, "guidance_scale": guidance_scale, "true_cfg_scale": true_cfg_scale,
        "negative_prompt": negative_prompt, "size": size, "seed": noise_seed,
    }  # fmt: skip
    drawing.check_draws(model, endpoint, drawn)
    target = _with_span(target, span)
    choices: dict[str, Any] = {
        "budget": budget, "units": units, "pin": pin or None, "operator": operator, "placeholder": placeholder,
        "lexicon": lexicon, "infill": infill, "paraphraser": paraphraser, "instruction": instruction, "noise": noise,
        "design": design, "scale": scale, "interactions": interactions,
        "target": target, "estimand": estimand, "keep": keep, "kernel": kernel, "surrogate": surrogate,
        "draws": draws, "references": references, "model_noise": model_noise, "distribution": distribution,
        "tolerance": tolerance, "stable": stable, "empty": empty, "irrelevant": irrelevant, "matrix": matrix,
        "sets": sets, "hierarchy": hierarchy,
    }  # fmt: skip
    common_choices: dict[str, Any] = {
        "preset": preset,
        "encoder": encoder,
        "settings": Settings(
            temperature=temperature,
            max_tokens=max_tokens,
            top_p=top_p,
            stop=tuple(stop or ()),
            seed=seed,
            extra=drawing.picture_settings(read_settings(setting), drawn),
        ),
        "seed": seed,
        "options": ModelOptions(
            device=device, dtype=dtype, batch_size=batch_size, base_url=base_url, endpoint=endpoint, timeout=timeout
        ),
        **{name: value for name, value in choices.items() if value is not None},
    }
    run = RunOptions(
        spending=Budget(calls=max_calls, tokens=token_budget, money=max_cost),
        rates=Rates(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute),
        deadline=deadline,
        batch=cast(Literal["provider"] | None, batch),
    )
    explain: Callable[..., PromptExplanation] = whygen.explain_prompt
    foresee: Callable[..., Forecast] = foresee_prompt
    asked: str | Chat | Template = given
    if inputs is None and over_inputs is not None:
        raise UsageError("--over goes with --inputs: leave it out, or give --inputs FILE.")
    if inputs is not None:
        asked, common_choices["inputs"] = _over(given, inputs, common_choices)
        common_choices |= {} if over_inputs is None else {"over": over_inputs}
        explain, foresee = whygen.explain_template, foresee_template
    if dry_run:
        show_forecast(foresee(model, asked, run=run, **common_choices), as_json=as_json)
        return
    store, progress = common.store_path(cache, no_cache), common.progress_for(quiet, as_json=as_json)
    common.explained(
        lambda: explain(model, asked, cache=store, progress=progress, run=run, **common_choices),
        out=out, as_json=as_json, quiet=quiet, cache=store, batch=batch,
    )  # fmt: skip


def _over(given: str | Chat, path: Path, choices: dict[str, Any]) -> tuple[Template | Chat, list[Input]]:
    """A chat, a template, or a text as the system prompt, to be explained over the inputs in a file."""
    if choices.pop("preset") is not None:
        raise UsageError("--preset does not go with --inputs: leave one of them out.")
    return over(given, read_inputs(path))


def _with_span(target: str | None, span: str | None) -> str | None:
    """``--span snow`` is ``--target logprob:snow``; with ``--target contains`` it is that target's span."""
    if span is None:
        return target
    if target not in {None, "auto", "logprob", "contains"}:
        raise UsageError(f"--span goes with --target logprob or contains, not with {target!r}.")
    return f"{'contains' if target == 'contains' else 'logprob'}:{span}"


def show_forecast(forecast: Forecast, *, as_json: bool) -> None:
    """Print calls, tokens and cost; a price that is not known is said to be unknown, not guessed."""
    if as_json:
        common.print_json(asdict(forecast))
        return
    tokens = "unknown" if forecast.tokens_in is None else f"{forecast.tokens_in:,}"
    common.tell(f"{forecast.units} units, {forecast.calls} calls (up to the whole budget if repeats differ)")
    cost = "unknown" if forecast.cost_at_most is None else f"at most ${forecast.cost_at_most:,.4f}"
    common.tell(f"tokens in: {tokens}; tokens out: at most {forecast.tokens_out_at_most:,}; cost: {cost}")
    if forecast.promise:
        common.tell(forecast.promise)
    common.tell("Nothing was sent.")


def _given(model: str, source: str | None, text: str | None, chat: Path | None) -> str | Chat:
    """The prompt, from wherever it comes."""
    if chat is None:
        return _prompt_text(model, source, text)
    if source is not None or text is not None:
        raise UsageError("Give the prompt once: --chat FILE stands in place of TEXT and --text.")
    return read_chat(chat)


def _prompt_text(model: str, source: str | None, text: str | None) -> str:
    if (source is None) == (text is None):
        if source is None and any(map(str.isspace, model.strip())):
            raise UsageError(
                f"There is a text and no model. Type: whygen prompt MODEL {shlex.quote(model)}, where MODEL is "
                "demo/storyteller, openai/gpt-4o-mini or another (`whygen models` lists the providers)."
            )
        raise UsageError("Give the prompt once: as TEXT, as - for standard input, as @FILE, or with --text TEXT.")
    return text if text is not None else common.read_text(source or "")
