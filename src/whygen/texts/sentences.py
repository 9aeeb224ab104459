"""Where sentences end: the ends of every script by UAX 29, and abbreviations by the package ``sentencex``.

UAX 29 knows the full stops of all scripts and what follows them (quotes, brackets, a lower-case letter); it does not
know that *Dr. Smith* goes on. Wikimedia's ``sentencex`` does, language by language. A full stop ends a sentence where
both say so; the ends of other scripts are UAX 29's alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import regex
import sentencex

from whygen.texts.languages import common_words, language_of
from whygen.texts.segments import Span

_segment = cast("Callable[[str, str], list[str]]", cast(Any, sentencex).segment)  # a compiled module without types

_TOUCHED = r"[\p{SB=Extend}\p{SB=Format}]*+"
_CLOSES = r"(?:[\p{Pi}\p{Ps}](?=[\s\p{P}]|$)|(?![\p{Pi}\p{Ps}])\p{SB=Close})"
"""Quotes that open in one language close in another („so“); no bracket or quote before a letter closes anything."""
_CLOSE = rf"(?:{_CLOSES}{_TOUCHED})*+(?:[\p{{Zs}}]+[»›](?=\s|$))?+"
"""Closing quotes and brackets, the French ones with their space."""
_SPACE = rf"(?:\p{{SB=Sp}}{_TOUCHED})*+"
_BREAK = r"(?:\r\n|[\p{SB=Sep}\r\n])"
_FULL = rf"(?:\p{{SB=ATerm}}|\u2026|(?<=\p{{SB=ATerm}}{_TOUCHED})\p{{SB=ATerm}}){_TOUCHED}"
_GOES_ON = r"(?:[^\p{SB=OLetter}\p{SB=Upper}\p{SB=Lower}\p{SB=Sep}\r\n\p{SB=STerm}\p{SB=ATerm}])*+\p{SB=Lower}"
_STOP = (
    rf"{_FULL}(?!\p{{SB=Numeric}})"  # SB6: 3.4
    rf"(?!(?<=[\p{{SB=Upper}}\p{{SB=Lower}}]{_TOUCHED}\p{{SB=ATerm}}{_TOUCHED})\p{{SB=Upper}})"  # SB7: U.S
    rf"{_CLOSE}{_SPACE}(?!{_GOES_ON})"  # SB8: e.g. this
)
_MARK = rf"(?:\p{{SB=STerm}}|(?<=\p{{Greek}}{_TOUCHED})[;\u037e]|[\u0f0d\u0f0e])"
"""Marks that end a sentence whatever follows; the Greek question mark and the Tibetan shad are not among UAX 29's."""
_SAID = rf"(?:{_MARK}{_TOUCHED})+(?:{_CLOSES}{_TOUCHED})++\p{{SB=Sp}}{_TOUCHED}\p{{SB=Lower}}"
""""Are you sure?" he said."""
_END = regex.compile(
    rf"(?:(?:{_STOP}|(?!{_SAID}){_MARK}{_TOUCHED}{_CLOSE}{_SPACE})"
    rf"(?!(?:\p{{SB=SContinue}}|\p{{SB=STerm}}|\p{{SB=ATerm}}))"  # SB8a
    rf"{_BREAK}?|{_BREAK})"
)

_NUMBER = regex.compile(r"\W*(?:\p{Nd}{1,3}|[ivxIVX]{1,4}|\p{L})[.)]\s*")
"""The number of a list's item, or an initial: no sentence of its own."""
_ITEM = regex.compile(r"\W*([0-9]{1,3})[.)]\s")
_INITIAL = regex.compile(r"(?:^|[(\[\"'“‘«]|\p{Lu}[\p{L}’'-]*\.?\s+)(?!I\b)\p{Lu}\.$")
"""An initial after a name, a title or another initial: *George W. Bush*; not *vitamin C.*"""
_SHORT = regex.compile(r"([\p{L}\p{M}.-]+)\.$")
_SPACED = regex.compile(r"(?<![\p{L}\p{M}\p{Nd}.'’-])((?:\p{Ll}{1,2}\.\p{Zs}){1,3}\p{L}{1,3})\.$")
"""An abbreviation of several words with spaces between: *z. B.*, *t. ex.*, *и т. д.*"""
_LETTER = regex.compile(r"\p{Ll}\s\p{Lu}\.$")
"""A letter after a word that is no name: *vitamin C.*"""
_HALF = regex.compile(r"(?:^|[^\p{L}\p{M}\p{Nd}])\p{L}\.\p{Zs}*$")
_OTHER_HALF = regex.compile(r"\p{L}\.")
_NEXT_WORD = regex.compile(r"\W*([\p{L}\p{M}'’]+)")

_ANYWHERE = frozenset(".?!…")
_NOT_THERE = regex.compile(r"(?<!\s)(?![\s\p{SB=OLetter}])")
"""After one of these without a space: an address (*a.com/b?C=1*), a name of a file, no end."""

_LATIN = ("en", "de", "fr", "es", "it", "pt", "nl", "pl")

