"""`whygen read DIR`: what the answers or scores of a saved explanation say by another target, estimand or threshold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from whygen.anchors.options import AnchorOptions
from whygen.cli import common
from whygen.cli.options import Given, Offers, chosen, with_options
from whygen.errors import UsageError
from whygen.prompt.options import READ, PromptOptions
from whygen.results import AnchorExplanation, PromptExplanation, TextAnchorExplanation, load

OF_PROMPTS = Offers(PromptOptions, READ)
OF_TEXTS = ("alpha", "fdr", "false_positives", "reference_role")
OF_ANCHORS = Offers(AnchorOptions, but=("draws", "bank", "metrics", "condition"))


@with_options(OF_PROMPTS, OF_ANCHORS)
def read(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    *,
    encoder: Annotated[str | None, typer.Option(help="Of a prompt: for a target that compares by another one.")] = None,
    trained: Annotated[str | None, typer.Option(help="Of anchors: labels that were trained on, such as 0,1,7.")] = None,
    fdr: Annotated[
        float | None, typer.Option(help="Of texts: expected share of false ones among those called known by heart.")
    ] = None,
    reference_role: Annotated[
        str | None, typer.Option(help="Of texts: held-out, or training if the model has seen the reference.")
    ] = None,
    out: common.Out = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
    given: Given,
) -> None:
    """Read a saved explanation again by another target, estimand, threshold or selection. No model is asked."""
    del debug
    of_prompt = {**chosen(OF_PROMPTS, given), **({} if encoder is None else {"encoder": encoder})}
    of_anchors: dict[str, Any] = chosen(OF_ANCHORS, given)
    if trained is not None:
        of_anchors["trained"] = [int(each) if each.isdecimal() else each for each in trained.split(",")]
    of_texts = {name: each for name, each in (("fdr", fdr), ("reference_role", reference_role)) if each is not None}
    explanation = load(directory)
    if isinstance(explanation, TextAnchorExplanation):
        of_anchors |= of_texts
        if strange := [*of_prompt, *(name for name in of_anchors if name not in OF_TEXTS)]:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
            takes = ", ".join(f"--{name.replace('_', '-')}" for name in OF_TEXTS)
            raise UsageError(f"{str(directory)!r} explains texts, which take {takes}: leave out {flags}.")
    elif of_texts:
        raise UsageError(f"{str(directory)!r} explains no texts: leave out --fdr and --reference-role.")
    is_prompt = isinstance(explanation, PromptExplanation)
    if strange := of_anchors if is_prompt else of_prompt:
        what = "a prompt" if is_prompt else "anchors"
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
        raise UsageError(f"{str(directory)!r} explains {what}: leave out {flags}.")
    again = cast("Callable[..., PromptExplanation | AnchorExplanation]", explanation.read)
    with common.made_folder(out):
        common.show(again(**(of_prompt if is_prompt else of_anchors)), out=out, as_json=as_json, quiet=quiet)
