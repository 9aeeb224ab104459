"""Models that a bench is tried on: told when to wait, and when to break. Named ``py/bench_models:NAME``."""

from __future__ import annotations

import threading
import time
from collections import Counter

from whygen.media import pictures
from whygen.types import Edit, Picture

go = threading.Event()
"""While it is not set, `gated` answers nothing but the whole prompt."""
go.set()
slow = threading.Event()
"""While it is set, `gated` takes its time."""
breaks_at: list[int] = []
"""Calls of `fragile` after which it raises; empty when it is mended."""
asked: Counter[str] = Counter()
"""How often each prompt was sent."""
_sent: Counter[str] = Counter()
"""How many calls each model had: a run of another test may still go on."""
_lock = threading.Lock()


def reset() -> None:
    """As at the beginning."""
    go.set()
    slow.clear()
    breaks_at.clear()
    asked.clear()
    _sent.clear()


def _count(prompt: str, model: str) -> int:
    with _lock:
        asked[prompt] += 1
        _sent[model] += 1
        return _sent[model]


def _tell(prompt: str) -> str:
    what = "A fox crept through the wet grass." if "fox" in prompt else "A dog slept in the sun."
    where = "The harbor was grey." if "harbor" in prompt else "The hills were green."
    return f"{what} {where}"


def steady(prompt: str) -> str:
    """Answers at once."""
    _count(prompt, "steady")
    return _tell(prompt)


def homeless(prompt: str) -> str:
    """Like `steady`, and sees harbors everywhere."""
    return steady(f"{prompt} harbor")


def gated(prompt: str) -> str:
    """Answers the masks once it may."""
    if _count(prompt, "gated") > 3:
        go.wait(20)
    if slow.is_set():
        time.sleep(0.02)
    return _tell(prompt)


def fragile(prompt: str) -> str:
    """Raises from some call on, until it is mended."""
    if breaks_at and _count(prompt, "fragile") > breaks_at[0]:
        raise RuntimeError("the disk is full; key sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
    return _tell(prompt)


def talked(messages: list[dict[str, str]]) -> str:
    """Like `steady`, to a chat."""
    return steady(" ".join(each["content"] for each in messages))


def painter(edit: Edit) -> Picture:
    """Makes the sky dark for the word night, if there is a sky."""
    values = pictures.pixels(edit.picture)
    if "night" in edit.instruction:
        values[: len(values) // 2] //= 4
    return pictures.picture_of(values)


def hostile(prompt: str) -> str:
    """Answers with what a page must not take for markup, or obey."""
    _count(prompt, "hostile")
    return (
        f"<script>alert(1)</script> \u202e \x1b[31m {'<img src=x onerror=alert(1)>' if 'fox' in prompt else '&amp;'}."
    )
