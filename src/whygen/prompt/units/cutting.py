"""`split`: any prompt cut into the pieces a person would name; `split_over`: a template over many inputs, cut alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from whygen.errors import UnknownNameError, UsageError, meant
from whygen.prompt.units.chats import CHAT_KINDS, PART, ChatUnits, split_chat
from whygen.prompt.units.checks import check_source
from whygen.prompt.units.pieces import Piece, Sent, Units, numbered, pin_pieces
from whygen.prompt.units.templates import TEMPLATE_KINDS, Values, open_fields, split_template
from whygen.prompt.units.texts import SPLITTERS, TOKEN, Splitter, split_at, split_text
from whygen.texts import Span, unspaced_scripts
from whygen.types import Chat, Edit, Message, Source, Template

U = TypeVar("U", bound=Units)

UNIT_KINDS: Mapping[str, str] = {
    "word": "words, numbers and punctuation marks; a character each where a script has no spaces",
    "token": "the tokens of a local model",
    "whitespace": "what stands between white space, as in the published method",
    "sentence": "sentences, by the rules of their script",
    "line": "lines that are not blank",
    "paragraph": "stretches between blank lines",
    "message": "of a chat: whole messages, and definitions of tools",
    PART: "of a chat: what people have a name for (messages and their parts, definitions and results of tools, "
    "documents, memories and examples in texts, paragraphs of the system's text); of a template: fields, documents and "
    "sentences",
    "field": "of a template: the value of each field",
    "document": "of a template: each document of a list",
    "image": "of a chat: each picture, beside its words; sentence+image says beside what",
    "region": "of an edit, or of a chat beside its words: parts of the pictures",
}
"""Every kind of unit, and what it is."""

Kind: TypeAlias = str | Sequence[Span]
"""The name of a kind of unit, or the units themselves as spans of a plain text."""


def split(
    prompt: Source,
    units: Kind = "word",
    *,
    pin: Sequence[str] = (),
    within: Sequence[str] = (),
    passages: str | None = None,
    splitter: Splitter | None = None,
) -> Units:
    """Cut a prompt into units.

    Args:
        prompt: a text, a `Chat` or a `Template`; any Unicode.
        units: ``word`` (punctuation apart), ``whitespace`` (what stands between white space), ``sentence``, ``line`` or
            ``paragraph``: of a text, inside the messages of a chat, or of the fixed text of a template. For a chat also
            ``message``, and ``part``: what a recorded call is made of (messages, definitions and results of tools,
            documents, memories and examples in texts). For a template also ``field``, ``document`` and ``part``
            (sentences of the fixed text, fields and documents). For a text also a list of spans ``(start, end)``; the
            rest is pinned.
        pin: texts that are always sent and never attributed, and for chats ``role:system`` and ``part:NAME``, for
            templates ``field:NAME``. Every occurrence that begins and ends with units is pinned.
        within: of a chat, names of parts, such as ``tool result 3`` or ``document``, or ``*`` for all: these alone are
            cut by ``units``, and the rest into parts.
        passages: of a chat, a regular expression: each match in a text is a part of its own.
        splitter: cuts a text into ``token`` units, such as `whygen.prompt.question.token_splitter` of a model: spans in
            order that leave out nothing but white space.

    Raises:
        UsageError: if the prompt holds no unit; if units overlap; if a pinned text does not occur in it, or only cuts
            through units; if everything is pinned; if there is no model to cut it into tokens.
        DataError: if the prompt is not made of valid texts.
        UnknownNameError: if ``units`` is not a kind that such a prompt has.
    """
    check_source(prompt)
    if isinstance(prompt, Edit):
        raise UsageError("An edit is cut with its picture: use whygen.prompt.edits.split_edit.")
    check_within(prompt, units, within=within, passages=passages)
    if not isinstance(units, str):
        return split_at(_plain(prompt), units, pin=pin)
    if units == TOKEN:
        return _tokens(prompt, splitter, pin=pin)
    kinds = CHAT_KINDS if isinstance(prompt, Chat) else TEMPLATE_KINDS if isinstance(prompt, Template) else SPLITTERS
    check_kind(units, prompt, kinds)
    if isinstance(prompt, Chat):
        return with_scripts(split_chat(prompt, units, pin=pin, within=within, passages=passages), units)
    if isinstance(prompt, Template):
        return with_scripts(split_template(prompt, units, pin=pin), units)
    return with_scripts(split_text(prompt, SPLITTERS[units], pin=pin), units)


def check_within(prompt: Source, units: Kind, *, within: Sequence[str], passages: str | None) -> None:
    """Refuse what is said of parts where the prompt is not cut into any.

    Raises:
        UsageError: saying what to give instead.
    """
    if not within and passages is None:
        return
    name = "within" if within else "passages"
    if not isinstance(prompt, Chat):
        raise UsageError(
            f"{name} is for the parts of a Chat, and the prompt is a {type(prompt).__name__}. Leave it out."
        )
    if isinstance(within, str):
        raise UsageError(f"within is a str: give a list of names, such as within=[{within!r}].")
    if within and units not in SPLITTERS:
        raise UsageError(
            f"within says which parts are cut finer, and units={units!r} is no finer cut. Use units='sentence' or "
            "'word'."
        )
    if not within and units != PART:
        raise UsageError("passages says what a part looks like: give units='part', or within= as well.")


def with_scripts(units: U, kind: str) -> U:
    """The same units, with a notice where words are cut character by character."""
    scripts = unspaced_scripts("".join(units.texts)) if kind == "word" else []
    if not scripts:
        return units
    listed = " and ".join([", ".join(scripts[:-1]), scripts[-1]] if scripts[1:] else scripts)
    text = (
        f"The prompt holds {listed}, written without spaces between words: each character there is a unit of its own. "
        "For larger units use units='sentence', or give spans of your own in Python."
    )
    return replace(units, notices=(*units.notices, ("characters-as-words", text)))


def _tokens(prompt: Source, splitter: Splitter | None, *, pin: Sequence[str]) -> Units:
    if splitter is None:
        raise UsageError(
            "units='token' needs a model that shows its tokenizer. Use a local model (hf/ORG/NAME, hf/PATH or "
            "demo/storyteller), or units='word'."
        )
    if not isinstance(prompt, str):
        raise UsageError(f"units='token' needs a plain text, and the prompt is a {type(prompt).__name__}. Use 'word'.")
    return split_text(prompt, splitter, pin=pin)


def _plain(prompt: Source) -> str:
    if isinstance(prompt, str):
        return prompt
    raise UsageError(
        f"units is a list of spans, and the prompt is a {type(prompt).__name__}: spans point into a plain text. "
        "Use a kind of unit such as 'sentence', or give the prompt as a str."
    )


PICTURE_KINDS = ("image", "region")
"""What a chat with pictures is cut by besides, alone or as ``sentence+image``."""


def check_kind(units: str, prompt: Source, kinds: Collection[str]) -> None:
    """Refuse a kind of unit that such a prompt does not have.

    Raises:
        UsageError: if another sort of prompt has it.
        UnknownNameError: if none has.
    """
    if units in kinds:
        return
    for name, others in (("Chat", CHAT_KINDS), ("Template", TEMPLATE_KINDS)):
        if units in others:
            raise UsageError(f"units={units!r} needs a {name}, and the prompt is a {type(prompt).__name__}.")
    of_pictures = PICTURE_KINDS if isinstance(prompt, Chat) else ()
    unknown = UnknownNameError("kind of unit", units, [*kinds, *of_pictures])
    for name, others in (("Chat", CHAT_KINDS), ("Template", TEMPLATE_KINDS)):
        if unknown.nearest is None and (asked := meant(units, others)):
            raise UsageError(
                f"Unknown kind of unit {units!r}.{asked} That needs a {name}, and the prompt is a "
                f"{type(prompt).__name__}; of this: {', '.join(sorted(kinds))}."
            )
    raise unknown


Input: TypeAlias = str | Values
"""A user message for a chat, or the values of a template's open fields."""