_ALSO: dict[str, str] = {
    "fr": "c.-à-d m mm mme mmes mlle mlles dr pr me st ste p pp fig art éd vol", "pt": "pág págs pag p fig cap vol av",
    "tr": "av sn dr prof doç yrd sok cad no", "el": "κ κα κκ δρ σελ αρ", "sv": "s dr prof st fig kap nr",
    "da": "dr prof hr fr s nr fig kap", "ru": "рис стр см гл табл проф др г гг им", "nl": "dhr mevr blz nr fig",
    "es": "pág págs sr sra dr dra uu ee", "cs": "dr prof str obr č", "uk": "рис стор див ім вул проф",
}  # fmt: skip
"""Titles and references that the package's lists leave out, case folded."""

_NEVER_LAST = (
    "z.b. d.h. d.i. v.a. z.t. s.o. s.u. i.e. e.g. p.ex. p.ej. p.es. t.ex. t.o.m. f.eks. d.v.s. bl.a. d.w.z. m.a.w. "
    "m.a.o. o.a. m.in. t.j. t.zn. т.е. т.к. т.н. т.б. т.зв. π.χ. δ.η. л.с."
)
"""Spaced abbreviations that something must follow, case folded, without their spaces."""
_OFTEN_LAST = "u.v.m. u.s.w. т.д. т.п. і.т.д. e.t.c. m.m. o.s.v. e.d. a.m. p.m. k.a."
"""Those that close a list or a time: what begins with a capital letter after them is a new sentence."""


def sentence_spans(text: str) -> list[Span]:
    """Sentences as spans of visible characters. A line break ends one.

    Abbreviations, initials, the numbers of lists and decimal points end none; closing quotes and brackets stay with
    their sentence.
    """
    ends = [0]
    known: frozenset[int] | None = None
    language: str | None = None
    for match in _END.finditer(text):
        end, said = match.end(), text[ends[-1] : match.end()]
        if end == len(text) or said.endswith(("\n", "\r", "\u2029", "\x85", "\u2028")):
            ends.append(end)
            continue
        if _NUMBER.fullmatch(said):
            continue
        if match[0][0] in _ANYWHERE:
            if _NOT_THERE.match(text, end):
                continue
            if known is None:
                language = language_of(text)
                known = _package_ends(text, language)
            agreed = end in known or _next_item(said, text, end)
            if not _is_end(said, text[end : end + _AHEAD], agreed, language):
                continue
        ends.append(end)
    return _visible(text, [*ends, len(text)])


def _package_ends(text: str, language: str | None) -> frozenset[int]:
    """Where the package ends sentences; in a language that is not known, where all the lists of `_LATIN` end one."""
    asked = _LATIN if language is None else (language,)
    found = [itertools.accumulate(map(len, _segment(code, text))) for code in asked]
    return frozenset(found[0]).intersection(*found[1:])


def _next_item(said: str, text: str, end: int) -> bool:
    """Whether what was said is an item of a numbered list, and the next number follows."""
    here, follows = _ITEM.match(said), _ITEM.match(text, end)
    return here is not None and follows is not None and int(follows[1]) == int(here[1]) + 1


_AHEAD = 40
"""Characters after a full stop that are looked at."""


def _is_end(said: str, ahead: str, agreed: bool, language: str | None) -> bool:
    """Whether a full stop, after what was said since the last end, ends the sentence.

    Args:
        said: the text since the last end.
        ahead: the text after it.
        agreed: whether the package ends a sentence here.
        language: of the text; None where it is not known.
    """
    bare = said.rstrip()
    if _INITIAL.search(bare) or (_HALF.search(bare) and _OTHER_HALF.match(ahead)):
        return False
    if (spaced := _SPACED.search(bare)) is not None:
        return _spaced_ends(spaced[1], ahead, language)
    short = _SHORT.search(bare)
    if short is None:
        return agreed or not bare.endswith(".")
    word = short[1].casefold()
    if _LETTER.search(bare) and _begins(ahead, language):
        return True
    if word in (" ".join(_ALSO.values()) if language is None else _ALSO.get(language, "")).split():
        return False
    return agreed or word in common_words(language)


def _spaced_ends(short: str, ahead: str, language: str | None) -> bool:
    """Whether the last full stop of an abbreviation with spaces in it ends the sentence too.

    A name may follow it (*u. a. Goethe*); a word that every text of the language has, with a capital letter, begins a
    sentence.
    """
    short = "".join(short.split()).casefold() + "."
    return short in _OFTEN_LAST.split() or (short not in _NEVER_LAST.split() and _begins(ahead, language))


def _begins(ahead: str, language: str | None) -> bool:
    """Whether a word that every text of the language has, of two letters at least, comes next."""
    word = _NEXT_WORD.match(ahead)
    return word is not None and len(word[1]) > 1 and word[1].casefold() in common_words(language)


def _visible(text: str, ends: list[int]) -> list[Span]:
    spans: list[Span] = []
    for start, end in itertools.pairwise(ends):
        stretch = text[start:end]
        if stretch.strip():
            lead = len(stretch) - len(stretch.lstrip())
            spans.append((start + lead, start + len(stretch.rstrip())))
    return spans
