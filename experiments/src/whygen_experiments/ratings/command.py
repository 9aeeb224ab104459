"""`whygen ratings`: a blind sheet on which people rate explanations, and what their ratings say."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from whygen.cli import common
from whygen.errors import DataError, MissingError, UsageError
from whygen.report.texts import visible
from whygen.results import PromptExplanation, load
from whygen.results.files import write_together
from whygen.stats.seeds import generator
from whygen_experiments.ratings import sheet
from whygen_experiments.ratings.page import rating_sheet
from whygen_experiments.ratings.scores import Difference, MethodScore, Rated, score

app = typer.Typer(help="Blind ratings of explanations by people.", no_args_is_help=True)

PAGE, SHEET = "sheet.html", "ratings.csv"
MAX_BYTES = 4 * 1024 * 1024
"""A larger file is no sheet of ratings."""

Given = Annotated[
    list[str], typer.Argument(metavar="[METHOD=]DIR...", help="Folders that -o wrote: each method, each prompt.")
]
Sheets = Annotated[list[Path], typer.Argument(metavar="SHEET...", help="Filled-in ratings.csv, a file a rater.")]
Asked = Annotated[list[str] | None, typer.Option("--question", help="NAME=STATEMENT; instead of the usual four.")]
KeyOut = Annotated[Path | None, typer.Option("--key", help="Where the key goes; beside the sheet, not in it.")]
KeyIn = Annotated[Path, typer.Option("--key", help="The key that export wrote.")]


@app.command("export")
def export(
    given: Given,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="SHEET", help="Folder for the sheet.")],
    question: Asked = None,
    key: KeyOut = None,
    seed: Annotated[int | None, typer.Option(help="Of the codes and of the order; else drawn afresh.")] = None,
    debug: common.Debug = False,
) -> None:
    """Write a sheet that does not say which method made which explanation, and the key apart from it."""
    del debug
    place = key or out.parent / f"{out.name}.key.json"
    _check_places(out, place)
    made, items = sheet.blind(
        [_explanation(each) for each in given],
        generator(secrets.randbits(63) if seed is None else seed, "rating sheet"),
        questions=sheet.QUESTIONS if question is None else dict(map(_question, question)),
    )
    page = rating_sheet(items, made.questions)
    write_together(place.parent, {place.name: made.model_dump_json(indent=1).encode()})
    write_together(out, {PAGE: page.encode("utf-8", "replace"), SHEET: sheet.write_csv(made).encode()})
    people = common.console_for_people()
    people.print(
        f"{len(items)} explanations by {len(made.methods)} methods. For the raters: {out}. The key, which no rater "
        f"should see: {place}. Then: whygen ratings score --key {place} FILLED.csv ...",
        markup=False,
        highlight=False,
    )


@app.command("score")
def score_sheets(
    sheets: Sheets,
    *,
    key: KeyIn,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    debug: common.Debug = False,
) -> None:
    """Read filled-in sheets: mean ratings with intervals, differences, and how far the raters agree."""
    del debug
    made = sheet.read_key(_read(key), source=str(key))
    read = {name: sheet.read_ratings(_read(path), made, source=str(path)) for name, path in _raters(sheets).items()}
    rated = score(made, read, generator(seed, "ratings"))
    if as_json:
        common.print_json(rated.to_dict())
    elif not quiet:
        _show(rated)


def _check_places(out: Path, key: Path) -> None:
    if _real(key).parent == _real(out):
        raise UsageError(f"The key {str(key)!r} would lie in the folder that the raters get. Give another --key.")
    for path in (out / SHEET, key):
        if path.exists():
            raise UsageError(
                f"{str(path)!r} is there already, and may hold ratings or the key to some. Give another folder with -o."
            )


def _real(path: Path) -> Path:
    """Where a path leads; links that lead round in a circle are left as they are, for whoever opens them to say."""
    return Path(os.path.realpath(path))


def _explanation(given: str) -> tuple[str, PromptExplanation]:
    name, equals, folder = given.partition("=")
    if Path(given).exists() or not equals:
        name, folder = "", given
    explanation = load(folder)
    if not isinstance(explanation, PromptExplanation):
        raise UsageError(f"{folder!r} explains anchors: a rating sheet shows explanations of prompts.")
    evidence = explanation.evidence
    if evidence is not None and (evidence.pictures is not None or evidence.media is not None):
        raise UsageError(f"{folder!r} explains pictures, sounds or videos: a rating sheet shows answers in text.")
    return name or sheet.describe(explanation), explanation


def _question(given: str) -> tuple[str, str]:
    name, equals, statement = given.partition("=")
    if not equals or not statement.strip():
        raise UsageError(
            f"--question {given!r} has no statement. Write NAME=STATEMENT, for example clear='I see why.'."
        )
    return name.strip(), statement.strip()


def _raters(sheets: list[Path]) -> dict[str, Path]:
    """A name for each rater: the file's, or the whole path where two files are called the same."""
    if len({_real(path) for path in sheets}) < len(sheets):
        raise UsageError("A sheet was given twice: each rater counts once.")
    stems = [path.stem for path in sheets]
    return {path.stem if stems.count(path.stem) == 1 else str(path): path for path in sheets}


def _read(path: Path) -> str:
    if not path.is_file():
        raise MissingError(f"The file {str(path)!r} is not there. Give a file that `whygen ratings export` wrote.")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DataError(f"{path} is over {MAX_BYTES // 2**20} MiB: this is surely no sheet of ratings, and no key.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8. In a spreadsheet program, save it as `CSV UTF-8`.") from None


def _show(rated: Rated) -> None:
    console = common.console_for_output()
    console.print(Text(f"{len(rated.raters)} raters: {visible(', '.join(rated.raters))}; {rated.prompts} prompts"))
    table = Table("question", "method", "mean", "95% interval", "ratings", "missing", box=None)
    for row in rated.scores:
        table.add_row(
            Text(row.question), Text(visible(row.method)), _number(row.mean), _limits(row), f"{row.ratings}",
            f"{row.missing}",
        )  # fmt: skip
    console.print(table)
    apart = Table("question", "difference", "mean", "95% interval", box=None)
    for each in rated.differences:
        name = visible(f"{each.first} − {each.second}")
        apart.add_row(Text(each.question), Text(name), _number(each.mean, "+"), _limits(each, "+"))
    console.print(apart)
    agree = Table("question", "Krippendorff's alpha", "95% interval", box=None)
    for agreement in rated.agreement:
        limits = "" if agreement.low is None else f"{agreement.low:.2f} to {agreement.high:.2f}"
        agree.add_row(Text(agreement.question), _number(agreement.alpha), limits)
    console.print(agree)
    for note in rated.notes:
        console.print(Text(note, style="yellow"))


def _number(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.2f}"


def _limits(row: MethodScore | Difference, sign: str = "") -> str:
    return "" if row.low is None else f"{row.low:{sign}.2f} to {row.high:{sign}.2f}"
