"""Twins: the same text with other numbers and names, as likely as the original to a model that has not seen it.

A number is exchanged for one with as many digits that could stand there as well; a name for one of as many tokens that
the anchors hold, or, where these hold few, for a common one. That is exchangeable only as far as the originals were
chosen by chance: a famous name beats its twins without being known by heart, which a reference with twins of its own
shows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Sequence

import numpy as np

from whygen.stats.seeds import generator
from whygen.types import digest

COMMON = (
    "Adams", "Baker", "Clara", "Dalton", "Edith", "Foster", "Grace", "Harris", "Irene", "Jonas", "Keller", "Laura",
    "Mason", "Nora", "Oscar", "Parker", "Quinn", "Robert", "Sarah", "Turner", "Ursula", "Victor", "Walter", "Yates",
    "Arnold", "Bianca", "Conrad", "Doris", "Elliot", "Felix", "Gordon", "Helena", "Ivan", "Julia", "Kevin", "Louise",
)  # fmt: skip
"""Names for texts in Latin letters where the anchors themselves hold few."""
ENOUGH = 3
"""Names of the anchors are enough if there are so many for each twin, and names of one size if there are so many."""
TRIES = 20
"""Draws for one twin, until it differs from those before."""
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_AFTER_END = re.compile(r"(?:^|[.!?…:;\"“”«»\n(\[]\s*|^\s+|[-–—*•]\s+)$")
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St)\.\s*$")
_NO_NAMES = frozenset({"I", "Mr", "Mrs", "Ms", "Dr"})


def names_in(text: str) -> list[tuple[int, int]]:
    """Characters ``[start, end)`` of names: capitalised words, wherever they stand, that once begin no sentence."""
    found = [(match.start(), match.end()) for match in _WORD.finditer(text)]
    capital = [(a, b) for a, b in found if _is_capitalised(text[a:b])]
    inside = {text[a:b] for a, b in capital if not _begins_sentence(text[max(0, a - 8) : a])}
    return [(a, b) for a, b in capital if text[a:b] in inside]


def _begins_sentence(before: str) -> bool:
    return _AFTER_END.search(before) is not None and not _TITLE.search(before)


def _is_capitalised(word: str) -> bool:
    return word[0].isupper() and any(letter.islower() for letter in word) and word not in _NO_NAMES


def name_pool(texts: Iterable[str]) -> tuple[str, ...]:
    """The names that texts hold, each once, in alphabetical order."""
    return tuple(sorted({text[a:b] for text in texts for a, b in names_in(text)}))


def make_twins(
    text: str,
    m: int,
    *,
    seed: int,
    names: Sequence[str] = (),
    size: Callable[[str], int] = len,
    avoid: Container[str] = (),
) -> tuple[str, ...]:
    """Up to m twins of a text, all different; none where it holds neither a number nor a name.

    A number or name that comes again in the text is exchanged for the same one each time. Twins depend on the text, the
    seed and the names alone, and not on the other texts that they are made with.

    Args:
        text: the original.
        m: how many.
        seed: of the choices.
        names: to choose from, such as `name_pool` gives.
        avoid: texts that are no twins, since the model may have seen them.
        size: of a name: its tokens, where the model tells; each token more costs a name likelihood.
    """
    spans = sorted([*(match.span() for match in _NUMBER.finditer(text)), *names_in(text)])
    if not spans:
        return ()
    pool = _pool(text, names, wanted=ENOUGH * m)
    rng = generator(seed, "twins", digest(text))
    found: dict[str, None] = {}
    for _ in range(m * TRIES):
        if (twin := _exchanged(text, spans, pool, rng, size)) != text and twin not in avoid:
            found.setdefault(twin)
        if len(found) == m:
            break
    return tuple(found)


def _pool(text: str, names: Sequence[str], *, wanted: int) -> list[str]:
    """Names in the script of the text's own; common ones besides where there are few, and it is Latin."""
    own = {text[a:b] for a, b in names_in(text)}
    scripts = {_script(name) for name in own}
    pool = [name for name in names if _script(name) in scripts]
    if len(pool) < wanted and "LATIN" in scripts:
        pool += [name for name in COMMON if name not in pool]
    return pool


def _script(word: str) -> str:
    return unicodedata.name(word[0], "UNKNOWN").split()[0]


def _exchanged(
    text: str,
    spans: Sequence[tuple[int, int]],
    pool: Sequence[str],
    rng: np.random.Generator,
    size: Callable[[str], int],
) -> str:
    """The text with all that stands at the spans exchanged."""
    instead: dict[str, str] = {}
    parts: list[str] = []
    at = 0
    for start, end in spans:
        old = text[start:end]
        if old not in instead:
            instead[old] = _other_number(old, rng) if old[0].isdecimal() else _other_name(old, pool, rng, size)
        parts += [text[at:start], instead[old]]
        at = end
    return "".join([*parts, text[at:]])


def _other_name(old: str, pool: Sequence[str], rng: np.random.Generator, size: Callable[[str], int]) -> str:
    """Another name, as many tokens long where there are enough such names."""
    others = [name for name in pool if name != old]
    alike = [name for name in others if size(name) == size(old)]
    others = alike if len(alike) >= ENOUGH else others
    return others[int(rng.integers(len(others)))] if others else old


def _other_number(old: str, rng: np.random.Generator) -> str:
    """Another number of as many digits of the same script: a year of its century, a day of the month, else any."""
    value, size = int(old), len(old)
    low, high = 10 ** (size - 1) if size > 1 and value >= 10 ** (size - 1) else 0, 10**size
    if size == 4 and 1500 <= value < 2100:
        low, high = value - value % 100, value - value % 100 + 100
    elif size == 2 and 10 <= value <= 31:
        low, high = 10, 32
    drawn = old
    while drawn == old:
        drawn = _drawn(low, high, size, rng)
        drawn = "".join(chr(ord(old[0]) - unicodedata.decimal(old[0]) + int(digit)) for digit in drawn)
    return drawn


def _drawn(low: int, high: int, size: int, rng: np.random.Generator) -> str:
    """A number of ``size`` digits; a long one digit by digit, since it fits no machine word."""
    if size <= 9:
        return f"{int(rng.integers(low, high)):0{size}d}"
    digits = [str(digit) for digit in rng.integers(0, 10, size=size)]
    return "".join([str(int(rng.integers(1, 10))) if low else digits[0], *digits[1:]])
