"""The official client of OpenAI and of every server that speaks its protocol: its own retries off, its errors read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import httpx2
import openai

from whygen.remote import Service, from_status, timed_out, unexpected, unreachable
from whygen.remote.bounded import bounded_client
from whygen.types import Failure

TIMEOUT = 300.0
"""Seconds without a byte until an answer is given up; a reasoning model is silent for long."""
_CONNECT = 10.0


def open_client(service: Service, *, timeout: float | None = None) -> openai.OpenAI:
    """A client for the service; many threads may use it at once."""
    # The organization in the environment is for OpenAI alone.
    silent = {} if service.name == "openai" else {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}
    return openai.OpenAI(
        api_key=service.key or "none",
        base_url=service.base_url,
        max_retries=0,
        timeout=httpx2.Timeout(timeout or TIMEOUT, connect=min(_CONNECT, timeout or TIMEOUT)),
        http_client=bounded_client(timeout or TIMEOUT),
        default_headers=cast(Mapping[str, str], silent),
    )


def failure_of(error: Exception, service: Service) -> Failure:
    """What an error of the official client means."""
    if isinstance(error, openai.APIStatusError):
        return from_status(error.status_code, error.response.headers, error.response.text, service)
    if isinstance(error, openai.APITimeoutError):
        return timed_out(service)
    if isinstance(error, openai.APIConnectionError):
        return unreachable(error, service)
    return unexpected(error, service)
