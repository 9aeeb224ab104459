"""What is in a file that holds no call that could be read: what it is, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from whygen.records.fields import Field


class Known(NamedTuple):
    """A form that people have in place of a record.

    Attributes:
        is_it: whether a value is of it.
        what: it is, and what to do.
    """

    is_it: Callable[[Field], bool]
    what: str


def _has(*names: str) -> Callable[[Field], bool]:
    """Whether all of these are there; dots lead inside."""

    def is_it(item: Field) -> bool:
        return all(item.at(*name.split(".")).there for name in names)

    return is_it


def _is_answer(item: Field) -> bool:
    chat = item["choices"].is_list and item["object"].name().startswith(("chat.completion", "text_completion"))
    message = item["type"].value == "message" and item["stop_reason"].there
    result = item["custom_id"].there and (item["result"].is_object or item["response"].is_object)
    return chat or message or result or item["object"].value == "response" or item["candidates"].is_list


def _is_raw(item: Field) -> bool:
    prompt = item["prompt"].is_text or item["prompt"].is_list
    return prompt or item["inputText"].there or (item["inputs"].is_text and item["parameters"].there)


def is_page(item: Field) -> bool:
    """Whether this is what a chat's page keeps of a conversation, which no model was sent."""
    first = next(iter(item["messages"]), Field(None)) if item["messages"].is_list else Field(None)
    told = first["author"].is_object or first["versions"].is_list or first["sender"].is_text
    asked = item["requests"].is_list and item["responderUsername"].there
    return told or asked or item["mapping"].is_object or item["chat_messages"].is_list


def _is_observation(item: Field) -> bool:
    return item["type"].name().upper() == "GENERATION" and item.first("traceId", "trace_id").there


def _is_thread(item: Field) -> bool:
    return item["object"].name().startswith("thread")


def _is_event_of_openhands(item: Field) -> bool:
    return item["source"].is_text and (item["action"].is_text or item["observation"].is_text)


def _is_judged(item: Field) -> bool:
    """Whether this is a row of an evaluation, of whatever tool."""
    item = next(iter(item["testCases"]), item) if item["testCases"].is_list else item
    asked = item.first("input", "user_input", "question", "query")
    told = item.first("actualOutput", "actual_output", "retrieved_contexts", "expected_output", "ground_truth")
    return asked.is_text and told.there


def _is_log_of_crewai(item: Field) -> bool:
    return item["task"].there and item["agent"].is_text and item["status"].name() in {"started", "completed"}


def _is_realtime(item: Field) -> bool:
    return item["type"].name().startswith(("session.", "input_audio_buffer.", "response.", "conversation.item."))


_KNOWN = (
    Known(
        _is_answer,
        "an answer without its request. Both are needed: {request, response}; of a batch, put the lines that "
        "were sent and those of its results (of the same custom_id) into one file",
    ),
    Known(
        _has("prompt.id"),
        "a request whose prompt is kept by the provider (prompt.id), with none of its texts. Send the messages "
        "themselves, and record that",
    ),
    Known(
        _has("span_data.response_id"),
        "a trace of OpenAI's Agents SDK, which names a response by its id and keeps none of what was said. Get it from "
        "the provider (responses.retrieve, responses.input_items.list), and give both as {input, response}",
    ),
    Known(
        _has("spend", "request_id"),
        "a row of litellm's spend log without contents. Its proxy keeps them with store_prompts_in_spend_logs: true",
    ),
    Known(
        _is_observation,
        "an observation of Langfuse without its input: it was masked, or the export left it out (fields=core,io)",
    ),
    Known(
        _has("signed_body_url"),
        "a row of Helicone that names where its bodies are: fetch signed_body_url, and give what it holds",
    ),
    Known(
        is_page,
        "what a chat's page keeps or sends to its own server, and not what a model was sent. Give the messages as a "
        "list of role and content",
    ),
    Known(
        _has("error.message"),
        "an error of a service without its request. Both are needed, {request, response}; the model is asked anew then",
    ),
    Known(_has("conversations"), "a set for training. Give the messages of one as a list of role and content"),
    Known(
        _is_thread,
        "an object of OpenAI's Assistants, whose conversation is kept by the provider. List its messages, and give "
        "them as role and content",
    ),
    Known(
        _is_raw,
        "a completion of one text and no chat. Explain the text as a prompt (whygen prompt), or record a chat",
    ),
    Known(
        _is_event_of_openhands,
        "an event of OpenHands, which is not what its model was sent. It keeps each call with log_completions = true",
    ),
    Known(
        _is_judged,
        "a row of an evaluation: what was asked and answered, without the messages that the model was sent. Give those "
        "as a list of role and content, with what was retrieved in the place where it stood",
    ),
    Known(
        _has("doc", "arguments", "resps"),
        "a sample of lm-evaluation-harness. Explain the text in its arguments as a prompt (whygen prompt)",
    ),
    Known(
        _has("data.resultData.runData"),
        "an execution of n8n, which keeps messages as one text. Record where the model is asked",
    ),
    Known(
        _has("mappings"),
        "a stand-in for a server (WireMock). Give the request and the answer as {request, response}",
    ),
    Known(
        _is_log_of_crewai,
        "a log of CrewAI's tasks (output_log_file), which keeps no call of a model. Keep its events of calls as lines "
        "of JSON (LLMCallStartedEvent, LLMCallCompletedEvent: model_dump(mode='json')), or trace it by OpenInference",
    ),
    Known(_is_realtime, "an event of a realtime session, which is no single call"),
    Known(
        _has("log.entries"),
        "an archive of a browser (HAR) without a request to a model among its entries. Record where the model is asked",
    ),
)  # fmt: skip


_INSIDE = ("request", "postData", "body", "text", "response", "data", "observations")
"""Where what it is may stand, in a page or a wrapper."""


def what_it_is(item: Field) -> str:
    """What a value is, for people, with what to do; empty where nothing is known of it."""
    found = item
    for _ in range(4):
        if (known := next((each for each in _KNOWN if found.is_object and each.is_it(found)), None)) is not None:
            return known.what
        inside = list(found) if found.is_list else []
        inside += [found[name] for name in _INSIDE if found[name].there]
        if not inside:
            return ""
        found = inside[0].parsed()
    return ""
