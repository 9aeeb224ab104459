"""Blocks of a text between XML tags, and the entries of JSON: where they begin and end, in time linear in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from whygen.texts import Span

_WORD = re.compile(r"\S+")

_Known = Mapping[str, tuple[Literal["document", "memory", "example", "part"], str]]

_WORDS: Mapping[str, str] = {
    "document": (
        "document documents doc docs file files article articles page pages webpage book paper سند اسناد مدرک dokument "
        "dokumente documento documentos documenti 文書 文档 文件 문서 документ документы"
    ),
    "passage": (
        "passage passages context contexts chunk chunks source sources snippet snippets excerpt excerpts result "
        "results reference references retrieved knowledge evidence search_result search_results quote quotes منبع "
        "منابع گزیده زمینه kontext quelle quellen contexte fuente fuentes contexto 上下文 资料 段落 資料 출처 맥락 "
        "источник источники контекст"
    ),
    "email": "email emails mail",
    "memory": (
        "memory memories remembered recuerdos recuerdo souvenirs souvenir erinnerungen erinnerung حافظه خاطره خاطرات "
        "记忆 記憶 메모리 기억 память воспоминания"
    ),
    "example": (
        "example examples shot shots few_shot exemplar exemplars q question input user beispiel beispiele exemple "
        "exemples ejemplo ejemplos مثال نمونه 示例 例子 例 예시 пример примеры"
    ),
}
"""Words in front of passages, or in tags around them, and what they are called then."""

KINDS: _Known = {
    word: ("memory" if label == "memory" else "example" if label == "example" else "document", label)
    for label, words in _WORDS.items()
    for word in _WORD.findall(words)
}

_OPENS = _WORD.findall(
    "documents docs files articles pages passages context contexts chunks sources snippets excerpts results references "
    "retrieved knowledge evidence search_results quotes emails messages memory memories examples few_shot shots "
    "exemplars"
)
"""Tags around several: what stands in them is looked at first."""

_HTML = _WORD.findall(
    "a abbr aside b blockquote body br button canvas caption cite code col dd del details div dl dt em fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins label li link main "
    "mark meta nav noscript object ol optgroup option p path picture pre q s samp script section select small span "
    "strong style sub summary sup svg table tbody td textarea tfoot th thead time title tr u ul var video"
)

_TAG = re.compile(r"<(/?)([^\W\d][\w.:-]*)((?:\s[^<>]*)?)/?>")
_ATTRIBUTE = re.compile(r"""\b(?:index|id|n|num|number)\s*=\s*["']?(\d{1,6})\b""")


@dataclass(frozen=True, slots=True)
class Tagged:
    """A block from its opening tag to its closing one.

    Attributes:
        name: of the tag, as it is written.
        start: of the opening tag.
        end: of the closing one.
        inner: what stands between the two.
        number: that the tag gives, as ``index="3"`` or in its name; None where it gives none.
    """

    name: str
    start: int
    end: int
    inner: Span
    number: int | None

    @property
    def key(self) -> str:
        """The name by which tags of one sort are told: lower case, without a number."""
        return re.sub(r"[_-]?\d+$", "", self.name.lower().replace("-", "_"))

    @property
    def opens(self) -> bool:
        """Whether others of a sort usually stand in it."""
        return self.key in _OPENS


def tagged(text: str) -> list[Tagged]:
    """The outermost blocks that open and close, in order; those of HTML are text."""
    opened: list[re.Match[str]] = []
    open_by_name: dict[str, int] = {}
    found: list[Tagged] = []
    for match in _TAG.finditer(text):
        name = match[2]
        if name.lower() in _HTML or match[0].endswith("/>"):
            continue
        if not match[1]:
            opened.append(match)
            open_by_name[name] = open_by_name.get(name, 0) + 1
        elif open_by_name.get(name):
            while (last := opened.pop())[2] != name:
                open_by_name[last[2]] -= 1
            open_by_name[name] -= 1
            while found and found[-1].start > last.start():
                found.pop()
            found.append(_block(last, match))
    return found


def _block(first: re.Match[str], last: re.Match[str]) -> Tagged:
    told = _ATTRIBUTE.search(first[3]) or re.search(r"[_-]?(\d{1,6})$", first[2])
    return Tagged(first[2], first.start(), last.end(), (first.end(), last.start()), int(told[1]) if told else None)


