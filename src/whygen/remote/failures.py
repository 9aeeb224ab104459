"""What went wrong, as a `Failure`: of which kind it is, and what the person should do next.

Servers word their errors in their own ways, so that codes are believed first, then the status, and words last.
"""

from __future__ import annotations

import html
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from whygen.remote.reading import ErrorInside, Malformed, Unacceptable, dig, document
from whygen.remote.service import Service
from whygen.remote.waiting import AGAIN_IN, PATIENCE, lasting, retry_after, span
from whygen.types import Failure

PASSING = frozenset({408, 409, 424, 425, 498, 499, *range(500, 600)} - {501, 505, 511})
"""Statuses that may pass by themselves: time-outs, conflicts, overload, a server behind a proxy that is not there.

Proxies have numbers of their own from 520 on, and 499; servers of models use 424 for a generation that broke, 498 for
want of room. What a server does not know (501, 505) and a network that wants a login (407, 511) stay so.
"""
_QUOTA = frozenset({
    "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error", "insufficient_credits",
    "insufficient_balance", "insufficient_funds", "quota_exceeded", "access_terminated", "payment_required",
    "exceeded_current_quota_error", "budget_exceeded", "credit_limit", "arrearage", "blocked_api_access",
})  # fmt: skip
_MONEY = r"(spend(ing)?|billing|credits?|usage|budget|prepaid|balance)"
_QUOTA_WORDS = re.compile(
    r"(?i)credit balance is too low|insufficient (balance|credits?|funds|quota)|exceeded your current quota|"
    r"payment required|check your plan and billing|past[ -]due|unpaid|in good standing|"
    r"out of call volume quota|"
    rf"\b{_MONEY} ?((hard |soft )?(limits?|caps?)|quota)? ?(ha(s|ve) been |was |is |are )?(reached|exceeded|exhausted)|"
    rf"\b(reached|exceeded|exhausted|hit|over)\b.{{0,30}}\b{_MONEY}( hard| soft)? ?(limits?|caps?|quota)\b|"
    r"(out of|any|no|more|enough|remaining) (remaining )?(credits?|funds)\b|余额不足|欠费|额度不足|残高.{0,4}不足|"
    r"잔액.{0,4}부족|크레딧.{0,6}(부족|소진)|guthaben.{0,20}(aufgebraucht|erschöpft)|(solde|crédits?) insuffisants?|"
    r"(saldo|créditos?) insuficientes?"
)
_OF_DAY = "quota_of_day"
_OF_DAY_WORDS = re.compile(r"(?i)((\bper[ -]?|/ ?)(day|week|month)|\bdaily|\bweekly|\bmonthly)\b")
_OF_DAY_NAME = re.compile(r"(?i)per_?(day|week|month)")
"""A quota that comes back after hours or days, which no run waits for."""
_COMES_BACK = re.compile(
    r"(?i)(re)?try again|retry (in|after)|\bper[ -]?(second|minute|hour)\b|\b[rt]p[sm]\b|concurren"
)
_KEY = frozenset({
    "invalid_api_key", "authentication_error", "invalid_authentication", "unauthorized", "unauthenticated",
    "account_deactivated", "organization_deactivated", "api_key_invalid", "token_expired", "expired_api_key",
    "expired_key", "auth_error", "organization_restricted", "unrecognizedclientexception", "expiredtokenexception",
})  # fmt: skip
_KEY_WORDS = re.compile(
    r"(?i)(incorrect|invalid|expired|revoked|disabled|unknown|missing|no) (api[ _-]?)(key|token)|"
    r"api[ _-]?key (is |has been |was )?(not valid|invalid|incorrect|expired|revoked|disabled|missing)|"
    r"security token\b.{0,40}\b(expired|invalid)|authentication (error|failed)|"
    r"\b(account|organi[sz]ation|team|project|workspace)\b.{0,40}\b(deactivated|disabled|suspended|terminated|closed|"
    r"restricted)"
)
_FORBIDDEN = frozenset({"permission_error", "permission_denied", "access_denied", "forbidden", "model_not_allowed"})
_GONE = frozenset({
    "model_not_found", "not_found_error", "notfounderror", "deploymentnotfound", "deployment_not_found",
    "model_not_available", "model_deprecated", "model_decommissioned", "unknown_model", "invalid_model", "model_gone",
    "invalid_request_invalid_model", "model_not_supported", "resource_does_not_exist", "resourcenotfoundexception",
})  # fmt: skip
_GONE_WORDS = re.compile(
    r"(?i)\b(models?|deployment|endpoint|specified version)\b.{0,80}\b((does |do )?not exist|not found|no longer|"
    r"deprecated|decommissioned|has been (shut|retired|removed)|(is|are|isn.t|not) (not )?(available|supported|served|"
    r"loaded|deployed)|end of (its )?life|not accessible|unavailable)|"
    r"\b(invalid|unknown|unsupported|malformed|no such|not a valid|nonexistent|real|find|found the|unable to access)\b"
    r"( publisher| the| a| any| non-serverless)? ?model|"
    r"\bmodel ?(identifier|id|name)\b.{0,40}\b(invalid|not valid|unknown)|"
    r"\bmod(ell|èle|elo)\b.{0,80}\b(existiert nicht|nicht gefunden|n.existe pas|introuvable|no existe|"
    r"no (se ha )?encontrado|não (existe|encontrado))|"
    r"模型.{0,10}不存在|不存在.{0,10}模型|没有.{0,10}模型|モデル.{0,20}(存在しま|見つかりま)せん|"
    r"모델.{0,20}(찾을 수 없|존재하지 않)"
)
_FILTER_CODE = re.compile(
    r"content_?(filter|policy|moderation|blocked|safety)|policy_?violation|moderation|inspection_?failed|^safety|"
    r"_policy$|prohibited_content|^invalid_prompt$|sensitive|risk_content|guardrail"
)
_FILTER_WORDS = re.compile(
    r"(?i)content[ _](management|moderation|safety|filter(ing|ed)?|policy|policies|exists risk)|"
    r"(prompt|input|output|content|request|message)s? ((was|has been|have been|is|are|were) )?"
    r"(flagged|blocked|filtered|moderated)|flagged (by|as|for)|requires moderation|safety[ _]check|guardrails?\b|"
    r"(safety|usage) (polic(y|ies)|guidelines)|prompt guard|new_sensitive|"
    r"(inappropriate|sensitive|harmful|unsafe|prohibited) content|"
    r"considered high risk|(safety|moderation) system|\bnsfw\b|敏感|不安全|违规|内容安全|不適切なコンテンツ"
)
_CONTEXT = frozenset({"context_length_exceeded", "string_above_max_length", "exceed_context_size_error"})
_CONTEXT_WORDS = re.compile(
    r"(?i)maximum context|context (length|window|size)|(prompt|input) is too long|too many (input )?tokens|"
    r"request too large|tokens must be reduced"
)
_NEVER_FITS_WORDS = re.compile(r"(?i)request too large|tokens must be reduced")
"""A rate that one request alone exceeds: no waiting helps."""
_PLACE = frozenset({"unsupported_country_region_territory", "unsupported_location"})
_PLACE_WORDS = re.compile(
    r"(?i)\b(country|region|territory|location)\b.{0,40}\b(not (be )?(supported|available|allowed)|unsupported)|"
    r"\bnot (supported|available) (in|for) (your|this) (country|region|location)"
)
_UNTAKEN = frozenset({
    "unsupported_parameter", "unsupported_value", "unknown_parameter", "invalid_parameter", "extra_forbidden",
})  # fmt: skip
_STREAMS_WORDS = re.compile(
    r"(?i)\b(only|must|require[sd]?|requires|please)\b.{0,40}\bstream(?!_opt)|\bstream.{0,20}\b(only|required)\b"
)
"""A model that answers piece by piece alone."""
_RATE_CODE = re.compile(r"rate_?limit|too_?many_?requests|resource_?exhausted|throttl|^servicequotaexceeded")
_RATE_WORDS = re.compile(
    r"(?i)\b(rate|requests?|qps|[rt]p[ms]|concurrency)( rate)? limits? ?(ha(s|ve) been |was |is |are )?"
    r"(reached|exceeded)|\brate exceeded|too many (concurrent )?requests|\bthrottl(ed|ing)\b"
)
_TROUBLE = frozenset({
    "overloaded_error", "overloaded", "server_error", "api_error", "internal_error", "internal_server_error",
    "service_unavailable", "unavailable", "timeout", "timeout_error", "bad_gateway", "engine_overloaded",
})  # fmt: skip
_NO_HTTP = re.compile(r"illegal |bad |conflicting |multiple |Receive buffer too long|Invalid ")
"""How the client library words it that what came is not HTTP."""
_DETAILS = 5
"""Details of an error that are looked through."""
_SHOWN = 300
"""Characters of a server's message that are shown."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What an error response says of itself.

    Attributes:
        message: in the server's words.
        codes: small letters.
        param: the setting that it names.
        page: what stands there if it is no JSON, so that it may not be of the server itself: no word of it is believed.
        wait: seconds after which it may be asked again.
    """

    message: str = ""
    codes: frozenset[str] = frozenset()
    param: str = ""
    page: str | None = None
    wait: float | None = None

    def tells(self, codes: frozenset[str], words: re.Pattern[str] | None = None) -> bool:
        """Whether one of the codes is named, or the words stand in the message."""
        return bool(self.codes & codes) or (words is not None and words.search(self.message) is not None)

    @property
    def names_rate(self) -> bool:
        """Whether a code says that requests come too fast."""
        return any(map(_RATE_CODE.search, self.codes))

    @property
    def is_throttled(self) -> bool:
        """Whether requests come too fast, whatever the status."""
        return self.names_rate or _RATE_WORDS.search(self.message) is not None

    @property
    def is_filtered(self) -> bool:
        """Whether a policy stopped the prompt, and not the key."""
        told = any(map(_FILTER_CODE.search, self.codes)) or _FILTER_WORDS.search(self.message) is not None
        return told and not self.tells(_KEY, _KEY_WORDS)

    @property
    def is_gone(self) -> bool:
        """Whether the model is what is missing. Where a setting is named, it is what this model does not take."""
        words = None if self.codes & _UNTAKEN or self.param.lower() not in {"", "none", "model"} else _GONE_WORDS
        return self.tells(_GONE, words)