@dataclass(frozen=True, slots=True)
class UnitsOver:
    """One cut of a template, and the same cut of what each input makes of it.

    Attributes:
        shown: the template as it is shown, with ``{name}`` where inputs differ.
        each: for each input, units that share number and order with ``shown``.
        labels: each input as one text.
    """

    shown: Units
    each: tuple[Units, ...]
    labels: tuple[str, ...]

    def first(self, inputs: int) -> UnitsOver:
        """The same cut of the first so many inputs."""
        return replace(self, each=self.each[:inputs], labels=self.labels[:inputs])


def split_over(template: Chat | Template, units: str, inputs: Sequence[Input], *, pin: Sequence[str] = ()) -> UnitsOver:
    """Cut a template that many inputs share; what differs between them is pinned.

    Args:
        template: a chat, to which each input is added as a user message; or a template with open fields.
        units: a kind of unit that it has.
        inputs: user messages, or for a template a dict of its open fields each.
        pin: as in `split`; texts are looked up in the template as it is shown.

    Raises:
        UsageError: if there is no input or no open field, or the units or pins do not fit.
        DataError: if an input is not made of texts.
    """
    check_source(template)
    if not inputs:
        raise UsageError("inputs is empty: give at least one input.")
    cut, stand_in = _chat(template, units) if isinstance(template, Chat) else _template(template, units)
    plain = cut(stand_in)
    pieces, notices = pin_pieces(plain.text, plain.pieces, pin, sections=plain.sections)
    held = {old.unit for old, new in zip(plain.pieces, pieces, strict=True) if new.unit is None} - {None}
    each = tuple(holding(cut(given), held) for given in inputs)
    _check_distinct(each)
    shown = with_scripts(replace(plain, pieces=pieces, notices=notices), units)
    return UnitsOver(shown, each, tuple(_label(given) for given in inputs))


