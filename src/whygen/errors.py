"""Everything whygen raises, in one tree.

```
WhygenError                      exit code 1: our failure, or one we did not foresee
├── UsageError                   2: an argument or an input that cannot work
│   ├── UnknownNameError         2: a name (unit, distance, provider ...) that nobody registered
│   ├── BudgetError              2: the budget is below what the method needs
│   └── DataError                2: data that cannot be used: not UTF-8, wrong shape, wrong range
├── MissingError                 3: something is not there: a key, a file, a package
│   └── MissingExtraError        3: an optional dependency; names the extra to install
├── ModelError                   4: the model failed in a way that no retry mends
│   └── NoNumberError            4: it gives NaN for some samples; says which
├── StoreError                   1: the store of recorded calls cannot be read or written
└── FormatError                  1: a saved file is damaged or newer than this version
```

Each message says which argument it was, what was given, what is allowed and what to do next.
The command line prints the message as one paragraph and exits with ``exit_code``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from importlib import util

from whygen.elsewhere import name_meant
from whygen.safe import clean


class WhygenError(Exception):
    """Base of every error that whygen raises on purpose.

    Its text may quote a server, a function or a file: keys are taken out, and control characters shown by name.
    """

    exit_code: int = 1

    def __str__(self) -> str:
        return clean(super().__str__())


class UsageError(WhygenError, ValueError):
    """An argument or an input that cannot work, however often it is tried."""

    exit_code = 2


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The known name that other tools call so, or that one looks most like, in capitals or not; None where none is."""
    plain = {name.casefold(): name for name in known}
    elsewhere = None if given.casefold() in plain else name_meant(given, plain.values())
    if elsewhere is not None:
        return elsewhere
    found = difflib.get_close_matches(given.casefold(), plain, n=1, cutoff=0.65)
    return plain[found[0]] if found else None


def meant(given: object, known: Iterable[str]) -> str:
    """The question whether the nearest name was meant, for the end of a sentence; empty where none is near."""
    near = nearest(given, known) if isinstance(given, str) else None
    return "" if near is None else f" Did you mean {near!r}?"


def none_of(name: str, given: object, known: Sequence[str]) -> UsageError:
    """That what was given is none of the names that an argument takes."""
    return UsageError(f"{name} is {given!r}; give one of {', '.join(known)}.{meant(given, known)}")


class UnknownNameError(UsageError):
    """A name that nobody registered; the message lists the nearest known ones.

    Args:
        what: what the name is of.
        given: the name.
        known: the names that there are.
        beside: what was given with it, such as the argument of a target: it stands behind the nearest one too.
        hint: what to type where no name is near.
    """

    def __init__(self, what: str, given: str, known: Iterable[str], *, beside: str = "", hint: str = "") -> None:
        names = sorted(known)
        near = nearest(given, names)
        whole = f"{near.partition(':')[0]}{beside}" if near and beside else near
        asked = f" Did you mean {whole!r}?" if whole else f" {hint}".rstrip()
        super().__init__(f"Unknown {what} {given!r}.{asked} Known: {', '.join(names)}.")
        self.given = given
        self.nearest = near


class BudgetError(UsageError):
    """The budget is below what the method needs; the message names the smallest that works."""

    def __init__(self, message: str, *, smallest: int) -> None:
        super().__init__(message)
        self.smallest = smallest


class DataError(UsageError):
    """Data that cannot be used as it is: not UTF-8, of the wrong shape, out of range."""


class MissingError(WhygenError):
    """Something that must be there is not: a key, a file, a server."""

    exit_code = 3


_WITH_TORCH = frozenset({"torch", "hf", "smol", "diffusion", "demo", "all"})
"""Extras of pyproject.toml that bring torch."""


class MissingExtraError(MissingError, ImportError):
    """An optional dependency is not installed; the message holds the command that installs it."""

    def __init__(self, feature: str, *, extra: str, package: str) -> None:
        text = f"{feature} needs the package {package!r}, which is not installed. "
        text += f"Install it with: pip install 'whygen[{extra}]'"
        if extra in _WITH_TORCH and util.find_spec("torch") is None:
            text += (
                ". Without a GPU, before that: pip install torch --index-url https://download.pytorch.org/whl/cpu "
                "(else pip takes torch for CUDA, some 5 GB more)"
            )
        super().__init__(text)
        self.extra = extra
        self.package = package


class ModelError(WhygenError):
    """The model failed in a way that no retry mends. Answers recorded before stay recorded."""

    exit_code = 4


class NoNumberError(ModelError):
    """The model gives no number for some samples: NaN, or an infinite value. Others may be in order."""

    def __init__(self, message: str, *, what: str = "", rows: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.what, self.rows = what, tuple(rows)


class StoreError(WhygenError):
    """The store of recorded calls cannot be read or written."""


class FormatError(WhygenError):
    """A saved file is damaged, or was written by a newer version of whygen."""
