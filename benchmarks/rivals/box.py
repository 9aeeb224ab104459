"""The black box: one for each explanation, so that every rival pays for what it asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.rivals.protocol import Bools, Floats, OverBudget


@dataclass(slots=True)
class Box:
    """Counts what is sent: the reference first, then every mask but the whole prompt, each time it comes.

    Args:
        values: effects of masks.
        budget: calls in all, the reference included.
    """

    values: Callable[[Bools], Floats]
    budget: int
    calls: int = 1

    def __call__(self, masks: Bools) -> Floats:
        """Effects of masks ``(m, n)``.

        Raises:
            OverBudget: if they would exceed the budget; then none of them is sent.
        """
        masks = np.atleast_2d(np.asarray(masks, dtype=bool))
        wanted = int((~masks.all(axis=1)).sum())
        if self.calls + wanted > self.budget:
            raise OverBudget(f"{wanted} more calls after {self.calls} exceed the budget of {self.budget}")
        self.calls += wanted
        return self.values(masks)