def _read(body: str) -> _Said:
    try:
        found = document(body.encode("utf-8", "surrogatepass"), lists=True)
    except Malformed as malformed:
        return _Said(page="" if "empty" in str(malformed) else _shown(body) or f"({malformed})")
    return _said(found)


def _shown(body: str) -> str:
    """A page's title, or a short line of plain text."""
    title = re.search(r"(?is)<title[^>]*>(.{1,200}?)</title>", body[:10_000])
    if title is not None:
        return f"a web page, {' '.join(html.unescape(title[1]).split())!r}"
    line = body.strip()
    return line if len(line) <= _SHOWN and line.isprintable() and line[:1] not in "<{[" else ""


def _said(found: Mapping[str, object]) -> _Said:
    inside = (
        dig(found, "error"),
        dig(found, "error", 0),
        dig(found, "errors", 0),
        dig(found, "base_resp"),
        dig(found, "detail"),
        dig(found, "detail", 0),  # as FastAPI says which field of a request is wrong
    )
    error = next((cast(Mapping[str, object], each) for each in inside if isinstance(each, Mapping)), found)
    told = [dig(error, name) for name in ("message", "status_msg", "msg", "detail", "error")] + [
        dig(found, *path)
        for path in (
            ("error",),
            ("detail",),
            ("message",),
            ("Message",),
            ("msg",),
            ("error_msg",),
            ("error_message",),
            ("errors", 0),
        )
    ]
    message = next((text for text in told if isinstance(text, str)), "")
    field = dig(error, "loc", -1)
    message = f"{field}: {message}" if isinstance(field, str) else message
    beneath = dig(error, "metadata", "raw")  # a router, and what the server behind it said
    message += f" ({beneath})" if isinstance(beneath, str) and beneath else ""
    named = [dig(error, name) for name in ("code", "type", "status", "reason", "__type", "error_code")] + [
        dig(error, *path)
        for path in (
            ("innererror", "code"),
            ("details", "error_code"),
            ("details", 0, "reason"),
            ("errors", 0, "reason"),
        )
    ]
    codes = {code.lower().rpartition("#")[2] for code in named if isinstance(code, str)}
    if dig(error, "metadata", "flagged_input") is not None or dig(error, "metadata", "reasons") is not None:
        codes.add("moderation")
    quotas = [dig(error, "details", place, "violations", 0, "quotaId") for place in range(_DETAILS)]
    if any(isinstance(name, str) and _OF_DAY_NAME.search(name) for name in quotas):
        codes.add(_OF_DAY)
    return _Said(message, frozenset(codes), str(dig(error, "param") or field or ""), wait=_wait_in(error, message))


