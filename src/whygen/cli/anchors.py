"""`whygen anchors MODEL --anchors PATH`: what a generative model has learned."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

import whygen
from whygen.anchors.explain import foresee_anchors
from whygen.anchors.work import AnchorForecast
from whygen.calls import RunOptions
from whygen.cli import common
from whygen.cli.options import Given, Offers, made, with_options
from whygen.errors import UsageError
from whygen.models import ModelOptions
from whygen.plugins import NamedFunction, imported, source_of
from whygen.texts import read_text_file

DIGITS = "demo/digits-vae"
ANCHORS_HELP = "Folder of images, a picture, a pattern, .npz, .npy, .parquet or idx."
ENCODER_HELP = "Features of samples: patches, dinov2, a vision model's name or folder, or py/package.module:callable."
CONTROLS_HELP = "What shares are read against: auto, none, or of untrained,trivial,foils,generated."
CALIBRATION_HELP = "auto, conformal, mean-max, percentile or std."


@with_options(Offers(RunOptions, but=("batch",)), Offers(ModelOptions, but=("base_url", "endpoint", "timeout")))
def anchors(
    model: Annotated[str, typer.Argument(help="demo/digits-vae, diffusers/PATH, or py/package.module:callable.")],
    *,
    anchors: Annotated[str | None, typer.Option(help=ANCHORS_HELP)] = None,
    reference: Annotated[str | None, typer.Option(help="Real samples that the model has not seen.")] = None,
    reference_role: Annotated[str, typer.Option(help="held-out or training.")] = "held-out",
    criteria: Annotated[str | None, typer.Option(help="auto, or names such as kld,sse.")] = None,
    calibration: Annotated[str | None, typer.Option(help=CALIBRATION_HELP)] = None,
    alpha: Annotated[float | None, typer.Option(help="Chance that a sample like the reference is called low.")] = None,
    level: Annotated[str | None, typer.Option(help="per-criterion or joint.")] = None,
    multiplicity: Annotated[str | None, typer.Option(help="none, or benjamini-hochberg over the anchors.")] = None,
    draws: Annotated[str | None, typer.Option(help="Posterior draws to average, or mean.")] = None,
    select: Annotated[str | None, typer.Option(help="k-dispersion:8, k-center:8,outliers=5 ...")] = None,
    space: Annotated[str | None, typer.Option(help="auto, pixels, latent, features or criteria.")] = None,
    controls: Annotated[str | None, typer.Option(help=CONTROLS_HELP)] = None,
    preset: Annotated[str | None, typer.Option(help="pxgen, or pxgen-saturated.")] = None,
    rounds: Annotated[int | None, typer.Option(help="R of mean-max.")] = None,
    per_round: Annotated[int | None, typer.Option(help="N of mean-max.")] = None,
    layout: Annotated[str | None, typer.Option(help="Of arrays: flat, NHW, NHWC or NCHW.")] = None,
    size: Annotated[str | None, typer.Option(help="Resize pictures to HxW, such as 28x28.")] = None,
    mode: Annotated[str | None, typer.Option(help="Convert pictures to L (grey) or RGB.")] = None,
    scale: Annotated[str | None, typer.Option(help="What encode returns beside the mean: logvar, std or var.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Of the anchors: a file with one a line.")] = None,
    trained: Annotated[str | None, typer.Option(help="Labels that the model was trained on, such as 0,1,7.")] = None,
    shape: Annotated[str | None, typer.Option(help="Of one sample, where the model does not say: 28,28.")] = None,
    value_range: Annotated[str | None, typer.Option(help="Lowest and highest value of samples: 0,1 or -1,1.")] = None,
    encoder: Annotated[str | None, typer.Option(help=ENCODER_HELP)] = None,
    classifier: Annotated[str | None, typer.Option(help="Labels of samples: py/package.module:callable.")] = None,
    out: common.Out = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    seed: common.Seed = 0,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    dry_run: common.DryRun = False,
    debug: common.Debug = False,
    given: Given,
) -> None:
    """Explain which anchors a generative model knows, invents, half-knows or fails."""
    del debug  # read by the outermost handler of errors
    samples, held_out = _data(model, anchors, reference)
    choices: dict[str, Any] = {
        "reference": held_out,
        "reference_role": cast(Literal["held-out", "training"], reference_role),
        "criteria": criteria,
        "calibration": calibration,
        "alpha": alpha,
        "level": cast('Literal["per-criterion", "joint"] | None', level),
        "multiplicity": cast('Literal["none", "benjamini-hochberg"] | None', multiplicity),
        "draws": None if draws is None else _draws(draws),
        "labels": None if labels is None else _lines(labels),
        "trained": None if trained is None else _labels(trained),
        "shape": None if shape is None else _whole_numbers("--shape", shape),
        "value_range": None if value_range is None else _range(value_range),
        "encoder": encoder,
        "classifier": _callable("--classifier", classifier),
        "select": select,
        "space": space,
        "controls": controls,
        "preset": preset,
        "rounds": rounds,
        "per_round": per_round,
        "layout": cast('Literal["flat", "NHW", "NHWC", "NCHW"] | None', layout),
        "size": None if size is None else _size(size),
        "mode": cast('Literal["L", "RGB"] | None', mode),
        "scale": cast('Literal["logvar", "std", "var"] | None', scale),
        "seed": seed,
        "options": made(ModelOptions, given),
        "run": made(RunOptions, given),
    }
    store = common.store_path(cache, no_cache)
    if dry_run:
        show_forecast(foresee_anchors(model, samples, cache=store, **choices), as_json=as_json)
        return
    progress = common.progress_for(quiet, as_json=as_json)
    common.explained(
        lambda: whygen.explain_anchors(model, samples, cache=store, progress=progress, **choices),
        out=out, as_json=as_json, quiet=quiet, cache=store,
    )  # fmt: skip


def show_forecast(forecast: AnchorForecast, *, as_json: bool) -> None:
    """Print how much would be scored, and how much of that is recorded."""
    if as_json:
        common.print_json(asdict(forecast))
        return
    common.tell(f"{forecast.samples:,} samples, {forecast.recorded:,} of them recorded")
    common.tell(f"to encode: {forecast.encoded:,}; to decode: at most {forecast.decoded:,}; cost: none, it runs here")
    common.tell("Nothing was scored.")


def _data(model: str, anchors: str | None, reference: str | None) -> tuple[object, object | None]:
    """What the person gave; the demo model brings its own digits (its reference it brings by itself)."""
    if anchors is not None:
        return anchors, reference
    if model != DIGITS:
        raise UsageError(
            "Say which samples to explain the model by: --anchors PATH (a folder, .npz, .npy or .parquet). A model "
            f"that answers prompts has none: whygen prompt {shlex.quote(model)} 'the prompt'."
        )
    from whygen.demo.digits import digits

    return digits("anchors"), reference


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in read_text_file(path, "The file of labels").splitlines() if line.strip()]


def _labels(text: str) -> list[str | int]:
    """Labels between commas; whole numbers are numbers."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [int(part) if part.isdecimal() else part for part in parts]


def _whole_numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r}: give whole numbers between commas, such as 28,28.") from None


def _size(text: str) -> tuple[int, int]:
    """Height and width: 28x28, or 28 for a square."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts):
        raise UsageError(f"--size {text!r}: give height x width in pixels, such as 28x28.")
    return int(parts[0]), int(parts[-1])


def _draws(text: str) -> int | Literal["mean"]:
    if text == "mean":
        return "mean"
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"--draws {text!r}: give a whole number, or mean.")
    return int(text)


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--value-range {text!r}: give two numbers, such as 0,1 or -1,1.") from None
    return low, high


def _callable(option: str, uri: str | None) -> Callable[..., Any] | None:
    """A function of the person's own, by its URI."""
    if uri is None:
        return None
    found = imported(uri.removeprefix("py/")) if uri.startswith("py/") and ":" in uri else None
    if not callable(found):
        raise UsageError(f"{option} {uri!r} is no function: give py/package.module:callable.")
    return NamedFunction(found, uri, source_of(uri))
