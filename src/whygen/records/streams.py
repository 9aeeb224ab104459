"""Answers that came in pieces, joined into what the service would have sent as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.safe import read_json

MOST_PIECES = 200_000


def joined(found: Field, notices: Notices) -> Field:
    """The answer that pieces make together; what is no row of pieces stays as it is.

    Args:
        found: a text of server-sent events, or a list of what stood in them.
        notices: that the last piece is missing.
    """
    if found.is_text and _is_events(found.text()):
        pieces = list(_events(found.text()))
    elif found.is_list and found.value:
        pieces = [each.value for each in found]
    else:
        return found
    rows = [row for row in map(Field, pieces[:MOST_PIECES]) if row.is_object]
    if any(row["choices"].is_list for row in rows):
        answer = _chat(rows, notices)
    elif any(row["candidates"].is_list for row in rows):
        answer = _gemini(rows, notices)
    elif any(row["type"].value == "message_start" for row in rows):
        answer = _anthropic(rows, notices)
    else:
        answer = next((row["response"].value for row in reversed(rows) if row.at("response", "output").is_list), None)
        if not any(row["type"].name() in _ENDS for row in rows):
            cut_short(notices)
    return Field(answer, found.place, found.source) if answer is not None else found


_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


def _is_events(text: str) -> bool:
    return text.lstrip().startswith(("data:", "event:"))


def _events(text: str) -> Iterable[object]:
    for line in text.split("\n"):  # other line separators of Unicode stand within JSON
        name, _, data = line.partition(":")
        if name.strip() == "data" and data.strip() != "[DONE]":
            try:
                yield read_json(data.strip())
            except ValueError:  # the log ends inside it
                return


def cut_short(notices: Notices) -> None:
    """Say that the last piece is missing."""
    notices.say("cut-answer", "The answer came in pieces and its end is missing: what is there was taken for it.")


def _chat(rows: list[Field], notices: Notices) -> dict[str, Any]:
    """Chunks of Chat Completions, of the first choice."""
    whole: dict[str, Any] = {}
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    calls: dict[int, dict[str, Any]] = {}
    finish = ""
    for row in rows:
        whole |= {key: row[key].value for key in ("id", "model", "created", "usage") if row[key].there}
        first = next(iter(row["choices"]), None) if row["choices"].is_list else None
        if first is None or first["index"].value not in (None, 0):
            continue
        finish = first["finish_reason"].name() or finish
        delta = first["delta"]
        for name in ("content", "refusal"):
            if delta[name].is_text:
                message[name] = message.get(name, "") + delta[name].text()
        for piece in delta["tool_calls"]:
            _add_call(calls, piece)
    if not finish:
        cut_short(notices)
    message["tool_calls"] = [calls[key] for key in sorted(calls)]
    return {**whole, "choices": [{"message": message, "finish_reason": finish or None}]}


def _add_call(calls: dict[int, dict[str, Any]], piece: Field) -> None:
    place = piece["index"].whole()
    new: dict[str, Any] = {"id": "", "function": {"name": "", "arguments": ""}}
    call = calls.setdefault(len(calls) if place is None else place, new)
    call["id"] = call["id"] or piece["id"].name()
    for name in ("name", "arguments"):
        said = piece.at("function", name)
        if said.is_text:
            call["function"][name] += said.text()


def _gemini(rows: list[Field], notices: Notices) -> dict[str, Any]:
    """Pieces of ``streamGenerateContent``: each is a response of its own, with the next parts."""
    whole: dict[str, Any] = {}
    parts: list[object] = []
    finish = ""
    for row in rows:
        whole |= row.object()
        first = next(iter(row["candidates"]), None) if row["candidates"].is_list else None
        if first is not None:
            parts += [part.value for part in first.at("content", "parts")]
            finish = first.first("finishReason", "finish_reason").name() or finish
    if not finish:
        cut_short(notices)
    return {**whole, "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish or None}]}


def _anthropic(rows: list[Field], notices: Notices) -> dict[str, Any]:
    """Events of Messages: blocks begin, grow and end."""
    whole: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for row in rows:
        kind = row["type"].name()
        if kind == "message_start":
            whole = cast("dict[str, Any]", row["message"].object())
        elif kind == "message_delta":
            whole["stop_reason"] = row.at("delta", "stop_reason").value
            whole["usage"] = {**_object(whole.get("usage")), **row["usage"].object()}
        elif kind.startswith("content_block"):
            _add_block(blocks, row, kind)
    if not any(row["type"].value == "message_stop" for row in rows):
        cut_short(notices)
    return {**whole, "content": [_whole_block(blocks[place]) for place in sorted(blocks)]}


def _add_block(blocks: dict[int, dict[str, Any]], row: Field, kind: str) -> None:
    place, delta = row["index"].whole() or 0, row["delta"]
    if kind == "content_block_start":
        blocks[place] = cast("dict[str, Any]", row["content_block"].object())
    for name in ("text", "partial_json"):
        if kind == "content_block_delta" and place in blocks and delta[name].is_text:
            blocks[place][name] = str(blocks[place].get(name, "")) + delta[name].text()


def _whole_block(block: dict[str, Any]) -> dict[str, Any]:
    """A block whose input, if it calls a tool, is what its pieces of JSON say together."""
    written = block.pop("partial_json", None)
    return block if written is None else {**block, "input": Field(written).parsed().value}


def _object(found: object) -> dict[str, Any]:
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
