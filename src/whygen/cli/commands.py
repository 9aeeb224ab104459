"""Finding commands: whygen's own, those of other packages (entry points of the group ``whygen.commands``), and
``py/package.module:callable``.

A command is a function that Typer can read, or a `typer.Typer` with commands of its own. It is loaded when it is
called: listing the commands imports none of them, so that help is there at once, and a package that cannot be loaded
costs nobody else anything.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import typer
from typer.core import TyperCommand, TyperGroup

from whygen import plugins
from whygen._arguments import Panel
from whygen.cli.outermost import Stopped
from whygen.errors import MissingError, UsageError, WhygenError
from whygen.safe import visible

OWN: Final[Mapping[str, str]] = {
    "demo": "Explain a real prompt to a language model, and what a VAE has learned; no network, under two minutes.",
    "prompt": "Explain which units of a prompt drove what the model answered.",
    "why": "Explain which part of a recorded call made the model answer, or act, as it did.",
    "failures": "Explain which instruction costs the failing samples of an evaluation their score.",
    "explain-many": "Explain many prompts or recorded calls, and write a page that lists them.",
    "trim": "Find the shortest prompt that is not worse over many inputs, and write it.",
    "edit": "Explain which words of an instruction, or which parts of a picture, changed what an editor made of it.",
    "anchors": "Explain which anchors a generative model knows, invents, half-knows or fails.",
    "read": "Read a saved explanation again by another target, estimand, threshold or selection. No model is asked.",
    "report": "Write the HTML report of a saved explanation and print its summary.",
    "view": "Show saved explanations in a browser: search, compare, look at the answers with and without a word.",
    "compare": "Compare two saved explanations: of a prompt unit by unit, or of two models by the same samples.",
    "evaluate": "Measure how good a saved explanation is, each figure beside its chance level.",
    "review": "Explain the prompts that changed between two commits, before and after, and say what does something "
    "else.",
    "check": "Check a saved explanation against rules. Exit code 0: all hold; 1: one does not; 2: a rule cannot be "
    "read.",
    "mcp": "Serve explanations to a client of the Model Context Protocol, over standard input and output.",
    "list": "List the names that options take: targets, units, operators, estimands, criteria, encoders.",
    "models": "List the providers of models and the names each one knows.",
    "doctor": "Check the installation: packages, keys (never shown), the store of recorded answers.",
    "cache": "The store of recorded answers.",
    "batch": "Batches under way at providers.",
}
"""Whygen's own commands, each in the file of `whygen.cli` of its name, with what the list says of it."""
RUN: Final[Panel] = "For experts: the run"
KEPT_APART: Final[Mapping[str, str]] = {"reproduce": "whygen-experiments", "ratings": "whygen-experiments"}
"""Commands of this project that a distribution of its own brings."""
MEANT: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("explain", "run", "ask", "attribute", "analyze", "analyse", "shap", "interpret", "chat"),
        "For one prompt: `whygen prompt MODEL PROMPT`; for many: explain-many; for a generative model: anchors.",
    ),
    "help": "Type `whygen --help`, or `whygen COMMAND --help`.",
    "version": "Type `whygen --version`.",
    "metrics": "Type `whygen list targets`.",
    **dict.fromkeys(("serve", "ui", "dashboard", "browse"), "To look at explanations: `whygen view`."),
}
"""Names of other tools' commands, where the nearest name of ours is not what is meant."""
EXAMPLES: Final[Mapping[str, str]] = {
    "prompt": 'whygen prompt demo/storyteller "Tell a story about a fox." -o fox',
    "edit": 'whygen edit demo/painter photo.png "make it night" -o night',
    "anchors": "whygen anchors demo/digits-vae -o digits",
    "why": "whygen why call.json --model openai/gpt-4o-mini -o why",
    "explain-many": "whygen explain-many prompts.txt --model demo/storyteller -o many",
}
"""What the short help of a command shows."""
MANY: Final = 5
"""So many options for experts, and more, are left to ``--help-all``."""
FIRST_SENTENCE: Final = re.compile(r"^(.+?[^.]\.)\s.*$", re.DOTALL)


class OneCommand(TyperCommand):
    """A command with a help of one screen: what most people need, in a sentence each. ``--help-all`` tells the rest."""

    _all: Any = None
    """The option ``--help-all``, once it was asked for: the parser tells options apart by identity."""

    def get_help_option(self, ctx: Any) -> Any:
        """It stands with the others of its kind, not in a panel of its own before them."""
        found = super().get_help_option(ctx)
        if found is not None and any(getattr(each, "rich_help_panel", None) for each in self.params):
            found.rich_help_panel = RUN  # pyright: ignore[reportAttributeAccessIssue] - the help reads it
        return found

    def get_params(self, ctx: Any) -> list[Any]:
        found: list[Any] = super().get_params(ctx)
        if self._all is None and self.add_help_option and self._left_out() >= MANY:
            self._all = copy(found[-1])
            self._all.name, self._all.opts = "help_all", ["--help-all"]
            self._all.help, self._all.callback = "Show every option and exit.", _show_all
        return found if self._all is None else [*found, self._all]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        shown = self._in_short(ctx.command_path) if self._left_out() >= MANY else self
        TyperCommand.format_help(shown, ctx, formatter)

    def _left_out(self) -> int:
        """How many options are for experts."""
        return sum(map(_is_for_experts, self.params))

    def _in_short(self, path: str) -> OneCommand:
        """The command as its short help shows it."""
        short = copy(self)
        short.params = [copy(each) for each in self.params if not _is_for_experts(each)]
        for each in short.params:
            told = getattr(each, "help", None) or ""
            each.help = FIRST_SENTENCE.sub(r"\1", told)  # pyright: ignore[reportAttributeAccessIssue]
        short.add_help_option, short._all = False, None
        example = f"Example: {EXAMPLES[self.name]}\n\n" if self.name in EXAMPLES else ""
        short.epilog = f"{example}{self._left_out()} more options, for experts: {path} --help-all"
        return short


