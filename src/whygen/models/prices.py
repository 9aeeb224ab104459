"""List prices of remote models. What is not in the table, or runs elsewhere, has no known price: none is guessed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from whygen.errors import DataError, MissingError
from whygen.models.protocols import HasIdentity, Model

VARIABLE = "WHYGEN_PRICES"
"""Names a JSON file ``{"openai/NAME": {"input": 0.15, "output": 0.6}}``, in dollars for a million tokens."""
_MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Dollars for a million tokens read, and for a million written."""

    input: float
    output: float

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Dollars."""
        return (tokens_in * self.input + tokens_out * self.output) / _MILLION


# List prices (openai.com/api/pricing, anthropic.com/pricing); the OpenAI ones as tables of March 2026 still gave them.
# Prices change: override them.
LISTED: Mapping[str, Price] = {
    "openai/gpt-4o": Price(input=2.50, output=10.0),
    "openai/gpt-4o-mini": Price(input=0.15, output=0.60),
    "openai/gpt-4.1": Price(input=2.0, output=8.0),
    "openai/gpt-4.1-mini": Price(input=0.40, output=1.60),
    "openai/gpt-4.1-nano": Price(input=0.10, output=0.40),
    "anthropic/claude-3-haiku-20240307": Price(input=0.25, output=1.25),
    "anthropic/claude-3-5-haiku-20241022": Price(input=0.80, output=4.0),
    "anthropic/claude-3-7-sonnet-20250219": Price(input=3.0, output=15.0),
}
_OWN = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


def price_of(model: Model) -> Price | None:
    """The price of a model; None if it is not known. The person's own table wins, wherever the model runs.

    Raises:
        MissingError: if ``WHYGEN_PRICES`` names a file that is not there.
        DataError: if that file is no table of prices.
    """
    own = read_prices(Path(os.environ[VARIABLE])) if os.environ.get(VARIABLE) else {}
    if model.uri in own:
        return own[model.uri]
    identity = model.identity if isinstance(model, HasIdentity) else None
    is_listed_place = (identity or {}).get("base_url") == _OWN.get(model.uri.partition("/")[0], "")
    return LISTED.get(model.uri) if is_listed_place else None


def read_prices(path: Path) -> dict[str, Price]:
    """A table of prices by URI; raises what `price_of` does."""
    try:
        found: object = json.loads(path.read_bytes())
    except OSError as error:
        raise MissingError(f"{VARIABLE}={str(path)!r} cannot be read ({error.strerror}). Check the path.") from None
    except ValueError:
        raise DataError(f"{VARIABLE}={str(path)!r} is not JSON. {_FORM}") from None
    if not isinstance(found, dict):
        raise DataError(f"{VARIABLE}={str(path)!r} is no table. {_FORM}")
    return {uri: _price(uri, entry, path) for uri, entry in cast(dict[str, Any], found).items()}


_FORM = 'Write it like {"openai/NAME": {"input": 0.15, "output": 0.6}}, in dollars for a million tokens.'


def _price(uri: str, entry: object, path: Path) -> Price:
    given = cast(dict[str, object], entry) if isinstance(entry, dict) else {}
    values = [given.get(name) for name in ("input", "output")]
    numbers = [value for value in values if isinstance(value, int | float) and 0 <= value < math.inf]
    if len(numbers) != 2 or len(given) != 2:
        raise DataError(f"{VARIABLE}={str(path)!r}: the price of {uri!r} is {entry!r}. {_FORM}")
    return Price(input=float(numbers[0]), output=float(numbers[1]))
