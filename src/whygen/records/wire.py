"""A call as it went over the wire: which protocol it speaks, and what is made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Final
from urllib.parse import unquote, urlsplit

from whygen.errors import DataError
from whygen.records import anthropic, bedrock, cohere, dialects, gemini, ollama, openai_chat, openai_responses
from whygen.records.call import Call
from whygen.records.fields import Field
from whygen.records.makers import HOSTS, Maker, maker_of
from whygen.records.notices import Notices
from whygen.records.scrubbing import scrubbed
from whygen.records.streams import joined
from whygen.types import Chat, JsonValue, Output, Settings, Tool, ToolCall

BESIDE = "_beside"
"""Where a record whose form is not known says what stands beside the messages that were found in it."""
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
        body = dialects.plain_request(scrubbed(self.body, notices))
        if body[BESIDE].there:
            notices.say(
                "unknown-form",
                f"The form of the record is not known (it holds {body[BESIDE].name()}): the messages in it were taken, "
                "and nothing beside them, such as settings, tools or an answer. The forms that are read: docs/why.md.",
            )
        response = dialects.plain_answer(scrubbed(joined(self.response, notices), notices))
        _say_what_ran(response, notices)
        for translator in () if self.protocol else _TRANSLATORS:
            if translator.speaks(body, self.path):
                return self._translated(translator, body, response, notices)
        if not self.protocol and ollama.speaks(body, self.path):
            protocol, body, response = "openai", ollama.request(body, notices), ollama.answer(response, notices)
        else:
            protocol = self.protocol or protocol_of(replace(self, body=body))
        reader = PROTOCOLS[protocol]
        chat, settings = reader.read_request(body, notices)
        if not chat.messages:
            raise DataError(f"{body.source} holds a request without a message: nothing in it can be taken away.")
        answer = _answer(reader, response, notices)
        name = body["model"].name() or self.name or model_at(self.path) or response["model"].name()
        provider = self.provider or body["provider"].name()
        url = self.url or body.first("base_url", "api_base").name()
        maker = maker_of(name, notices, protocol=protocol, url=url, provider=provider)
        return made(chat, answer, maker, notices, settings=settings, protocol=protocol)

    @property
    def path(self) -> str:
        """The address without what follows its question mark."""
        return self.url.partition("?")[0].rstrip("/")

    def _translated(self, translator: ModuleType, body: Field, response: Field, notices: Notices) -> Call:
        """The call of a protocol that is read as OpenAI's; the service that speaks it goes by the protocol's name."""
        name = translator.model_of(self.path, body) or self.name or response.first("modelVersion", "model").name()
        asked, answered = translator.request(body, notices), translator.answer(response)
        chat, settings = openai_chat.read_request(asked, notices)
        answer = _answer(openai_chat, answered, notices)
        host = urlsplit(self.url).hostname
        # A service that is known asks for a key where it is asked; any other place goes by its own name.
        provider = self.provider or HOSTS.get(host or "") or host or translator.PROTOCOL
        maker = maker_of(name, notices, protocol="openai", provider=provider)
        return made(chat, answer, maker, notices, settings=settings, protocol="openai")


_TRANSLATORS: tuple[ModuleType, ...] = (gemini, bedrock, cohere)
"""Protocols that are put into OpenAI's words: ``speaks``, ``model_of``, ``request``, ``answer``."""


def _answer(reader: ModuleType, response: Field, notices: Notices) -> Output | None:
    """The answer of a response; of one that holds none, a notice says why."""
    answer = _words_of(response, reader).read_answer(response, notices) if response.there else None
    if answer is not None or not response.there or response.value in ("", {}, []):
        return answer
    if (state := response["status"].name()) in openai_responses.UNFINISHED:
        notices.say(
            "answer-unfinished",
            f"The answer was not there yet when the record was made (status {state}). The model is asked for one "
            "first, and that is explained; or get the finished one from the provider, and record that.",
        )
        return None
    error = response["error"] if response["error"].there else response
    told = error.first("message", "detail", "error").name() if error.is_object else error.name()
    if response["error"].there or response["type"].value == "error":
        notices.failed(told or "it does not say which")
    else:
        notices.say(
            "answer-unread",
            f"An answer stands in the record ({response.place}) in a form that is not read: the model is asked for one "
            "first, and that is explained.",
        )
    return None


