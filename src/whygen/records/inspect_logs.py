"""inspect_ai's logs: the calls of models in each sample, as its own reader or its JSON gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from whygen.errors import DataError, MissingExtraError
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.wire import Sent, is_body
from whygen.records.wrappers import kept_of

_ATTACHED = "attachment://"
_REMOVED = "<base64-data-removed>"
"""Stands for images in requests as they were sent; in the messages beside them they are whole."""
_CONFIG = {
    "temperature": "temperature", "max_tokens": "max_tokens", "top_p": "top_p", "stop_seqs": "stop", "seed": "seed",
    "frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty",
    "reasoning_effort": "reasoning_effort", "parallel_tool_calls": "parallel_tool_calls",
}  # fmt: skip
"""How inspect_ai's words are said in OpenAI's protocol."""


def load_eval(path: Path) -> Field:
    """The log in an ``.eval`` file, which is an archive of its own kind: by inspect_ai's own reader.

    Raises:
        MissingExtraError: if inspect_ai is not installed.
        DataError: if it cannot be read.
    """
    try:
        from inspect_ai.log import read_eval_log  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
    except ImportError:
        feature = f"Reading {path.name!r} (or convert it to JSON: inspect log convert --to json)"
        raise MissingExtraError(feature, extra="inspect", package="inspect-ai") from None
    try:
        log = cast("Any", read_eval_log)(str(path), resolve_attachments=True)
        value: object = log.model_dump(mode="json", exclude_none=True)
    except Exception as error:  # whatever a library of others raises over a damaged file
        raise DataError(
            f"{path.name!r} is no log that inspect_ai can read: {str(error)[:300]}. If it was cut, get a whole copy."
        ) from None
    return Field(value, "", repr(path.name))


def matches(item: Field) -> bool:
    """Whether this is a log."""
    return item.at("eval", "task").is_text and item["samples"].is_list


def calls(items: Sequence[Field]) -> Iterable[Kept]:
    """The calls, in the order of the samples and of what happened in each; a sample is a run."""
    for item in items:
        for sample in item["samples"]:
            run = f"{sample['id'].name()}/{sample['epoch'].name() or 1}"
            events = [event for event in sample["events"] if event["event"].value == "model"]
            for number, event in enumerate(events, start=1):
                yield kept_of(
                    _sent(event, sample, item["eval"]), event.source, id=f"{run}/{number}",
                    time=event["timestamp"].name(), run=run,
                )  # fmt: skip


def _sent(event: Field, sample: Field, about: Field) -> Sent:
    provider, _, name = event["model"].name().partition("/")
    here = event["model"].value == about["model"].value
    url = about["model_base_url"].name() if here else ""
    whole = _sent_whole(event["call"], sample)
    if is_body(whole) and _REMOVED not in repr(whole.value):
        return Sent(body=whole, response=event["call"]["response"], url=url, provider=provider, name=name)
    return Sent(
        body=_body(event, sample, name), response=_answer(event["output"]), url=url, provider=provider, name=name,
        protocol="openai",
    )  # fmt: skip


def _sent_whole(call: Field, sample: Field) -> Field:
    """The request as it went over the wire; the log keeps messages that several share apart."""
    request = call["request"]
    key, refs = call["call_key"].name(), call["call_refs"]
    body = request.object() if request.is_object else {}
    if key and refs.is_list:
        body[key] = _referred(refs, sample.at("events_data", "calls"))
    return _attached({name: value for name, value in body.items() if value is not None}, sample, request)


def _referred(refs: Field, shared: Field) -> list[Any]:
    found = list(shared) if shared.is_list else []
    made: list[Any] = []
    for ref in refs:
        ends = [each.whole() for each in ref]
        if len(ends) == 2 and ends[0] is not None and ends[1] is not None:
            made += [each.value for each in found[ends[0] : ends[1]]]
    return made


def _attached(value: object, sample: Field, place: Field) -> Field:
    """A value with what the log keeps apart because it is long."""
    kept = cast("Mapping[str, object]", sample["attachments"].value if sample["attachments"].is_object else {})
    return Field(_put(value, kept) if kept else value, place.place, place.source)


def _put(value: object, kept: Mapping[str, object]) -> object:
    if isinstance(value, str):
        return kept.get(value.removeprefix(_ATTACHED), value) if value.startswith(_ATTACHED) else value
    if isinstance(value, list):
        return [_put(each, kept) for each in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _put(each, kept) for key, each in cast("dict[str, object]", value).items()}
    return value


def _body(event: Field, sample: Field, name: str) -> Field:
    """The request in OpenAI's words, of what inspect_ai keeps of every provider's."""
    given = event["input"]
    if not given.value and event["input_refs"].is_list:
        given = Field(_referred(event["input_refs"], sample.at("events_data", "messages")), "input", event.source)
    config = event["config"]
    body: dict[str, Any] = {_CONFIG[key]: each.value for key, each in config.items() if key in _CONFIG}
    chosen = event["tool_choice"]
    if chosen.there:
        said = chosen["name"].name()
        body["tool_choice"] = {"type": "function", "function": {"name": said}} if said else chosen.value
    body |= {"model": name, "messages": [_turn(turn) for turn in given], "tools": event["tools"].value or []}
    return _attached(body, sample, Field(None, "", event.source))


def _turn(turn: Field) -> dict[str, Any]:
    made: dict[str, Any] = {"role": turn["role"].value, "content": turn["content"].value}
    if turn["content"].is_list:
        made["content"] = [_part(part) for part in turn["content"]]
    if turn["tool_calls"].is_list:
        made["tool_calls"] = [_call(each) for each in turn["tool_calls"]]
    if turn["tool_call_id"].there:
        made["tool_call_id"] = turn["tool_call_id"].value
    return made


def _call(found: Field) -> dict[str, Any]:
    function = {"name": found["function"].value, "arguments": found["arguments"].written()}
    return {"id": found["id"].name(), "function": function}


def _part(part: Field) -> Any:
    if part["type"].value == "image":
        return {"type": "image_url", "image_url": {"url": part["image"].value}}
    return part.value


def _answer(output: Field) -> Field:
    choices = output["choices"]
    made = [
        {"message": _turn(each["message"]), "finish_reason": each["stop_reason"].value}
        for each in choices if each["message"].is_object
    ] if choices.is_list else []  # fmt: skip
    value: dict[str, Any] = {"choices": made, "model": output["model"].json(), "usage": output["usage"].object()}
    return Field(value, output.place, output.source)