def _is_for_experts(parameter: Any) -> bool:
    return (getattr(parameter, "rich_help_panel", None) or "").startswith("For experts")


def _show_all(ctx: Any, parameter: object, wanted: bool) -> None:
    """End the command as ``--help`` does, with every option."""
    del parameter
    if wanted and not ctx.resilient_parsing:
        TyperCommand.format_help(ctx.command, ctx, ctx.make_formatter())
        ctx.exit()


class Commands(TyperGroup):
    """Loads a command when it is called, and lets Ctrl-C through to `main`."""

    listing = False
    """Whether the commands are only listed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update({name: _listed(name) for name in [*OWN, *sorted(_entries())]})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) if self.listing else _called(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self.listing = False

    def make_context(self, *given: Any, **settings: Any) -> Any:
        with _stopped():
            return super().make_context(*given, **settings)

    def invoke(self, ctx: Any) -> Any:
        with _stopped():
            return super().invoke(ctx)


@contextmanager
def _stopped() -> Generator[None, None, None]:
    """Make an interrupt what the parser lets through: it would end with its code and no word."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Stopped(str(stop)) from stop


def _entries() -> Mapping[str, plugins.Plugin]:
    """Commands of other packages, under names that whygen does not use itself."""
    return plugins.entries(plugins.COMMANDS, OWN)


def _listed(name: str) -> Any:
    """What the list shows of a command: of another package, what that says of itself."""
    if name in OWN:
        return TyperCommand(name, help=OWN[name])
    return TyperCommand(name, help=visible(_entries()[name].package))


def _called(name: str) -> Any:
    """The command of a name, as the parser takes it; None where nobody has one.

    A command that cannot be loaded becomes one that says why.
    """
    if name in OWN:
        module = name.replace("-", "_")
        room = importlib.import_module(f"whygen.cli.{module}")
        return _read(name, getattr(room, "app", None) or getattr(room, module))
    if name.startswith(plugins.PYTHON):
        return plugins.brought(plugins.COMMANDS, name, argument="command", read=lambda found: _read(name, found))
    if name in _entries():
        try:
            return loaded(name)
        except MissingError as error:
            return _told(name, error)
    if name in KEPT_APART:
        package = KEPT_APART[name]
        why = f"`whygen {name}` is in the package {package}. Install it: pip install {package}"
        return _told(name, MissingError(why))
    if name in MEANT:
        return _told(
            name, UsageError(f"No such command {name!r}. {MEANT[name]} Run `whygen --help` for what there is.")
        )
    return None


def loaded(name: str) -> Any:
    """The command of another package.

    Raises:
        MissingError: if it cannot be loaded.
    """
    return _entries()[name].load(lambda found: _read(name, found))


def _read(name: str, made: object) -> Any:
    app = made if isinstance(made, typer.Typer) else _holding(name, made)
    found = typer.main.get_command(app)
    found.name = name
    for command in getattr(found, "commands", {"": found}).values():
        _refuse_empty_paths(command)
    return found


def _refuse_empty_paths(command: Any) -> None:
    """Have ``-o "$OUT"`` refused where the variable is not set: to Python an empty path is the current folder."""
    for each in command.params:
        annotation = getattr(getattr(each, "type_descriptor", None), "annotation", None)
        if isinstance(annotation, type) and issubclass(annotation, Path):
            each.process_value = partial(_not_empty, each, each.process_value)


def _not_empty(parameter: Any, process: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    if value == "" or (isinstance(value, list | tuple) and "" in value):
        name = max(parameter.opts, key=len) if parameter.opts[0].startswith("-") else parameter.name.upper()
        raise UsageError(
            f"{name} is empty. Give a path, '.' for the current folder; if it is a shell's variable, it is not set."
        )
    return process(context, value)


def _holding(name: str, function: object) -> typer.Typer:
    if not callable(function):
        raise TypeError(f"it is a {type(function).__name__}, not a function or a typer.Typer")
    app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
    app.command(name, cls=OneCommand)(cast(Callable[..., Any], function))
    return app


def _told(name: str, why: WhygenError) -> Any:
    """A command that takes whatever it is given, and says why it cannot run."""
    app = typer.Typer(add_completion=False)

    @app.command(
        name, add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )
    def tell() -> None:  # pyright: ignore[reportUnusedFunction] - Typer holds it
        raise why

    return typer.main.get_command(app)
