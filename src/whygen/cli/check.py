"""`whygen check DIR RULE`: a gate for continuous integration on a saved explanation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from whygen.cli import common
from whygen.evaluation.check import Checked
from whygen.evaluation.check import check as check_all
from whygen.evaluation.rules import FORMS, Rule, read_rule, read_rules
from whygen.report.texts import visible

FAILED = 1

_STYLES = {"pass": "green", "fail": "red", "unknown": "yellow"}


def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    first: Annotated[list[str] | None, typer.Argument(metavar="[RULE]...", help="Rules, as of --rule.")] = None,
    *,
    rule: Annotated[list[str] | None, typer.Option(help="A rule; may be given again.")] = None,
    rules: Annotated[Path | None, typer.Option(help="A file of rules: one a line, or TOML with rules = [...].")] = None,
    unknown: Annotated[
        Literal["fail", "pass"], typer.Option(help="What a rule counts as that the interval leaves open.")
    ] = "fail",
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
) -> None:
    """Check a saved explanation against rules. Exit code 0: all hold; 1: one does not; 2: a rule cannot be read."""
    del debug
    read: list[Rule] = [read_rule(text) for text in [*(first or ()), *(rule or ())]]
    if rules is not None:
        read += read_rules(rules)
    found = check_all(directory, read)
    held = all(each.verdict == "pass" or (each.verdict == "unknown" and unknown == "pass") for each in found)
    if as_json:
        common.print_json({"held": held, "rules": [each.model_dump(mode="json") for each in found]})
    elif not quiet:
        _show(found)
    if not held:
        raise typer.Exit(FAILED)


check.__doc__ = f"{check.__doc__}\n\n\b\nForms of rules:\n{FORMS}"


def _show(found: tuple[Checked, ...]) -> None:
    console = common.console_for_output()
    for each in found:
        line = Text(f"{each.verdict:8}", style=_STYLES[each.verdict])
        line.append(f"{visible(each.rule)}   ", style="bold")
        line.append(visible(each.observed))
        if each.error_rate is not None:
            line.append(f"   wrong in at most {each.error_rate:.1%} of cases", style="dim")
        console.print(line, soft_wrap=True)
