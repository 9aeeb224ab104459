"""List prices of remote models. What is not in the table, or runs elsewhere, has no known price: none is guessed."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from whygen.errors import DataError, MissingError
from whygen.models.protocols import HasIdentity, Model
from whygen.safe import read_json

VARIABLE = "WHYGEN_PRICES"
"""Names a JSON file ``{"openai/NAME": {"input": 0.15, "output": 0.6, "batch": 0.5}}``, in dollars for a million tokens.

``batch``, the share of the price that the batch endpoint asks, may be left out: then that of the provider counts, where
it is known. ``cached`` is the price of tokens that the provider read before and kept.
"""
_MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Dollars for a million tokens read, and for a million written.

    Attributes:
        input: for a million tokens read.
        output: for a million tokens written.
        batch: share of both that the batch endpoint asks; None where it is not known.
        cached: for a million tokens that the provider read before and kept; None where it is not known.
        source: who says so, and when.
    """

    input: float
    output: float
    batch: float | None = None
    cached: float | None = None
    source: str = ""

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Dollars."""
        return (tokens_in * self.input + tokens_out * self.output) / _MILLION


FREE: Final = Price(input=0.0, output=0.0)
"""The price of what runs here."""


@dataclass(frozen=True, slots=True)
class _Provider:
    """Where a provider's list prices hold, and the share of them that its batch endpoint asks."""

    base_url: str
    batch: float


# Batches: "50% cost discount" (platform.openai.com/docs/guides/batch), "50% of the standard API prices"
# (docs.anthropic.com, "Batch processing").
_PROVIDERS: Mapping[str, _Provider] = {
    "openai": _Provider("https://api.openai.com/v1", 0.5),
    "anthropic": _Provider("https://api.anthropic.com", 0.5),
}
_OPENAI = "openai.com/api/pricing, as tables of March 2026 gave it"
_ANTHROPIC = "anthropic.com/pricing, as of the model's release"

LISTED: Mapping[str, Price] = {
    "openai/gpt-4o": Price(input=2.50, output=10.0, cached=1.25, source=_OPENAI),
    "openai/gpt-4o-mini": Price(input=0.15, output=0.60, cached=0.075, source=_OPENAI),
    "openai/gpt-4.1": Price(input=2.0, output=8.0, cached=0.50, source=_OPENAI),
    "openai/gpt-4.1-mini": Price(input=0.40, output=1.60, cached=0.10, source=_OPENAI),
    "openai/gpt-4.1-nano": Price(input=0.10, output=0.40, cached=0.025, source=_OPENAI),
    "anthropic/claude-3-haiku-20240307": Price(
        input=0.25, output=1.25, cached=0.03, source=f"{_ANTHROPIC}, March 2024"
    ),
    "anthropic/claude-3-5-haiku-20241022": Price(
        input=0.80, output=4.0, cached=0.08, source=f"{_ANTHROPIC}, December 2024"
    ),
    "anthropic/claude-3-7-sonnet-20250219": Price(
        input=3.0, output=15.0, cached=0.30, source=f"{_ANTHROPIC}, February 2025"
    ),
}
"""Prices change: override them with a file of one's own (`VARIABLE`)."""


def price_of(model: Model) -> Price | None:
    """The price of a model; None if it is not known. The person's own table wins, wherever the model runs.

    Raises:
        MissingError: if ``WHYGEN_PRICES`` names a file that is not there.
        DataError: if that file is no table of prices.
    """
    own = read_prices(Path(os.environ[VARIABLE])) if os.environ.get(VARIABLE) else {}
    if model.uri in own:
        return own[model.uri]
    return LISTED.get(model.uri) if _listed_place(model) else None


def batch_price_of(model: Model) -> Price | None:
    """The price of a model's answers by the batch endpoint; None if that share of its price is not known.

    Raises what `price_of` does.
    """
    price, provider = price_of(model), _listed_place(model)
    share = None if price is None else price.batch
    if share is None and provider is not None:
        share = provider.batch
    if price is None or share is None:
        return None
    cached = None if price.cached is None else price.cached * share
    return replace(price, input=price.input * share, output=price.output * share, batch=share, cached=cached)


def _listed_place(model: Model) -> _Provider | None:
    """The provider, if the model runs where its list prices hold."""
    identity = model.identity if isinstance(model, HasIdentity) else None
    provider = _PROVIDERS.get(model.uri.partition("/")[0])
    return provider if provider is not None and (identity or {}).get("base_url") == provider.base_url else None


def read_prices(path: Path) -> dict[str, Price]:
    """A table of prices by URI; raises what `price_of` does."""
    try:
        found: object = read_json(path.read_bytes())
    except OSError as error:
        raise MissingError(f"{VARIABLE}={str(path)!r} cannot be read ({error.strerror}). Check the path.") from None
    except ValueError:
        raise DataError(f"{VARIABLE}={str(path)!r} is not JSON. {_FORM}") from None
    if not isinstance(found, dict):
        raise DataError(f"{VARIABLE}={str(path)!r} is no table. {_FORM}")
    return {uri: _price(uri, entry, path) for uri, entry in cast(dict[str, Any], found).items()}


_FORM = (
    'Write it like {"openai/NAME": {"input": 0.15, "output": 0.6}}, in dollars for a million tokens, with "batch": 0.5 '
    'if the batch endpoint asks half of it, and "cached": 0.075 for a million tokens that were read before.'
)


def _price(uri: str, entry: object, path: Path) -> Price:
    given = cast(dict[str, object], entry) if isinstance(entry, dict) else {}
    numbers = {
        name: float(value)
        for name, value in given.items()
        if name in {"input", "output", "batch", "cached"} and isinstance(value, int | float) and 0 <= value < math.inf
    }
    if not {"input", "output"} <= numbers.keys() or len(numbers) != len(given):
        raise DataError(f"{VARIABLE}={str(path)!r}: the price of {uri!r} is {entry!r}. {_FORM}")
    return Price(
        input=numbers["input"], output=numbers["output"], batch=numbers.get("batch"), cached=numbers.get("cached"),
        source=str(path),
    )  # fmt: skip
