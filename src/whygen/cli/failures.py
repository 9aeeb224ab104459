"""`whygen failures LOG`: which instruction costs an evaluation its failures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table
from rich.text import Text

from whygen.bridges.eval_samples import of_group, read_samples
from whygen.bridges.failures import Failures, explain_failures, forecast_failures, question_of, warned
from whygen.calls import Budget, Interrupted, Rates, RunOptions, SharedBudget
from whygen.cli import common
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, made, option, with_options
from whygen.cli.prompt import show_forecast
from whygen.errors import UsageError
from whygen.models import ModelOptions
from whygen.plugins import PYTHON, imported
from whygen.report.texts import p_value, shorten, signed
from whygen.results.files import REPORT, document_bytes, make_folder, write_together
from whygen.results.prompt import PromptExplanation
from whygen.results.summary import write_html
from whygen.safe import visible
from whygen.texts import counted

DOCUMENT = "failures.json"


@with_options(Offers(Budget), Offers(Rates), Offers(RunOptions, but=("batch",)), Offers(ModelOptions))
def failures(
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="A log of inspect_ai (.eval or JSON), or promptfoo's results.")
    ],
    *,
    model: Annotated[
        str | None,
        option(
            "What to explain",
            help="Ask this model instead of the one that the log names.",
            autocompletion=complete_model,
        ),
    ] = None,
    group: Annotated[
        str | None, option("What to explain", help="Of several models and prompts: which; that with the most failures.")
    ] = None,
    samples: Annotated[int, option("How much to spend", min=1, help="Failing samples to explain, at most.")] = 12,
    budget: Annotated[int, option("How much to spend", min=1, help="Calls a sample.")] = 32,
    scorer: Annotated[
        str | None, option("What to measure", help="Of inspect_ai's scorers in the log, which one.")
    ] = None,
    score: Annotated[
        str | None,
        option("What to measure", help="py/module:function of your own: (answer, sample's name) to a number."),
    ] = None,
    how: common.Shared,
    given: Given,
) -> None:
    """Explain which instruction costs the failing samples of an evaluation their score."""
    asked = question_of(of_group(read_samples(log, scorer), group), most=samples, score=_own(score))
    options = made(ModelOptions, given)
    foreseen = forecast_failures(model, asked, budget=budget, options=options)
    if how.dry_run:
        show_forecast(foreseen, as_json=how.as_json)
        return
    if not how.quiet:
        cost = "unknown" if foreseen.cost_at_most is None else f"at most ${foreseen.cost_at_most:,.4f}"
        size = f"{counted(len(asked.ready), 'failing sample')}, {counted(len(asked.instructions), 'instruction')}"
        common.say(f"{size}, {counted(foreseen.calls, 'call')}; cost: {cost}.")
    spending = SharedBudget(made(Budget, given))
    common.try_store(how.store)
    with common.made_folder(how.out):
        try:
            found = explain_failures(
                model, asked, budget=budget, each=_kept(how.out), cache=how.store, options=options,
                progress=how.progress(),
                run=made(RunOptions, given, spending=spending, rates=made(Rates, given)),
            )  # fmt: skip
        except Interrupted as stop:  # what was paid for is shown
            found = cast(Failures, stop.explanation)
        if how.out is not None:
            write_together(how.out, {DOCUMENT: document_bytes(found.model_dump(mode="json"))})
    if how.as_json:
        common.print_json(found.model_dump(mode="json"))
    elif not how.quiet:
        _show(found)
    if found.ended is not None:
        how.say_what_goes_on()
        raise typer.Exit(common.INTERRUPTED if found.ended == "interrupt" else common.ENDED_EARLY)


def _own(score: str | None) -> Any:
    """The function that ``--score`` names."""
    if score is None:
        return None
    if not score.startswith(PYTHON):
        raise UsageError(f"--score {score!r}: give py/module:function, a function of an answer and a sample's name.")
    return imported(score.removeprefix(PYTHON))


def _kept(out: Path | None) -> Any:
    """What becomes of the explanation of each sample: a folder with its report, where one is wanted."""
    done: list[str] = []

    def keep(name: str, found: PromptExplanation) -> None:
        done.append(name)
        if out is not None:
            folder = found.save(make_folder(out / f"sample-{len(done):03d}"))
            write_html(found, folder / REPORT)

    return keep


def _show(found: Failures) -> None:
    console = common.console_for_output()
    console.print(Text(visible(found.headline), style="bold"))
    table = Table("", "Instruction", "Effect on the score", "95% interval", "p", "Hurts", box=None, header_style="bold")
    for each in sorted(found.instructions, key=lambda one: one.effect):
        mark = "costs" if each.costs else "helps" if each.helps else ""
        limits = "–" if each.low is None else f"{signed(each.low, 2)} to {signed(each.high, 2)}"
        told = (mark, shorten(each.text, 60), signed(each.effect, 2), limits, p_value(each.p_value),
                f"{each.samples_hurt} of {len(found.samples)}")  # fmt: skip
        table.add_row(*(Text(cell) for cell in told))
    console.print(table)
    console.print(
        f"{found.failed_again} of {counted(len(found.samples), 'sample')} failed again with the whole prompt; "
        f"{counted(found.calls, 'call')}."
    )
    for why, many in found.skipped.items():
        console.print(Text(f"Left out: {visible(why)} ({many})."))
    if told := warned(found):
        console.print(Text(told))
