"""Documents, memories and examples inside a text, found by the marks that people set around them.

XML tags, JSON, numbered or named heads, lists below a head, and lines that part; or a pattern of one's own. What is
found is a guess at how the text was put together: it decides what a unit is, never what is sent.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from whygen.errors import UsageError
from whygen.prompt.units.tagged import KINDS, Tagged, json_items, tagged
from whygen.texts import Span

PassageKind: TypeAlias = Literal["document", "memory", "example", "part"]

MOST_DEEP = 4
"""How deep marks inside marks are followed."""

MOST_HEADS = 200
"""Lines on their own that are looked at as heads of lists: each may be followed to the end of a text."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Characters ``[start, end)`` of a text that were put into it as one, and how people would call them."""

    start: int
    end: int
    kind: PassageKind
    name: str


@dataclass(slots=True)
class Passages:
    """What was found in a text.

    Attributes:
        found: in order, none over another.
        fixed: brackets and tags around them, which stay.
        lists: stretches in which passages stand one after another; what parts two of them goes with the second.
    """

    found: list[Passage] = field(default_factory=list[Passage])
    fixed: list[Span] = field(default_factory=list[Span])
    lists: list[Span] = field(default_factory=list[Span])

    def add(self, other: Passages, by: int) -> None:
        """Take over what was found in a part of the text that begins at ``by``."""
        self.found += [replace(each, start=each.start + by, end=each.end + by) for each in other.found]
        self.fixed += [(start + by, end + by) for start, end in other.fixed]
        self.lists += [(start + by, end + by) for start, end in other.lists]


def passages(text: str, *, pattern: str | None = None) -> Passages:
    """What was put into a text.

    Args:
        text: of a message, a part of one, or a result of a tool.
        pattern: a regular expression of one's own: each match is a passage, and nothing else is looked for.

    Raises:
        UsageError: if the pattern is none.
    """
    if pattern is None:
        return _ordered(_marked(text, 0))
    try:
        matches = list(re.finditer(pattern, text, re.MULTILINE))
    except re.error as error:
        raise UsageError(f"passages={pattern!r} is no regular expression: {error}.") from None
    spans = [_visible(text, *match.span()) for match in matches if match.group().strip()]
    return Passages([Passage(*span, "document", f"passage {i}") for i, span in enumerate(spans, start=1)])


def _ordered(made: Passages) -> Passages:
    return Passages(sorted(made.found, key=lambda each: each.start), sorted(made.fixed), made.lists)


def _marked(text: str, depth: int) -> Passages:
    made = Passages()
    if depth > MOST_DEEP or not text.strip():
        return made
    items = json_items(text)
    if items is not None:
        return Passages(
            [Passage(*span, "document" if kind == "item" else "part", name) for span, kind, name in items.found],
            items.fixed, items.lists,
        )  # fmt: skip
    place = 0
    counts: dict[str, int] = {}
    for block in tagged(text):
        made.add(_plain(text[place : block.start]), place)
        made.add(_block(text, block, counts, depth), 0)
        place = block.end
    made.add(_plain(text[place:]), place)
    return _worth(text, made)


def _worth(text: str, made: Passages) -> Passages:
    """Nothing where all that was found is the text itself."""
    if len(made.found) == 1 and made.found[0].kind == "part" and not made.fixed:
        start, end = _visible(text, 0, len(text))
        if (made.found[0].start, made.found[0].end) == (start, end):
            return Passages()
    return made


def _block(text: str, block: Tagged, counts: dict[str, int], depth: int) -> Passages:
    """A tagged block: what stands in it, if that is several; else itself."""
    kind, label = KINDS.get(block.key, ("part", f"<{block.name}>"))
    if block.opens or kind == "part":
        inner = _marked(text[block.inner[0] : block.inner[1]], depth + 1)
        tags = sum(each.kind != "part" for each in inner.found)
        if len(inner.found) > 1 or (block.opens and tags):
            made = Passages(fixed=[(block.start, block.inner[0]), (block.inner[1], block.end)])
            made.add(inner, block.inner[0])
            return made
    counts[label] = counts.get(label, 0) + 1
    alone = kind == "part" and counts[label] == 1
    name = label if alone else f"{label} {counts[label] if block.number is None else block.number}"
    return Passages([Passage(block.start, block.end, kind, name)])


def _plain(text: str) -> Passages:
    """What stands in a text without tags: the first way to mark passages that finds any."""
    for look in (_bracketed, _headed, _listed, _repeated, _parted):
        if (made := look(text)).found:
            return made
    return Passages()


