"""`whygen read DIR`: what the answers or scores of a saved explanation say by another target, estimand or threshold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from whygen.cli import common
from whygen.cli.options import Given, Offers, with_options
from whygen.errors import UsageError
from whygen.prompt.options import READ, PromptOptions
from whygen.results import AnchorExplanation, PromptExplanation, load


@with_options(Offers(PromptOptions, READ))
def read(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    *,
    encoder: Annotated[str | None, typer.Option(help="Of a prompt: for a target that compares by another one.")] = None,
    criteria: Annotated[str | None, typer.Option(help="Of anchors: some of those that were scored.")] = None,
    calibration: Annotated[str | None, typer.Option(help="Of anchors: conformal, mean-max, percentile, std.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Of anchors: chance that a sample is called low.")] = None,
    level: Annotated[str | None, typer.Option(help="Of anchors: per-criterion or joint.")] = None,
    multiplicity: Annotated[str | None, typer.Option(help="Of anchors: none or benjamini-hochberg.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Of anchors: R of mean-max.")] = None,
    per_round: Annotated[int | None, typer.Option(help="Of anchors: N of mean-max.")] = None,
    select: Annotated[str | None, typer.Option(help="Of anchors: k-dispersion:8, k-center:8 ...")] = None,
    space: Annotated[str | None, typer.Option(help="Of anchors: pixels, latent, features or criteria.")] = None,
    controls: Annotated[str | None, typer.Option(help="Of anchors: some of those that were scored, or none.")] = None,
    trained: Annotated[str | None, typer.Option(help="Of anchors: labels that were trained on, such as 0,1,7.")] = None,
    out: common.Out = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
    given: Given,
) -> None:
    """Read a saved explanation again by another target, estimand, threshold or selection. No model is asked."""
    del debug
    of_prompt = {**given, **({} if encoder is None else {"encoder": encoder})}
    of_anchors: dict[str, Any] = {
        "criteria": criteria, "calibration": calibration, "alpha": alpha, "level": level, "multiplicity": multiplicity,
        "rounds": rounds, "per_round": per_round, "select": select, "space": space, "controls": controls,
        "trained": trained and [int(each) if each.isdecimal() else each for each in trained.split(",")],
    }  # fmt: skip
    of_anchors = {name: value for name, value in of_anchors.items() if value is not None}
    explanation = load(directory)
    is_prompt = isinstance(explanation, PromptExplanation)
    if strange := of_anchors if is_prompt else of_prompt:
        what = "a prompt" if is_prompt else "anchors"
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
        raise UsageError(f"{str(directory)!r} explains {what}: leave out {flags}.")
    again = cast("Callable[..., PromptExplanation | AnchorExplanation]", explanation.read)
    with common.made_folder(out):
        common.show(again(**(of_prompt if is_prompt else of_anchors)), out=out, as_json=as_json, quiet=quiet)