def _check_distinct(each: Sequence[Units]) -> None:
    """Equal inputs would share recorded answers, and their noise would not be independent."""
    first: dict[Sent, int] = {}
    for number, units in enumerate(each, start=1):
        if (before := first.setdefault(units.prompt, number)) != number:
            raise UsageError(f"Inputs {before} and {number} make the same prompt: give each input once.")


def holding(units: Units, held: Container[int | None]) -> Units:
    """The same units with these pinned; the others are numbered anew."""
    return replace(units, pieces=numbered(replace(p, unit=None) if p.unit in held else p for p in units.pieces))


def _chat(chat: Chat, kind: str) -> tuple[Callable[[Input], Units], Input]:
    check_kind(kind, chat, CHAT_KINDS.keys() - {PART})  # whose parts depend on the input

    def cut(given: Input) -> ChatUnits:
        if not isinstance(given, str):
            raise UsageError(f"An input is a {type(given).__name__}: for a Chat give user messages, each a str.")
        whole = replace(chat, messages=(*chat.messages, Message("user", given)))
        check_source(whole)
        units = split_chat(whole, kind)
        own = units.slots[-1].start
        return replace(units, pieces=tuple(_open(piece) if piece.start >= own else piece for piece in units.pieces))

    return cut, "{input}"


def _open(piece: Piece) -> Piece:
    return replace(piece, unit=None)


def _template(template: Template, kind: str) -> tuple[Callable[[Input], Units], Input]:
    check_kind(kind, template, TEMPLATE_KINDS)
    names = open_fields(template)
    if not names:
        raise UsageError("Every field of the template has a value: leave out those that differ between inputs.")

    def cut(given: Input) -> Units:
        if isinstance(given, str):
            raise UsageError(f"An input is a str: for a Template give a dict with {', '.join(names)} each.")
        return split_template(template, kind, inputs=given)

    return cut, {name: f"{{{name}}}" for name in names}


def _label(given: Input) -> str:
    if isinstance(given, str):
        return given
    texts = {name: value if isinstance(value, str) else "\n".join(value) for name, value in given.items()}
    return next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{k}: {v}" for k, v in texts.items())
