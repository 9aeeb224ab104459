"""Which language a text is in: by its script, by letters that one language alone has, and by its most common words.

Made for two small questions, which abbreviations a text may hold and whether its refusals can be read. It is no
detector for a single word: where nothing tells, it says so. ``languages.tsv`` holds the languages, the likeliest of a
script first; a script is the first word of its letters' names in Unicode.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from whygen.texts.segments import nfc, word_spans

_SEEN = 4000
"""Characters that are looked at: a language shows itself soon."""
_ENOUGH = 0.15
"""Share of a text's different words that must be common ones of a language, for it to be that language."""
_FEW = 8
"""Of so few words, one common word of two letters is enough."""
_LETTERS_THAT_TELL = 40
"""From so many letters on, a text in a known script whose language is not found is in some other language."""


@dataclass(frozen=True, slots=True)
class _Language:
    """A language: its English name, its scripts, letters that its neighbours lack, and words that every text has."""

    code: str
    name: str
    scripts: frozenset[str]
    letters: str
    common: frozenset[str]


@cache
def _languages() -> dict[str, _Language]:
    rows = resources.files("whygen.texts").joinpath("languages.tsv").read_text(encoding="utf-8").splitlines()[1:]
    found: dict[str, _Language] = {}
    for code, name, scripts, letters, words in (nfc(row).split("\t") for row in rows):
        found[code] = _Language(code, name, frozenset(scripts.split()), letters, frozenset(words.split()))
    return found


def name_of_language(code: str) -> str:
    """The English name of a language that `language_of` tells; for any other, the code itself."""
    known = _languages().get(code)
    return code if known is None else known.name


def common_words(code: str | None) -> frozenset[str]:
    """Words that stand in nearly every text of a language, case folded; of any language where it is not known."""
    if code is None:
        return frozenset(_languages_with())
    known = _languages().get(code)
    return frozenset() if known is None else known.common


def language_of(text: str) -> str | None:
    """The language of a text, as a code of two letters; ``other`` where it is a further one; None where nothing tells.

    Args:
        text: any text; its first few thousand characters decide.

    Returns:
        A code such as ``de``. ``other`` for a text of some length in none of the languages known here. None for one too
        short to tell, or without letters (numbers, code, emoji).
    """
    seen = nfc(text[:_SEEN])
    scripts = Counter(_script(letter) for letter in seen if letter.isalpha())
    if not scripts:
        return None
    script = _main(scripts)
    known = [each for each in _languages().values() if script in each.scripts]
    if not known:
        return "other"
    if len(known) == 1:
        return known[0].code
    return _by_words(seen.casefold(), known, scripts[script])


def _main(scripts: Counter[str]) -> str:
    """The script of most letters; kana among Han is Japanese."""
    if scripts["CJK"] and scripts["HIRAGANA"] + scripts["KATAKANA"] > 0.1 * scripts["CJK"]:
        scripts = scripts + Counter({"HIRAGANA": scripts["CJK"] + scripts["KATAKANA"]})
    return scripts.most_common(1)[0][0]


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0].removesuffix("-")


def _by_words(text: str, known: Sequence[_Language], letters: int) -> str | None:
    """The language whose common words, the rarer elsewhere the better, say most of the text."""
    plain = text.replace("\u2019", "'")
    words = {word for start, end in word_spans(plain) if any(map(str.isalpha, word := plain[start:end]))}
    found = {each.code: words & each.common for each in known}
    weights = {each.code: _weight(each, found[each.code], text) for each in known}
    best = max(known, key=lambda each: weights[each.code])
    hits, own = found[best.code], any(letter in text for letter in best.letters)
    telling = sum(len(word) > 1 or not word.isascii() for word in hits)
    told = telling > 1 or (own and weights[best.code] > 0) or (telling == 1 and len(words) <= _FEW)
    if told and (len(hits) >= _ENOUGH * len(words) or own):
        return best.code
    return "other" if letters >= _LETTERS_THAT_TELL else None


def _weight(language: _Language, hits: frozenset[str] | set[str], text: str) -> float:
    own = sum(letter in text for letter in language.letters)
    return sum(1 / _languages_with()[word] for word in hits) + 0.5 * min(own, 3)


@cache
def _languages_with() -> Counter[str]:
    """In how many languages a word is common."""
    return Counter(word for each in _languages().values() for word in each.common)
