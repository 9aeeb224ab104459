"""A server's address and the key for it. Keys come from the environment alone, and stay in `Service`."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from whygen.errors import MissingError, UsageError

_TELLTALE = 8
"""A shorter key is a stand-in such as "none", and would be found in half of all texts."""
_CREDENTIALS = (
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[^\s'\",}]+"),
    re.compile(r"(?i)((?:x-api-key|api[-_]key|authorization)['\"]?\s*[:=]\s*['\"]?)(?!bearer|basic)[^\s'\",}]+"),
    re.compile(r"()\bsk-[\w*-]{6,}"),
    re.compile(r"()[\w-]+\*{3,}[\w-]*"),
)
"""What looks like a key or a header with one; servers shorten keys by asterisks."""


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
        """The address without user, password and query: what may be written down."""
        parts = urlsplit(self.base_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def holds_key(self, text: str) -> bool:
        """Whether the key stands in a text."""
        return self.key is not None and len(self.key) >= _TELLTALE and self.key in text

    def scrub(self, text: str) -> str:
        """The text without the key, and without anything that looks like one or like a header with one."""
        for secret in (self.key, self.base_url):
            if secret and len(secret) >= _TELLTALE:
                stand_in = "[key]" if secret == self.key else self.place
                text = text.replace(secret, stand_in).replace(quote(secret, safe=""), stand_in)
        for pattern in _CREDENTIALS:
            text = pattern.sub(r"\1[key]", text)
        return text


def find_service(name: str, *, base_url: str | None = None, default: str | None = None) -> Service:
    """The service of a name: its address as given, else from ``NAME_BASE_URL``, else the default; its key likewise.

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
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        shown = re.sub(r"//[^/@]*@", "//", address)
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
