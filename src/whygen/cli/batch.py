"""`whygen batch`: what is under way at providers' batch endpoints, and ending it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Annotated, cast

import typer

from whygen.calls import Entry, Ledger, open_store
from whygen.cli import common
from whygen.errors import ModelError, UsageError
from whygen.models import ModelOptions, load_model
from whygen.models.batches import AnswersLater, Batches
from whygen.texts import counted
from whygen.types import Failure

app = typer.Typer(help="Batches under way at providers.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The batch, as `whygen batch list` names it.")]


@app.command("list")
def list_batches(cache: common.Cache = None, as_json: common.AsJson = False) -> None:
    """List the batches that are under way, or whose answers were not collected yet."""
    with open_store(common.store_path(cache, no_cache=False)) as store:
        entries = store.ledger.entries()
    if as_json:
        rows = [{"batch": _name(e), "model": e.uri, "requests": e.size, "created": e.created} for e in entries]
        common.print_json({"batches": rows})
        return
    for entry in entries:
        hours = max(0.0, time.time() - entry.created) / 3600
        common.tell(
            f"{_name(entry)}  {counted(entry.size, 'request')} of {entry.uri}, handed over {hours:.1f} hours ago"
        )
    if not entries:
        common.tell("No batch is under way.")


@app.command("cancel")
def cancel(name: Name, cache: common.Cache = None) -> None:
    """Ask a provider to end a batch. What it has answered by then is paid for, and collected by the same command."""
    with open_store(common.store_path(cache, no_cache=False)) as store:
        entry = _find(store.ledger, name)
        if entry.name is None:
            raise UsageError(
                f"The provider did not confirm that it took {name!r}. Run the command that handed it over again: it "
                "finds out whether the provider has it."
            )
        _check(_batches(entry).cancel(entry.name))
    common.tell(f"The provider was asked to end {entry.name}. The same command collects what it has answered.")


@app.command("forget")
def forget(name: Name, cache: common.Cache = None) -> None:
    """Give a batch up without asking its provider: the same command hands its requests over again, and pays again."""
    with open_store(common.store_path(cache, no_cache=False)) as store:
        entry = _find(store.ledger, name)
        store.ledger.drop(entry.tag)
    common.tell(f"Forgot {name}: {counted(entry.size, 'request')} of {entry.uri}.")


def _name(entry: Entry) -> str:
    return entry.name or entry.tag


def _find(ledger: Ledger, name: str) -> Entry:
    entries = ledger.entries()
    for entry in entries:
        if name in {entry.name, entry.tag}:
            return entry
    known = ", ".join(map(_name, entries)) or "none"
    raise UsageError(f"No batch {name!r} is under way. There is: {known}.")


def _batches(entry: Entry) -> Batches:
    """The endpoint that took it, at the address where it was handed over."""
    about = cast(Mapping[str, str], json.loads(entry.identity))
    model = load_model(entry.uri, ModelOptions(base_url=about.get("base_url"), endpoint=about.get("endpoint")))
    if not isinstance(model, AnswersLater):
        raise UsageError(f"{entry.uri} takes no batches any more: use `whygen batch forget {_name(entry)}`.")
    return model.batches


def _check(failure: Failure | None) -> None:
    if failure is not None:
        raise ModelError(f"The provider did not end it: {failure.sentence}")
