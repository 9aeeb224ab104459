"""How a recorded call was to be answered: what `Settings` names, and all else in the protocol's own words."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from whygen.records.fields import Field
from whygen.types import JsonValue, Settings

_LEFT_OUT = frozenset({
    "stream", "stream_options", "n", "user", "metadata", "store", "background", "safety_identifier",
    "prompt_cache_key", "prompt_cache_retention", "cache_control", "service_tier", "anthropic_version",
    "anthropic_beta", "betas", "extra_headers", "extra_query", "extra_body", "timeout", "api_key", "api_base",
    "base_url", "headers", "organization", "model_name", "streaming", "request_timeout", "max_retries",
    "id", "uuid", "custom_id", "object", "created", "created_at", "time", "timestamp", "run_id", "trace_id",
    "session_id", "conversation_id", "thread_id",
})  # fmt: skip
"""What does not change the answer, belongs to the way it travels, or says who asked and when."""
MOST_STOPS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a protocol calls the settings that all have, and what it reads elsewhere.

    Attributes:
        length: its names for the limit of the answer, all of which are left out where the record has none.
        stop: its name for texts that end the answer.
        seed: its name for a seed; empty where it takes none.
        elsewhere: fields of a request that are no settings.
    """

    length: tuple[str, ...]
    stop: str
    seed: str
    elsewhere: Container[str]


def settings_of(body: Field, words: Words) -> Settings:
    """Settings that send what the record sent and nothing else: ``extra`` leaves out, by None, what it did not name.

    Raises:
        DataError: naming the field that is of another kind.
    """
    temperature, top_p = body["temperature"].number(), body["top_p"].number()
    limits = {name: body[name].whole() for name in words.length}
    limit = next((each for each in limits.values() if each), None)
    extra: dict[str, JsonValue] = {
        name: each.json()
        for name, each in body.items()
        if each.there
        and not name.startswith("_")
        and name not in words.elsewhere
        and name not in _LEFT_OUT
        and name not in _OWN | {words.stop}
        and not (name == "provider" and each.is_text)
    }
    extra |= dict(limits)
    if temperature is None:
        extra["temperature"] = None
    if words.seed:
        extra[words.seed] = body[words.seed].whole()
    return Settings(
        temperature=1.0 if temperature is None else temperature,
        max_tokens=limit or Settings().max_tokens,
        top_p=top_p,
        stop=_stops(body[words.stop]),
        seed=(body[words.seed].whole() or 0) if words.seed else 0,
        extra=extra,
    )


_OWN = frozenset({"temperature", "top_p"})


def _stops(found: Field) -> tuple[str, ...]:
    if found.is_text:
        return (found.text(),)
    return tuple(each.text() for each in found)[:MOST_STOPS]


def choice_of(found: Field, names: Mapping[str, str]) -> str | None:
    """``auto``, ``none``, ``required`` or a tool's name; None of a choice that has no such word."""
    if not found.there:
        return "auto"
    said = found.name() or found["type"].name()
    named = found.at("function", "name").name() or found["name"].name()
    if said in {"function", "tool", "custom"} and named:
        return named
    return names.get(said)
