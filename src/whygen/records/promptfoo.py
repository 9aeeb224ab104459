"""promptfoo's results: each prompt as it was sent, with what its provider is configured with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from whygen.records.call import Call
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.notices import Notices
from whygen.records.wire import Sent, is_chat
from whygen.records.wrappers import kept_of

_SETTINGS = {
    "apiKey": None, "apiBaseUrl": None, "apiHost": None, "apiKeyEnvar": None, "headers": None, "organization": None,
    "cost": None, "passthrough": None, "functionToolCallbacks": None, "maxRetries": None,
}  # fmt: skip
"""What stands in a provider's configuration and is no setting of a request."""


def matches(item: Field) -> bool:
    """Whether these are results, in the form of today or the one before."""
    return bool(rows(item))


def rows(item: Field) -> list[Field]:
    """The results in a file of them: one for each prompt, provider and test."""
    found = item.at("results", "results")
    held = found if found.is_list else item["results"]
    found = list(held) if held.is_list else [item]  # JSON lines have a result each
    return [row for row in found if row["prompt"]["raw"].is_text and row["vars"].is_object]


def calls(items: Sequence[Field]) -> Iterable[Kept]:
    """The calls, in the order of the results."""
    for item in items:
        read = partial(_beside, told=item["config"].is_object)
        providers = list(item.at("config", "providers")) if item.at("config", "providers").is_list else []
        configured = {each["id"].name(): each["config"] for each in providers}
        for row in rows(item):
            name = row["provider"]["id"].name() or row["provider"].name()
            sent = _sent(row, name, configured.get(name, Field(None, "config", row.source)))
            kept = kept_of(
                sent, row.source, id=row["id"].name(), time=item.at("results", "timestamp").name(),
                run=item["evalId"].name(),
            )  # fmt: skip
            yield kept._replace(read=partial(read, kept.read))


def _beside(read: Callable[[Notices], Call], notices: Notices, *, told: bool) -> Call:
    """The call, and what its file lacks."""
    if not told:
        notices.say(
            "no-settings",
            "JSON lines of promptfoo hold results, and not what their providers were configured with (temperature, "
            "tools): none of it is sent. The whole is in its results as JSON (promptfoo eval -o results.json).",
        )
    return read(notices)


def _sent(row: Field, name: str, config: Field) -> Sent:
    """What promptfoo sent: it makes the request of the prompt and of its provider's configuration."""
    raw = row["prompt"]["raw"]
    turns = raw.parsed()
    messages = turns.json() if is_chat(turns) else [{"role": "user", "content": raw.text()}]
    settings = config.object() if config.is_object else {}
    body: dict[str, Any] = {key: value for key, value in settings.items() if key not in _SETTINGS}
    passed = config["passthrough"]
    body |= passed.object() if passed.is_object else {}
    provider, _, model = name.partition(":")
    if model.partition(":")[0] in {"chat", "messages", "completion", "responses"}:
        model = model.partition(":")[2]
    body |= {"messages": messages, "model": model}
    return Sent(
        body=Field(body, row["prompt"].place, row.source),
        response=_response(row["response"]),
        url=config["apiBaseUrl"].name(),
        provider=provider,
        protocol="anthropic" if provider == "anthropic" else "openai",
    )


def _response(found: Field) -> Field:
    output, usage = found["output"], found["tokenUsage"]
    if not output.there:
        return Field(None, found.place, found.source)
    counts = {"prompt_tokens": usage["prompt"].value, "completion_tokens": usage["completion"].value}
    finish = found["finishReason"].value
    message: dict[str, Any] = {"content": None}
    if output.is_list and all(each["function"].is_object for each in output):
        message["tool_calls"] = output.json()
    elif output.is_object and output["tool_calls"].is_list:
        message |= output.object()
    else:
        message["content"] = output.written()
    choice = {"message": message, "finish_reason": finish}
    return Field({"choices": [choice], "usage": counts}, found.place, found.source)
