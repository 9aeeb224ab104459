"""`whygen evaluate DIR`: how good a saved explanation is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table
from rich.text import Text

from whygen.calls import Interrupted
from whygen.cli import common
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, made, with_options
from whygen.cli.outermost import say
from whygen.errors import DataError
from whygen.evaluation import evaluate as evaluation
from whygen.evaluation.result import Evaluation, table
from whygen.interrupts import INTERRUPTED
from whygen.models import ModelOptions
from whygen.report.texts import visible
from whygen.results.files import make_folder, try_folder
from whygen.results.summary import write_html
from whygen.results.summary.evaluated import evaluation_verdict, summarise_evaluation
from whygen.safe import read_json
from whygen.texts import counted

PAGE = "evaluation.html"
"""What the page is called: it may stand in the folder of the explanation, beside its report."""


@with_options(Offers(ModelOptions))
def evaluate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(evaluation.METRICS)}; may be given again. All that apply unless given."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="For accuracy: a file of 0 and 1, one for each unit, or a JSON list.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The model, if not the one that the explanation names.", autocompletion=complete_model),
    ] = None,
    budget: Annotated[int, typer.Option(help="Answers that may be asked for in all; 0 asks nothing.")] = 0,
    repeats: Annotated[int, typer.Option(help="Further explanations by other seeds.")] = 3,
    paraphrase: Annotated[
        list[str] | None, typer.Option(help="For stability: the prompt in other words, TEXT or @FILE.")
    ] = None,
    other: Annotated[list[str] | None, typer.Option(help="For consistency: another model; may be given again.")] = None,
    randomised: Annotated[
        str | None, typer.Option(help="For randomisation: a model that learned nothing, or copy.")
    ] = None,
    encoder: Annotated[str, typer.Option(help="Another encoder than that of the explanation.")] = "auto",
    target: Annotated[str | None, typer.Option(help="The target, where it was a function of your own.")] = None,
    placeholder: Annotated[str | None, typer.Option(help="Of folders of before: what stood for a unit.")] = None,
    fill: Annotated[
        str | None, typer.Option(help="What stood for a region of a picture: mean, blur or #808080.")
    ] = None,
    lexicon: Annotated[Path | None, typer.Option(help="Words and others for them, to write paraphrases.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for evaluation.json and its page, evaluation.html; DIR unless given."),
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="File for the table as Markdown.")] = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    seed: common.Seed = 0,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    debug: common.Debug = False,
    given: Given,
) -> None:
    """Measure how good a saved explanation is, each figure beside its chance level."""
    del debug
    told = {"target": target, "placeholder": placeholder, "fill": fill, "lexicon": lexicon}
    choices: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    folder = out or (directory if directory.is_dir() else directory.parent)
    if out is not None or folder.is_dir():
        try_folder(make_folder(folder))
    try:
        found = evaluation.evaluate(
            directory,
            metrics=metric or "auto",
            labels=None if labels is None else read_labels(labels),
            model=model,
            budget=budget,
            repeats=repeats,
            paraphrases=[common.read_text(text) for text in paraphrase or ()],
            models=other or (),
            randomised=randomised,
            encoder=encoder,
            seed=seed,
            cache=common.store_path(cache, no_cache),
            options=made(ModelOptions, given),
            progress=common.progress_for(quiet, as_json=as_json),
            **choices,
        )
    except Interrupted as stop:
        found = cast(Evaluation, stop.explanation)
    how = common.Shared(out=out, cache=cache, no_cache=no_cache)
    if found.ended is not None:  # what an earlier run measured in full stays
        folder = make_folder(how.partial())
    try:
        _show(found, folder, markdown, as_json=as_json, quiet=quiet)
    except OSError:  # the terminal is gone; the figures were saved before
        if found.ended is None:
            raise
    if found.ended is not None:
        how.say_what_goes_on()
        raise typer.Exit(INTERRUPTED if found.ended == "interrupt" else common.ENDED_EARLY)


def _show(found: Evaluation, folder: Path, markdown: Path | None, *, as_json: bool, quiet: bool) -> None:
    """Save the figures with their page, and print them; they were paid for, wherever they cannot be saved."""
    try:
        found.save(folder)
        write_html(summarise_evaluation(found.to_dict()), folder / PAGE)
        if markdown is not None:
            markdown.write_text(found.to_markdown(), encoding="utf-8")
    finally:
        if as_json:
            common.print_json(found.to_dict())
        elif not quiet:
            _tell(found)
    if not as_json and not quiet:
        say(f"Page: {folder / PAGE}")


def read_labels(path: Path) -> list[int]:
    """Labels from a file: a JSON list of 0 and 1 (or true and false), or the digits with white space between.

    Raises:
        MissingError: if the file is not there.
        DataError: if it holds anything else.
    """
    text = common.read_text(f"@{path}").strip()
    try:
        found: object = read_json(text) if text.startswith("[") else [int(word) for word in text.split()]
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(value in (0, 1) for value in cast("list[object]", found)):
        raise DataError(f"The labels in {str(path)!r} are no list of 0 and 1: write [0, 1, 1], or 0 1 1, one a unit.")
    return [int(value) for value in cast("list[int]", found)]


def _tell(found: Evaluation) -> None:
    console = common.console_for_output()
    console.print(Text(evaluation_verdict(found.to_dict()), style="bold"))
    rows = list(table(found.measures))
    shown = Table(box=None, pad_edge=False)
    shown.add_column("figure", min_width=max((len(row[1]) + 2 for row in rows), default=0), no_wrap=True)
    for head in ("value", "95% interval", "by chance"):
        shown.add_column(head)
    group = ""
    for metric, name, value, interval, chance, _ in rows:
        if metric != group:
            shown.add_row(Text(metric, style="bold"))
            group = metric
        shown.add_row(Text(f"  {name}"), value, interval, chance)
    console.print(shown)
    for left in found.left_out:
        console.print(Text(f"Left out: {left.metric}. {visible(left.reason)}", style="yellow"))
    console.print(Text(f"{counted(found.calls.asked, 'answer')} asked for, {counted(found.calls.made, 'call')} made."))
