"""`whygen anchors MODEL --anchors PATH`: what a generative model has learned."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import typer

import whygen
from whygen.cli import common
from whygen.errors import UsageError
from whygen.models import ModelOptions

DIGITS = "demo/digits-vae"
CONTROLS_HELP = "What shares are read against: auto, none, or of untrained,trivial,foils,generated."
CALIBRATION_HELP = "auto, conformal, mean-max, percentile or std."


def anchors(
    model: Annotated[str, typer.Argument(help="demo/digits-vae, diffusers/PATH, or py/package.module:callable.")],
    *,
    anchors: Annotated[str | None, typer.Option(help="Folder of images, .npz, .npy, .parquet or idx.")] = None,
    reference: Annotated[str | None, typer.Option(help="Real samples that the model has not seen.")] = None,
    reference_role: Annotated[str, typer.Option(help="held-out or training.")] = "held-out",
    criteria: Annotated[str | None, typer.Option(help="auto, or names such as kld,sse.")] = None,
    calibration: Annotated[str | None, typer.Option(help=CALIBRATION_HELP)] = None,
    alpha: Annotated[float | None, typer.Option(help="Chance that a sample like the reference is called low.")] = None,
    level: Annotated[str | None, typer.Option(help="per-criterion or joint.")] = None,
    draws: Annotated[int | None, typer.Option(help="Posterior draws to average.")] = None,
    select: Annotated[str | None, typer.Option(help="k-dispersion:8, k-center:8,outliers=5 ...")] = None,
    space: Annotated[str | None, typer.Option(help="auto, pixels, latent, features or criteria.")] = None,
    controls: Annotated[str | None, typer.Option(help=CONTROLS_HELP)] = None,
    preset: Annotated[str | None, typer.Option(help="pxgen, or pxgen-saturated.")] = None,
    rounds: Annotated[int | None, typer.Option(help="R of mean-max.")] = None,
    per_round: Annotated[int | None, typer.Option(help="N of mean-max.")] = None,
    layout: Annotated[str | None, typer.Option(help="Of arrays: flat, NHW, NHWC or NCHW.")] = None,
    scale: Annotated[str | None, typer.Option(help="What encode returns beside the mean: logvar, std or var.")] = None,
    out: common.Out = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    seed: common.Seed = 0,
    device: common.Device = None,
    debug: common.Debug = False,
) -> None:
    """Explain which anchors a generative model knows, invents, half-knows or fails."""
    del debug  # read by the outermost handler of errors
    given, held_out = _data(model, anchors, reference)
    explanation = whygen.explain_anchors(
        model,
        given,
        reference=held_out,
        reference_role=cast(Literal["held-out", "training"], reference_role),
        criteria=criteria,
        calibration=calibration,
        alpha=alpha,
        level=cast('Literal["per-criterion", "joint"] | None', level),
        draws=draws,
        select=select,
        space=space,
        controls=controls,
        preset=preset,
        rounds=rounds,
        per_round=per_round,
        layout=cast('Literal["flat", "NHW", "NHWC", "NCHW"] | None', layout),
        scale=cast('Literal["logvar", "std", "var"] | None', scale),
        seed=seed,
        options=ModelOptions(device=device),
        progress=common.progress_for(quiet or as_json),
    )
    common.show(explanation, out=out, as_json=as_json, quiet=quiet)


def _data(model: str, anchors: str | None, reference: str | None) -> tuple[object, object | None]:
    """What the person gave; the demo model brings its own digits (its reference it brings by itself)."""
    if anchors is not None:
        return anchors, reference
    if model != DIGITS:
        raise UsageError(
            "Say which samples to explain the model by: --anchors PATH (a folder, .npz, .npy or .parquet)."
        )
    from whygen.demo.digits import digits

    return digits("anchors"), reference
