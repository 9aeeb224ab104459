"""What went wrong, as a `Failure`: of which kind it is, and what the person should do next.

Servers word their errors in their own ways, so that codes are believed first, then the status, and words last.
"""

from __future__ import annotations

import math
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from whygen.remote.reading import Malformed, dig, document
from whygen.remote.service import Service
from whygen.types import Failure

PASSING = frozenset({408, 409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Statuses that may pass by themselves: time-outs, conflicts, overload, a server behind a proxy that is not there."""
_QUOTA = frozenset({
    "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error", "insufficient_credits",
    "quota_exceeded", "access_terminated",
})  # fmt: skip
_FILTER = frozenset(
    {"content_filter", "content_policy_violation", "moderation_blocked", "responsibleaipolicyviolation"}
)
_CONTEXT = frozenset({"context_length_exceeded", "string_above_max_length", "exceed_context_size_error"})
_CONTEXT_WORDS = re.compile(
    r"(?i)maximum context|context (length|window|size)|prompt is too long|too many (input )?tokens"
)
_UNTAKEN = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter", "invalid_parameter"})
_SHOWN = 300
"""Characters of a server's message that are shown."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What an error response says of itself."""

    message: str
    codes: frozenset[str]
    param: str


def _read(body: str) -> _Said:
    try:
        found = document(body.encode("utf-8", "surrogatepass"))
    except Malformed as malformed:
        return _Said("" if "empty" in str(malformed) else f"({malformed})", frozenset(), "")
    error = dig(found, "error") if isinstance(dig(found, "error"), Mapping) else found
    told = [dig(error, "message"), dig(found, "error"), dig(found, "detail"), dig(found, "message")]
    message = next((text for text in told if isinstance(text, str)), "")
    codes = {str(dig(error, name)).lower() for name in ("code", "type")} | {
        str(dig(error, *path)).lower() for path in (("innererror", "code"), ("details", "error_code"))
    }
    return _Said(message, frozenset(codes), str(dig(error, "param") or ""))


def from_status(status: int, headers: Mapping[str, str], body: str, service: Service) -> Failure:
    """The failure behind an HTTP error.

    Args:
        status: HTTP status, 400 or above.
        headers: of the response; their names in any case.
        body: the response's text.
        service: whose credentials are taken out of everything that is said.
    """
    said = _read(body)
    words = service.scrub(said.message).strip()
    words = words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"
    message = f"{service.place} answered {status}" + (f": {words}" if words else "")
    if status == 429 and not said.codes & _QUOTA:
        advice = "Ask more slowly, or raise the limits of this account."
        return Failure(kind="rate_limit", message=message, advice=advice, retry_after=retry_after(headers))
    if status in PASSING:
        advice = "The server is in trouble or overloaded: run the same command again later, it goes on from here."
        return Failure(kind="transient", message=message, advice=advice, retry_after=retry_after(headers))
    if said.codes & _FILTER:
        return Failure(kind="refused", message=message, advice="The service's content policy stops this prompt.")
    return Failure(kind="permanent", message=message, advice=_advice(status, said, service))


def _advice(status: int, said: _Said, service: Service) -> str:
    if status == 402 or said.codes & _QUOTA:
        return f"The key is good, but its account has no credit or quota left: top it up at {service.name}."
    if status == 401:
        return (
            f"The key in {service.key_variable} is not accepted here: check that it is whole, current, and for "
            f"{service.place}."
        )
    if status == 403:
        return f"The key in {service.key_variable} may not do this: ask for access, or use another model or key."
    if status == 413 or said.codes & _CONTEXT or _CONTEXT_WORDS.search(said.message):
        return (
            "The prompt and the room for the answer are longer than this model takes: shorten the prompt, lower "
            "max_tokens, or use a model with a longer context."
        )
    if status in {404, 405, 501}:
        return (
            f"Check the model's name, and the address: {service.place} must be where the protocol begins (often "
            "it ends in /v1), and the server must have this endpoint."
        )
    return _setting_advice(said)


def _setting_advice(said: _Said) -> str:
    """Which setting to change, when the server refuses one."""
    named = said.param if said.codes & _UNTAKEN else next(iter(re.findall(r"['\"`](\w+)['\"`]", said.message)), "")
    if named == "temperature":
        return (
            "This model sets its own temperature: use temperature=1, or leave it out with "
            "Settings(extra={'temperature': None})."
        )
    if named in {"max_tokens", "max_completion_tokens"}:
        other = "max_completion_tokens" if named == "max_tokens" else "max_tokens"
        return f"This server takes {other} instead: Settings(extra={{'{named}': None, '{other}': 256}})."
    if named:
        return f"If {named!r} is a setting, leave it out with Settings(extra={{'{named}': None}}); else change it."
    return "The server does not take this request as it is: change what it names."


def timed_out(service: Service) -> Failure:
    """No answer in time."""
    advice = "Run the same command again, it goes on from here; or give the server more time (timeout)."
    return Failure(kind="transient", message=f"{service.place} did not answer in time", advice=advice)


def unreachable(error: BaseException, service: Service) -> Failure:
    """No connection, or one that broke: told apart by what lies beneath the client's own error."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        reason = next(str(cause) for cause in causes if isinstance(cause, ssl.SSLError))
        advice = "Check the address (http or https), the server's certificate, and SSL_CERT_FILE for a private one."
        message = f"no secure connection to {service.place} ({service.scrub(reason)[:_SHOWN]})"
        is_for_good = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
        return Failure(kind="permanent" if is_for_good else "transient", message=message, advice=advice)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        advice = "Check the address for a slip of the pen, and the network."
        return Failure(kind="transient", message=f"the host of {service.place} is not found", advice=advice)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes) or "refused" in str(causes[-1]):
        advice = "Start the server, or check the address and its port."
        return Failure(kind="transient", message=f"nothing answers at {service.place}", advice=advice)
    reason = service.scrub(str(causes[-1]) or type(causes[-1]).__name__)[:_SHOWN]
    advice = "Run the same command again, it goes on from here; check the network if it stays so."
    return Failure(kind="transient", message=f"the connection to {service.place} broke ({reason})", advice=advice)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies beneath it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def unexpected(error: Exception, service: Service) -> Failure:
    """Whatever else a client raises: an answer that is none, a prompt that cannot be sent."""
    if isinstance(error, Malformed):
        advice = f"Check that {service.place} is where the protocol begins (often it ends in /v1), and try again."
        return Failure(kind="transient", message=f"{service.place} answered with {error}", advice=advice)
    if isinstance(error, UnicodeError):
        advice = "Take half surrogates and other broken characters out of the prompt."
        return Failure(
            kind="permanent", message="the prompt cannot be sent, because it is no Unicode text", advice=advice
        )
    reason = service.scrub(f"{type(error).__name__}: {error}")[:_SHOWN]
    advice = "The client library cannot send this request as it is: change what it names."
    return Failure(kind="permanent", message=f"asking {service.place} raised {reason}", advice=advice)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date (RFC 9110, section 10.2.3).

    A date is held against the server's own ``date`` where it sends one: the clock here may be wrong.
    """
    told = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(told[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        until = parsedate_to_datetime(told["retry-after"]).timestamp()
        now = parsedate_to_datetime(told["date"]).timestamp() if "date" in told else time.time()
    except (KeyError, ValueError):
        return None
    return max(0.0, until - now)
