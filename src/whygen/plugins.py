"""What others bring: entry points of installed packages, and ``py/package.module:callable``.

Every door of whygen has an entry point group of its own (`DOORS`), and all work alike:

- A name that whygen has itself stays whygen's; of two others the first by its value is taken, so that the order of
  installation changes nothing.
- Nothing is loaded before it is asked for. One that cannot be loaded says so in one sentence, whatever it raised, and
  harms no other.
- A class is taken for the object that it makes without arguments.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from whygen.errors import MissingError, MissingExtraError, UsageError, WhygenError
from whygen.safe import is_stop, says

MODELS: Final = "whygen.models"
TARGETS: Final = "whygen.targets"
OPERATORS: Final = "whygen.operators"
CRITERIA: Final = "whygen.criteria"
ENCODERS: Final = "whygen.encoders"
COMMANDS: Final = "whygen.commands"
DOORS: Final[Mapping[str, str]] = {
    MODELS: "provider", TARGETS: "target", OPERATORS: "operator", CRITERIA: "criterion", ENCODERS: "encoder",
    COMMANDS: "command",
}  # fmt: skip
"""The entry point groups, each with what messages call one of its kind."""
PYTHON: Final = "py/"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point.

    Attributes:
        group: the door it stands at, one of `DOORS`.
        name: what people type.
        value: what it loads, ``package.module:attribute``.
        package: the distribution that brings it, and what that says of itself.
    """

    group: str
    name: str
    value: str
    package: str = ""
    entry: metadata.EntryPoint = field(kw_only=True, repr=False, compare=False)

    @property
    def is_own(self) -> bool:
        """Whether whygen brings it itself, through the same door."""
        return self.value.startswith("whygen.")

    def load(self, read: Callable[[object], T]) -> T:
        """What `read` makes of what it loads.

        Raises:
            MissingError: if either raises anything at all, `SystemExit` included.
        """
        try:
            return read(self.entry.load())
        except BaseException as error:  # code of others, which may do anything
            if is_stop(error):
                raise
            raise MissingError(
                f"The {DOORS[self.group]} {self.name!r} is installed ({self.value}) and cannot be loaded: "
                f"{says(error)}. Install another version of its package, or ask its author."
            ) from error


@cache
def _found(group: str) -> tuple[Mapping[str, Plugin], tuple[Plugin, ...]]:
    """The plug-ins of a group by name, and those whose name was taken.

    Read once a process: installing a package needs a new one anyway.
    """
    taken: dict[str, Plugin] = {}
    left: list[Plugin] = []
    found = {(entry.name, entry.value): entry for entry in metadata.entry_points(group=group)}
    for name, value in sorted(found, key=lambda key: (not key[1].startswith("whygen."), key[1])):
        entry = found[name, value]
        said = "" if entry.dist is None else f"{entry.dist.metadata['Summary'] or ''} ({entry.dist.name})".strip()
        plugin = Plugin(group, name, value, said, entry=entry)
        if taken.setdefault(name, plugin) is not plugin:
            left.append(plugin)
    return dict(sorted(taken.items())), tuple(left)


def entries(group: str, own: Collection[str] = ()) -> Mapping[str, Plugin]:
    """The plug-ins of a group by name, but for names that whygen has itself."""
    return {name: plugin for name, plugin in _found(group)[0].items() if name not in own}


