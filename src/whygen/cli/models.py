"""`whygen models`: the providers, and the names that are taken."""

from __future__ import annotations

from rich.table import Table

from whygen.cli import common
from whygen.models import broken_providers, providers
from whygen.models.registry import known_names


def models(as_json: common.AsJson = False, debug: common.Debug = False) -> None:
    """List the providers of models and the names each one knows."""
    del debug
    found = providers()
    if as_json:
        common.print_json(
            {
                "providers": [
                    {"name": p.name, "summary": p.summary, "names": list(known_names(p))} for p in found.values()
                ]
            }
        )
        return
    table = Table("URI", "What it opens", "Known names", box=None, header_style="bold")
    for provider in found.values():
        table.add_row(f"{provider.name}/NAME", provider.summary, ", ".join(known_names(provider)) or "any")
    console = common.console_for_output()
    console.print(table)
    for why in broken_providers().values():
        console.print(why, markup=False, style="yellow")
    console.print("A provider's name always wins over a service of the same name.", style="dim")
