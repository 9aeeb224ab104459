"""`whygen mcp`: explanations as tools for programs that speak the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from whygen.calls import Budget, Rates, RunOptions, SharedBudget
from whygen.cli import common
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, made, option, with_options
from whygen.errors import MissingError, MissingExtraError
from whygen.models import ModelOptions

MOST_CALLS = 1024
"""Of one server, unless --max-calls says so."""


@with_options(Offers(Budget), Offers(Rates), Offers(RunOptions, but=("batch",)), Offers(ModelOptions))
def mcp(
    *,
    model: Annotated[
        list[str] | None,
        option(
            "What to explain", help="A model that clients may ask; may be given again.", autocompletion=complete_model
        ),
    ] = None,
    allow: Annotated[
        list[Path] | None,
        option("What to explain", help="A file or folder that clients may read: recorded calls, explanations."),
    ] = None,
    budget: Annotated[int, option("How much to spend", min=1, help="The most calls of one explanation.")] = 64,
    out: Annotated[
        Path | None, option("Where to write", "--out", "-o", help="Folder in which every explanation is saved.")
    ] = None,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    debug: common.Debug = False,
    given: Given,
) -> None:
    """Serve explanations to a client of the Model Context Protocol, over standard input and output."""
    del debug  # read by the outermost handler of errors
    try:
        from whygen.bridges.mcp_server import Bounds, server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("whygen"):
            raise
        raise MissingExtraError("whygen mcp", extra="mcp", package="mcp") from None
    if missing := [str(path) for path in allow or () if not path.exists()]:
        raise MissingError(f"--allow {missing[0]!r} is not there. Name a file or folder that is.")
    spending = made(Budget, {"max_calls": MOST_CALLS, **given})
    store = common.store_path(cache, no_cache)
    common.try_store(store)
    bounds = Bounds(
        models=tuple(model or ()), allowed=tuple(allow or ()), budget=budget, out=out, cache=store,
        run=made(RunOptions, given, spending=SharedBudget(spending), rates=made(Rates, given)),
        options=made(ModelOptions, given),
    )  # fmt: skip
    server(bounds).run("stdio")
