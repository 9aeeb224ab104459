"""What a fault server says: the answers of the protocols it speaks, and the faults, as status, headers and body."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from faults.scripts import Received

JSON = "application/json"
EDGES = (
    "a\u0000b \u2028 e\u0301 \U0001f9d1\u200d\U0001f680 \u202eabc\u202c \ufeff 東京 <script>alert(1)</script> \\ \" '"
)
"""A text of everything that is often handled wrong."""
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
"""One pixel."""


class Reply(NamedTuple):
    """An HTTP response."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = {}


def default_text(received: Received) -> str:
    """The answer, which depends on the request's words alone."""
    return f"You said: {asked(received.json)}"


def asked(body: Mapping[str, Any]) -> str:
    """The text of the last message, or the prompt."""
    messages = body.get("messages")
    content = messages[-1]["content"] if messages else body.get("prompt", "")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return str(content)


def respond(received: Received, text: Callable[[Received], str]) -> Reply:
    """The answer to a request that is struck by nothing."""
    answer = _ROUTES.get(received.path.partition("?")[0])
    if answer is None:
        return error(404, f"There is nothing at {received.path}.", type="invalid_request_error")
    return as_json(answer(received, text))


def as_json(document: Mapping[str, Any], *, status: int = 200, **headers: str) -> Reply:
    """A JSON response; an underscore in a header's name stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), JSON, named)


def error(status: int, message: str, *, headers: Mapping[str, str] | None = None, **about: str) -> Reply:
    """An error as both protocols word it."""
    document = {"type": "error", "error": {"message": message, **about}}
    return Reply(status, json.dumps(document).encode(), JSON, headers or {})


def _usage(received: Received, text: str) -> dict[str, int]:
    before, after = len(words(asked(received.json))), len(words(text))
    return {"prompt_tokens": before, "completion_tokens": after, "total_tokens": before + after}


def words(text: str) -> list[str]:
    """Tokens of this server: words, each with the space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def _chat(received: Received, text: Callable[[Received], str]) -> dict[str, Any]:
    said, finish = _cut(text(received), received.json)
    message = {"role": "assistant", "content": said, "refusal": None}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": f"{received.json.get('model')}-0613",
        "system_fingerprint": "fp_test", "usage": _usage(received, said),
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
    }  # fmt: skip


def _cut(text: str, body: Mapping[str, Any]) -> tuple[str, str]:
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or 10**9
    tokens = words(text)
    return ("".join(tokens[:limit]), "length") if len(tokens) > limit else (text, "stop")


def _completion(received: Received, text: Callable[[Received], str]) -> dict[str, Any]:
    body = received.json
    said, finish = ("", "length") if body.get("max_tokens") == 0 else _cut(text(received), body)
    pieces = [str(body["prompt"]), said] if body.get("echo") else [said]
    said = "".join(pieces)
    choice: dict[str, Any] = {"index": 0, "text": said, "finish_reason": finish, "logprobs": None}
    if body.get("logprobs") is not None:
        choice["logprobs"] = _logprobs([token for piece in pieces for token in words(piece)])
    return {
        "id": "cmpl-1", "object": "text_completion", "created": 1, "model": body.get("model"),
        "system_fingerprint": "fp_test", "choices": [choice], "usage": _usage(received, said),
    }  # fmt: skip


def _logprobs(tokens: list[str]) -> dict[str, Any]:
    """The first token is a special one that begins every text, as many tokenizers have it."""
    tokens = ["<s>", *tokens]
    starts = [sum(map(len, tokens[:index])) for index in range(len(tokens))]
    scores = [None, *(word_logprob(token) for token in tokens[1:])]
    return {"tokens": tokens, "token_logprobs": scores, "text_offset": starts, "top_logprobs": None}


def word_logprob(token: str) -> float:
    """Log-probability of a word, whatever stands before it."""
    return -1.0 - len(token) / 10


def _embeddings(received: Received, text: Callable[[Received], str]) -> dict[str, Any]:
    del text
    given = received.json.get("input", "")
    texts = [given] if isinstance(given, str) else given
    rows = [{"object": "embedding", "index": i, "embedding": embedding(each)} for i, each in enumerate(texts)]
    return {
        "object": "list", "model": received.json.get("model"), "data": rows[::-1],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }  # fmt: skip


