"""Logfire before it kept messages by OpenTelemetry's conventions: the request as it was sent, in ``request_data``."""

from __future__ import annotations

from typing import Any

from whygen.records.fields import Field
from whygen.records.spans import Span
from whygen.records.wire import Sent, answer_in, is_body


def holds(span: Span) -> bool:
    """Whether a span holds the body of a request."""
    return is_body(span.attributes["request_data"].parsed())


def sent_in(span: Span) -> Sent:
    """What was sent and what came back; of an answer in pieces the text alone is kept."""
    said = span.attributes["response_data"].parsed()
    message = said["message"] if said["message"].there else said["combined_chunk_content"]
    body = span.attributes["request_data"].parsed()
    answer = answer_in(message, said["usage"])
    if body["model"].name().startswith("claude") and message.there:
        answer = Field(_blocks(message), message.place, message.source)
    return Sent(body=body, response=answer, provider=span.attributes.at("gen_ai", "system").name())


def _blocks(message: Field) -> dict[str, Any]:
    """Anthropic's message, of which a text and the JSON of its calls were kept."""
    text = message.name_of_data() or message["content"].name_of_data()
    called = [
        {"type": "tool_use", "id": f"call_{n}", "name": call["name"].value, **call["arguments"].parsed().object()}
        for n, call in enumerate((each["function"] for each in message["tool_calls"]), start=1)
    ]
    return {"type": "message", "content": [*([{"type": "text", "text": text}] if text else []), *called]}