def left_out(group: str, own: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Plug-ins whose name is taken, each with a sentence that says so."""
    taken, left = _found(group)
    for plugin in [*(plugin for name, plugin in taken.items() if name in own), *left]:
        mine = plugin.name in own or taken[plugin.name].is_own
        whose = "whygen has one" if mine else f"{taken[plugin.name].value} is one"
        what = DOORS[plugin.group]
        yield plugin.name, f"The {what} {plugin.name!r} ({plugin.value}) is left out: {whose} of this name."


def _instance(found: object) -> object:
    """The object that a class makes without arguments; anything else as it is."""
    return found() if isinstance(found, type) else found


def brought(group: str, name: str, *, argument: str, read: Callable[[object], T] = _instance) -> T | None:
    """What an installed package, or ``py/package.module:callable``, brings under a name; None where nobody does.

    Args:
        group: the entry point group.
        name: as it was given.
        argument: what messages call it, such as ``target``.
        read: what is made of what was loaded.

    Raises:
        UsageError: if the path cannot be read, or its module or what it names raises.
        MissingError: if there is no such module or attribute, or an installed one cannot be loaded.
    """
    if not name.startswith(PYTHON):
        plugin = entries(group).get(name)
        return None if plugin is None else plugin.load(read)
    found = imported(name.removeprefix(PYTHON), argument=argument)
    try:
        return read(found)
    except BaseException as error:  # code of others, which may do anything
        if is_stop(error):
            raise
        what = f"is the class {found.__name__}, and making one without arguments" if isinstance(found, type) else "here"
        raise UsageError(f"{argument}={name!r} {what} raised {says(error)}. Name an object, or a function.") from error


def imported(name: str, *, argument: str = "model") -> object:
    """What ``package.module:attribute`` names; the working directory is looked in first.

    Args:
        name: without ``py/``.
        argument: what the messages call it.

    Raises:
        UsageError: if the name has no colon, or the module raises.
        MissingError: if there is no such module or attribute.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        stem, dot, last = re.sub(r"\.py$", "", name).replace("/", ".").rpartition(".")
        example = f"py/{stem}:{last}" if dot and not name.endswith(".py") else f"py/{last or 'my_module'}:function"
        raise UsageError(f"{argument}='py/{name}': write py/package.module:callable, such as {example}.")
    if module_name.endswith(".py"):
        module_name = module_name.removesuffix(".py").removeprefix("./").replace("/", ".")
        raise UsageError(f"{argument}='py/{name}' names a file. Name its module: py/{module_name}:{attribute}.")
    found = module_named(module_name)
    try:
        for part in attribute.split("."):
            found = cast(object, getattr(found, part))
    except AttributeError:
        raise MissingError(f"The module {module_name!r} has no {attribute!r}. {_has(found)}") from None
    return found


def _has(found: object) -> str:
    """What can be called of a module or an object, its own things first."""
    own = getattr(found, "__name__", "")
    things: Mapping[str, object] = getattr(found, "__dict__", {})
    names = [name for name, thing in things.items() if callable(thing) and not name.startswith("_")]
    names.sort(key=lambda name: getattr(things[name], "__module__", "") != own)
    return f"It has {', '.join(names[:5])}." if names else "It has nothing that can be called."


def module_named(name: str) -> object:
    """A module of the working directory, or an installed one.

    Raises:
        UsageError: if it raises while it is imported.
        MissingError: if there is none.
    """
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingError(
            f"The module {name!r} cannot be imported ({error}). It is looked for in the working directory and among "
            "the installed packages."
        ) from None
    except BaseException as error:  # it is the user's code, and may do anything
        if is_stop(error) or isinstance(error, MissingExtraError):  # of whygen's own modules, which say what to do
            raise
        raise UsageError(
            f"The module {name!r} raised {type(error).__name__} while it was imported ({says(error)}). Correct it, and "
            "try again."
        ) from error
    finally:
        if added:
            sys.path.remove(here)


def source_of(uri: str) -> dict[str, str] | None:
    """What identifies ``py/package.module:callable``: the digest of its module's source; None where it has none."""
    source = getattr(module_named(uri.removeprefix(PYTHON).partition(":")[0]), "__file__", None)
    return {"uri": uri, "source": hashlib.sha256(Path(source).read_bytes()).hexdigest()} if source else None


def identity(group: str, name: str) -> dict[str, str] | None:
    """What identifies a thing that others bring: the source of its module, or the version of its package."""
    if name.startswith(PYTHON):
        return source_of(name)
    plugin = entries(group).get(name)
    if plugin is None or plugin.entry.dist is None:
        return None
    return {"entry": plugin.value, "package": plugin.entry.dist.name, "version": plugin.entry.dist.version}


@dataclass(frozen=True, slots=True)
class NamedFunction:
    """A function by its name, with what identifies it: what it works out can be recorded."""

    function: Callable[..., Any]
    name: str
    identity: Mapping[str, str] | None

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


@contextmanager
def said_of(thing: object, what: str, *, advice: str = "") -> Generator[None, None, None]:
    """Inside, an object of somebody else is asked: what it raises is said of it, in one sentence.

    An object of whygen's own is let through: what that raises is a fault of ours, and is shown as one.

    Raises:
        UsageError: naming ``what`` raised, with ``advice``.
    """
    try:
        yield
    except BaseException as error:
        if is_stop(error) or isinstance(error, WhygenError) or is_own(thing):
            raise
        raise UsageError(f"{what} raised {says(error)}. {advice}".rstrip()) from error


def is_own(thing: object) -> bool:
    """Whether an object, or a function, is whygen's."""
    module = getattr(thing, "__module__", None) if callable(thing) else None
    return str(module or type(thing).__module__).partition(".")[0] == "whygen"


def already_imported(name: str) -> Any:
    """A module that somebody has imported, or None. One that another thread is importing just now is not there yet.

    What a person holds of a library cannot be older than the library; and half a module lacks the names of the rest.
    """
    module = sys.modules.get(name)
    importing = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return None if importing else module
