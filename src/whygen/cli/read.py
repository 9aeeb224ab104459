"""`whygen read DIR`: what the answers or scores of a saved explanation say by another target, estimand or threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from whygen.cli import common
from whygen.errors import UsageError
from whygen.results import PromptExplanation, load

TARGET = "Of a prompt: another target that reads the same answers, such as contains:snow."
ESTIMAND = "Of a prompt: another estimand that the same masks serve."
SURROGATE = "Of a prompt: another model of the model."
IRRELEVANT = "Of a prompt: count answers about something else, or exclude them."


def read(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    *,
    target: Annotated[str | None, typer.Option(help=TARGET)] = None,
    estimand: Annotated[str | None, typer.Option(help=ESTIMAND)] = None,
    surrogate: Annotated[str | None, typer.Option(help=SURROGATE)] = None,
    irrelevant: Annotated[str | None, typer.Option(help=IRRELEVANT)] = None,
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
    out: common.Out = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
) -> None:
    """Read a saved explanation again by another target, estimand, threshold or selection. No model is asked."""
    del debug
    of_prompt: dict[str, Any] = {
        "target": target, "estimand": estimand, "surrogate": surrogate, "irrelevant": irrelevant, "encoder": encoder,
    }  # fmt: skip
    of_anchors: dict[str, Any] = {
        "criteria": criteria, "calibration": calibration, "alpha": alpha, "level": level, "multiplicity": multiplicity,
        "rounds": rounds, "per_round": per_round, "select": select, "space": space, "controls": controls,
    }  # fmt: skip
    explanation = load(directory)
    is_prompt = isinstance(explanation, PromptExplanation)
    strange = [name for name, value in (of_anchors if is_prompt else of_prompt).items() if value is not None]
    if strange:
        what = "a prompt" if is_prompt else "anchors"
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
        raise UsageError(f"{str(directory)!r} explains {what}: leave out {flags}.")
    given = {name: value for name, value in (of_prompt if is_prompt else of_anchors).items() if value is not None}
    with common.made_folder(out):
        common.show(explanation.read(**given), out=out, as_json=as_json, quiet=quiet)