def _wait_in(error: object, message: str) -> float | None:
    """Seconds to wait as an error says them itself: Google in a detail, others in words."""
    delays = (dig(error, "details", place, "retryDelay") for place in range(_DETAILS))
    detail = next((wait for delay in delays if isinstance(delay, str) and (wait := span(delay)) is not None), None)
    words = AGAIN_IN.search(message)
    return detail if detail is not None or words is None else span(words[1])


def from_status(status: int, headers: Mapping[str, str], body: str, service: Service) -> Failure:
    """The failure behind an HTTP error.

    Args:
        status: HTTP status, 300 or above.
        headers: of the response; their names in any case.
        body: the response's text.
        service: whose credentials are taken out of everything that is said.
    """
    said = _read(body)
    named = next((value for name, value in headers.items() if name.lower() == "x-amzn-errortype"), "")
    if named:  # Amazon names its errors there; its bodies may be empty
        code = named.partition(":")[0].rpartition("#")[2].strip().lower()
        said = replace(said, codes=said.codes | {code})
    return _failure(status, status, said, service, wait=retry_after(headers))


def from_inside(inside: ErrorInside, service: Service) -> Failure:
    """The failure that a response holds in place of an answer, whatever its status."""
    found = inside.found
    named = [dig(found, "error", "code"), dig(found, "code"), dig(found, "status")]
    status = next((code for name in named if (code := _status_in(name)) is not None), None)
    return _failure(200, status or _status_of(_said(found)), _said(found), service, wait=None)