def _words_of(response: Field, reader: ModuleType) -> ModuleType:
    """The reader of an answer: gateways and logs give one in other words than its request has."""
    if response["choices"].is_list:
        return openai_chat
    if response["output"].is_list:
        return openai_responses
    return anthropic if response["type"].value == "message" and response["content"].is_list else reader


_RUN_BY_SERVICE: Final = frozenset({
    "web_search_call", "file_search_call", "code_interpreter_call", "mcp_call", "image_generation_call",
    "server_tool_use", "mcp_tool_use",
})  # fmt: skip
_FOUND: Final = (
    ("executed_tools",), ("context", "citations"), ("annotations",), ("groundingMetadata",), ("grounding_metadata",),
    ("urlContextMetadata",), ("url_context_metadata",),
)  # fmt: skip
"""Where an answer says what its service looked up by itself."""


def _say_what_ran(response: Field, notices: Notices) -> None:
    """Say that the service ran tools while it answered: what they gave back is in no part that could be explained."""
    items = [each for name in ("output", "content") if response[name].is_list for each in response[name]]
    ran = [each["name"].name() or each["type"].name() for each in items if each["type"].name() in _RUN_BY_SERVICE]
    choices = response["choices"] if response["choices"].is_list else response["candidates"]
    first = next(iter(choices), Field(None)) if choices.is_list else Field(None)
    told = [each.at(*way) for each in (first["message"], first) for way in _FOUND]
    told += [response[name] for name in ("citations", "search_results")]
    if ran or any(each.value for each in told):
        names = ", ".join(dict.fromkeys(name.removesuffix("_call") for name in ran)) or "a search, or something like it"
        notices.say(
            "ran-tools",
            f"While it answered, the service ran tools by itself ({names}). What they gave back is no part of the "
            "request: it is fetched anew for every answer, cannot be explained, and may be what the answer rests on.",
        )


_PLACED = re.compile(r"/(?:deployments|models?)/([^/:]+)(?:/invoke|/chat/completions|:)")


def model_at(path: str) -> str:
    """The model that an address names, as those of Azure, Bedrock and Vertex do; empty where it names none."""
    found = _PLACED.search(path)
    return unquote(found[1]) if found else ""


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
    return Call(
        chat=_with_tools(chat, answer, settings, notices),
        model=maker.uri,
        base_url=maker.base_url,
        settings=settings,
        answer=answer,
        protocol=protocol,
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
        or "prefix" in notices
        or (protocol == "anthropic" and not last.calls)
    ):
        return chat, None
    notices.say("answer-inside", "The record ends with the assistant's own turn: it was taken as the answer.")
    return replace(chat, messages=chat.messages[:-1]), Output(text=last.text, calls=last.calls)


_DEFINED: Final = frozenset({None, "function", "custom"})
"""Types of tools that the request defines and the client runs."""


def _with_tools(chat: Chat, answer: Output | None, settings: Settings, notices: Notices) -> Chat:
    """The chat; where tools were called and the record holds no definition of any, with one of each by its name."""
    calls = [*(call for turn in chat.messages for call in turn.calls), *(answer or Output()).calls]
    known = {tool.name for tool in chat.tools}
    lacking = [name for name in dict.fromkeys(call.name for call in calls) if name not in known]
    if settings.extra.get("mcp_servers") or any(tool.extra.get("type") not in _DEFINED for tool in chat.tools):
        return chat  # what a service runs itself is called by names of its own
    if lacking and not chat.tools:
        if "session" not in notices:
            notices.say(
                "no-tools",
                f"The record holds calls of tools ({', '.join(lacking[:5])}) and no definition of any: each is offered "
                "by its name, with the arguments that it was called with. Others that could have been called are not "
                "known; how often the model does the same with so much less, the whole request is asked anew to see.",
            )
        return replace(chat, tools=[_by_name(name, calls) for name in lacking])
    if lacking:
        notices.say(
            "lacking-tools",
            f"The record holds calls of {', '.join(lacking[:5])}, which its tools do not define: those can be called, "
            "these cannot be called again.",
        )
    return chat


