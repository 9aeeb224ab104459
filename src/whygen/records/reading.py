"""Which calls a file holds, and which of them is meant."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from whygen._arguments import typed
from whygen.errors import DataError, UsageError
from whygen.records import databases, inspect_logs, langfuse, langsmith, mlflow, otel, promptfoo, sessions, wrappers
from whygen.records.call import Call
from whygen.records.fields import Field
from whygen.records.files import ARCHIVE, Items, beginning, load
from whygen.records.kept import Kept
from whygen.records.notices import Notices
from whygen.records.sqlite import MAGIC
from whygen.records.stores import rows_of
from whygen.records.unread import is_page, what_it_is
from whygen.records.wire import BESIDE, is_chat
from whygen.safe import read_json

MOST_LEVELS = 5
"""Of lists and objects around a record."""
SHOWN = 5
"""Calls that an error lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A call in a file, before it is read.

    Attributes:
        number: its place in the file, from 1 on.
        id: by which it can be picked; empty where the record has none.
        time: when it was sent, as the record writes it.
        model: that was asked, as the record calls it.
        run: of which it is a step, where the record tells.
        origin: where it stands, for people.
    """

    number: int
    id: str = ""
    time: str = ""
    model: str = ""
    run: str = ""
    origin: str = ""
    _read: Callable[[], Call] = field(repr=False, compare=False)

    def call(self) -> Call:
        """The call.

        Raises:
            DataError: naming the field that cannot be used.
        """
        return self._read()


class Format(NamedTuple):
    """A format.

    Attributes:
        name: for people.
        matches: whether a value is of it.
        calls: the calls in all values of a file that are of it.
    """

    name: str
    matches: Callable[[Field], bool]
    calls: Callable[[Sequence[Field]], Iterable[Kept]]


FORMATS: tuple[Format, ...] = (
    Format("traces of MLflow", mlflow.matches, mlflow.calls),
    Format("spans", otel.matches, otel.calls),
    Format("a session of an agent", sessions.matches, sessions.calls),
    Format("a log of inspect_ai", inspect_logs.matches, inspect_logs.calls),
    Format("results of promptfoo", promptfoo.matches, promptfoo.calls),
    Format("observations of Langfuse", langfuse.matches, langfuse.calls),
    Format("runs of LangSmith", langsmith.matches, langsmith.calls),
    Format("a request as it was sent", wrappers.matches, wrappers.calls),
)
"""What can be read; the first that matches a value reads it."""


@typed()
def read_calls(path: Path | str) -> list[Recorded]:
    """The calls that a file holds, in their order.

    Raises:
        MissingError: if the file is not there.
        DataError: if it holds no call that could be read; says what it holds.
    """
    file = Path(path)
    begin = beginning(file)
    if begin.startswith(MAGIC):
        return [_recorded(each, number, "") for number, each in enumerate(databases.calls(file), start=1)]
    items = Items([inspect_logs.load_eval(file)]) if begin.startswith(ARCHIVE) else load(file)
    return calls_in(items.found, cut=items.cut)


def calls_in(values: Sequence[Field], *, cut: str = "") -> list[Recorded]:
    """The calls that the values of a file hold; ``cut`` is what to say of each where the file ends too early.

    Raises:
        DataError: if they hold none that could be read.
    """
    groups: dict[str, tuple[Format, list[Field]]] = {}
    for form, item in (each for found in _paired(values) for each in _each(found)):
        groups.setdefault(form.name, (form, []))[1].append(item)
    kept = [each for form, group in groups.values() for each in form.calls(group)]
    if not kept and is_chat(said := _said_in(values)):
        kept = [wrappers.kept_in(said)]
    if not kept:
        wrappers.kept_in(next(filter(what_it_is, values), values[0]))  # says what is missing
    return [_recorded(each, number, cut) for number, each in enumerate(kept, start=1)]


def _said_in(values: Sequence[Field]) -> Field:
    """The messages that stand a line each, as sessions keep them."""
    rows = [each["message"] if each["message"]["role"].is_text else each for each in values if each.is_object]
    return Field([each.value for each in rows if each["role"].is_text], "", values[0].source.partition(", ")[0])


def _paired(values: Sequence[Field]) -> Sequence[Field]:
    """Requests and answers that are rows of their own, as of batches and of logs of events: by the name they share.

    An event of a call's end may hold its messages once more, and lack what that of its beginning says of them.
    """
    told = [item for each in values for item in (each if each.is_list and not is_chat(each) else [each])]
    named = [(each, each.first("custom_id", "call_id").name()) for each in told if each.is_object]
    answers = {name: gave.value for each, name in named if name and not _asks(each) and (gave := _gave(each)).there}
    begun = {name: each.object() for each, name in named if name and _asks(each) and not _gave(each).there}
    ended = {name for each, name in named if name in begun and _asks(each) and _gave(each).there}
    asked = answers.keys() & begun.keys()
    if not asked and not ended:
        return values
    kept: list[Field] = []
    for each in told:
        name = each.first("custom_id", "call_id").name()
        whole = _gave(each).there if _asks(each) else name not in asked
        if name in ended and _asks(each) and whole:
            kept.append(Field({**begun[name], **each.object()}, each.place, each.source))
        elif name not in asked | ended or (whole and not _asks(each)):
            kept.append(each)
        elif name in asked and _asks(each) and name not in ended:
            kept.append(Field({**each.object(), "response": answers[name]}, each.place, each.source))
    return kept


def _asks(row: Field) -> bool:
    return row.first("body", "params").is_object or is_chat(row["messages"])


def _gave(row: Field) -> Field:
    return row["response"] if row["response"].there else row.at("result", "message")


def holds_record(value: Field) -> bool:
    """Whether something in it has the form of a record, alone or as a piece of one."""
    return any(True for _ in _each(value))


def _each(item: Field, level: int = 0, beside: str = "") -> Iterable[tuple[Format, Field]]:
    """The records in a value: itself, or those that its lists and objects hold; a list of messages is one chat.

    Args:
        item: the value.
        level: how many lists and objects are around it.
        beside: what stands beside it, in the nearest object that holds more than it.
    """
    item = _turns_in(item)
    rows = rows_of(item) if level < MOST_LEVELS else []
    form = next((form for form in FORMATS if not rows and form.matches(item)), None)
    if form is not None:
        bare = beside and is_chat(item)
        yield form, Field({"messages": item.value, BESIDE: beside}, "", item.source) if bare else item
    elif is_page(item):
        return
    elif rows:
        for row in rows:
            yield from _each(row, level + 1)
    elif item.is_list and level < MOST_LEVELS:
        for number, each in enumerate(item, start=1):
            source = item.source if level or not item.place else f"{item.source}, {item.place}"
            yield from _each(Field(each.value, "", f"{source}, item {number}"), level + 1)
    elif item.is_object and level < MOST_LEVELS:
        near = ", ".join(sorted(item.keys())[:SHOWN]) if len(item.keys()) > 1 else beside
        for each in dict(item.items()).values():
            yield from _each(each, level + 1, near)


def _turns_in(item: Field) -> Field:
    """A list of messages each of which stands in an object of its own, as histories of editors keep them, laid bare.

    Of the events that LangChain streams of a run, those that end a call hold it; the others tell of the way there.
    """
    if item["event"].name().startswith("on_") and item["data"].is_object:
        ended = item["event"].value == "on_chat_model_end"
        return Field({**item["data"].object(), "id": item["run_id"].value} if ended else None, "", item.source)
    rows = list(item) if item.is_list else []
    held = [row["message"] for row in rows if row["message"]["role"].is_text]
    return Field([each.value for each in held], item.place, item.source) if len(held) == len(rows) > 1 else item


def _recorded(kept: Kept, number: int, cut: str) -> Recorded:
    def read() -> Call:
        notices = Notices()
        if cut:
            notices.say("cut-file", cut)
        call = kept.read(notices)
        return replace(call, notices=notices.all, origin=kept.source)

    about = {"id": kept.id, "time": kept.time, "model": kept.model, "run": kept.run, "origin": kept.source}
    return Recorded(number=number, **about, _read=read)


def read_call(record: Path | str | Mapping[str, object], pick: int | str | None = None) -> Call:
    """The call of a record, or the one that was picked; see `Call.read`."""
    if isinstance(record, Mapping):
        return picked(calls_in([_held(record)]), pick, HELD).call()
    if isinstance(record, str) and record.lstrip()[:1] in ("{", "["):
        raise DataError(
            "Call.read takes a file's path or a dict, and this is the text of a JSON: give json.loads(text)."
        )
    return picked(read_calls(record), pick, Path(record).name).call()


HELD = "the record"
"""What a dict is called, as a file is by its name."""


def _held(record: Mapping[str, object]) -> Field:
    """A dict as a file would hold it; objects of the providers' clients are what they dump.

    Raises:
        DataError: if something in it is no JSON.
    """
    try:
        return Field(read_json(json.dumps(dict(record), default=_dumped)), "", HELD)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"The record cannot be written as JSON: {error}.") from None


def _dumped(value: object) -> object:
    """What an object of a provider's client holds."""
    dump: object = getattr(value, "model_dump", None)
    if not callable(dump):
        raise TypeError(f"{type(value).__name__} is no JSON")
    return dump(mode="json")


