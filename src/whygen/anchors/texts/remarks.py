"""Warnings of an explanation by texts: what the figures rest on, and what to do about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from whygen.anchors.texts.contrasts import Contrast
from whygen.anchors.texts.measured import TextSide
from whygen.anchors.texts.reading import Levels
from whygen.results.prompt import Warned
from whygen.stats.conformal import smallest_reference
from whygen.stats.knockoffs import standing_share
from whygen.texts import counted

_LEFT_OUT = ("empty", "too short", "unreadable", "failed")


def remarks(
    anchors: TextSide,
    reference: TextSide | None,
    found: Sequence[Contrast],
    levels: Levels,
    notes: Sequence[str],
) -> list[Warned]:
    """All that a reader must know."""
    said = [*_of_texts(anchors, "anchors"), *([] if reference is None else _of_texts(reference, "reference"))]
    said += _of_contrasts(anchors, reference, found, levels)
    if "baseline-better" in notes:
        text = (
            "The model finds nearly every text likelier than the baseline does. That is memory, or the model is better "
            "at such texts: nothing tells which. Give held-out texts of the same kind (reference=), or twins."
        )
        said.append(Warned(code="baseline-better", text=text))
    if reference is not None:
        said += _of_reference(reference, levels)
    return said


def _of_texts(side: TextSide, name: str) -> list[Warned]:
    states = [side.state(place) for place in range(len(side.ready))]
    said: list[Warned] = []
    for state, count in Counter(state for state, _ in states if state in _LEFT_OUT).items():
        place, why = next((place, why) for place, (each, why) in enumerate(states) if each == state)
        text = f"{count} of {len(states)} texts of {name} are {state} and were left out, such as number {place}: {why}"
        said.append(Warned(code=f"{name}-{state.replace(' ', '-')}", text=text))
    if copies := sum(state == "copy" for state, _ in states):
        said.append(
            Warned(code=f"{name}-copies", text=f"{copies} texts of {name} are copies of earlier ones: counted once.")
        )
    if cut := sum(ready.is_cut for ready in side.ready):
        text = f"{counted(cut, 'text')} of {name} cut at the model's context, being longer."
        said.append(Warned(code=f"{name}-cut", text=text))
    return said


def _of_contrasts(
    anchors: TextSide, reference: TextSide | None, found: Sequence[Contrast], levels: Levels
) -> list[Warned]:
    said: list[Warned] = []
    untold = len(anchors.scored()) - sum(len(each.rows) for each in found)
    if untold > 0:
        text = (
            f"Of {untold} texts no contrast tells whether they are known by heart: they have no twins, or fewer than "
            "the others. Give twins= of your own, held-out texts of the same kind (reference=), or a model that has "
            "not seen them (baseline=)."
        )
        said.append(Warned(code="no-contrast", text=text))
    for each in found:
        said += few_to_tell_by(each, levels)
    if levels.automatic and any(each.kind in ("twins", "twins and baseline") for each in found):
        text = (
            "Numbers and names were exchanged by chance. A text whose own are usual ones (a famous name, a round "
            "number) beats its twins without being known by heart. Held-out texts of the same kind (reference=) "
            "measure that."
        )
        said.append(Warned(code="twins-by-chance", text=text))
    if reference is not None and any(each.kind == "reference" for each in found):
        text = (
            "Texts without twins are held against the reference alone. That tells memory only if the reference is of "
            "the very same kind, and finds little of what is unlike it. Twins or a baseline tell more."
        )
        said.append(Warned(code="reference-alone", text=text))
    return said


def few_to_tell_by(found: Contrast, levels: Levels) -> list[Warned]:
    """That a contrast could not have called anything, or only much at once."""
    n, m = len(found.rows), found.measured_by
    if "reference" in found.kind:
        least = math.ceil(n / (m + 1) / levels.fdr - 1e-9)
        more = "more held-out texts"
    else:
        least = math.ceil(1 / m / levels.fdr - 1e-9)
        more = "more twins of each text" if m > 1 else "held-out texts of the same kind (reference=), or twins"
    if least <= max(1, n // 10):
        return []
    there = f", and there {'is' if n == 1 else 'are'} {n}: none could be" if least > n else f" (there are {n})"
    text = (
        f"By {found.kind}, at least {least} texts must stand out before any is called{there}. Give {more}, or a larger "
        "fdr."
    )
    return [Warned(code="few-to-tell-by", text=text)]


def _of_reference(reference: TextSide, levels: Levels) -> list[Warned]:
    said: list[Warned] = []
    n = len(reference.scored())
    if n < (least := smallest_reference(levels.alpha)):
        text = (
            f"The reference has {n} texts that were scored, and alpha={levels.alpha:g} needs at least {least}: kinds "
            "are not told. Give more held-out texts, or a larger alpha."
        )
        said.append(Warned(code="reference-small", text=text))
    if levels.role == "training":
        text = "The reference was trained on: kinds are told by it, and nothing that is known by heart."
        return [*said, Warned(code="reference-training", text=text)]
    _, table = reference.among_twins()
    if len(table) and (share := standing_share(table)).low > 0:
        text = (
            f"At least {share.low:.0%} of the reference beats its own twins beyond chance. Either the model has seen "
            "it, and then too little is called known by heart, or its own numbers and names are the usual ones."
        )
        said.append(Warned(code="reference-known", text=text))
    return said


def overlap(count: int) -> Warned:
    """That texts of the reference are anchors, too."""
    text = f"{counted(count, 'text')} of the reference left out of it, being among the anchors as well."
    return Warned(code="overlap", text=text)
