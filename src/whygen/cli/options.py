"""The options of the commands, made of what the package declares: a parameter of Typer for each field with an `Option`.

A command writes down only what is its own. It takes the rest as ``given``: what was typed, by the names of the options;
an option that was not typed is not there, so that defaults and presets stand in one place.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from whygen._arguments import Declared, Panel, declared, names_of
from whygen.cli.names import completing

Given: TypeAlias = Mapping[str, Any]
T = TypeVar("T")
PANELS: Final[tuple[str, ...]] = get_args(Panel)
"""The panels of the help, in their order: what most people need comes first."""


@dataclass(frozen=True, slots=True)
class Offers:
    """Options that a command shows.

    Attributes:
        holder: the class that declares them.
        door: which of them: those that this door reads; all of them unless it is given.
        read: what makes a value of what was typed, by the option's name, where text alone is not what it takes.
        but: names of those that the command has in words of its own.
    """

    holder: type
    door: str | None = None
    read: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict[str, Callable[[Any], Any]])
    but: Iterable[str] = ()

    def options(self) -> list[Declared]:
        """Those of the declared ones that it offers."""
        return [
            each
            for each in declared(self.holder).values()
            if (self.door is None or self.door in each.option.read_by) and each.name not in self.but
        ]


def option(panel: Panel, *names: str, **more: Any) -> Any:
    """An option that belongs to a command alone, in a panel of its help."""
    return typer.Option(*names, rich_help_panel=panel, **more)


def with_options(*offered: Offers) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: the command has these options too, and gets those that were typed as ``given``.

    Where it takes ``how``, it has a parameter for each field of that dataclass as well, and gets them as one.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shared = get_type_hints(command).get("how")
        fields = _parameters(shared)
        readers = {key_of(each): _reader(each, part.read) for part in offered for each in part.options()}

        @functools.wraps(command)
        def called(**typed: Any) -> None:
            given = {
                name: readers[name](value)
                for name, value in typed.items()
                if name in readers and value is not None and value != []
            }
            own = {name: value for name, value in typed.items() if name not in readers}
            if shared is not None:
                own["how"] = shared(**{each.name: own.pop(each.name) for each in fields})
            command(**own, given=given)

        called.__signature__ = _signature(command, fields, offered)  # pyright: ignore[reportAttributeAccessIssue]
        return called

    return decorate


def made(holder: Callable[..., T], given: Given, **more: Any) -> T:
    """An object of a class of options, of what was typed of them; ``more`` is what the command adds."""
    options = declared(cast(type, holder)).values()
    return holder(**{each.name: given[key_of(each)] for each in options if key_of(each) in given} | more)


def chosen(offered: Offers, given: Given) -> dict[str, Any]:
    """What was typed of the options of one class, as keywords of the function that takes them."""
    return {each.name: given[key_of(each)] for each in offered.options() if key_of(each) in given}


def key_of(each: Declared) -> str:
    """The name of its parameter: what the command line calls it."""
    return each.option.flag.removeprefix("--").replace("-", "_") or each.name


def _parameters(shared: type | None) -> list[inspect.Parameter]:
    return [] if shared is None else list(inspect.signature(shared, eval_str=True).parameters.values())


def _signature(
    command: Callable[..., None], shared: Sequence[inspect.Parameter], offered: Sequence[Offers]
) -> inspect.Signature:
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.name not in {"given", "how"}] + [*shared]
    more = [_parameter(each, part.read) for part in offered for each in part.options()]
    first = [each for each in own if each.kind is not each.KEYWORD_ONLY]
    rest = [*(each for each in own if each.kind is each.KEYWORD_ONLY), *more]
    return signature.replace(parameters=[*first, *sorted(rest, key=_place)])


def _place(parameter: inspect.Parameter) -> int:
    """Of its panel; an option without one comes last."""
    panels = [each.rich_help_panel for each in get_args(parameter.annotation) if isinstance(each, OptionInfo)]
    return PANELS.index(panels[0]) if panels and panels[0] in PANELS else len(PANELS)


def _parameter(each: Declared, read: Mapping[str, Callable[[Any], Any]]) -> inspect.Parameter:
    info = typer.Option(
        each.option.flag or f"--{each.name.replace('_', '-')}",
        help=each.help,
        rich_help_panel=each.option.panel,
        autocompletion=completing(each.name, names_of(each.hint)),
    )
    kind: Any = _typed(each.hint) if each.name not in read else _first_hint(read[each.name])
    return inspect.Parameter(
        key_of(each), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, info]
    )


def _reader(each: Declared, read: Mapping[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    return read.get(each.name) or (tuple if get_origin(each.hint) is tuple else _same)


def _same(value: Any) -> Any:
    return value


def _first_hint(function: Callable[[Any], Any]) -> Any:
    return next(iter(get_type_hints(function).values()))


def _typed(hint: object) -> Any:
    """What the parser makes of what was typed: a list, a path or a number where nothing else is taken, else a text."""
    kinds = _kinds(hint) - {type(None)}
    if kinds == {list}:
        return list[str]
    for kind in (Path, bool, int, float):
        if kind in kinds and (kind is Path or kinds == {kind}):
            return kind
    return str


def _kinds(hint: object) -> set[object]:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return {kind for part in get_args(hint) for kind in _kinds(part)}
    if origin is Literal:
        return {type(value) for value in get_args(hint)}
    return {list} if origin in (Sequence, tuple) else {hint}
