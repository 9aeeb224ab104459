"""A call as it went over the wire: which protocol it speaks, and what is made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from urllib.parse import urlsplit

from whygen.records import anthropic, bedrock, gemini, ollama, openai_chat, openai_responses
from whygen.records.call import Call
from whygen.records.fields import Field
from whygen.records.makers import Maker, maker_of
from whygen.records.notices import Notices
from whygen.records.scrubbing import scrubbed
from whygen.records.streams import joined
from whygen.types import Chat, Output, Settings

PROTOCOLS: Mapping[str, ModuleType] = {
    "openai": openai_chat, "responses": openai_responses, "anthropic": anthropic,
}  # fmt: skip
"""The readers, by the protocol that they read: ``read_request`` and ``read_answer``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What went over the wire, without what was around it.

    Attributes:
        body: of the request.
        response: its body; without a value where it was not kept.
        url: that was asked; empty where it is not told.
        provider: as the record calls it.
        name: of the model, where the record tells it beside the request.
        protocol: whose words the request is in; empty where that is to be seen in them.
    """

    body: Field
    response: Field
    url: str = ""
    provider: str = ""
    name: str = ""
    protocol: str = ""

    def call(self, notices: Notices) -> Call:
        """The call.

        Raises:
            DataError: naming the field that cannot be used.
        """
        body, response = scrubbed(self.body, notices), scrubbed(joined(self.response, notices), notices)
        for translator in () if self.protocol else _TRANSLATORS:
            if translator.speaks(body, self.path):
                return self._translated(translator, body, response, notices)
        protocol = self.protocol or protocol_of(self)
        if protocol == "openai" and ollama.speaks(body, self.url):
            body, response = ollama.request(body), ollama.answer(response)
        reader = PROTOCOLS[protocol]
        chat, settings = reader.read_request(body, notices)
        answer = reader.read_answer(response, notices) if response.there else None
        name = body["model"].name() or self.name or response["model"].name()
        maker = maker_of(name, notices, protocol=protocol, url=self.url, provider=self.provider)
        return made(chat, answer, maker, notices, settings=settings, protocol=protocol)

    @property
    def path(self) -> str:
        """The address without what follows its question mark."""
        return self.url.partition("?")[0].rstrip("/")

    def _translated(self, translator: ModuleType, body: Field, response: Field, notices: Notices) -> Call:
        """The call of a protocol that is read as OpenAI's; the service that speaks it goes by the protocol's name."""
        name = translator.model_of(self.path, body) or self.name
        asked, answered = translator.request(body, notices), translator.answer(response)
        chat, settings = openai_chat.read_request(asked, notices)
        answer = openai_chat.read_answer(answered, notices) if response.there else None
        host = urlsplit(self.url).hostname
        # Google asks for a key where it is asked; any other place that speaks these words goes by its own name.
        home = gemini.PROTOCOL if translator is gemini and host in (None, gemini.HOST) else None
        provider = self.provider or home or host or translator.PROTOCOL
        maker = maker_of(name, notices, protocol="openai", provider=provider)
        return made(chat, answer, maker, notices, settings=settings, protocol="openai")


_TRANSLATORS: tuple[ModuleType, ...] = (gemini, bedrock)
"""Protocols that are put into OpenAI's words: ``speaks``, ``model_of``, ``request``, ``answer``."""


def made(
    chat: Chat, answer: Output | None, maker: Maker, notices: Notices, *, settings: Settings, protocol: str
) -> Call:  # fmt: skip
    """A call of what a reader found.

    Args:
        chat: the conversation.
        answer: what came back; where there is none, the last turn of the assistant is.
        maker: who was asked.
        notices: what is missing.
        settings: of the request.
        protocol: whose words they are in.
    """
    if answer is None:
        chat, answer = _answered(chat, protocol, notices)
    _missing(chat, answer, notices)
    return Call(
        chat=chat, model=maker.uri, base_url=maker.base_url, settings=settings, answer=answer, protocol=protocol
    )


def _answered(chat: Chat, protocol: str, notices: Notices) -> tuple[Chat, Output | None]:
    """A conversation that was kept after its answer: its last turn is that answer, not something that was sent.

    Anthropic's models go on with an assistant's turn that is sent; no such turn calls a tool.
    """
    last = chat.messages[-1] if chat.messages else None
    if (
        last is None
        or last.role != "assistant"
        or len(chat.messages) < 2
        or (protocol == "anthropic" and not last.calls)
    ):
        return chat, None
    notices.say("answer-inside", "The record ends with the assistant's own turn: it was taken as the answer.")
    return replace(chat, messages=chat.messages[:-1]), Output(text=last.text, calls=last.calls)


def _missing(chat: Chat, answer: Output | None, notices: Notices) -> None:
    """Say where tools were called and the record holds no definition of one."""
    called = [
        *(call.name for turn in chat.messages for call in turn.calls),
        *(c.name for c in (answer or Output()).calls),
    ]
    known = {tool.name for tool in chat.tools}
    lacking = sorted(set(called) - known)
    if lacking and not chat.tools:
        notices.say(
            "no-tools",
            f"The record holds calls of tools ({', '.join(lacking[:5])}) and no definition of any: the model is asked "
            "without tools and can call none. Give a record with its tools to explain which tool is called; texts and "
            "refusals can be explained.",
        )
    elif lacking:
        notices.say(
            "lacking-tools",
            f"The record holds calls of {', '.join(lacking[:5])}, which its tools do not define: those can be called, "
            "these cannot be called again.",
        )


def protocol_of(sent: Sent) -> str:
    """Whose words a request is in: by its address, then by what only one protocol has."""
    path = sent.path
    if path.endswith("/chat/completions"):
        return "openai"
    if path.endswith("/messages"):
        return "anthropic"
    if path.endswith("/responses"):
        return "responses"
    body = sent.body
    if not body["messages"].there and body["input"].there:
        return "responses"
    if sent.response["type"].value == "message" or any(found(body) for found in _ANTHROPIC_MARKS):
        return "anthropic"
    return "openai"


_ANTHROPIC_BLOCKS = frozenset({"tool_use", "tool_result", "document", "thinking", "redacted_thinking", "search_result"})
_CLAUDE = re.compile(r"claude-|(?:[a-z]+\.)?anthropic\.claude")


def _has_blocks(body: Field) -> bool:
    turns = [turn for turn in body["messages"] if turn["content"].is_list] if body["messages"].is_list else []
    return any(
        part["type"].name() in _ANTHROPIC_BLOCKS or (part["type"].value == "image" and part["source"].is_object)
        for turn in turns
        for part in turn["content"]
    )


_ANTHROPIC_MARKS: tuple[Callable[[Field], bool], ...] = (
    lambda body: bool(body.keys() & {"anthropic_version", "stop_sequences", "system"}),
    lambda body: any(tool["input_schema"].there for tool in body["tools"]) if body["tools"].is_list else False,
    _has_blocks,
    lambda body: bool(_CLAUDE.match(body["model"].name())),
)
"""What only Anthropic's requests have."""


def is_chat(item: Field) -> bool:
    """Whether this is a list of messages and nothing else."""
    return item.is_list and bool(item.value) and all(each.is_object and each["role"].is_text for each in item)


def is_body(found: Field) -> bool:
    """Whether this is the body of a request."""
    return found.is_object and (
        is_chat(found["messages"])
        or found["messages"].is_list
        or (found["input"].there and found["model"].is_text)
        or gemini.is_request(found)
    )
