"""What others bring: entry points of installed packages, and ``py/package.module:callable``.

Every door of whygen has an entry point group of its own, and all work alike: of two entries of one name the first by
its value is taken, so that the order of installation changes nothing, and one that cannot be loaded says why and harms
no other. A name that whygen has itself stays whygen's.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final, cast

from whygen.errors import MissingError, UsageError
from whygen.safe import is_stop, says

TARGETS: Final = "whygen.targets"
CRITERIA: Final = "whygen.criteria"
COMMANDS: Final = "whygen.commands"
PYTHON: Final = "py/"


@cache
def entries(group: str) -> Mapping[str, metadata.EntryPoint]:
    """The entry points of a group by name, read once a process: installing a package needs a new one anyway."""
    found = sorted(metadata.entry_points(group=group), key=lambda entry: entry.value, reverse=True)
    return {entry.name: entry for entry in found}


def brought(group: str, name: str, *, argument: str) -> object | None:
    """What an installed package, or ``py/package.module:callable``, brings under a name; None where nobody does.

    Args:
        group: the entry point group.
        name: as it was given.
        argument: what messages call it, such as ``target``.

    Raises:
        UsageError: if it cannot be loaded, or the path cannot be read.
        MissingError: if there is no such module or attribute.
    """
    if name.startswith(PYTHON):
        return imported(name.removeprefix(PYTHON), argument=argument)
    entry = entries(group).get(name)
    if entry is None:
        return None
    try:
        return entry.load()
    except BaseException as error:  # code of others, which may do anything
        if is_stop(error):
            raise
        raise UsageError(
            f"{argument}={name!r} is installed ({entry.value}) and cannot be loaded: {type(error).__name__}: {error}. "
            "Install another version of its package, or ask its author."
        ) from error


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
        if is_stop(error):
            raise
        raise UsageError(
            f"The module {name!r} raised {type(error).__name__} while it was imported ({says(error)}). Correct it, and "
            "try again."
        ) from error
    finally:
        if added:
            sys.path.remove(here)