def _status_in(code: object) -> int | None:
    text = str(code) if isinstance(code, int | str) and not isinstance(code, bool) and len(str(code)) < 4 else ""
    return int(text) if text.isdigit() and 400 <= int(text) < 600 else None


def _status_of(said: _Said) -> int:
    """The HTTP status that would go with what is said; one that may pass if nothing is clear."""
    if said.tells(_QUOTA, _QUOTA_WORDS):
        return 402
    if said.is_filtered:
        return 400
    if said.is_throttled:
        return 429
    kinds = ((_TROUBLE, None, 503), (_KEY, _KEY_WORDS, 401), (_FORBIDDEN, None, 403))
    known = next((status for codes, words, status in kinds if said.tells(codes, words)), None)
    if known is None and said.is_gone:
        return 404
    return known or (400 if any(code.startswith("invalid_request") for code in said.codes) else 502)


def _failure(shown: int, status: int, said: _Said, service: Service, *, wait: float | None) -> Failure:
    words = service.scrub(said.message or said.page or "").strip()
    words = words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"
    message = f"{service.place} answered {shown}" + (f": {words}" if words else "")
    if _is_spent(status, said, wait):
        advice = f"The key is good, but its account has no credit or quota left: top it up at {service.place}."
        return Failure(kind="fatal", message=message, advice=advice)
    if status in {400, 403} and said.is_throttled:  # gateways of Amazon and Alibaba say 400 of it, Google's 403
        status = 429
    if status == 429 and _NEVER_FITS_WORDS.search(said.message):
        status = 413
    if status == 429 and _is_of_day(said, wait):
        advice = (
            "The key is good, but what it may use in a day or longer is used up: run the same command again when that "
            f"is renewed, it goes on from here; or raise it at {service.place}."
        )
        return Failure(kind="fatal", message=message, advice=advice)
    if status == 429:
        advice = "Ask more slowly, or raise the limits of this account."
        wait = said.wait if wait is None else wait
        if wait is not None and wait > PATIENCE:
            advice = f"It asks to be left alone for {lasting(wait)}: run the same command again then, or ask another."
        return Failure(kind="rate_limit", message=message, advice=advice, retry_after=wait)
    if status in PASSING:
        advice = "The server is in trouble or overloaded: run the same command again later, it goes on from here."
        return Failure(kind="transient", message=message, advice=advice, retry_after=wait)
    if said.is_filtered:
        return Failure(kind="refused", message=message, advice="The service's content policy stops this prompt.")
    kind, advice = _advice(status, said, service)
    return Failure(kind=kind, message=message, advice=advice)