_NUMBER = re.compile(r"^[ \t]*[\[【(（]{1,2}(\d{1,4})[\]】)）]{1,2}", re.MULTILINE)
_HEAD = re.compile(
    r"^[ \t#*_>\[\(<【「=-]*([^\W\d_]+(?: [^\W\d_]+)?)[ \t]{0,4}[#№\[(]?[ \t]{0,4}(\d{1,4})"
    r"[ \t\])】」*_=]*(?:[:：.\-–—|]|$)",
    re.MULTILINE,
)


def _bracketed(text: str) -> Passages:
    """``[1] ...`` at the beginning of a line, numbers rising by one."""
    heads = [("", int(match[1]), match.start()) for match in _NUMBER.finditer(text)]
    return _from_heads(text, _rising(heads), label="passage", kind="document")


def _headed(text: str) -> Passages:
    """``Document 3: ...``: one word in front of numbers that rise by one."""
    heads: dict[str, list[tuple[str, int, int]]] = {}
    for match in _HEAD.finditer(text):
        heads.setdefault(match[1].casefold(), []).append((match[1].casefold(), int(match[2]), match.start()))
    runs = [_rising(each) for each in heads.values()]
    best = max(runs, key=len) if runs else []
    if not best:
        return Passages()
    kind, label = KINDS.get(best[0][0], ("part", best[0][0]))
    return _from_heads(text, best, label=label, kind=kind)


