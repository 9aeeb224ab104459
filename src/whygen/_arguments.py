"""Arguments at the doors: an option is declared once, shown by every editor, and refused in words where it is wrong.

A field of `PromptOptions` or `AnchorOptions` is annotated with an `Option`: what it says, where it stands, who reads
it. The signatures of the doors, their documentation and the command line are made from these fields.

What is checked are plain kinds, since most who call are not type-checked: numbers, texts, paths, lists, tuples of a
length, whygen's own small types, and protocols that an object can be held against. A hint that names anything else (a
callable, an array) is left to the code that knows it.
"""

from __future__ import annotations

import difflib
import errno
import functools
import inspect
import numbers
import os
import re
import textwrap
import types
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    ParamSpec,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from whygen.elsewhere import option_meant, value_meant
from whygen.errors import UsageError
from whygen.safe import SECRETS

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=type)


Panel: TypeAlias = Literal[
    "What to explain", "What to measure", "How much to spend", "Where to write",
    "For experts: the question", "For experts: the estimate", "For experts: the answers", "For experts: the samples",
    "For experts: the model", "For experts: the run",
]  # fmt: skip
"""Where the command line's help shows an option. The first four hold what most people need."""


@dataclass(frozen=True, slots=True)
class Option:
    """What is declared of an option, beside its name, its type and its default.

    Attributes:
        help: what it says or takes, for the command line and the documentation; ``{names}`` stands for the names that
            its type allows.
        more: what the documentation says besides.
        panel: where the command line's help shows it.
        read_by: the doors that read it beside `explain_prompt` or `explain_anchors`; the others refuse it.
        flag: what the command line calls it, where that is not its name.
    """

    help: str
    more: str = ""
    panel: Panel = "For experts: the estimate"
    read_by: frozenset[str] = frozenset()
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An option as it was declared: a field of a frozen object with an `Option` in its annotation."""

    name: str
    hint: Any
    default: Any
    option: Option

    @property
    def help(self) -> str:
        """What the command line says of it."""
        names = list(names_of(self.hint))
        last = f" or {names.pop()}" if len(names) > 1 else ""
        return self.option.help.replace("{names}", ", ".join(names) + last)

    @property
    def text(self) -> str:
        """What the documentation says of it."""
        return f"{self.help} {self.option.more}".strip()


@functools.cache
def declared(cls: type) -> Mapping[str, Declared]:
    """The options that a class of frozen objects declares, by name, in their order."""
    base = cls.__base__
    inherited: Mapping[str, Declared] = {} if base is None or not is_dataclass(base) else declared(base)
    hints = get_type_hints(cls, include_extras=True)
    found: dict[str, Declared] = {}
    for field in fields(cls):
        hint = hints[field.name]
        hint, *said = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        option = next((each for each in said if isinstance(each, Option)), None)
        if option is None and field.name in inherited:  # a type that was narrowed or widened
            option = inherited[field.name].option
        if option is not None:
            found[field.name] = Declared(name=field.name, hint=hint, default=field.default, option=option)
    return types.MappingProxyType(found)


def read_by(cls: type, door: str) -> frozenset[str]:
    """The names of the options that a door reads."""
    return frozenset(name for name, each in declared(cls).items() if door in each.option.read_by)


def names_of(hint: object) -> tuple[str, ...]:
    """The words that a type allows by name: those of its `Literal`s."""
    if get_origin(hint) is Literal:
        return tuple(value for value in get_args(hint) if isinstance(value, str))
    inside = get_args(hint) if get_origin(hint) in (Union, types.UnionType, Annotated) else ()
    return tuple(dict.fromkeys(name for part in inside for name in names_of(part)))


def documented(cls: C) -> C:
    """A decorator: the documentation of a class of options tells of each of them."""
    cls.__doc__ = f"{(cls.__doc__ or '').rstrip()}\n\n    Attributes:\n{_entries(declared(cls).values(), indent=8)}"
    return cls


def _shown(cls: type, door: str | None) -> list[Declared]:
    """The options that a door shows: those that it reads, or all of them."""
    return [each for each in declared(cls).values() if door is None or door in each.option.read_by]


def _entries(options: Iterable[Declared], *, indent: int, but: Container[str] = ()) -> str:
    return "\n".join(
        textwrap.fill(
            f"{each.name}: {each.text}", 120, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4)
        )
        for each in options
        if each.name not in but
    )


class Texts:
    """Stands for a list of texts among kinds."""


@dataclass(frozen=True, slots=True)
class TupleKind:
    """Stands for a tuple among kinds: what each of its parts may be, or, if it may have any length, all of them."""

    parts: tuple[tuple[Kind, ...], ...]
    endless: bool = False


Kind: TypeAlias = "type | TupleKind"

_WORDS: Mapping[object, str] = {
    int: "a whole number", float: "a number", str: "a str", bool: "True or False", Path: "a path", type(None): "None",
    Texts: "a list of str", Sequence: "a list", Mapping: "a dict", bytes: "bytes",
}  # fmt: skip
MOST = 10**1000
"""No count and no seed is as large, and Python does not write out much larger numbers."""
_NO_PATH: Mapping[int | None, str] = {
    errno.ENAMETOOLONG: "its name is longer than this file system takes",
    errno.ELOOP: "its links lead round in a circle",
    errno.EINVAL: "this system has no such names",
}  # fmt: skip
"""Why nothing can be at a path, whatever is made or mended there."""


def typed(
    *own: str, options: type | None = None, door: str | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator: the function refuses arguments of the wrong kind before its first line runs.

    Args:
        *own: names of arguments that the function checks itself, since it has more to say of them.
        options: the class whose options the function takes as ``**choices``: they stand in its signature, where
            notebooks and ``help`` find them, and in its documentation.
        door: takes only those of them that this door reads.

    Raises:
        UsageError: naming the argument, what it was, and what is taken; what is not known or missing likewise.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        if options is not None:
            signature = _with_options(signature, options, door)

        @functools.wraps(function)
        def checking(*args: P.args, **kwargs: P.kwargs) -> T:
            kinds = kinds_of(function)
            for name, value in bound(function, signature, args, kwargs).items():
                if name in kinds and name not in own:
                    _check(name, value, kinds[name])
            return function(*args, **kwargs)

        if options is not None:
            checking.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue] - inspect reads it
            shown = _shown(options, door)
            entries = _entries(shown, indent=8, but=inspect.signature(function).parameters) + "\n"
            checking.__doc__ = _CHOICES.sub(lambda _: entries, function.__doc__ or "", count=1)
        return checking

    return decorate


_CHOICES = re.compile(r"^        \*\*choices:.*\n(?:            .*\n)*", re.MULTILINE)
"""What a docstring says of the options together, where each of them is to stand."""


def _with_options(signature: inspect.Signature, options: type, door: str | None) -> inspect.Signature:
    """A signature with options by their names in the place of ``**choices``."""
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    taken = {each.name for each in own}
    keyword = inspect.Parameter.KEYWORD_ONLY
    more = [
        inspect.Parameter(each.name, keyword, default=each.default, annotation=each.hint)
        for each in _shown(options, door)
        if each.name not in taken
    ]
    return signature.replace(parameters=[*own, *more])


def told(cls: C) -> C:
    """A decorator for frozen objects that people make: a wrong argument is refused in words, not by a `TypeError`."""
    make: Callable[..., None] = cls.__init__
    signature = inspect.signature(make)

    @functools.wraps(make)
    def checking(self: object, /, *args: object, **kwargs: object) -> None:
        try:
            make(self, *args, **kwargs)
        except UsageError:
            raise
        except (TypeError, ValueError, AttributeError):
            kinds = kinds_of(cast("Callable[..., object]", cls))
            for name, value in bound(cls, signature, (self, *args), kwargs).items():
                if name in kinds:
                    _check(name, value, kinds[name])
            raise

    cls.__init__ = checking
    return cls


_ELSEWHERE: Mapping[str, tuple[str, str, frozenset[str]]] = {
    "settings": ("Settings", "whygen.types", frozenset({"temperature", "max_tokens", "top_p", "stop", "extra"})),
    "options": (
        "ModelOptions", "whygen.models",
        frozenset({"device", "dtype", "batch_size", "base_url", "endpoint", "timeout"}),
    ),
    "run": ("RunOptions", "whygen.calls", frozenset({"deadline", "batch", "name", "spending", "rates"})),
}  # fmt: skip
"""Arguments that hold others: their class, where it is, and what it takes."""
_SPENDING = {"max_cost": "money", "money": "money", "token_budget": "tokens", "tokens": "tokens", "calls": "calls"}
_RATES = frozenset({"requests_per_minute", "tokens_per_minute"})
_KEYS = re.compile(r"(?i)api_?key|(^|_)(key|secret|password)$|^(hf_)?token$")
"""What else people call a key; a name that ends in ``_token`` may be one of ``max_tokens``."""
_NEAR = 0.65


def bound(
    owner: Callable[..., object], signature: inspect.Signature, args: Sequence[object], kwargs: Mapping[str, object]
) -> Mapping[str, object]:
    """The arguments by name.

    Raises:
        UsageError: for one that is not known, is missing or is given twice: names what to write.
    """
    name = owner.__name__
    takes = _keywords(signature)
    for given, value in kwargs.items():
        if takes is not None and given not in takes:
            raise UsageError(_unknown(name, given, value, takes))
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        first = next(iter(signature.parameters), "")
        if first == "model" and len(args) == 1 and isinstance(args[0], str) and any(map(str.isspace, args[0])):
            text = f"{name} got the text {short(args[0])} and no model: the model comes first, such as "
            raise UsageError(f"{text}{name}('demo/storyteller', {short(args[0])}).") from None
        raise UsageError(f"{name}: {error}. It takes {_positional(signature)}; all else by name.") from None


def _keywords(signature: inspect.Signature) -> frozenset[str] | None:
    """Every keyword that is taken; None where any is."""
    names = {
        each.name
        for each in signature.parameters.values()
        if each.kind in {each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD} and each.name != "self"
    }
    endless = any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values())
    return None if endless else frozenset(names)


def _positional(signature: inspect.Signature) -> str:
    names = [
        each.name
        for each in signature.parameters.values()
        if each.kind is each.POSITIONAL_OR_KEYWORD and each.name != "self"
    ]
    return " and ".join(names) if names else "nothing by position"


def _unknown(owner: str, given: str, value: object, takes: frozenset[str]) -> str:
    """That an argument is not known, and what to write instead."""
    text = f"{owner} takes no argument {given!r}."
    for holder, (kind, where, fields_) in _ELSEWHERE.items():
        if holder in takes and given in fields_:
            return f"{text} Write {holder}={kind}({given}={short(value)}), with from {where} import {kind}."
    if "run" in takes and given in _SPENDING:
        inner = f"Budget({_SPENDING[given]}={short(value)})"
        return f"{text} Write run=RunOptions(spending={inner}), with from whygen.calls import Budget, RunOptions."
    if "run" in takes and given in _RATES:
        inner = f"Rates({given}={short(value)})"
        return f"{text} Write run=RunOptions(rates={inner}), with from whygen.calls import Rates, RunOptions."
    if SECRETS.fullmatch(given) or _KEYS.search(given):
        return f"{text} Keys come from the environment alone: set OPENAI_API_KEY, or that of the model's provider."
    near = difflib.get_close_matches(given, sorted(takes), n=1, cutoff=_NEAR)
    elsewhere = option_meant(given, takes) or (near[0], None) if near else option_meant(given, takes)
    if elsewhere is not None:
        name, says = elsewhere
        shown = short(value if says is None else says)
        return f"{text} Did you mean {name}={'...' if shown.endswith('...') or chr(10) in shown else shown}?"
    for holder, (kind, where, fields_) in _ELSEWHERE.items():
        meant = option_meant(given, fields_) if holder in takes else None
        near = difflib.get_close_matches(given, sorted(fields_), n=1, cutoff=_NEAR) if holder in takes else []
        if meant is not None or near:
            name, says = meant or (near[0], None)
            inner = f"{name}={short(value if says is None else says)}"
            return f"{text} Write {holder}={kind}({inner}), with from {where} import {kind}."
    return f"{text} It takes: {', '.join(sorted(takes))}."


def check_fields(thing: Any) -> None:
    """Refuse a frozen object some of whose fields are of the wrong kind; for its ``__post_init__``.

    Numbers of other kinds than Python's own, such as fractions, become floats: arrays compute with nothing else.

    Raises:
        UsageError: naming the field, what it was, and what is taken.
    """
    for name, kinds in _kinds_of_fields(cast("type[Any]", type(thing))):
        value = getattr(thing, name)
        _check(name, value, kinds)
        if float in kinds and isinstance(value, numbers.Real) and not isinstance(value, int | float):
            object.__setattr__(thing, name, float(value))


@functools.cache
def _kinds_of_fields(owner: type[Any]) -> tuple[tuple[str, tuple[Kind, ...]], ...]:
    kinds = kinds_of(cast("Callable[..., object]", owner))
    return tuple((field.name, kinds[field.name]) for field in fields(owner) if field.name in kinds)


@functools.cache
def kinds_of(owner: Callable[..., object]) -> dict[str, tuple[Kind, ...]]:
    """The kinds that each argument or field takes; those that cannot be told by kind are left out."""
    found = {name: _kinds(hint) for name, hint in hints_of(owner).items() if name != "return"}
    return {name: kinds for name, kinds in found.items() if kinds is not None}


def hints_of(owner: Callable[..., object]) -> dict[str, object]:
    """The hints of a function or a class; what is only imported for the type checker may be anything."""
    unknown: dict[str, object] = {}
    while True:
        try:
            return get_type_hints(owner, localns=unknown)
        except NameError as error:
            if error.name is None or error.name in unknown:
                return {}
            unknown[error.name] = object


def _kinds(hint: object) -> tuple[Kind, ...] | None:
    """The classes of a hint, a union taken apart; None where one of them is no plain class."""
    origin: Any = get_origin(hint)
    inside: tuple[Any, ...] = get_args(hint)
    if origin in (Union, types.UnionType):
        parts = [_kinds(part) or _protocol(part) for part in inside]
        return None if None in parts else tuple(kind for part in parts if part is not None for kind in part)
    if origin is Literal:
        return tuple({type(value) for value in cast("tuple[object, ...]", inside)})
    if origin is Sequence:
        return (Texts,) if inside == (str,) else (Sequence,)
    if origin is Mapping:
        return (Mapping,)
    if origin is tuple:
        endless = inside[-1] is ...
        within = [_kinds(part) for part in (inside[:-1] if endless else inside)]
        return None if None in within else (TupleKind(tuple(part for part in within if part is not None), endless),)
    if origin is not None or not isinstance(hint, type) or hint is object or getattr(hint, "_is_protocol", False):
        return None
    return (hint,)


def _protocol(hint: Any) -> tuple[Kind, ...] | None:
    """A protocol beside other kinds, where objects can be held against it; alone it is left to the code."""
    return (hint,) if isinstance(hint, type) and getattr(hint, "_is_runtime_protocol", False) else None


def _check(name: str, value: object, kinds: tuple[Kind, ...]) -> None:
    # Messages of chats are made by the thousand, and nearly all values are plainly of a kind that is asked for.
    if type(value) in kinds and type(value) is not int and Path not in kinds:
        return
    if not any(_is_of(value, kind) for kind in kinds):
        door = _as_list(name, value, kinds) or value_meant(
            name, value, [each.__name__ for each in kinds if isinstance(each, type)]
        )
        raise UsageError(f"{name} is {short(value)}, of type {type(value).__name__}: give {_worded(kinds)}.{door}")
    if Path in kinds and isinstance(value, str | Path) and (why := _no_path(value)):
        raise UsageError(f"{name} is {short(str(value))}, and nothing can be there: {why}. Give another path.")


def _as_list(name: str, value: object, kinds: tuple[Kind, ...]) -> str:
    """The line to type for a table, an array or a generator where a list is taken."""
    if Sequence not in kinds and Texts not in kinds:
        return ""
    for call in ("to_dicts()", "tolist()", "to_list()", "to_dict('records')"):  # polars, numpy, pandas
        if callable(getattr(value, call.partition("(")[0], None)) and getattr(value, "shape", None) != ():
            return f" Give {name}=data.{call}."
    columns = cast("Mapping[object, object]", value).values() if isinstance(value, Mapping) else ()
    if columns and all(isinstance(each, list) for each in columns):
        return f" Of columns, give {name}=[dict(zip(data, row)) for row in zip(*data.values())]."
    return f" Give {name}=list(data)." if isinstance(value, Iterator | set | frozenset) else ""


def _worded(kinds: tuple[Kind, ...]) -> str:
    allowed = list(dict.fromkeys(map(_word, kinds)))
    last = f" or {allowed.pop()}" if len(allowed) > 1 else ""
    return f"{', '.join(allowed)}{last}"


def _word(kind: Kind) -> str:
    if isinstance(kind, TupleKind):
        parts = [_worded(part) for part in kind.parts]
        return f"({', '.join(parts)}{', ...' if kind.endless else ''})"
    return _WORDS.get(kind) or f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"


def _is_of(value: object, kind: Kind) -> bool:
    if isinstance(kind, TupleKind):
        return isinstance(value, tuple | list) and _fits(cast("Sequence[object]", value), kind)
    if kind is int:
        return not isinstance(value, bool) and isinstance(value, numbers.Integral) and abs(int(value)) < MOST
    if kind is float:
        return not isinstance(value, bool) and isinstance(value, numbers.Real) and _is_float(value)
    if kind is Texts:
        return _is_of(value, Sequence) and all(isinstance(each, str) for each in cast("Sequence[object]", value))
    if kind is Sequence:  # one text is a sequence too, of its letters
        return isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return isinstance(value, kind)


def _fits(values: Sequence[object], row: TupleKind) -> bool:
    parts = row.parts * len(values) if row.endless else row.parts
    return len(values) == len(parts) and all(
        any(_is_of(value, kind) for kind in part) for value, part in zip(values, parts, strict=True)
    )


def _is_float(value: numbers.Real) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _no_path(path: str | Path) -> str:
    """Why nothing can be at a path; nothing where something is or may be made."""
    try:
        os.stat(path)
    except OSError as error:
        return _NO_PATH.get(error.errno, "")
    except ValueError as error:  # a zero byte, half a surrogate pair
        return str(error)
    return ""


def short(value: object) -> str:
    """A value for people, cut where it is long; what a stranger's object says of itself may be endless, or fail."""
    try:
        text = repr(value)
    except Exception:  # a RecursionError too, of what is nested without end
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:60]}..."
