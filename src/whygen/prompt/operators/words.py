"""Words beside words: whether two are forms of one, and how one is written like another."""

from __future__ import annotations

from itertools import takewhile

_VOWELS = frozenset("aeiouy")


def same_word(one: str, other: str) -> bool:
    """Whether two words are the same or look like forms of one: castle and castles, write and wrote, happy and happier.

    Spelling decides: one holds the other (from three letters), they part only at the end, or only in their vowels.
    Forms that have little in common (tell, told) pass for two words.
    """
    a, b = sorted((one.casefold(), other.casefold()), key=len)
    if a == b or (len(a) >= 3 and a in b) or b == f"{a}s":
        return True
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
    if common >= max(3, len(a) - 2) and len(b) - common <= 5:
        return True
    bones = sorted((_skeleton(a), _skeleton(b)), key=len)
    return a[:1] == b[:1] and len(bones[0]) > 1 and bones[1] in {bones[0], f"{bones[0]}s"}


def _skeleton(word: str) -> str:
    return "".join(letter for letter in word if letter not in _VOWELS)


def written_like(word: str, model: str) -> str:
    """The word in the capitals of ``model``: all of them, the first one, or none."""
    if len(model) > 1 and model.isupper():
        return word.upper()
    if model[:1].isupper():
        return word[:1].upper() + word[1:]
    return word


def has_word(text: str) -> bool:
    """Whether there is a letter or a digit."""
    return any(character.isalnum() for character in text)
