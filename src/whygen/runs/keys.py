"""What names a call in the store: everything that can change the answer, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from whygen.errors import DataError
from whygen.models.protocols import HasIdentity, Model
from whygen.types import JsonValue, Request, digest


def identity_of(model: Model) -> Mapping[str, JsonValue] | None:
    """What makes this model answer as it does: its own account (`HasIdentity`), else its URI.

    ``None`` means that nobody can know, and then nothing it says may be found again by a later run.
    """
    return model.identity if isinstance(model, HasIdentity) else {"uri": model.uri}


def call_key(identity: Mapping[str, JsonValue], request: Request) -> str:
    """sha256 over the canonical JSON of model and request, as 64 hexadecimal digits.

    Raises:
        DataError: if a setting is not JSON (NaN, an object), because such a call could not be found again.
    """
    try:
        return digest({"model": identity, "request": request.to_json()})
    except (TypeError, ValueError) as error:
        raise DataError(
            f"This request cannot be named, because a part of it is not JSON: {error}. Settings and the model's "
            f"identity take text, finite numbers, lists and mappings. The settings were {request.settings!r}."
        ) from error
