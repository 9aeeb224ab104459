"""`whygen evaluate DIR`: is a saved explanation any good?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table
from rich.text import Text

import whygen
from whygen.cli import common
from whygen.errors import DataError
from whygen.evaluation.measures.record import Evaluation, shown
from whygen.models import ModelOptions
from whygen.report.texts import shorten, visible
from whygen.runs import Budget, Rates, RunOptions


def evaluate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="fidelity, accuracy, randomisation, cost; asking the model: faithfulness, stability, consistency, "
            "agreement; or all. May be given again."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A JSON list, or lines, of 1 and 0: whether each unit matters.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model, where the saved URI does not open it.")] = None,
    target: Annotated[str | None, typer.Option(help="As whygen prompt was given it, where its file asks.")] = None,
    encoder: Annotated[str, typer.Option(help="As whygen prompt was given it.")] = "auto",
    paraphrase: Annotated[str | None, typer.Option(help="The prompt in other words, for stability.")] = None,
    other: Annotated[list[str] | None, typer.Option(help="Another model, for consistency; may be given again.")] = None,
    operator: Annotated[list[str] | None, typer.Option(help="An operator, for agreement; may be given again.")] = None,
    untrained: Annotated[str | None, typer.Option(help="A model with random weights, for randomisation.")] = None,
    budget: Annotated[int, typer.Option(help="Calls that the evaluation may ask for in all.")] = 512,
    max_cost: common.MaxCost = None,
    token_budget: common.TokenBudget = None,
    deadline: common.Deadline = None,
    requests_per_minute: common.RequestsPerMinute = None,
    tokens_per_minute: common.TokensPerMinute = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    seed: common.Seed = 0,
    base_url: common.BaseUrl = None,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    device: common.Device = None,
    debug: common.Debug = False,
) -> None:
    """Evaluate a saved explanation; the result is kept beside it as evaluation.json."""
    del debug
    names = metric or ["auto"]
    given: dict[str, Any] = {} if target is None else {"target": target}
    found = whygen.evaluate(
        directory,
        metrics=names[0] if names[0] in {"auto", "all"} and len(names) == 1 else names,
        labels=None if labels is None else read_labels(labels),
        model=model,
        encoder=encoder,
        paraphrase=paraphrase,
        models=other or (),
        untrained=untrained,
        max_calls=budget,
        seed=seed,
        cache=common.store_path(cache, no_cache),
        options=ModelOptions(device=device, base_url=base_url),
        progress=common.progress_for(quiet or as_json),
        run=RunOptions(
            spending=Budget(tokens=token_budget, money=max_cost),
            rates=Rates(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute),
            deadline=deadline,
        ),
        **({"operators": operator} if operator else {}),
        **given,
    )
    found.save(directory)
    if as_json:
        common.print_json(found.to_dict())
    elif not quiet:
        _show(found)


def read_labels(path: Path) -> list[int]:
    """Labels from a file: a JSON list, or whitespace between them.

    Raises:
        MissingError: if the file is not there.
        DataError: if it holds no such thing.
    """
    text = common.read_text(f"@{path}")
    try:
        found: object = json.loads(text) if text.lstrip().startswith("[") else [int(word) for word in text.split()]
    except ValueError as error:
        raise DataError(f"The labels in {str(path)!r} cannot be read: {error}. Give 1 and 0.") from None
    if not isinstance(found, list) or not all(one in (0, 1) for one in cast("list[object]", found)):
        raise DataError(f"The labels in {str(path)!r} are no list of 1 and 0 (or true and false).")
    return [int(cast("Any", one)) for one in cast("list[object]", found)]


def _show(found: Evaluation) -> None:
    console = common.console_for_output()
    table = Table("measure", "value", "95% interval", "chance", box=None)
    for measure in found.measures:
        table.add_row(Text(visible(measure.name)), *shown(measure))
    console.print(table)
    for left in found.left_out:
        console.print(Text(f"left out: {left.metric}: {visible(shorten(left.why, 300))}", style="dim"))
    console.print(Text(f"{found.asked} calls asked for, {found.made} made", style="dim"))