def picked(calls: Sequence[Recorded], pick: int | str | None, name: str) -> Recorded:
    """The call that is meant.

    Raises:
        UsageError: for a pick that is neither a number nor a text.
        DataError: if several are there and none was picked, or there is no such call; says how to pick.
    """
    if isinstance(pick, bool | float):
        raise UsageError(f"pick is {pick!r}: give the number of a call, its id, or 'last'.")
    if pick is None:
        if len(calls) == 1:
            return calls[0]
        raise DataError(f"{name!r} holds {len(calls):,} calls, and one is explained. {_how(calls)}")
    if pick == "last":
        return calls[-1]
    named = [each for each in calls if each.id and each.id == str(pick)] if isinstance(pick, str) else []
    if len(named) > 1:
        numbers = ", ".join(str(each.number) for each in named[:SHOWN])
        raise DataError(f"{len(named)} calls of {name!r} have the id {pick!r}: pick one by its number ({numbers}).")
    if named:
        return named[0]
    number = int(pick) if isinstance(pick, int) or (pick.strip().isdecimal() and pick.isascii()) else None
    if number is not None and 1 <= number <= len(calls):
        return calls[number - 1]
    raise DataError(f"{name!r} holds no call {pick!r}: it has {len(calls):,}. {_how(calls)}")


def _how(calls: Sequence[Recorded]) -> str:
    shown = "; ".join(_line(each) for each in calls[:SHOWN])
    more = f"; and {len(calls) - SHOWN:,} more" if len(calls) > SHOWN else ""
    return f"Pick it by number, id or 'last' (--pick {len(calls)}, --pick ID, --pick last): {shown}{more}."


def _line(call: Recorded) -> str:
    about = ", ".join(each for each in (call.id and f"id {call.id[:60]}", call.model[:60], call.time[:40]) if each)
    return f"{call.number} ({about})" if about else str(call.number)
