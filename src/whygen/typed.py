"""Refusing arguments of the wrong kind at the door, in words: most who call are not type-checked.

What is checked are plain kinds: numbers, texts, paths, lists of texts, and whygen's own small types. A hint that names
anything else (a protocol, a callable, an array) is left to the code that knows it.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import numbers
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from whygen.errors import UsageError

P = ParamSpec("P")
T = TypeVar("T")

_WORDS: Mapping[object, str] = {
    int: "a whole number", float: "a number", str: "a str", bool: "True or False", Path: "a path", type(None): "None",
    Sequence: "a list of str",
}  # fmt: skip


def typed(*own: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator: the function refuses arguments of the wrong kind before its first line runs.

    Args:
        *own: names of arguments that the function checks itself, since it has more to say of them.

    Raises:
        UsageError: naming the argument, what it was, and what is taken; what is not known or missing likewise.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checking(*args: P.args, **kwargs: P.kwargs) -> T:
            kinds = kinds_of(function)
            for name, value in _bound(function, signature, args, kwargs).items():
                if name in kinds and name not in own:
                    _check(name, value, kinds[name])
            return function(*args, **kwargs)

        return checking

    return decorate


C = TypeVar("C", bound=type)


def told(cls: C) -> C:
    """A decorator for frozen objects that people make: a wrong argument is refused in words, not by a `TypeError`."""
    make: Callable[..., None] = cls.__init__
    signature = inspect.signature(make)

    @functools.wraps(make)
    def checking(self: object, *args: object, **kwargs: object) -> None:
        try:
            make(self, *args, **kwargs)
        except TypeError:
            kinds = kinds_of(cast("Callable[..., object]", cls))
            for name, value in _bound(cls, signature, (self, *args), kwargs).items():
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
    "run": ("RunOptions", "whygen.runs", frozenset({"deadline", "batch", "spending", "rates"})),
}  # fmt: skip
"""Arguments that hold others: their class, where it is, and what it takes."""
_SPENDING = {"max_cost": "money", "money": "money", "token_budget": "tokens", "tokens": "tokens", "calls": "calls"}
_RATES = frozenset({"requests_per_minute", "tokens_per_minute"})
_NEAR = 0.65


def _bound(
    owner: Callable[..., object], signature: inspect.Signature, args: Sequence[object], kwargs: Mapping[str, object]
) -> Mapping[str, object]:
    """The arguments by name.

    Raises:
        UsageError: for one that is not known, is missing or is given twice: names what to write.
    """
    name = owner.__name__
    takes = _keywords(owner, signature)
    for given, value in kwargs.items():
        if takes is not None and given not in takes:
            raise UsageError(_unknown(name, given, value, takes))
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        first = next(iter(signature.parameters), "")
        if first == "model" and len(args) == 1 and isinstance(args[0], str) and any(map(str.isspace, args[0])):
            text = f"{name} got the text {_shown(args[0])} and no model: the model comes first, such as "
            raise UsageError(f"{text}{name}('demo/storyteller', {_shown(args[0])}).") from None
        raise UsageError(f"{name}: {error}. It takes {_positional(signature)}; all else by name.") from None


def _keywords(owner: Callable[..., object], signature: inspect.Signature) -> frozenset[str] | None:
    """Every keyword that is taken; None where any is."""
    names = {
        each.name
        for each in signature.parameters.values()
        if each.kind in {each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD} and each.name != "self"
    }
    for each in signature.parameters.values():
        if each.kind is each.VAR_KEYWORD:
            typed_dict = get_args(get_type_hints(owner).get(each.name)) or (None,)
            own = getattr(typed_dict[0], "__annotations__", None)
            if own is None:
                return None
            names |= set(own)
    return frozenset(names)


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
            return f"{text} Write {holder}={kind}({given}={_shown(value)}), with from {where} import {kind}."
    if "run" in takes and given in _SPENDING:
        inner = f"Budget({_SPENDING[given]}={_shown(value)})"
        return f"{text} Write run=RunOptions(spending={inner}), with from whygen.runs import Budget, RunOptions."
    if "run" in takes and given in _RATES:
        inner = f"Rates({given}={_shown(value)})"
        return f"{text} Write run=RunOptions(rates={inner}), with from whygen.runs import Rates, RunOptions."
    near = difflib.get_close_matches(given, sorted(takes), n=1, cutoff=_NEAR)
    if near:
        return f"{text} Did you mean {near[0]}={_shown(value)}?"
    return f"{text} It takes: {', '.join(sorted(takes))}."


def check_fields(thing: Any) -> None:
    """Refuse a frozen object some of whose fields are of the wrong kind; for its ``__post_init__``.

    Raises:
        UsageError: naming the field, what it was, and what is taken.
    """
    kinds = kinds_of(cast("Callable[..., object]", type(thing)))
    for field in fields(thing):
        if field.name in kinds:
            _check(field.name, getattr(thing, field.name), kinds[field.name])


@functools.cache
def kinds_of(owner: Callable[..., object]) -> dict[str, tuple[type, ...]]:
    """The kinds that each argument or field takes; those that cannot be told by kind are left out."""
    found = {name: _kinds(hint) for name, hint in get_type_hints(owner).items() if name != "return"}
    return {name: kinds for name, kinds in found.items() if kinds is not None}


def _kinds(hint: object) -> tuple[type, ...] | None:
    """The classes of a hint, a union taken apart; None where one of them is no plain class."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if (protocol := _optional_protocol(get_args(hint))) is not None:
            return (protocol, type(None))
        parts = [_kinds(part) for part in get_args(hint)]
        return None if None in parts else tuple(kind for part in parts if part is not None for kind in part)
    if origin is Literal:
        values: tuple[object, ...] = get_args(hint)
        return tuple({type(value) for value in values})
    if origin is Sequence and get_args(hint) == (str,):
        return (Sequence,)
    if origin is not None or not isinstance(hint, type) or hint is object or getattr(hint, "_is_protocol", False):
        return None
    return (hint,)


def _optional_protocol(parts: tuple[Any, ...]) -> type | None:
    """The protocol of ``Protocol | None``, where objects can be held against it."""
    others = [part for part in parts if part is not type(None)]
    checkable = len(others) == 1 < len(parts) and getattr(others[0], "_is_runtime_protocol", False)
    return others[0] if checkable else None


def _check(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if not any(_is_of(value, kind) for kind in kinds):
        allowed = list(dict.fromkeys(_WORDS.get(kind) or _named(kind) for kind in kinds))
        last = f" or {allowed.pop()}" if len(allowed) > 1 else ""
        raise UsageError(f"{name} is {_shown(value)}, of type {type(value).__name__}: give {', '.join(allowed)}{last}.")


def _named(kind: type) -> str:
    return f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"


def _is_of(value: object, kind: type) -> bool:
    if kind in (int, float):
        return not isinstance(value, bool) and isinstance(value, numbers.Integral if kind is int else numbers.Real)
    if kind is Sequence:  # of texts: one text is a sequence too, of its letters
        listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return listed and all(isinstance(each, str) for each in cast("Sequence[object]", value))
    return isinstance(value, kind)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