def _is_spent(status: int, said: _Said, wait: float | None) -> bool:
    """Whether the account has run dry. Some services say 400 or 403 then; some say "quota" of a rate that passes."""
    if status == 402:
        return True
    passes = status == 429 and (wait is not None or said.names_rate or _COMES_BACK.search(said.message))
    words = None if passes else _QUOTA_WORDS
    return 400 <= status < 500 and said.tells(_QUOTA, words)


def _is_of_day(said: _Said, wait: float | None) -> bool:
    """Whether a quota of a day or longer is used up. One that slides comes back soon, and says when."""
    soon = wait is not None or _COMES_BACK.search(said.message)
    return _OF_DAY in said.codes or (not soon and _OF_DAY_WORDS.search(said.message) is not None)


def _advice(status: int, said: _Said, service: Service) -> tuple[Literal["fatal", "permanent"], str]:
    """Whether every later request would fail alike, and what to do."""
    if (advice := _way_advice(status, said, service)) is not None:
        return "fatal", advice
    if status == 401 or said.tells(_KEY, _KEY_WORDS):
        return "fatal", (
            f"The key in {service.key_variable} is not accepted here: check that it is whole, current, and for "
            f"{service.place}."
        )
    if status == 413 or said.tells(_CONTEXT, _CONTEXT_WORDS):
        return "permanent", (
            "The prompt and the room for the answer are longer than this model takes: shorten the prompt, lower "
            "max_tokens, or use a model with a longer context."
        )
    if status == 403 and said.page is not None:
        # It is of a firewall before the server, which stops some prompts and lets others through.
        return "permanent", (
            "This is a firewall's page, not the server's: it stops this prompt, or what comes from this network. "
            "Change the prompt, or ask from another network."
        )
    if status == 403 or said.codes & _FORBIDDEN:
        return "fatal", (
            f"The key in {service.key_variable} may not do this, or the service stops this prompt: ask for access, use "
            "another model or key, or change the prompt."
        )
    if status < 400 or status in {404, 405, 410, 421, 501} or said.is_gone:
        return "fatal", (
            f"Check the model's name, and the address: {service.place} must be where the protocol begins (often "
            "it ends in /v1), and the server must have this endpoint."
        )
    return "permanent", _setting_advice(said)


def _way_advice(status: int, said: _Said, service: Service) -> str | None:
    """What to do where the way to the server is not open from here, whatever is asked."""
    if status == 407:
        return "A proxy between here and the server wants a login: put it into HTTPS_PROXY."
    if status == 511:
        return "The network between here and the server wants a login: open its page in a browser, then run this again."
    if status in {426, 505}:
        return (
            f"{service.place} does not take HTTP/1.1, which this asks by: give the address of a server or proxy that "
            "does, or check http and https in the address."
        )
    if status in {400, 422} and _STREAMS_WORDS.search(said.message):
        return (
            "Whole answers are read here, and this model gives them in streams alone: use another model or endpoint, "
            "or a proxy before it that gathers them."
        )
    if status == 451 or said.tells(_PLACE, _PLACE_WORDS):
        return "The service does not answer where you are: use another service, or ask it from another place."
    return None


