"""What every adapter is given to open a model, and how it says what it can open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from whygen.typed import check_fields, told


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """How to open a model. None means: choose by what is there.

    Attributes:
        device: ``cpu``, ``cuda``, ``mps`` ...
        dtype: ``float32``, ``float16`` or ``bfloat16``.
        batch_size: prompts in one batch of a local model.
        base_url: address of a compatible server.
        endpoint: of such a server: ``chat``, ``completions`` (base models), ``images``, or ``chat-images`` (models that
            answer with pictures by chat).
        timeout: seconds that a server may be silent before an answer is given up.
        purpose: ``foresee`` opens a remote model without its key: calls are counted, and none can be made.
    """

    device: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    base_url: str | None = None
    endpoint: str | None = None
    timeout: float | None = None
    purpose: Literal["ask", "foresee"] = "ask"

    def __post_init__(self) -> None:
        check_fields(self)


def _no_names() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A kind of model.

    Attributes:
        name: what stands before the slash.
        summary: one line for `whygen models`.
        open: opens ``provider/NAME``; imports what is heavy only now.
        names: the names it knows, if they can be listed.
    """

    name: str
    summary: str
    open: Callable[[str, ModelOptions], object]
    names: Callable[[], Sequence[str]] = _no_names