def embedding(text: str) -> list[float]:
    """A bag of hashed words: texts that share words are near each other."""
    row = [1e-3] * 16
    for word in text.lower().split():
        row[hashlib.sha256(word.encode("utf-8", "replace")).digest()[0] % 16] += 1.0
    return row


def _picture(received: Received, text: Callable[[Received], str]) -> dict[str, Any]:
    del received, text
    return {"created": 1, "data": [{"b64_json": base64.b64encode(PNG).decode()}]}


def _instruction(received: Received) -> str:
    """What is to be drawn, from JSON or from a form."""
    form = received.body.partition(b'name="prompt"\r\n\r\n')[2].partition(b"\r\n")[0]
    return asked(received.json) or form.decode("utf-8", "replace")


def drawn(received: Received) -> Reply:
    """A picture that depends on the words that are asked for: a column of colour for each."""
    values = np.full((32, 32, 3), 128, dtype=np.uint8)
    for word in _instruction(received).split():
        place = hashlib.sha256(word.encode()).digest()
        values[:, place[0] % 32] = list(place[1:4])
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return as_json({"created": 1, "data": [{"b64_json": base64.b64encode(buffer.getvalue()).decode()}]})


def _message(received: Received, text: Callable[[Received], str]) -> dict[str, Any]:
    said, finish = _cut(text(received), received.json)
    usage = _usage(received, said)
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": f"{received.json.get('model')}-20990101",
        "content": [{"type": "text", "text": said}], "stop_sequence": None,
        "stop_reason": "max_tokens" if finish == "length" else "end_turn",
        "usage": {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]},
    }  # fmt: skip


_ROUTES: dict[str, Callable[[Received, Callable[[Received], str]], dict[str, Any]]] = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completion,
    "/v1/embeddings": _embeddings,
    "/v1/images/generations": _picture,
    "/v1/images/edits": _picture,
    "/v1/messages": _message,
}


def changed(received: Received, change: Callable[[dict[str, Any]], None]) -> Reply:
    """A good answer with something done to it."""
    document = json.loads(respond(received, default_text).body)
    change(document)
    return as_json(document)


def _no_choices(document: dict[str, Any]) -> None:
    if "content" in document:  # Anthropic's models do stop without a word: what is odd is to end without a reason
        document |= {"content": [], "stop_reason": None}
    else:
        document["choices"] = []


def _null_content(document: dict[str, Any]) -> None:
    if "content" in document:
        document["content"] = [{"type": "text", "text": ""}]
    else:
        document["choices"][0]["message"]["content"] = None


def _refusal(document: dict[str, Any]) -> None:
    if "content" in document:
        document["stop_reason"] = "refusal"
    else:
        document["choices"][0]["message"] |= {"content": None, "refusal": "I cannot help with that."}


def _filtered(document: dict[str, Any]) -> None:
    if "content" in document:
        document["stop_reason"] = "refusal"
    else:
        document["choices"][0]["finish_reason"] = "content_filter"


def _with_text(received: Received, text: str) -> Reply:
    return respond(received, lambda _: text)


def _date() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


def _inside(**about: object) -> Reply:
    """Status 200, and an error where the answer should stand."""
    return as_json({"error": about})


def _echoed_key(received: Received) -> Reply:
    """What careless proxies do: repeat the credentials in the error's text."""
    sent = received.headers.get("authorization", "") + " " + received.headers.get("x-api-key", "")
    return error(401, f"Incorrect API key provided: {sent}. Headers were {dict(received.headers)}.", type="auth")


