"""The cleaned prompt, as a person takes it over: a text with its fields, or a chat as ``--chat`` reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from whygen.models.openai.turns import messages, tools
from whygen.prompt.operators import Operator
from whygen.prompt.trim.panel import Mask
from whygen.prompt.units import TemplateUnits, UnitsOver, open_fields
from whygen.types import Chat

_OPEN, _CLOSE = "\ue000", "\ue001"
"""Stand for the braces of a field while those of the text are doubled: no prompt holds them in a pair around a name."""


def written(
    cut: UnitsOver, operator: Operator, mask: Mask, *, braces: str
) -> tuple[str, list[Any] | dict[str, Any] | None]:
    """What is left of a template: as one text, and as the JSON of a chat where it is more than a system message.

    Args:
        cut: the template in units.
        operator: takes units away.
        mask: which are kept.
        braces: ``doubled`` where those of the text are, as in a `Template`; ``plain`` where ``{input}`` alone is a
            field.
    """
    if isinstance(cut.shown, TemplateUnits):
        return _text(cut.shown, operator, mask, double=2 if braces == "doubled" else 1), None
    chat = cast("Chat", operator.render(cut.shown, mask))
    own = replace(chat, messages=chat.messages[:-1])  # the last one is the input
    first = own.messages[0] if own.messages else None
    plain = not own.tools and (first is None or (len(own.messages) == 1 and first.role == "system"))
    whole = cut.each[0].source
    if plain and isinstance(whole, Chat) and len(whole.messages) == 2 and not whole.tools:
        return "" if first is None else first.text, None
    said, offered = messages(own), tools(own, own=False)
    listed = {"messages": said, "tools": offered["tools"]} if offered else said
    return "\n\n".join(message.text for message in own.messages if message.text), cast("Any", listed)


def _text(shown: TemplateUnits, operator: Operator, mask: Mask, *, double: int) -> str:
    """The text of a template with its open fields in braces, and its other braces ``double`` times."""
    names = set(open_fields(shown.template))
    fields = {(each.start, each.end) for each in shown.sections if each.kind == "field" and each.name in names}
    parts = operator.parts(shown, np.asarray(mask))
    for index, piece in enumerate(shown.pieces):
        if (piece.core, piece.stop) in fields and parts[index]:
            name = shown.text[piece.core + 1 : piece.stop - 1]
            parts[index] = shown.text_at(piece, f"{_OPEN}{name}{_CLOSE}")
    text = shown.join(parts).replace("{", "{" * double).replace("}", "}" * double)
    return text.replace(_OPEN, "{").replace(_CLOSE, "}")
