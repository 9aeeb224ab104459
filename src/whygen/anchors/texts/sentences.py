"""What is said of a text and of a run: no more than was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from whygen.results.texts import CANNOT_BE_TOLD, DOES_NOT_KNOW, INVENTS, KNOWS_BY_HEART, KNOWS_THE_KIND

if TYPE_CHECKING:
    from whygen.anchors.texts.reading import Levels, TextKind, Verdict

MEANINGS = {
    KNOWS_BY_HEART: "likelier than the same text would be if the model had not seen it",
    KNOWS_THE_KIND: "as likely as held-out texts of its kind, and continued as well",
    INVENTS: "as likely as held-out texts of its kind, but the model writes something else in its place",
    DOES_NOT_KNOW: "less likely than nearly all held-out texts",
    CANNOT_BE_TOLD: "not known by heart as far as that was told; without held-out texts no more can be said",
}


def reason_for(group: str, verdict: Verdict, kind: TextKind, place: int, levels: Levels) -> str:
    """Why a text is in its group."""
    heart = _heart(verdict, levels)
    if group == KNOWS_BY_HEART:
        return heart
    if group == CANNOT_BE_TOLD:
        return f"{heart} There are no held-out texts to tell its kind by."
    unlike = f"{kind.unlike[place]:.3f} of held-out texts are as unlikely"
    if group == DOES_NOT_KNOW:
        return f"Only {unlike}. {heart}"
    if group == INVENTS:
        return f"{unlike.capitalize()}, but only {kind.match[place]:.3f} are continued as badly. {heart}"
    more = "" if np.isfinite(kind.match[place]) else " What the model writes in its place was not measured."
    return f"{unlike.capitalize()}.{more} {heart}"


def _heart(verdict: Verdict, levels: Levels) -> str:
    """What the contrast says of a text."""
    found, place = verdict.contrast, verdict.place
    if found is None:
        return "Whether it is known by heart cannot be told: it has no twin, and there is nothing to hold it against."
    value, p = float(found.value[place]), float(found.p[place])
    way = "likelier" if value >= 0 else "less likely"
    if found.kind.startswith("twins"):
        said = f"{abs(value):.1f} nats {way} than its twins on average"
    elif found.kind.startswith("baseline"):
        said = f"{abs(value):.2f} nats a token {way} than under the baseline"
    else:
        said = f"{abs(value):.2f} nats a token"
    verb = "known by heart" if verdict.called else "not called known by heart"
    return f"{said[0].upper()}{said[1:]}; p = {p:.3g}: {verb} at a false discovery rate of {levels.fdr:g}."
