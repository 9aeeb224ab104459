# pyright: basic
"""inspect_ai's own scorers, asked about other answers to a sample of a log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from whygen.errors import MissingExtraError
from whygen.types import Output

SCORERS: Final = ("match", "includes", "pattern", "answer", "exact", "f1", "math")
"""Those that look at nothing but the answer and the target. Others ask a model, or are somebody's code."""


def inspect_score(name: str, options: Mapping[str, Any], target: object) -> Callable[[Output], float]:
    """A scorer of inspect_ai as a function of the answer, from 0 to 1.

    Args:
        name: one of `SCORERS`.
        options: as the log has them.
        target: of the sample.

    Raises:
        MissingExtraError: if inspect_ai is not installed.
    """
    try:
        from inspect_ai import scorer as scorers  # pyright: ignore[reportMissingImports]
        from inspect_ai.model import ModelName, ModelOutput  # pyright: ignore[reportMissingImports]
        from inspect_ai.solver import TaskState  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError("Scoring as inspect_ai does", extra="inspect", package="inspect-ai") from None
    made: Any = getattr(scorers, name)(**options)
    number = scorers.value_to_float()
    wanted = scorers.Target(target if isinstance(target, list) else str(target))

    def score(answer: Output) -> float:
        state = TaskState(
            model=ModelName("none/none"), sample_id=1, epoch=1, input="", messages=[],
            output=ModelOutput.from_content("none", answer.said),
        )  # fmt: skip
        found = asyncio.run(made(state, wanted))
        return float(number(found.value))

    return score