def _setting_advice(said: _Said) -> str:
    """Which setting to change, when the server refuses one."""
    named = said.param if said.codes & _UNTAKEN else next(iter(re.findall(r"['\"`](\w+)['\"`]", said.message)), "")
    if named == "temperature":
        return (
            f"This model sets its own temperature: use temperature=1, or leave it out with {_without('temperature')}."
        )
    if named in {"max_tokens", "max_completion_tokens"}:
        other = "max_completion_tokens" if named == "max_tokens" else "max_tokens"
        return (
            f"This server takes {other} instead: Settings(extra={{'{named}': None, '{other}': 256}}), or --setting "
            f"{named}=null --setting {other}=256."
        )
    if named:
        return f"If {named!r} is a setting, leave it out with {_without(named)}; else change it."
    return "The server does not take this request as it is: change what it names."


def _without(name: str) -> str:
    """How a setting is left out, at both doors."""
    return f"Settings(extra={{'{name}': None}}), or --setting {name}=null"


def timed_out(service: Service) -> Failure:
    """No answer in time."""
    advice = "Run the same command again, it goes on from here; or give the server more time (timeout)."
    return Failure(kind="transient", message=f"{service.place} did not answer in time", advice=advice)


def unreachable(error: BaseException, service: Service) -> Failure:
    """No connection, or one that broke: told apart by what lies beneath the client's own error."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, Unacceptable):
            return Failure(kind=cause.kind, message=service.scrub(f"{service.place}: {cause}"), advice=cause.advice)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        reason = next(str(cause) for cause in causes if isinstance(cause, ssl.SSLError))
        advice = "Check the address (http or https), the server's certificate, and SSL_CERT_FILE for a private one."
        message = f"no secure connection to {service.place} ({service.scrub(reason)[:_SHOWN]})"
        is_for_good = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
        return Failure(kind="permanent" if is_for_good else "transient", message=message, advice=advice)
    if proxy := _proxy_before(service):
        reason = service.scrub(str(causes[-1]) or type(causes[-1]).__name__)[:_SHOWN]
        message = f"no connection to {service.place} by the proxy that {proxy} names ({reason})"
        advice = f"Check {proxy} and the proxy, or name this host in NO_PROXY to reach it without."
        return Failure(kind="transient", message=message, advice=advice)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        advice = "Check the address for a slip of the pen, and the network."
        return Failure(kind="transient", message=f"the host of {service.place} is not found", advice=advice)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes) or "refused" in str(causes[-1]):
        advice = "Start the server, or check the address and its port."
        return Failure(kind="transient", message=f"nothing answers at {service.place}", advice=advice)
    reason = service.scrub(str(causes[-1]) or type(causes[-1]).__name__)[:_SHOWN]
    if _NO_HTTP.match(reason):
        advice = "Check the address and its port (http or https), the server, and the proxy before it if there is one."
        message = f"what answers at {service.place} is not HTTP as it should be ({reason.partition(': bytearray')[0]})"
        return Failure(kind="transient", message=message, advice=advice)
    advice = "Run the same command again, it goes on from here; check the network if it stays so."
    return Failure(kind="transient", message=f"the connection to {service.place} broke ({reason})", advice=advice)


def _proxy_before(service: Service) -> str:
    """The variable that names a proxy on the way to a server; empty if there is none."""
    there, parts = getproxies(), urlsplit(service.base_url)
    kind = next((each for each in (parts.scheme, "all") if there.get(each)), "")
    return f"{kind.upper()}_PROXY" if kind and not proxy_bypass(parts.hostname or "") else ""


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
    if isinstance(error, Unacceptable):
        return unreachable(error, service)
    if isinstance(error, ErrorInside):
        return from_inside(error, service)
    if isinstance(error, Malformed):
        check = f"Check that {service.place} is where the protocol begins (often it ends in /v1), and try again."
        message = f"{service.place} answered with {error}"
        return Failure(kind="transient", message=message, advice=error.advice or check)
    if isinstance(error, UnicodeError):
        advice = "Take half surrogates and other broken characters out of the prompt."
        return Failure(
            kind="permanent", message="the prompt cannot be sent, because it is no Unicode text", advice=advice
        )
    reason = service.scrub(f"{type(error).__name__}: {error}")[:_SHOWN]
    advice = "The client library cannot send this request as it is: change what it names."
    return Failure(kind="permanent", message=f"asking {service.place} raised {reason}", advice=advice)