def _rising(heads: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The longest run of heads whose numbers rise by one; none of fewer than two."""
    best: list[tuple[str, int, int]] = []
    run: list[tuple[str, int, int]] = []
    for head in heads:
        if not run or head[1] != run[-1][1] + 1:
            run = []
        run.append(head)
        best = run if len(run) >= len(best) else best
    return best if len(best) > 1 else []


def _from_heads(text: str, heads: list[tuple[str, int, int]], *, label: str, kind: PassageKind) -> Passages:
    if not heads:
        return Passages()
    starts = [start for _, _, start in heads]
    spans = [*itertools.pairwise(starts), (starts[-1], _end_of_last(text, starts))]
    found = [
        Passage(*_visible(text, *span), kind, f"{label} {number}")
        for span, (_, number, _) in zip(spans, heads, strict=True)
    ]
    return Passages(found)


_VISIBLE = re.compile(r"\S")
_BLANK = re.compile(r"\n[^\S\n]*\n")


_ASKS = re.compile(r"[?؟？][\"'”»」)]*$|^[ \t*_#>]*[^\W\d_][^\n:：]{0,24}?[*_]*[:：](?!//)")


def _end_of_last(text: str, starts: list[int]) -> int:
    """Where the last passage ends, which nothing says.

    At the last paragraph, where that asks something or has a label of its own; else it is given no more paragraphs than
    the longest passage before it.
    """
    visible = len(text.rstrip())
    breaks = [match for match in _BLANK.finditer(text, starts[-1]) if match.end() < visible]
    if breaks and _ASKS.search(text[breaks[-1].end() : visible].lstrip()):
        return breaks[-1].start()
    most = max(len(_BLANK.findall(text[a:b].strip())) for a, b in itertools.pairwise(starts)) + 1
    return breaks[most - 1].start() if len(breaks) >= most else len(text)


_BULLET = re.compile(r"^[ \t]*(?:[-*•·–]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_LIST = re.compile(
    r"^[ \t#*_]*([^\W\d_]+(?:[ '’-][^\W\d_]+){0,5})[*_]{0,3}[ \t]{0,4}(?:\(([^()\n]{0,60})\))?[:：]?[*_]*[ \t]*$",
    re.MULTILINE,
)
_LABEL = re.compile(r"(?:\A|\n[^\S\n]*\n)[ \t*_#>]*([^\W\d_][^\n:：]{0,24}?)[*_]*[:：](?!//)")


def _listed(text: str) -> Passages:
    """``Memories:`` or ``Context:`` on a line of its own, and below it a list, or paragraphs up to the next label."""
    made = Passages()
    counts: dict[str, int] = {}
    for head in itertools.islice(_LIST.finditer(text), MOST_HEADS):
        told = _kind_of(f"{head[1]} {head[2] or ''}")
        if told is None or (made.found and head.start() < made.found[-1].end):
            continue
        kind, label = told
        spans = list(_items(text, head.end())) or (list(_paragraphs(text, head.end())) if kind == "document" else [])
        for start, end in spans if kind == "memory" or len(spans) > 1 else []:
            counts[label] = counts.get(label, 0) + 1
            made.found.append(Passage(*_visible(text, start, end), kind, f"{label} {counts[label]}"))
    return made


def _kind_of(head: str) -> tuple[PassageKind, str] | None:
    """What a head speaks of. Words for memories and documents say it; those for examples only on their own."""
    words = re.split(r"[ '’-]+", head.casefold().strip())
    told = [KINDS[word] for word in words if word in KINDS]
    sure = sorted((each for each in told if each[0] != "example"), key=lambda each: each[0] != "memory")
    return sure[0] if sure else told[0] if len(words) == 1 and told else None


def _items(text: str, place: int) -> Iterator[Span]:
    """The entries of a list that begins at the next line that shows something."""
    first = _VISIBLE.search(text, place)
    blank = None if first is None else _BLANK.search(text, first.start())
    stop = len(text) if blank is None else blank.start()
    starts = [match.start() for match in _BULLET.finditer(text, place, stop)]
    if starts and not text[place : starts[0]].strip():
        yield from itertools.pairwise([*starts, stop])


def _paragraphs(text: str, place: int) -> Iterator[Span]:
    """Paragraphs below a head, up to one that has a label of its own."""
    label = next((match for match in _LABEL.finditer(text, place) if match.start() > place), None)
    stop = len(text) if label is None else label.start()
    edges = [place, *(match.end() for match in _BLANK.finditer(text, place, stop)), stop]
    for start, end in itertools.pairwise(edges):
        if text[start:end].strip():
            yield start, end


def _repeated(text: str) -> Passages:
    """Paragraphs that begin with one label again and again: ``Source: ...`` of passages, ``Q: ...`` of examples.

    One whose last label has nothing behind it is left open for the model to fill in, and is no example. Lines that part
    say more than a label that means nothing known.
    """
    heads: dict[str, list[int]] = {}
    for match in _LABEL.finditer(text):
        heads.setdefault(match[1].casefold().strip(), []).append(match.start(1))
    for word, starts in heads.items():
        told = _kind_of(word)
        if len(starts) >= (2 if told else 3) and (told or not _RULE.search(text)):
            kind, label = told or ("part", word)
            return _alike(text, starts, label=label, kind=kind)
    return Passages()


def _alike(text: str, starts: list[int], *, label: str, kind: PassageKind) -> Passages:
    if text[starts[-1] :].rstrip().endswith((":", "：")):
        starts, end = starts[:-1], starts[-1]
    else:
        end = _end_of_last(text, starts)
    spans = [*itertools.pairwise(starts), (starts[-1], end)]
    return Passages([Passage(*_visible(text, *span), kind, f"{label} {i}") for i, span in enumerate(spans, start=1)])


_RULE = re.compile(r"^[ \t]*(?:-{3,}|={3,}|\*{3,}|_{3,}|(?:\* ){2,}\*)[ \t]*$", re.MULTILINE)


def _parted(text: str) -> Passages:
    """What stands between lines of dashes.

    Where they stand between documents alone, the first begins with the instruction and the last ends with the question:
    neither is given more paragraphs than the longest of the others, and where the last paragraph asks something or has
    a label of its own, it and the first are no part of a document.
    """
    rules = list(_RULE.finditer(text))
    edges = [0, *(match.end() for match in rules), len(text)]
    stops = [*(match.start() for match in rules), len(text)]
    spans = [span for span in zip(edges, stops, strict=False) if text[slice(*span)].strip()]
    if not rules or len(spans) < 2:
        return Passages()
    spans = [_visible(text, *span) for span in spans]
    if len(spans) == len(rules) + 1:
        first, *inner, last = ([match.span() for match in _BLANK.finditer(text, *span)] for span in spans)
        most = max(map(len, inner), default=0) + 1
        asks = bool(last) and _ASKS.search(text[last[-1][1] : spans[-1][1]]) is not None
        if asks or len(last) >= most:
            spans[-1] = (spans[-1][0], last[-1 if asks else most - 1][0])
            most = max(most, len(last) if asks else 0)
        if first and (asks or len(first) >= most):
            spans[0] = _visible(text, first[-min(most, len(first))][1], spans[0][1])
    found = [Passage(*span, "document", f"passage {i}") for i, span in enumerate(spans, start=1)]
    return Passages(found, lists=[(found[0].start, found[-1].end)])


def _visible(text: str, start: int, end: int) -> Span:
    """A stretch without the white space around it."""
    stretch = text[start:end]
    return start + len(stretch) - len(stretch.lstrip()), start + len(stretch.rstrip())
