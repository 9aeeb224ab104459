"""Calls in exports of spans: by OpenTelemetry's conventions, or by OpenInference's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from whygen.errors import DataError
from whygen.records import genai, langfuse, logfire, openinference, spans, vercel
from whygen.records.call import Call
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.makers import maker_of
from whygen.records.notices import Notices
from whygen.records.openai_chat import settings_in
from whygen.records.scrubbing import scrubbed
from whygen.records.spans import Span
from whygen.records.wire import made
from whygen.types import Chat

_OPERATIONS = frozenset({"", "chat", "generate_content", "text_completion"})
_SETTINGS = (
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_only (with "
    "OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental; true for the older instrumentation, whose logs are "
    "exported beside its spans), TRACELOOP_TRACE_CONTENT=true for OpenLLMetry, recordInputs: true for Vercel's AI "
    "SDK, and for OpenInference OPENINFERENCE_HIDE_INPUTS=false and OPENINFERENCE_HIDE_OUTPUTS=false"
)

_WHOLE = (openinference, langfuse, vercel, logfire)
"""Vocabularies in which a span holds a call in the words of a protocol."""

matches = spans.matches
_DEEPEST = 12
"""Levels of attributes, lists and JSON in texts in which keys are looked for."""


def calls(items: Sequence[Field]) -> Iterable[Kept]:
    """The calls of models among the spans, in the order in which they began.

    One call may be in two spans, one of its client and one of an instrumentation, and only one of them tells what was
    said: that one counts. The other may be of a trace of its own, and is known by its time.
    """
    found = sorted((span for span in spans.spans_in(items) if _is_call(span)), key=lambda span: span.start)
    told = [span for span in found if _holds(span)]
    names = {name for span in told for name in (span.id, _answer_id(span)) if name}
    for span in found:
        if _holds(span) or not (names & {span.parent, _answer_id(span)} or any(_within(span, each) for each in told)):
            yield Kept(
                partial(_read, span),
                f"{span.attributes.source}, span {span.id}" if span.id else span.attributes.source,
                model=_model(span),
                id=span.id,
                time=span.start,
                run=span.trace,
            )


def _within(span: Span, other: Span) -> bool:
    """Whether a span without contents is the same call as one of the same model that was open all the while."""
    timed = span.end and other.end and len(span.start) == len(other.start)
    return bool(timed) and _model(span) == _model(other) and other.start <= span.start and span.end <= other.end


def _answer_id(span: Span) -> str:
    return span.attributes.at("gen_ai", "response", "id").name()


def _is_call(span: Span) -> bool:
    if span.kind == openinference.CALL or any(words.holds(span) for words in _WHOLE):
        return True
    ai = span.attributes["gen_ai"]
    operation = ai.at("operation", "name").name().lower()
    named = ai.at("request", "model").there or ai["system"].there or bool(span.events and genai.holds(span))
    return operation in _OPERATIONS and named


def _holds(span: Span) -> bool:
    return any(words.holds(span) for words in _WHOLE) or genai.holds(span)


def _model(span: Span) -> str:
    ai, llm = span.attributes["gen_ai"], span.attributes["llm"]
    return ai.at("request", "model").name() or llm.at("request", "model_name").name() or llm["model_name"].name()


def _read(span: Span, notices: Notices) -> Call:
    call = _told_in(span, notices)
    if "earlier-turns" not in notices and (lost := genai.unasked(call.chat.messages)) is not None:
        raise DataError(
            f"{span.attributes.source}, span {span.id or span.name!r} holds the result of a call ({lost}) that no "
            "message before it made: the provider keeps the earlier turns (previous_response_id), and the exporter no "
            "word of them. Record the request itself (input and previous_response_id), or send the whole conversation."
        )
    answer = call.answer
    if answer is not None and answer.finish != "length" and not (answer.text or answer.calls):
        notices.say(
            "empty-answer",
            "The answer stands in the record without a text or a call: some exporters leave out refusals, pictures or "
            "all contents. The model is asked for one first, and that is explained.",
        )
        return replace(call, answer=None)
    if answer is None and span.error:
        notices.failed(span.error)
    return call


def _told_in(span: Span, notices: Notices) -> Call:
    where = f"{span.attributes.source}, span {span.id or span.name!r}"
    for words in _WHOLE:
        if words.holds(span):
            return words.sent_in(span).call(notices)
    if not genai.holds(span):
        answered = span.attributes.at("gen_ai", "output", "messages").there
        raise DataError(
            f"{where} tells that {_model(span) or 'a model'} was called, and not what "
            f"{'it was asked' if answered else 'was said'}: the exporter kept no contents"
            f"{' of the request' if answered else ''}. Record again with {_SETTINGS}. What is there (times, tokens, "
            "settings) explains no answer."
        )
    clean = replace(
        span,
        attributes=_clean(span.attributes, notices),
        events=[(name, _clean(body, notices)) for name, body in span.events],
    )
    said = genai.said_in(clean, notices)
    if not any(turn.text.strip() or turn.parts for turn in said.messages):
        what = "the messages of its request without their contents" if said.messages else "no message of its request"
        raise DataError(f"{where} holds {what}. Record again with {_SETTINGS}.")
    maker = maker_of(_model(span), notices, protocol="openai", provider=_provider(span), url=_address(span, notices))
    nowhere = " Nor does this one say which address was asked: if it was not the provider's own, give it (--base-url)."
    notices.say(
        "span-settings",
        "Spans keep some settings of a request (temperature, length, seed, stop, penalties). Others, such as a "
        "response format or the choice among tools, are not known from it and are not sent."
        f"{'' if maker.base_url else nowhere}",
    )
    chat = Chat(tuple(said.messages), tuple(said.tools))
    return made(chat, said.answer, maker, notices, settings=settings_in(genai.settings_in(clean)), protocol="openai")


def _clean(attributes: Field, notices: Notices) -> Field:
    """The attributes without what must not be shown, which is looked for in the JSON of their texts too.

    Such a text stays a text, as it stood where nothing had to go: a tool's result, or an answer, may be JSON itself.
    """
    opened = Field(_opened(attributes, 0), attributes.place, attributes.source)
    clean = scrubbed(opened, notices)
    return Field(_closed(attributes.value, clean.value), attributes.place, attributes.source)


def _closed(before: object, clean: object) -> object:
    if isinstance(before, str) and not isinstance(clean, str):
        inside: object = json.loads(before)
        closed = _closed(inside, clean)
        return before if closed == inside else json.dumps(closed, ensure_ascii=False)
    if isinstance(before, dict) and isinstance(clean, dict):
        held, kept = cast("dict[str, object]", before), cast("dict[str, object]", clean)
        if len(held) != len(kept):  # two names became one where keys were taken out of them
            return kept
        return {name: _closed(was, value) for was, (name, value) in zip(held.values(), kept.items(), strict=True)}
    if isinstance(before, list) and isinstance(clean, list):
        return [_closed(*each) for each in zip(cast("list[object]", before), cast("list[object]", clean), strict=True)]
    return clean


def _opened(found: Field, level: int) -> object:
    inside = found.parsed() if level < _DEEPEST else found
    if inside.is_object and level < _DEEPEST:
        return {key: _opened(each, level + 1) for key, each in inside.items()}
    if inside.is_list and level < _DEEPEST:
        return [_opened(each, level + 1) for each in inside]
    return inside.value


def _provider(span: Span) -> str:
    ai = span.attributes["gen_ai"]
    return ai.at("provider", "name").name() or ai["system"].name()


def _address(span: Span, notices: Notices) -> str:
    """The address that was asked: whole where the span has it, else put together of its host and port."""
    whole = span.attributes.at("url", "full").name() or span.attributes.at("gen_ai", "openai", "api_base").name()
    server = span.attributes["server"]
    host, port = server["address"].name(), server["port"].whole()
    if whole or not host:
        return whole
    secure = port in {None, 443}
    address = f"{'https' if secure else 'http'}://{host}{f':{port}' if port and not secure else ''}/v1"
    notices.say(
        "address",
        "The span keeps the host and the port that were asked, and no path: /v1 was put behind them. Give the address "
        "yourself (--base-url) if the server has another.",
    )
    return address
