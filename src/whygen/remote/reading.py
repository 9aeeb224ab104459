"""Reading a server's JSON without trusting its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from whygen.safe import DEEPEST, read_json
from whygen.types import FailureKind, FinishReason


class Malformed(Exception):  # noqa: N818 - it never leaves the adapters
    """What came back is no answer of the protocol; the text says what it is.

    Attributes:
        advice: what to do next, where that is more than to check the address.
    """

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class Unacceptable(Exception):  # noqa: N818 - it never leaves the adapters
    """What a server does that no answer excuses: it sends without end, or hands the prompts on.

    Attributes:
        kind: of the failure that it is.
        advice: what the person should do next.
    """

    def __init__(self, message: str, *, kind: FailureKind, advice: str) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.advice = advice


class ErrorInside(Malformed):
    """An error stands where the answer should, though the status says that all went well.

    Attributes:
        found: the response.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__("an error instead of an answer")
        self.found = found


_COUNT = 10**12
"""A larger number counts nothing."""
_ANSWERS = ("choices", "content", "output", "data", "candidates", "promptFeedback")
"""Where the protocols that are read here keep an answer, or a refusal."""
_TELLS = ("message", "msg", "detail", "errors", "error_msg", "error_message", "base_resp")
"""Where services say what went wrong, if they say so with status 200."""
_STREAM = "a stream of events instead of one answer"
_NO_STREAM = (
    "Whole answers are read here: ask for one by Settings(extra={'stream': False}), or --setting stream=false, or set "
    "the server to it."
)
_NAME = 200
"""Characters of a name that are kept."""


def document(content: bytes, *, lists: bool = False) -> Mapping[str, Any]:
    """The JSON object in a response's body, whatever its content type says.

    Args:
        content: the body.
        lists: take the one object of a list for it, as one service sends its errors.

    Raises:
        Malformed: if there is none.
    """
    if not content.strip():
        raise Malformed("an empty response")
    try:
        found: object = read_json(content)
    except ValueError:  # covers bytes that are no text, and numbers of thousands of digits
        instead = _instead(content)
        raise Malformed(instead, advice=_NO_STREAM if instead == _STREAM else "") from None
    if lists and isinstance(found, list) and len(cast(list[object], found)) == 1:
        found = cast(list[object], found)[0]
    if not isinstance(found, dict):
        raise Malformed(f"JSON that is a {type(cast(object, found)).__name__}, not an object")
    return cast(Mapping[str, Any], found)


def _instead(content: bytes) -> str:
    """What stands where JSON should."""
    begin = content.lstrip()[:5]
    if begin[:1] == b"<":
        return "a web page instead of JSON"
    if begin in (b"data:", b"event"):
        return _STREAM
    if content.count(b"[") + content.count(b"{") > DEEPEST:
        return "JSON that is nested without end"
    return "something that is not JSON"


def dig(found: object, *path: str | int) -> object:
    """What stands at a path of keys and positions; None where there is nothing."""
    for step in path:
        if isinstance(found, Mapping) and isinstance(step, str):
            found = cast(Mapping[str, object], found).get(step)
        elif (
            isinstance(found, list)
            and isinstance(step, int)
            and -len(cast(Sequence[object], found)) <= step < len(cast(Sequence[object], found))
        ):
            found = cast(Sequence[object], found)[step]
        else:
            return None
    return found


def count(found: object, *path: str | int) -> int | None:
    """A whole number at a path, from 0 to `_COUNT`; None if there is none."""
    value = dig(found, *path)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _COUNT:
        return None
    return int(value) if value == int(value) else None


FINISHES: Mapping[str, FinishReason] = {
    "length": "length", "max_tokens": "length", "model_length": "length", "model_context_window_exceeded": "length",
    "content_filter": "refused", "safety": "refused", "refusal": "refused", "prohibited_content": "refused",
    "blocked": "refused", "blocklist": "refused", "recitation": "refused", "spii": "refused",
    "guardrail_intervened": "refused", "content_filtered": "refused", "error_toxic": "refused", "sensitive": "refused",
}  # fmt: skip
"""What services call the end of an answer that is not a plain one."""


def ended_by(reason: object) -> FinishReason:
    """Why an answer ended, in a live answer and in a record alike; what nobody knows is an end like another."""
    # Some services add which filter it was: "content_filter: SAFETY".
    return FINISHES.get(reason.lower().split(":")[0].strip(), "stop") if isinstance(reason, str) else "stop"


def refuse_error(found: Mapping[str, Any]) -> None:
    """Let nothing pass that says of itself that it is no answer.

    Routers answer so when the server behind them fails: ``{"error": {"code": 402, "message": ...}}`` with status 200,
    or the same inside a choice.

    Raises:
        ErrorInside: if it does.
    """
    inside = dig(found, "choices", 0)
    for place in (found, inside):
        error = dig(place, "error")
        if isinstance(error, Mapping | str) and error:
            raise ErrorInside({"error": error})
    if "error" in (found.get("object"), found.get("type"), found.get("status")):
        raise ErrorInside(found)
    told = [found.get(name) for name in _TELLS if name != "message" or isinstance(found.get(name), str)]
    if not any(found.get(name) for name in _ANSWERS) and any(told):
        raise ErrorInside(found)


def usage(found: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens read and written, as far as the server says.

    What a model thinks to itself is paid for like what it writes. Some servers count it in the total alone, some in a
    detail beside what was written: the larger figure is believed. A total alone counts as written, the dearer of both.
    """
    about = dig(found, "usage")
    read, written = _read(about), _first(about, "completion_tokens", "output_tokens")
    total, hidden = count(about, "total_tokens"), count(about, "completion_tokens_details", "reasoning_tokens")
    if total is not None and (written is None or total - (read or 0) > written):
        written = max(0, total - (read or 0))
    if written is None:
        return read, None
    return read, max(written, hidden or 0)


def _read(about: object) -> int | None:
    """Tokens read, with those that came from a cache.

    OpenAI's figure holds them, and tells them again in a detail. Others count them apart, as `input_tokens` of
    Anthropic's protocol does, or as a detail shows that is larger than the figure.
    """
    fresh = _first(about, "prompt_tokens", "input_tokens")
    kept = [count(about, f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation")]
    seen = [count(about, f"prompt_cache_{kind}_tokens") or 0 for kind in ("hit", "miss")]
    inside = [count(about, f"{name}_tokens_details", "cached_tokens") or 0 for name in ("prompt", "input")]
    if fresh is None:
        return sum(seen) or None
    apart = max(sum(kept), *inside)
    by_custom = count(about, "prompt_tokens") is None and sum(kept) > 0
    return max(fresh + apart if by_custom or apart > fresh else fresh, sum(seen))


def _first(found: object, *names: str) -> int | None:
    return next((value for name in names if (value := count(found, name)) is not None), None)


def told_name(value: object) -> str | None:
    """A short text that a server says of itself, such as a model's name; None if it is none."""
    return value[:_NAME] if isinstance(value, str) else None