@dataclass(slots=True)
class TaggedItems:
    """Entries of JSON: where each is, ``item`` or ``rest``, and its name; what stays; and where lists are."""

    found: list[tuple[Span, Literal["item", "rest"], str]] = field(
        default_factory=list[tuple[Span, Literal["item", "rest"], str]]
    )
    fixed: list[Span] = field(default_factory=list[Span])
    lists: list[Span] = field(default_factory=list[Span])


_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"\s*")
SHORT = 20
"""Characters below which a text in a list is a value, and no passage."""


def json_items(text: str) -> TaggedItems | None:
    """The entries of a text that is one JSON value: of a list of passages, or of the list in an object that holds one.

    What stands before and after such a list in its object is an entry of its own, so that what is left is JSON whatever
    is taken away. None where the text is no JSON, or holds no list of passages.
    """
    start, end = _SPACE.match(text).end(), len(text.rstrip())  # pyright: ignore[reportOptionalMemberAccess]
    if text[start : start + 1] not in ("[", "{"):
        return None
    try:
        if text[start] == "[":
            entries, after = _entries(text, start)
            return _array(entries, start, after) if after == end else None
        return _object(text, start, end)
    except (ValueError, RecursionError, IndexError):
        return None


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return place if match is None else match.end()


def _entries(text: str, start: int) -> tuple[list[tuple[Span, Any]], int]:
    """The entries of the list that opens at ``start``, and where it has closed."""
    found: list[tuple[Span, Any]] = []
    place = _skip(text, start + 1)
    while text[place] != "]":
        value, after = _DECODER.raw_decode(text, place)
        found.append(((place, after), value))
        place = _skip(text, after)
        if text[place] == ",":
            place = _skip(text, place + 1)
        elif text[place] != "]":
            raise ValueError
    return found, place + 1


def _are_passages(values: list[Any]) -> bool:
    objects = all(isinstance(value, dict) and len(cast("dict[str, Any]", value)) > 0 for value in values)
    texts = all(isinstance(value, str) and len(value) >= SHORT for value in values)
    return len(values) > 1 and (objects or texts)


def _array(entries: list[tuple[Span, Any]], start: int, after: int) -> TaggedItems | None:
    if not _are_passages([value for _, value in entries]):
        return None
    found: list[tuple[Span, Literal["item", "rest"], str]] = [
        (span, "item", f"passage {number}") for number, (span, _) in enumerate(entries, start=1)
    ]
    return TaggedItems(found, [(start, start + 1), (after - 1, after)], [(found[0][0][0], found[-1][0][1])])


def _object(text: str, start: int, end: int) -> TaggedItems | None:
    """The longest list of passages among the members of an object, and what is before and after it."""
    best: tuple[TaggedItems, int, int] | None = None
    place = _skip(text, start + 1)
    while text[place] != "}":
        key, after = _DECODER.raw_decode(text, place)
        colon = _skip(text, after)
        if not isinstance(key, str) or text[colon] != ":":
            raise ValueError
        value = _skip(text, colon + 1)
        _, ends = _DECODER.raw_decode(text, value)
        items = _list_at(text, value)
        if items is not None and (best is None or len(items.found) > len(best[0].found)):
            best = items, place, ends
        place = _skip(text, ends)
        if text[place] == ",":
            place = _skip(text, place + 1)
        elif text[place] != "}":
            raise ValueError
    return None if best is None or place + 1 != end else _around(text, start, place, *best)


def _list_at(text: str, start: int) -> TaggedItems | None:
    if text[start] != "[":
        return None
    entries, after = _entries(text, start)
    return _array(entries, start, after)


def _around(text: str, start: int, close: int, items: TaggedItems, key: int, after: int) -> TaggedItems:
    """The entries, with the members before the list up to its key, and those after it from their comma."""
    first, last = _skip(text, start + 1), len(text[:close].rstrip())
    opens, closes = items.fixed
    made = TaggedItems(
        list(items.found), [(start, start + 1), (key, opens[1]), closes, (close, close + 1)], items.lists
    )
    if first < key:
        made.found.append(((first, len(text[:key].rstrip())), "rest", "what stands before"))
    if after < last:
        made.found.append(((_skip(text, after), last), "rest", "what stands after"))
    return made
