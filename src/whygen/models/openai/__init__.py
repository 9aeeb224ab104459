"""``openai/NAME``, and ``SERVICE/NAME`` for every other server that speaks OpenAI's protocol."""

from __future__ import annotations

from whygen.errors import MissingExtraError
from whygen.models.names import SERVICES
from whygen.models.protocols import Model, ModelOptions, Provider
from whygen.remote import find_service

OWN = "https://api.openai.com/v1"


def open_openai(name: str, options: ModelOptions, *, service: str = "openai") -> Model:
    """Open a model behind a server.

    Args:
        name: the server's name for the model.
        options: ``base_url`` (else ``SERVICE_BASE_URL``, else the known address), ``endpoint`` (``chat`` unless
            given) and ``timeout``.
        service: gives the names of the environment variables for address and key.

    Raises:
        MissingExtraError: if the official client is not installed.
        MissingError: if there is no key, or no address.
        UsageError: if the address, the key or the endpoint cannot be used.
    """
    endpoint = options.endpoint or "chat"
    found = find_service(
        service,
        base_url=options.base_url,
        default=OWN if service == "openai" else SERVICES.get(service),
        purpose=options.purpose,
    )
    try:
        from whygen.models.openai.model import make_model
    except ImportError as error:
        raise MissingExtraError(f"The model {service}/{name}", extra="openai", package=error.name or "openai") from None
    return make_model(found, name, endpoint=endpoint, timeout=options.timeout)


def provider() -> Provider:
    """``openai/``."""
    return Provider(
        name="openai", summary="OpenAI, or any compatible server by base_url (--base-url)", open=open_openai
    )
