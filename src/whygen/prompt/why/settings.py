"""How a recorded call is sent again: the model that it names, and its settings in that model's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from whygen.errors import UsageError
from whygen.models import ModelOptions
from whygen.models.names import SERVICES
from whygen.records import Call
from whygen.records.makers import NO_MODEL
from whygen.remote import is_service
from whygen.types import JsonValue, Settings

Notices: TypeAlias = tuple[tuple[str, str], ...]

LENGTHS: Final = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
"""What protocols call the limit of an answer, which `Settings` holds for all."""


def model_of(call: Call, model: object) -> object:
    """The model to ask: the one that is given, else the one that the record names.

    Raises:
        UsageError: if the record names none.
    """
    if model is not None and not (isinstance(model, str) and model == ""):
        return model
    if not call.model:
        told = next((text for code, text in call.notices if code in NO_MODEL), "The record names no model: give one.")
        raise UsageError(
            f"{told} For example: whygen why CALL.json --model openai/NAME; explain_prompt('openai/NAME', call)."
        )
    return call.model


def options_of(call: Call, model: object, options: ModelOptions | None) -> ModelOptions:
    """How the model is opened: the record's own at its address and endpoint, unless something else is given."""
    chosen = options or ModelOptions()
    own = model is None or (isinstance(model, str) and model in ("", call.model))
    if own and call.base_url and chosen.base_url is None:
        chosen = replace(chosen, base_url=call.base_url)
    if own and call.protocol == "responses" and chosen.endpoint is None:
        chosen = replace(chosen, endpoint="responses")
    return chosen


def protocol_of(model: object, options: ModelOptions) -> str | None:
    """Whose words a model's settings are; None of one that is no service of chats."""
    provider = model.partition("/")[0] if isinstance(model, str) and "/" in model else ""
    if provider == "anthropic":
        return "anthropic"
    if provider != "openai" and provider not in SERVICES and not is_service(provider):
        return None
    return "responses" if options.endpoint == "responses" else "openai"


def sent_as(call: Call, model: object, options: ModelOptions | None = None) -> Settings:
    """The settings that a call is sent with again.

    Args:
        call: the record.
        model: that is asked; None for the one that the record names.
        options: of the model.
    """
    asked = model_of(call, model)
    return settings_for(call, protocol_of(asked, options_of(call, model, options)))[0]


def settings_for(call: Call, protocol: str | None) -> tuple[Settings, Notices]:
    """The call's settings in the words of a protocol, and what of them cannot be said there."""
    if protocol == call.protocol:
        return call.settings, ()
    said = {name: value for name, value in call.settings.extra.items() if value is not None and name not in LENGTHS}
    kept = {} if protocol is None else _translated(said, call.protocol, protocol)
    lost = sorted(name for name in said if name not in _told(said, call.protocol, protocol))
    settings = replace(call.settings, extra=kept)
    if not lost:
        return settings, ()
    where = "This model" if protocol is None else f"The protocol {protocol!r}"
    text = (
        f"{where} knows no {', '.join(lost)} as the record has {'it' if len(lost) == 1 else 'them'} "
        f"({call.protocol}): sent without. Give what stands for it with --setting NAME=VALUE."
    )
    return settings, (("settings-left-out", text),)


def _told(said: Mapping[str, JsonValue], source: str, goal: str | None) -> frozenset[str]:
    """Names of the settings that the other protocol can say."""
    if goal is None:
        return frozenset()
    return frozenset(name for name in said if _translated({name: said[name]}, source, goal))


def _translated(said: Mapping[str, JsonValue], source: str, goal: str) -> dict[str, JsonValue]:
    """What of the settings the other protocol has words for."""
    found: dict[str, JsonValue] = {}
    for name, value in said.items():
        if {source, goal} == {"openai", "responses"}:
            found |= _within_openai(name, value, goal)
        elif name == "top_k" and goal == "anthropic":
            found[name] = value
    return found


def _within_openai(name: str, value: JsonValue, goal: str) -> dict[str, JsonValue]:
    """Chat Completions and Responses say the same in two ways."""
    if name in {"parallel_tool_calls", "top_logprobs"}:
        return {name: value}
    if name == "reasoning_effort" and goal == "responses":
        return {"reasoning": {"effort": value}}
    if name == "reasoning" and goal == "openai" and isinstance(value, Mapping) and "effort" in value:
        return {"reasoning_effort": value["effort"]}
    if name == "response_format" and goal == "responses":
        return {"text": {"format": _flat(value)}}
    if name == "text" and goal == "openai" and isinstance(value, Mapping) and "format" in value:
        return {"response_format": _nested(value["format"])}
    return {}


def _flat(form: JsonValue) -> JsonValue:
    """A schema as Responses has it: beside its type."""
    if isinstance(form, Mapping) and isinstance(inner := form.get("json_schema"), Mapping):
        return {"type": "json_schema", **inner}
    return form


def _nested(form: JsonValue) -> JsonValue:
    """A schema as Chat Completions has it: in a field of its own."""
    if isinstance(form, Mapping) and form.get("type") == "json_schema" and "json_schema" not in form:
        return {"type": "json_schema", "json_schema": {key: each for key, each in form.items() if key != "type"}}
    return form
