"""Which model a record names, as a URI: by the address that was asked, by the provider that it names, by the name."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from whygen.records.notices import Notices
from whygen.safe import without_secrets

HOSTS: dict[str, str] = {
    "api.anthropic.com": "anthropic", "api.cerebras.ai": "cerebras", "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere", "api.deepinfra.com": "deepinfra", "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks", "api.groq.com": "groq", "api.mistral.ai": "mistral", "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity", "api.together.xyz": "together", "api.x.ai": "xai",
    "generativelanguage.googleapis.com": "gemini", "integrate.api.nvidia.com": "nvidia", "openrouter.ai": "openrouter",
}  # fmt: skip
"""Services by the host of their address."""

_PROVIDERS: dict[str, str] = {
    **{name: name for name in (*HOSTS.values(), "ollama", "vllm", "lmstudio", "llamacpp", "sglang")},
    "chatgpt": "openai", "claude": "anthropic", "cohere_chat": "cohere", "deepseek-ai": "deepseek",
    "fireworks_ai": "fireworks", "gcp.gemini": "gemini", "gcp.gen_ai": "gemini", "google": "gemini",
    "hosted_vllm": "vllm", "mistral_ai": "mistral", "mistralai": "mistral", "nvidia_nim": "nvidia",
    "ollama_chat": "ollama", "together_ai": "together", "x_ai": "xai", "x-ai": "xai",
}  # fmt: skip
"""What records call a provider, and how its URIs begin."""

_OWN_NAMES = (
    (re.compile(r"(?i)(?:ft:)?(?:chat)?gpt-(?!oss|2\b|j\b|neo)|(?:ft:)?o[1-9](?:-|$)|codex-|computer-use-"), "openai"),
    (re.compile(r"(?i)claude-"), "anthropic"),
)
"""Names that only one maker gives."""
_ENDPOINT = re.compile(r"/(?:chat/completions|responses|messages|completions)/?$")
_OLLAMA = re.compile(r"/api/(?:chat|generate)$")
_AZURE = re.compile(r"(?i)\.(?:openai\.azure\.com|cognitiveservices\.azure\.com)$")
_SIGNED = re.compile(r"(?i)\.amazonaws\.com$|aiplatform\.googleapis\.com$")
"""Services whose requests are signed in ways of their own: nothing here asks them."""
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)")


NO_MODEL = frozenset({"no-model", "unknown-provider", "foreign-address"})
"""Codes of the notices that say why a call names no model, and what to type."""


class Maker(NamedTuple):
    """Who is asked: a model's URI, and an address where it is not the provider's own."""

    uri: str
    base_url: str | None = None


def maker_of(name: str, notices: Notices, *, protocol: str, url: str = "", provider: str = "") -> Maker:
    """The model that a record names; no URI, with a notice, where nobody could tell who is to be asked.

    A name that any server may give to a model goes to no service that the record does not name: its prompt is
    nobody else's matter. An address that a file names is asked only on this machine, or if the environment names it
    too: whoever wrote the file would get the key of whoever reads it.

    Args:
        name: of the model.
        notices: what the record lacks.
        protocol: that the record speaks.
        url: that was asked.
        provider: as the record calls it.
    """
    if not name:
        notices.say("no-model", "The record names no model: give one (--model).")
        return Maker("")
    found = (
        _by_url(name, url, protocol, provider)
        or _by_provider(name, provider, url)
        or _by_name(name, protocol, provider)
    )
    if found is not None and not _is_trusted(found.base_url):
        notices.say(
            "foreign-address",
            f"The record was asked at {found.base_url}. Your key and the prompt go to no address that only a file "
            f"names: say that it may, with --model {found.uri} --base-url {found.base_url}.",
        )
        return Maker("")
    if found is not None:
        return found
    provider = provider or (urlsplit(url).hostname or "" if _SIGNED.search(urlsplit(url).hostname or "") else "")
    who = f"the provider {provider!r}, which is not known here" if provider else "no provider that is known here"
    notices.say(
        "unknown-provider",
        f"The record names the model {name!r} and {who}: say who is asked, such as --model openai/{name} with "
        "--base-url ADDRESS for a server that speaks OpenAI's protocol. The request itself can be read.",
    )
    return Maker("")


def _is_trusted(address: str | None) -> bool:
    """Whether a key may go to an address that stands in a file: on this machine, or one that the environment names."""
    if address is None:
        return True
    host = urlsplit(address).hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost" or host.endswith(".localhost")
    return local or any(
        value.rstrip("/") == address for name, value in os.environ.items() if name.endswith("_BASE_URL")
    )


def _by_url(name: str, url: str, protocol: str, provider: str) -> Maker | None:
    place = base_of(url)
    host = urlsplit(place).hostname or "" if place else ""
    if place is None or _SIGNED.search(host):
        return None
    if host in HOSTS:
        return Maker(f"{HOSTS[host]}/{name}")
    if _AZURE.search(host):
        deployed = _DEPLOYMENT.search(place)
        parts = urlsplit(place)
        return Maker(f"openai/{deployed[1] if deployed else name}", f"{parts.scheme}://{parts.netloc}/openai/v1")
    theirs = "anthropic" in {protocol, _PROVIDERS.get(provider.lower())}
    return Maker(f"{'anthropic' if theirs else 'openai'}/{name}", place.removesuffix("/v1") if theirs else place)


def base_of(url: str) -> str | None:
    """The address of a server from one of its endpoints, without user, password and query; None of no address."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = _ENDPOINT.sub("", parts.path).rstrip("/")
    path = _OLLAMA.sub("/v1", path)  # where it speaks OpenAI's protocol
    if parts.path.rstrip("/").endswith("/messages"):  # Anthropic's client adds the version itself
        path = path.removesuffix("/v1")
    return without_secrets(f"{parts.scheme}://{host}{port}{path}")


def _by_provider(name: str, provider: str, url: str) -> Maker | None:
    known = _PROVIDERS.get(provider.lower().strip())
    if known is None:
        known = next((_PROVIDERS[each] for each in _PROVIDERS if provider.lower().startswith(f"{each}.")), None)
    return None if known is None else Maker(f"{known}/{name}", base_of(url))


def _by_name(name: str, protocol: str, provider: str) -> Maker | None:
    if provider:
        return None
    for pattern, maker in _OWN_NAMES:
        name = name.removeprefix(f"{maker}/")  # as litellm and its like write it
        if pattern.match(name) and (maker == "anthropic" or protocol != "anthropic"):
            return Maker(f"{maker}/{name}")
    return None
