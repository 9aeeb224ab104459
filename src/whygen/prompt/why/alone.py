"""The accused parts sent alone, where it is open whether the request's own parts are needed for the action.

Masks that keep all accused parts and lack one of the request's own are few, and fewer where two accused parts need each
other. So the open question is asked itself: the accused parts, and nothing else that could be left out, as often as
calls were kept for it. If the action comes in more than half of that, none of the other parts is needed. How often is
fixed before, and it is asked after the masks, so that its share has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from whygen.prompt.findings import Findings
from whygen.prompt.operators.base import Delete
from whygen.prompt.units import shown
from whygen.types import Floats

if TYPE_CHECKING:
    from whygen.prompt.asker import Asker

TAKES_OUT = Delete()
"""How parts of a call are left out: what was asked is found again by what it sent, also in a folder."""


def ask_alone(asker: Asker, units: Sequence[int], *, times: int) -> None:
    """Ask for these units and no others; the answers stand in the log.

    A model that is known to answer alike says the same each time, and is not asked; nor where parts are not taken out
    but replaced.
    """
    mask = np.zeros(len(asker.units), dtype=np.bool_)
    mask[list(units)] = True
    for _ in range(times if asker.steadiness != "known" and asker.operator.name == TAKES_OUT.name else 0):
        asker.further(mask)


def answers_alone(found: Findings, units: Sequence[int]) -> Floats:
    """The effects of what was asked with these units and no others, beside the design."""
    answers = found.answers
    if answers.operator.name != TAKES_OUT.name:
        return np.zeros(0)
    mask = np.zeros(len(answers.units), dtype=np.bool_)
    mask[list(units)] = True
    sent = shown(TAKES_OUT.render(answers.units, mask))
    said = [one.output for one in answers.log if one.kind == "further" and shown(one.prompt) == sent]
    return found.meter(said) if said else np.zeros(0)