FAULTS: dict[str, Callable[[Received], Reply]] = {
    "429": lambda _: error(429, "Rate limit reached.", type="rate_limit_error", code="rate_limit_exceeded"),
    "429-after": lambda _: error(429, "Rate limit reached.", headers={"retry-after": "1"}, type="rate_limit_error"),
    "429-date": lambda _: error(429, "Rate limit reached.", headers={"retry-after": _date()}, type="rate_limit_error"),
    "429-ms": lambda _: error(429, "Rate limit reached.", headers={"retry-after-ms": "20"}, type="rate_limit_error"),
    "quota": lambda _: error(429, "You exceeded your current quota.", type="insufficient_quota",
                             code="insufficient_quota"),
    "401": _echoed_key,
    "403": lambda _: error(403, "Your organization may not use this model.", type="permission_error"),
    "404": lambda _: error(404, "The model does not exist.", type="not_found_error", code="model_not_found"),
    "400": lambda _: error(400, "Unsupported parameter: 'temperature'.", type="invalid_request_error",
                           code="unsupported_parameter", param="temperature"),
    "context": lambda _: error(400, "This model's maximum context length is 10 tokens.", type="invalid_request_error",
                               code="context_length_exceeded"),
    "policy": lambda _: error(400, "The response was filtered.", type="invalid_request_error", code="content_filter"),
    "410": lambda _: error(410, "The model has been retired.", type="not_found_error"),
    "402": lambda _: error(402, "Payment required."),
    "low-balance": lambda _: error(400, "Your credit balance is too low to access the API.",
                                   type="invalid_request_error"),
    "bad-key": lambda _: error(400, "API key not valid. Please pass a valid API key.", type="INVALID_ARGUMENT"),
    "quota-inside": lambda _: _inside(code="insufficient_quota", message="You exceeded your current quota."),
    "key-inside": lambda _: _inside(code="invalid_api_key", message="Incorrect API key."),
    "code-inside": lambda _: _inside(code=402, message="Insufficient credits."),
    "choice-inside": lambda _: as_json({"choices": [{"error": {"code": 402, "message": "Insufficient credits."}}]}),
    "trouble-inside": lambda _: _inside(code=502, message="The provider behind this router failed."),
    "rate-inside": lambda _: _inside(type="rate_limit_exceeded", message="Slow down."),
    "firewall": lambda _: Reply(403, b"<html><title>Blocked</title></html>", "text/html"),
    "moderation": lambda _: as_json({"error": {"code": 403, "message": "Your input was flagged.",
                                               "metadata": {"reasons": ["x"], "flagged_input": "y"}}}, status=403),
    "safety-words": lambda _: error(400, "Your prompt was flagged as potentially violating our usage policy.",
                                    type="invalid_request_error", code="invalid_prompt"),
    "filtered-prompt": lambda _: as_json({"choices": [], "prompt_filter_results": [
        {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": True, "severity": "high"}}}]}),
    "408": lambda _: error(408, "Timed out."),
    "409": lambda _: error(409, "Conflict."),
    "500": lambda _: error(500, "The server had an error.", type="server_error"),
    "502": lambda _: Reply(502, b"<html><h1>Bad Gateway</h1></html>", "text/html"),
    "503": lambda _: error(503, "Overloaded.", type="overloaded", headers={"retry-after": "0.02"}),
    "504": lambda _: Reply(504, b"", "text/plain"),
    "529": lambda _: error(529, "Overloaded.", type="overloaded_error"),
    "html": lambda _: Reply(200, b"<!doctype html><title>Sign in</title>", "text/html"),
    "wrong-type": lambda received: respond(received, default_text)._replace(content_type="text/plain"),
    "not-json": lambda _: Reply(200, b"{'choices': oops"),
    "bad-utf8": lambda _: Reply(200, b'{"choices": "\xff\xfe"}'),
    "empty-body": lambda _: Reply(200, b""),
    "list": lambda _: Reply(200, b"[]"),
    "empty-choices": lambda received: changed(received, _no_choices),
    "null-content": lambda received: changed(received, _null_content),
    "refusal": lambda received: changed(received, _refusal),
    "filtered": lambda received: changed(received, _filtered),
    "no-usage": lambda received: changed(received, lambda document: document.pop("usage", None)),
    "drawn": drawn,
    "empty-text": lambda received: _with_text(received, ""),
    "unicode": lambda received: _with_text(received, EDGES),
    "surrogate": lambda received: _with_text(received, "half \ud800 pair"),
    "other": lambda received: _with_text(received, f"{default_text(received)} ({received.repeat})"),
}  # fmt: skip
"""What happens in one response. ``reset``, ``hang``, ``half`` and ``slow`` are the connection's, in `server`."""
