"""A template cut into units: its fields, its documents, or its own fixed text.

Each place where a field stands is a unit of its own, as each occurrence of a word is.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from whygen.errors import UsageError
from whygen.prompt.units.checks import check_values
from whygen.prompt.units.pieces import Piece, Units, joined, moved, pieces_of, pin_pieces
from whygen.prompt.units.texts import SPLITTERS, Splitter, sentences, whole
from whygen.results.prompt import Section
from whygen.texts import Span
from whygen.types import Source, Template

Role: TypeAlias = Literal["fixed", "field", "document", "open"]
"""What a stretch of the rendered text is; ``open`` fields differ between inputs and are never attributed."""

Values: TypeAlias = Mapping[str, "str | Sequence[str]"]

TEMPLATE_KINDS: dict[str, tuple[Splitter, frozenset[Role]]] = {
    "field": (whole, frozenset({"field"})),
    "document": (whole, frozenset({"document"})),
    "part": (sentences, frozenset({"fixed", "field", "document"})),
    **{name: (splitter, frozenset[Role]({"fixed"})) for name, splitter in SPLITTERS.items()},
}
"""How the fixed text is cut, and which stretches are attributed."""

_EXAMPLE = "Template('Question: {question}', {'question': 'Why?'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateUnits(Units):
    """A template, and where in its rendered text each list of documents stands."""

    template: Template
    lists: tuple[Span, ...]

    @property
    def source(self) -> Source:
        return self.template

    def join(self, parts: Sequence[str]) -> str:
        """The rendered text when these texts stand at the pieces.

        The first document that is left stands where the first one stood, without what is sent between documents.
        """
        standing = list(zip(self.pieces, parts, strict=True))
        for start, end in self.lists:
            inside = [index for index, piece in enumerate(self.pieces) if start <= piece.core and piece.stop <= end]
            left = next((index for index in inside if parts[index]), len(parts))
            for index in inside[1:]:
                if index <= left or not parts[index]:
                    standing[index] = self._bare(index, parts[index])
        return joined(self.text, standing)

    def _bare(self, index: int, part: str) -> tuple[Piece, str]:
        """A document without what is sent between it and the one before."""
        piece = self.pieces[index]
        return replace(piece, start=piece.core), part.removeprefix(self.text[piece.start : piece.core])


@dataclass(frozen=True, slots=True)
class _Stretch:
    span: Span
    role: Role


def split_template(
    template: Template, kind: str, *, pin: Sequence[str] = (), inputs: Values | None = None
) -> TemplateUnits:
    """Cut a template by a kind of `TEMPLATE_KINDS`.

    Args:
        template: text, values and documents.
        kind: ``field`` (each value, a list of documents as one), ``document`` (each document of a list), ``part``
            (sentences of the fixed text, values and documents), or how the fixed text alone is cut.
        pin: texts of the rendered prompt, or ``field:NAME``.
        inputs: values of fields that the template leaves open; they are sent and never attributed.

    Raises:
        UsageError: if the template has no field, one has no value, or there is none for a value; if it holds no unit of
            this kind; if the pins do not fit.
        DataError: if a value is no text.
    """
    given = inputs or {}
    _check(template, given)
    written = _rendered(template, given, kind)
    text, (_, roles) = written.text, TEMPLATE_KINDS[kind]
    laid = pieces_of([stretch.span for stretch in written.stretches], within=(0, len(text)))
    pieces = [
        piece if stretch.role in roles else replace(piece, unit=None)
        for piece, stretch in zip(laid, written.stretches, strict=True)
    ]
    if all(piece.unit is None for piece in pieces):
        raise UsageError(_no_unit(kind))
    marked, notices = pin_pieces(text, pieces, pin, sections=written.sections)
    return TemplateUnits(text, marked, tuple(written.sections), notices, template=template, lists=tuple(written.lists))


def parsed(text: str) -> list[tuple[str, str | None]]:
    """Fixed texts, each with the name of the field after it; the last may have none.

    Raises:
        UsageError: if there is no field, or one is not a plain name.
    """
    try:
        found = list(string.Formatter().parse(text))
    except ValueError as error:
        advice = "Double the braces that are no field: {{ }}."
        raise UsageError(f"The template cannot be read: {error}. {advice}") from None
    for _, name, spec, conversion in found:
        if name is not None and (spec or conversion or not name.isidentifier()):
            raise UsageError(
                f"The template's field {{{name}}} is not a plain name. Write fields as {{name}}, without numbers, "
                "formats or conversions, and double the braces that are no field."
            )
    if not any(name is not None for _, name, _, _ in found):
        raise UsageError(f"The template has no field. Write fields as {{name}}, such as {_EXAMPLE}, or give a str.")
    whole: list[tuple[str, str | None]] = []
    begun = ""  # doubled braces end a text for the formatter, and are no end of a sentence
    for literal, name, _, _ in found:
        begun += literal
        if name is not None:
            whole.append((begun, name))
            begun = ""
    return [*whole, (begun, None)] if begun else whole


def doubled(text: str) -> str:
    """A text as it stands in a template: with braces that are no field."""
    return text.replace("{", "{{").replace("}", "}}")


def open_fields(template: Template) -> tuple[str, ...]:
    """Names of the fields that the template has no value for, in order."""
    names = dict.fromkeys(name for _, name in parsed(template.text) if name is not None)
    return tuple(name for name in names if name not in template.fields)


def _check(template: Template, inputs: Values) -> None:
    names = {name for _, name in parsed(template.text) if name is not None}
    check_values(inputs)
    values = {**template.fields, **inputs}
    if missing := sorted(names - set(values)):
        raise UsageError(f"The template's field {missing[0]!r} has no value. Give one for each of: {_listed(names)}.")
    if unknown := sorted(set(values) - names):
        raise UsageError(f"There is a value for {unknown[0]!r}, and the template has no such field: {_listed(names)}.")


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _no_unit(kind: str) -> str:
    if kind == "document":
        return "No field of the template holds documents. Give a field a list of texts, or use units='field'."
    what = "value that shows something" if kind == "field" else "fixed text"
    return f"The template has no {what}, so there is no unit of kind {kind!r}. Use units='part'."


@dataclass(slots=True)
class _Rendering:
    """A template while it is written out: the text so far, its stretches, and what they are called."""

    text: str = ""
    stretches: list[_Stretch] = field(default_factory=list[_Stretch])
    sections: list[Section] = field(default_factory=list[Section])
    lists: list[Span] = field(default_factory=list[Span])

    def fixed(self, literal: str, cut: Splitter) -> None:
        self.stretches += [_Stretch(span, "fixed") for span in moved(cut(literal), len(self.text))]
        self.text += literal

    def value(self, name: str, value: str, *, role: Role) -> None:
        self.stretches += [_Stretch(span, role) for span in moved(whole(value), len(self.text))]
        self.sections.append(Section(kind="field", name=name, start=len(self.text), end=len(self.text) + len(value)))
        self.text += value

    def documents(self, name: str, texts: Sequence[str], between: str, *, role: Role) -> None:
        start = len(self.text)
        places: list[Section] = []
        for number, document in enumerate(texts, start=1):
            self.text += between if number > 1 else ""
            self.stretches += [_Stretch(span, role) for span in moved(whole(document), len(self.text))]
            place = len(self.text)
            self.text += document
            places.append(Section(kind="document", name=f"{name} {number}", start=place, end=len(self.text)))
        self.sections += [Section(kind="field", name=name, start=start, end=len(self.text)), *places]
        self.lists.append((start, len(self.text)))


def _rendered(template: Template, inputs: Values, kind: str) -> _Rendering:
    cut, _ = TEMPLATE_KINDS[kind]
    written = _Rendering()
    for literal, name in parsed(template.text):
        written.fixed(literal, cut)
        if name is None:
            continue
        value = inputs[name] if name in inputs else template.fields[name]
        role: Role = "open" if name in inputs else "field"
        if isinstance(value, str):
            written.value(name, value, role=role)
        elif kind == "field" or role == "open":
            written.value(name, template.between.join(value), role=role)
        else:
            written.documents(name, value, template.between, role="document")
    return written
