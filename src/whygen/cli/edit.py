"""`whygen edit MODEL IMAGE INSTRUCTION`: which words of an instruction, or parts of a picture, changed the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import whygen
from whygen.calls import Budget, Rates, RunOptions
from whygen.cli import common, drawing
from whygen.cli import inputs as given_inputs
from whygen.cli.prompt import show_forecast
from whygen.errors import UsageError
from whygen.files import is_file
from whygen.media.films import MOST_BYTES, film_of, is_animated, read_video
from whygen.media.pictures import read_picture
from whygen.media.sounds import is_sound, read_sound
from whygen.models import ModelOptions
from whygen.models.diffusers.settings import picture_text
from whygen.prompt.foresee import foresee_prompt
from whygen.types import Edit, JsonValue, Picture, Settings, Sound, Video

_LOCAL = ("demo", "diffusers", "py", "replay", "planted")


def edit(
    model: Annotated[str, typer.Argument(help="A model URI such as demo/painter or diffusers/ORG/NAME.")],
    image: Annotated[Path, typer.Argument(help="The picture to change, or a sound or a video.")],
    source: Annotated[str | None, typer.Argument(metavar="INSTRUCTION|-|@FILE", help="What to change.")] = None,
    *,
    text: Annotated[str | None, typer.Option("--text", help="The instruction, whatever it begins with.")] = None,
    preset: Annotated[str | None, typer.Option(help="gsmile-images: the published procedure.")] = None,
    budget: Annotated[int | None, typer.Option(help="Pictures in all; 64 unless a preset says so.")] = None,
    units: Annotated[
        str | None, typer.Option(help="word, whitespace, sentence ... of the instruction, or region of the picture.")
    ] = None,
    regions: Annotated[
        int | None, typer.Option(help="With region: how many parts to cut the picture into; 12.")
    ] = None,
    fill: Annotated[str | None, typer.Option(help="With region: mean, blur or a colour such as #808080.")] = None,
    pin: Annotated[list[str] | None, typer.Option(help="A text that is always sent; may be given again.")] = None,
    operator: Annotated[str | None, typer.Option(help="delete or placeholder.")] = None,
    placeholder: Annotated[str | None, typer.Option(help="What stands for a missing unit; '...' unless given.")] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="auto, optimal-transport, sinkhorn, energy, cosine, euclidean, pixel, coordinate-wasserstein, in-time."
        ),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="auto, patches, colour, dinov2, clip, or a vision model's name or folder.")
    ] = "auto",
    estimand: Annotated[str | None, typer.Option(help="banzhaf, shapley, local or loo.")] = None,
    keep: Annotated[float | None, typer.Option(help="Probability with which each other unit is kept; 0.8.")] = None,
    kernel: Annotated[str | None, typer.Option(help="For local: dropped, embedding, word-mover or letters.")] = None,
    design: Annotated[str | None, typer.Option(help="auto, or gsmile: the published draw of masks.")] = None,
    scale: Annotated[str | None, typer.Option(help="For local: none, or min-max as published.")] = None,
    surrogate: Annotated[str | None, typer.Option(help="auto, or a name such as ridge.")] = None,
    distribution: Annotated[
        str | None, typer.Option(help="Compare sets of draws: energy, mmd, optimal-transport or sinkhorn.")
    ] = None,
    stable: Annotated[
        int | None, typer.Option(help="Stop once this many of the strongest units keep their order.")
    ] = None,
    irrelevant: Annotated[str | None, typer.Option(help="count or exclude pictures of something else.")] = None,
    interactions: Annotated[
        int | None, typer.Option(help="At most so many pairs of units that act together; 5.")
    ] = None,
    sets: Annotated[
        int | None, typer.Option(help="The fewest units that change or keep the picture, with so many further calls.")
    ] = None,
    draws: Annotated[int | None, typer.Option(help="Pictures drawn for each mask; 1.")] = None,
    references: Annotated[int | None, typer.Option(help="Reference pictures; 1.")] = None,
    model_noise: Annotated[
        str | None,
        typer.Option(
            help="measure, or none: you state that equal questions get equal answers, so none is asked twice."
        ),
    ] = None,
    tolerance: Annotated[float | None, typer.Option(help="Stop when the widest interval is under this.")] = None,
    empty: Annotated[str | None, typer.Option(help="include or exclude the empty instruction.")] = None,
    temperature: Annotated[float, typer.Option(help="0: one noise for all; above: each draw has its own.")] = 0.0,
    steps: drawing.Steps = None,
    guidance_scale: drawing.GuidanceScale = None,
    true_cfg_scale: drawing.TrueCfgScale = None,
    negative_prompt: drawing.NegativePrompt = None,
    size: drawing.Size = None,
    image_guidance_scale: Annotated[float | None, typer.Option(help="How strongly the picture is kept.")] = None,
    strength: Annotated[float | None, typer.Option(help="Image to image: share of noise, 0 to 1.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Inpainting: a picture, white where to paint.")] = None,
    noise_seed: drawing.NoiseSeed = None,
    setting: given_inputs.Setting = None,
    max_cost: common.MaxCost = None,
    max_calls: common.MaxCalls = None,
    deadline: common.Deadline = None,
    requests_per_minute: common.RequestsPerMinute = None,
    out: common.Out = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    seed: common.Seed = 0,
    base_url: common.BaseUrl = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Of a remote model: images (the default), or chat-images.")
    ] = None,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    device: common.Device = None,
    dtype: given_inputs.DType = None,
    batch_size: given_inputs.BatchSize = None,
    timeout: given_inputs.Timeout = None,
    dry_run: common.DryRun = False,
    debug: common.Debug = False,
) -> None:
    """Explain which words of an instruction, or which parts of a picture, changed what an editor made of it."""
    del debug  # read by the outermost handler of errors
    given = Edit(_medium(image), _instruction(source, text))
    extra: dict[str, JsonValue | None] = {
        "steps": steps, "guidance_scale": guidance_scale, "image_guidance_scale": image_guidance_scale,
        "true_cfg_scale": true_cfg_scale, "negative_prompt": negative_prompt, "size": size,
        "strength": strength, "seed": noise_seed, "mask": None if mask is None else picture_text(read_picture(mask)),
    }  # fmt: skip
    told = drawing.picture_settings(given_inputs.read_settings(setting), extra)
    choices: dict[str, Any] = {
        "kernel": kernel, "design": design, "scale": scale, "distribution": distribution, "stable": stable,
        "irrelevant": irrelevant, "interactions": interactions, "sets": sets,
        "budget": budget, "units": units, "regions": regions, "fill": fill, "pin": pin or None, "operator": operator,
        "placeholder": placeholder, "target": target, "estimand": estimand, "keep": keep, "surrogate": surrogate,
        "draws": draws, "references": references, "model_noise": model_noise, "tolerance": tolerance, "empty": empty,
    }  # fmt: skip
    common_choices: dict[str, Any] = {
        "preset": preset,
        "encoder": encoder,
        "settings": Settings(temperature=temperature, seed=seed, extra=told),
        "seed": seed,
        "options": ModelOptions(
            device=device,
            dtype=dtype,
            batch_size=batch_size,
            base_url=base_url,
            endpoint=endpoint or _endpoint(model),
            timeout=timeout,
        ),
        **{name: value for name, value in choices.items() if value is not None},
    }
    run = RunOptions(
        spending=Budget(calls=max_calls, money=max_cost),
        rates=Rates(requests_per_minute=requests_per_minute),
        deadline=deadline,
    )
    if dry_run:
        show_forecast(foresee_prompt(model, given, run=run, **common_choices), as_json=as_json)
        return
    store, progress = common.store_path(cache, no_cache), common.progress_for(quiet, as_json=as_json)
    common.explained(
        lambda: whygen.explain_prompt(model, given, cache=store, progress=progress, run=run, **common_choices),
        out=out, as_json=as_json, quiet=quiet, cache=store,
    )  # fmt: skip


def _endpoint(model: str) -> str | None:
    """Remote models edit pictures at an endpoint of their own."""
    return None if model.partition("/")[0] in _LOCAL else "images"


def _medium(path: Path) -> Picture | Sound | Video:
    """What is to be changed, told by how the file begins; a file that is none of these is refused as a picture."""
    if is_file(path):
        with path.open("rb") as file:
            start = file.read(64)
        if is_sound(start):
            return read_sound(path)
        if film_of(start) is not None or (path.stat().st_size <= MOST_BYTES and is_animated(path.read_bytes())):
            return read_video(path)
    return read_picture(path)


def _instruction(source: str | None, text: str | None) -> str:
    if (source is None) == (text is None):
        raise UsageError("Give the instruction once: as TEXT, as - for standard input, as @FILE, or with --text TEXT.")
    return text if text is not None else common.read_text(source or "")
