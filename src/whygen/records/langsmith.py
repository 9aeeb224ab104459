"""LangSmith: runs of models as its API and its exports give them, and as its client sends them.

A wrapped client keeps the request as it was sent. LangChain keeps messages in words of its own, with the
settings and tools beside them (``extra.invocation_params``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from whygen.records import langchain
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.wire import Sent, is_body
from whygen.records.wrappers import kept_of

_MARKS = frozenset({"dotted_order", "trace_id", "session_id", "session_name", "child_run_ids", "parent_run_id"})
_NAMES = {"azure": "openai", "google_genai": "gemini", "amazon_bedrock": "bedrock"}
"""What LangSmith calls a provider, where others call it otherwise."""


def matches(item: Field) -> bool:
    """Whether this is a run, or a page of runs."""
    return bool(_runs(item))


def calls(items: Sequence[Field]) -> Iterable[Kept]:
    """The runs of models, oldest first; what a client sent of one at its beginning and its end is one run."""
    merged: dict[str, Field] = {}
    for each in (run for item in items for run in _runs(item)):
        name = each["id"].name() or f"{len(merged)}"
        before = merged[name].object() if name in merged else {}
        told = {key: value for key, value in each.object().items() if value not in (None, {}, [], "")}
        merged[name] = Field({**before, **told}, "", each.source)
    for each in sorted(merged.values(), key=lambda run: run["start_time"].name()):
        sent = sent_of(each)
        yield kept_of(
            sent, each.source, id=each["id"].name(), time=each["start_time"].name(), run=each["trace_id"].name()
        )


def _runs(item: Field) -> list[Field]:
    several = item["runs"]
    if several.is_list:
        return [found for each in several for found in _runs(each)]
    if not item.keys() & _MARKS or not item["run_type"].is_text:
        return []
    inside = [found for each in item["child_runs"] for found in _runs(each)] if item["child_runs"].is_list else []
    own = [item] if item["run_type"].value == "llm" else []
    return [*own, *inside]


def sent_of(run: Field) -> Sent:
    """What was sent and what came back.

    Raises:
        DataError: where the run holds no messages.
    """
    asked, told, about = run["inputs"], run.at("extra", "invocation_params"), run.at("extra", "metadata")
    provider = about["ls_provider"].name()
    name = about["ls_model_name"].name() or told.first("model", "model_name").name()
    response, own = _response(run["outputs"]), run.at("serialized", "kwargs")
    url = own.first("openai_api_base", "base_url", "anthropic_api_url", "azure_endpoint").name()
    if is_body(asked) and _is_wire(asked):
        return Sent(body=asked, response=response, url=url, provider=_NAMES.get(provider, provider), name=name)
    body = langchain.settings(told)
    body |= {"messages": list(_messages(asked)), "model": body.get("model") or name}
    return Sent(
        body=Field(body, asked.place, asked.source), response=response, url=url, name=name, protocol="openai",
        provider=_NAMES.get(provider, provider),
    )  # fmt: skip


def _is_wire(asked: Field) -> bool:
    """Whether messages stand as they were sent, and not in LangChain's words."""
    turns = asked["messages"]
    return not turns.is_list or all(turn["role"].is_text for turn in turns)


def _messages(asked: Field) -> Iterator[dict[str, Any]]:
    turns = asked["messages"]
    if turns.is_list:
        rows = list(turns)
        # LangChain asks for several conversations together, and keeps each as a run with one.
        yield from (langchain.message(turn) for turn in (rows[0] if len(rows) == 1 and rows[0].is_list else turns))
        return
    prompts = asked.first("prompts", "prompt", "input")
    first = next(iter(prompts), prompts) if prompts.is_list else prompts
    if not first.is_text:
        raise asked.wrong("messages, or a prompt")
    yield {"role": "user", "content": first.text()}


def _response(found: Field) -> Field:
    """The answer: a whole response, or LangChain's first generation."""
    generations = found["generations"]
    if not generations.is_list or not generations.value:
        output = found["output"]  # a message alone
        return (
            Field({"choices": [{"message": langchain.message(output)}]}, found.place, found.source)
            if output.is_object
            else found
        )
    first = next(iter(generations))
    first = next(iter(first), first) if first.is_list else first
    message = langchain.message(first["message"]) if first["message"].is_object else {"content": first["text"].value}
    about = first.at("message", "kwargs", "response_metadata")
    usage = about.first("token_usage", "usage")
    reason = about.first("finish_reason", "stop_reason").name() or first.at("generation_info", "finish_reason").name()
    value = {
        "choices": [{"message": message, "finish_reason": reason}], "usage": usage.value,
        "model": about["model_name"].name(),
    }  # fmt: skip
    return Field(value, found.place, found.source)
