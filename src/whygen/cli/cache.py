"""`whygen cache`: where recorded answers are, how much there is, and forgetting some of them."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from whygen.calls import default_store_path, open_store
from whygen.cli import common
from whygen.errors import StoreError, UsageError
from whygen.models.replay import write_replay
from whygen.texts import counted

app = typer.Typer(help="The store of recorded answers.", no_args_is_help=True)

_AGE = re.compile(r"^(\d+)([hdw])$")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@app.command("path")
def path(cache: common.Cache = None, as_json: common.AsJson = False) -> None:
    """Print the file of recorded answers."""
    found = cache or default_store_path()
    if as_json:
        common.print_json({"path": str(found)})
    else:
        common.tell(str(found))


@app.command("size")
def size(cache: common.Cache = None, as_json: common.AsJson = False) -> None:
    """Print how many answers are recorded and how many bytes they take."""
    found = cache or default_store_path()
    with open_store(found) as store:
        models, taken = store.models(), store.size()
    calls = sum(models.values())
    if as_json:
        common.print_json({"path": str(found), "calls": calls, "bytes": taken, "models": models})
        return
    common.tell(f"{counted(calls, 'recorded answer')}, {taken} bytes, in {found}")
    for uri, number in models.items():
        common.tell(f"  {number} of {uri}")


@app.command("prune")
def prune(
    older_than: Annotated[str | None, typer.Option(help="An age such as 12h, 30d or 8w.")] = None,
    model: Annotated[str | None, typer.Option(help="A model URI, exactly.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Forget everything.")] = False,
    cache: common.Cache = None,
    as_json: common.AsJson = False,
) -> None:
    """Forget recorded answers, by age or by model."""
    if not everything and older_than is None and model is None:
        raise UsageError("Say what to forget: --older-than 30d, --model URI, or --all.")
    with open_store(cache or default_store_path()) as store:
        age = timedelta(0) if everything else _age(older_than)
        gone = store.prune(older_than=age, model=None if everything else model)
    if as_json:
        common.print_json({"removed": gone})
    else:
        common.tell(f"Forgot {counted(gone, 'recorded answer')}.")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="The replay file to write.")],
    *,
    model: Annotated[str, typer.Option(help="The model URI whose answers to export.")],
    cache: common.Cache = None,
    as_json: common.AsJson = False,
) -> None:
    """Write a model's recorded answers to a file that replay/FILE plays back, without the model or a key."""
    source = cache or default_store_path()
    if not file.name:
        raise UsageError(f"{str(file)!r} names no file. Say which replay file to write.")
    if any(_is_same(file, part) for part in _parts(source)):
        raise UsageError(f"{str(file)!r} is the file of recorded answers itself. Name another file to export to.")
    with open_store(source) as store:
        if not store.count(model=model):
            recorded = ", ".join(store.models()) or "nothing at all"
            raise UsageError(f"--model {model!r}: no answer of it is recorded. There is: {recorded}.")
        calls = store.calls(model=model)
        first = next(calls, None)
        if first is None:  # an empty file would play back nothing, in place of what stood there before
            raise StoreError(
                f"No recorded answer of {model!r} can be read: all {store.count(model=model)} are damaged. Nothing was "
                "written. Ask again: damaged answers are asked for anew."
            )
        try:
            count = write_replay(file, model, ((call.request, call.output) for call in chain([first], calls)))
        except OSError as error:
            raise StoreError(
                f"{str(file)!r} cannot be written ({error.strerror}). Name another file; the store is as it was."
            ) from None
        for notice in store.notices:
            common.say(notice.text)
    if as_json:
        common.print_json({"file": str(file), "calls": count})
    else:
        common.tell(f"Wrote {counted(count, 'recorded answer')} of {model} to {file}.")


def _parts(source: Path) -> list[Path]:
    """The files of a store, whether they are there or not: SQLite keeps some beside the first."""
    path = source / "calls.sqlite" if source.is_dir() else source
    return [path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal", "-batches"))]


def _is_same(file: Path, part: Path) -> bool:
    try:
        return file.samefile(part)
    except OSError:  # one of them is not there
        return file.absolute() == part.absolute() or os.path.realpath(file) == os.path.realpath(part)


def _age(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = _AGE.match(text)
    if match is None:
        raise UsageError(f"--older-than {text!r}: give a number and h, d or w, such as 30d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
