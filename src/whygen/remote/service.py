"""A server's address and the key for it. Keys come from the environment alone, and stay in `Service`."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from whygen.errors import MissingError, UsageError
from whygen.safe import STAND_IN, TELLTALE, without_secrets
from whygen.types import Failure, JsonValue, Output, Request

_IN_ERRORS = (
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)[^\s'\",}]+"), r"\1[key]"),
    (re.compile(r"[\w-]+\*{3,}[\w-]*"), STAND_IN),
)
"""What is a key in what a server says, whatever it looks like; servers shorten keys by asterisks."""
_SHORTEST = 4
"""Characters of a secret that is taken out of what a server says; a shorter one is in half of all words."""
Answer: TypeAlias = Output | Failure
FailureOf: TypeAlias = Callable[[Exception, "Service"], Failure]
"""What an error of a client library means."""


@dataclass(frozen=True, slots=True)
class Service:
    """A server.

    Attributes:
        name: as it stands in a model's URI, such as ``openai``.
        base_url: its address.
        key: never shown; None if it takes none.
    """

    name: str
    base_url: str
    key: str | None = field(default=None, repr=False)

    @property
    def key_variable(self) -> str:
        """The environment variable that holds the key."""
        return f"{_prefix(self.name)}_API_KEY"

    @property
    def place(self) -> str:
        """The address without user, password, query and keys: what may be written down."""
        parts = urlsplit(self.base_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        path = parts.path.rstrip("/")
        for written in () if self.key is None or len(self.key) < TELLTALE else (self.key, quote(self.key, safe="")):
            path = path.replace(written, STAND_IN)
        return f"{parts.scheme}://{host}{port}{without_secrets(path)}"

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key, and what stands for one in the address: its password, the values of its query."""
        parts = urlsplit(self.base_url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        basic = base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
        hidden = [password, basic, *(value for _, value in parse_qsl(parts.query))]
        # A key of a few letters is a stand-in; a password of a few letters is one.
        keys = [] if self.key is None else [self.key, base64.b64encode(self.key.encode()).decode()]
        found = [each for each in keys if len(each) >= TELLTALE] + [each for each in hidden if len(each) >= _SHORTEST]
        written = {form for secret in found for form in (secret, quote(secret, safe=""), quote(secret))}
        return tuple(sorted(written, key=len, reverse=True))

    def holds_key(self, text: str) -> bool:
        """Whether the key, or another secret of the address, stands in a text."""
        return any(len(secret) >= TELLTALE and secret in text for secret in self.secrets)

    def scrub(self, text: str) -> str:
        """The text without the key, and without anything that looks like one or like a header with one."""
        text = self.without_own(text)
        for pattern, instead in _IN_ERRORS:
            text = pattern.sub(instead, text)
        return without_secrets(text)

    def without_own(self, text: str) -> str:
        """The text without this service's own secrets; what only looks like one stays."""
        text = text.replace(self.base_url, self.place)
        for secret in self.secrets:
            text = text.replace(secret, STAND_IN)
        return text

    def scrub_all(self, value: JsonValue) -> JsonValue:
        """A JSON value without this service's own secrets."""
        if isinstance(value, str):
            return self.without_own(value)
        if isinstance(value, Mapping):
            return {self.without_own(str(name)): self.scrub_all(each) for name, each in value.items()}
        if isinstance(value, Sequence):
            return [self.scrub_all(each) for each in value]
        return value


def find_service(
    name: str,
    *,
    base_url: str | None = None,
    default: str | None = None,
    purpose: Literal["ask", "foresee"] = "ask",
) -> Service:
    """The service of a name: its address as given, else from ``NAME_BASE_URL``, else the default; its key likewise.

    Args:
        name: as it stands in a model's URI.
        base_url: its address, where it is given.
        default: its address, where nothing else says it.
        purpose: to ``foresee`` what a run takes, no key is needed.

    Raises:
        MissingError: if no address is known, or there is no key for a server that is not on this machine.
        UsageError: if the address is no http address, or the key cannot be one.
    """
    variable = f"{_prefix(name)}_BASE_URL"
    address = base_url or os.environ.get(variable) or default
    if not address:
        raise MissingError(f"The address of {name!r} is not known. Set {variable}, or give base_url (--base-url).")
    _check_address(address, "base_url" if base_url else variable)
    service = Service(name, address, os.environ.get(f"{_prefix(name)}_API_KEY") or None)
    if purpose == "ask" or service.key is not None:
        _check_key(service)
    return service


def is_service(name: str) -> bool:
    """Whether the environment gives an address for this name."""
    return bool(os.environ.get(f"{_prefix(name)}_BASE_URL"))


def _prefix(name: str) -> str:
    return re.sub(r"\W", "_", name).upper()


def _check_address(address: str, source: str) -> None:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        host.encode("idna")  # too long a part, or an empty one, is no name
        usable = parts.scheme in {"http", "https"} and bool(host) and not re.search(r"\s", host) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        shown = without_secrets(address.rpartition("@")[2].partition("?")[0])
        raise UsageError(f"{source}={shown!r} is no address of a server. Write it like http://localhost:8000/v1.")


def _check_key(service: Service) -> None:
    if service.key is None:
        if service.is_local:
            return
        raise MissingError(
            f"There is no key for {service.place}. Put it into the environment variable {service.key_variable}; if "
            "this server takes none, set it to any word."
        )
    if not (service.key.isascii() and service.key.isprintable()) or " " in service.key:
        raise UsageError(
            f"What {service.key_variable} holds cannot be a key: it has spaces, line breaks or characters that no "
            "header takes. Set it again, without quotes and without a line break at its end."
        )


def answer_each(
    requests: Sequence[Request], one: Callable[[Request], Answer], *, service: Service, failure_of: FailureOf
) -> list[Answer]:
    """Answers in order, each timed; whatever ``one`` raises is the failure of that request alone."""
    return [_answer(request, one, service, failure_of) for request in requests]


def _answer(request: Request, one: Callable[[Request], Answer], service: Service, failure_of: FailureOf) -> Answer:
    begun = time.perf_counter()
    try:
        answer = trusted(one(request), service)
    except Exception as error:
        return failure_of(error, service)
    return answer if isinstance(answer, Failure) else replace(answer, seconds=time.perf_counter() - begun)


def trusted(answer: Answer, service: Service) -> Answer:
    """The answer without the key in what the server says beside it; a failure where its text repeats the key."""
    if isinstance(answer, Failure):
        return answer
    if service.holds_key(answer.text) or any(service.holds_key(call.name + call.arguments) for call in answer.calls):
        return Failure(
            kind="permanent",
            message=f"the answer of {service.place} holds the key that it was asked with, and was thrown away",
            advice="Take the key out of the prompt, or do not use this server.",
        )
    return replace(answer, extra=_scrubbed(answer.extra, service))


def _scrubbed(extra: Mapping[str, JsonValue], service: Service) -> dict[str, JsonValue]:
    """What is known of an answer, without keys; tokens that spell one together go as a whole."""
    clean = {name: service.scrub_all(value) for name, value in extra.items()}
    return {name: value for name, value in clean.items() if not service.holds_key(_joined(value))}


def _joined(value: JsonValue) -> str:
    """All text in a JSON value in a row: a key may be cut into tokens."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "".join(f"{name}{_joined(each)}" for name, each in value.items())
    return "".join(map(_joined, value)) if isinstance(value, Sequence) else ""


def with_extra(body: Mapping[str, JsonValue], extra: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The parameters with the person's own over them; None leaves a parameter out."""
    return {name: value for name, value in {**body, **extra}.items() if value is not None}


def told(**about: JsonValue) -> dict[str, JsonValue]:
    """What is known of an answer, for `Output.extra`: what is None is left out."""
    return {name: value for name, value in about.items() if value is not None}
