"""``anthropic/NAME``: models of Anthropic on its official client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whygen.errors import MissingExtraError, UsageError
from whygen.models.protocols import ModelOptions, Provider
from whygen.remote import find_service

if TYPE_CHECKING:
    from whygen.models.anthropic.model import AnthropicModel

OWN = "https://api.anthropic.com"


def open_anthropic(name: str, options: ModelOptions) -> AnthropicModel:
    """Open a model of Anthropic, or one behind a server that speaks its protocol.

    Args:
        name: the server's name for the model.
        options: ``base_url`` (else ``ANTHROPIC_BASE_URL``, else Anthropic's own) and ``timeout``.

    Raises:
        MissingExtraError: if the official client is not installed.
        MissingError: if ``ANTHROPIC_API_KEY`` is not set.
        UsageError: if the address, the key or the endpoint cannot be used.
    """
    if options.endpoint is not None:
        raise UsageError(f"endpoint={options.endpoint!r}: anthropic/ has one endpoint. Leave the option out.")
    service = find_service("anthropic", base_url=options.base_url, default=OWN, purpose=options.purpose)
    try:
        from whygen.models.anthropic.model import AnthropicModel
    except ImportError as error:
        package = error.name or "anthropic"
        raise MissingExtraError(f"The model anthropic/{name}", extra="anthropic", package=package) from None
    return AnthropicModel(service, name, timeout=options.timeout)


def provider() -> Provider:
    """``anthropic/``."""
    return Provider(name="anthropic", summary="models of Anthropic", open=open_anthropic)