def _by_name(name: str, calls: Sequence[ToolCall]) -> Tool:
    """A tool of which nothing is known but how it was called."""
    values = [call.values for call in calls if call.name == name]
    known = {key: kind_in_schema(value) for each in values if isinstance(each, dict) for key, value in each.items()}
    return Tool(name, "", {"type": "object", "properties": known})


def kind_in_schema(value: object) -> dict[str, JsonValue]:
    """What a schema says of a value that was given."""
    kinds: dict[str, str] = {"bool": "boolean", "int": "integer", "float": "number", "list": "array", "dict": "object"}
    kind = kinds.get(type(value).__name__, "string")
    return {"type": kind, "items": {}} if kind == "array" else {"type": kind}


def protocol_of(sent: Sent) -> str:
    """Whose words a request is in: by its address, then by what only one protocol has."""
    path, body = sent.path, sent.body
    if path.endswith("/chat/completions"):
        return "openai"
    if not body["messages"].there and (body["input"].there or path.endswith("/responses")):
        return "responses"
    if _in_openai_words(body):  # a gateway's log has them beside the address that it asked in others
        return "openai"
    theirs = sent.response["type"].value == "message" or any(found(body) for found in _ANTHROPIC_MARKS)
    return "anthropic" if theirs or path.endswith("/messages") else "openai"


def _in_openai_words(body: Field) -> bool:
    """Whether a request has what Anthropic's never have: gateways take OpenAI's words for any maker's model."""
    turns = [each for each in body["messages"] if each.is_object] if body["messages"].is_list else []
    tools = list(body["tools"]) if body["tools"].is_list else []
    if any(turn["role"].name() in {"tool", "function"} or turn["tool_calls"].is_list for turn in turns):
        return True
    told = any(turn["role"].name() in {"system", "developer"} for turn in turns) and not _has_blocks(body)
    return told or any(tool["function"].is_object for tool in tools)


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
    """Whether this is a list of messages and nothing else; what assistants alone say are answers."""
    if not item.is_list or not item.value:
        return False
    told = all(each.is_object and each["role"].is_text for each in item)
    asked = told and any(each["role"].value != "assistant" for each in item)
    return asked or dialects.is_items(item) or dialects.dialect_of(item) is not None


def answer_in(found: Field, usage: Field | None = None) -> Field:
    """A response of what a tracer kept of one: all of it, or a message, several of them, or a text.

    Args:
        found: what it kept.
        usage: how many tokens were read and written, where that stands elsewhere.
    """
    whole = ("choices", "output", "candidates", "outputs", "generations")
    if not found.there or any(found[name].there for name in whole) or found["stop_reason"].there:
        return found
    turns = list(found["messages"]) if found["messages"].is_list else []
    found = turns[-1] if turns else found  # of a whole conversation, the last turn
    first = next(iter(found), found) if found.is_list else found
    if first["type"].value == "function" and first["function"].is_object:  # calls alone
        return Field(
            {"choices": [{"message": {"content": None, "tool_calls": found.value}}]}, found.place, found.source
        )
    if first["message"].is_object:  # the choices alone
        return Field({"choices": [first.value]}, found.place, found.source)
    message = first.object() if first.is_object else {"content": first.json()}
    told = usage.object() if usage is not None and usage.is_object else {}
    counted = {
        "prompt_tokens": told.get("prompt_tokens", told.get("input")),
        "completion_tokens": told.get("completion_tokens", told.get("output")),
    }
    return Field({"choices": [{"message": message}], "usage": counted}, found.place, found.source)


_OF_PAGES: Final = frozenset({"author", "versions", "sender"})
"""What messages of a chat's page have, and no service takes."""


def is_body(found: Field) -> bool:
    """Whether this is the body of a request."""
    return found.is_object and (
        is_chat(found["messages"])
        or (found["messages"].is_list and not any(turn.keys() & _OF_PAGES for turn in found["messages"]))
        or (found["input"].there and found["model"].is_text)
        or gemini.is_request(found)
        or cohere.is_old(found)
        or ollama.is_prompt(found)
    )
