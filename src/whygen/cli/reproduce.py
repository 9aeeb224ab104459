"""`whygen reproduce NAME`: an experiment of the two papers, with its table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from whygen.cli import common
from whygen.errors import UnknownNameError


def reproduce(
    name: Annotated[str, typer.Argument(help="pxgen-mnist0.")],
    *,
    data: Annotated[str | None, typer.Option(help="The data set: .npz, or a folder of idx files.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables.")] = Path("whygen-reproduce"),
    seeds: Annotated[str, typer.Option(help="Seeds of the training, with commas.")] = "1,2,3",
    rounds: Annotated[int, typer.Option(help="R of the preset's mean-max; the authors used 100.")] = 100,
    per_round: Annotated[int, typer.Option(help="N of the preset's mean-max.")] = 60_000,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
) -> None:
    """Run an experiment of the papers and write its tables."""
    del debug
    if name not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    page = EXPERIMENTS[name](data, out, _numbers(seeds), rounds, per_round, quiet)
    common.console_for_people().print(f"Tables: {page}", markup=False, highlight=False)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--seeds {text!r}: give whole numbers with commas, such as 1,2,3.") from None


def _pxgen_mnist0(
    data: str | None, out: Path, seeds: tuple[int, ...], rounds: int, per_round: int, quiet: bool
) -> Path:
    from whygen.evaluation import reproduce_pxgen, reproduce_pxgen_tables

    people = common.console_for_people()

    def say(text: str) -> None:
        if not quiet:
            people.print(text, markup=False, highlight=False)

    mnist = reproduce_pxgen.load_mnist(data)
    results = reproduce_pxgen.reproduce(mnist, seeds=seeds, rounds=rounds, per_round=per_round, say=say)
    return reproduce_pxgen_tables.write(results, common.make_folder(out))


EXPERIMENTS: dict[str, Callable[[str | None, Path, tuple[int, ...], int, int, bool], Path]] = {
    "pxgen-mnist0": _pxgen_mnist0,
}
