"""Texts made ready for a model: cut where its context ends, left out where nothing can be scored, copies found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from whygen.anchors.texts.loading import TextAnchor
from whygen.errors import DataError
from whygen.models import HasContext, Tokenizes
from whygen.models.protocols import MarksUnknown
from whygen.results.anchors_memorised import RoleName
from whygen.types import Request

MOST_UNKNOWN = 0.5
"""A text more of whose tokens are unknown to the tokenizer is not scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A text as it is scored.

    Attributes:
        text: cut, if need be.
        prompt: what it answers.
        state: "" where it can be scored, else why not: ``empty``, ``too short``, ``unreadable``, ``copy``.
        notes: what is to be said of it.
        copy_of: place of the first text that is the same.
        is_cut: whether its end was left out.
        role: what it is to the model (see `ROLES`), if anything.
        label: of it, if any.
    """

    text: str
    prompt: str = ""
    state: str = ""
    notes: tuple[str, ...] = ()
    copy_of: int | None = None
    is_cut: bool = False
    role: RoleName | None = None
    label: str | int | None = None


def plain(text: str) -> str:
    """What makes two texts the same: their words, whatever white space is between them."""
    return " ".join(text.split())


def prepare(anchors: Sequence[TextAnchor], model: object, *, heads: bool) -> list[Ready]:
    """Every text made ready. Of equal texts the first counts; of one that is trained on, too, a trained one.

    Args:
        anchors: as they were read.
        model: that scores them.
        heads: whether the first word is given to the model, which does not score it.
    """
    first: dict[tuple[str, str], int] = {}
    for place in sorted(range(len(anchors)), key=lambda place: anchors[place].role != "training"):
        first.setdefault((plain(anchors[place].prompt), plain(anchors[place].text)), place)
    found: list[Ready] = []
    for place, anchor in enumerate(anchors):
        ready = _ready(anchor, model, heads=heads and not anchor.prompt)
        ready = replace(ready, role=anchor.role, label=anchor.label)
        known = first[plain(anchor.prompt), plain(anchor.text)]
        if known != place and not ready.state:
            ready = replace(ready, state="copy", copy_of=known)
        found.append(ready)
    return found


def _ready(anchor: TextAnchor, model: object, *, heads: bool) -> Ready:
    text, prompt = anchor.text, anchor.prompt
    if not text.strip():
        return Ready(text=text, prompt=prompt, state="empty", notes=("It holds no visible character.",))
    if heads and len(text.split(None, 1)) < 2:
        return Ready(text=text, prompt=prompt, state="too short", notes=("Its first word is given, not scored.",))
    try:
        spans = model.token_spans(text) if isinstance(model, Tokenizes) else None
    except DataError as error:
        return Ready(text=text, prompt=prompt, state="unreadable", notes=(str(error),))
    if spans is not None and len(spans) < 2:
        return Ready(text=text, prompt=prompt, state="too short", notes=("It is a single token.",))
    notes: list[str] = []
    if isinstance(model, MarksUnknown) and spans and (unknown := model.unknown_tokens(text)):
        note = f"{unknown} of its {max(unknown, len(spans))} tokens are unknown to the tokenizer."
        if unknown > MOST_UNKNOWN * len(spans):
            return Ready(text=text, prompt=prompt, state="unreadable", notes=(note,))
        notes.append(note)
    cut = _cut(anchor, model, spans)
    if cut < len(text):
        notes.append(
            f"It is longer than the model's context: its first {cut:,} of {len(text):,} characters are scored."
        )
    return Ready(text=text[:cut], prompt=prompt, notes=tuple(notes), is_cut=cut < len(text))


def _cut(anchor: TextAnchor, model: object, spans: list[tuple[int, int]] | None) -> int:
    """Characters that fit into the model's context behind the prompt."""
    whole = len(anchor.text)
    if spans is None or not isinstance(model, HasContext) or model.context_tokens is None:
        return whole
    try:
        taken = model.count_tokens(Request(prompt=anchor.prompt))
    except DataError:  # no token begins an empty prompt: then the first word does
        taken = 0
    room = model.context_tokens - taken
    if len(spans) <= room and _tokens(model, anchor.text) <= room:
        return whole
    kept = max(1, min(room, len(spans)))
    while kept > 1 and _tokens(model, anchor.text[: spans[kept - 1][1]]) > room:
        kept -= max(1, kept // 16)  # characters of several tokens: spans are fewer than tokens
    return spans[kept - 1][1]


def _tokens(model: HasContext, text: str) -> int:
    """Tokens of a text alone, without what a template puts around it."""
    try:
        around = model.count_tokens(Request(prompt=""))
    except DataError:
        around = 0
    return model.count_tokens(Request(prompt=text)) - around


def first_word(text: str) -> int:
    """Where the first word of a text ends."""
    begin = len(text) - len(text.lstrip())
    return begin + len(text[begin:].split(None, 1)[0])
