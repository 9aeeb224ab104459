"""Asking a helping model for replacements: recorded like every other call, and an error that names the unit."""

from __future__ import annotations

from collections.abc import Sequence

from whygen.calls import Runner
from whygen.errors import ModelError, UsageError
from whygen.models import Model
from whygen.prompt.operators.base import Tools, shown
from whygen.types import Failure, Output, Request

_QUOTES = {'"': '"', "'": "'", "“": "”", "«": "»", "„": "“"}


class Helper:
    """A model that is asked for replacements. What it answered before, in this run or an earlier one, costs nothing."""

    def __init__(self, model: Model, tools: Tools, *, operator: str, option: str) -> None:
        self.model = model
        asker = tools.runner
        here = Runner(model, store=tools.store, progress=tools.progress) if asker is None else asker.beside(model)
        self._runner = here
        self._operator = operator
        self._option = option

    def ask(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self._runner.ask(requests, label=f"Asking for operator={self._operator!r}")

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self._runner.score(requests, label=f"Scoring for operator={self._operator!r}")

    def output(self, answer: Output | Failure, place: int, unit: str) -> Output:
        """The answer for one unit.

        Raises:
            ModelError: if there is none, it was refused or cut short, or it is empty; names the unit and the model.
        """
        if isinstance(answer, Failure):
            raise self.error(place, unit, f"{answer.kind}: {answer.sentence}")
        if answer.finish == "refused":
            raise self.error(place, unit, f"it refused: {answer.text.strip()[:200]!r}")
        if not answer.text.strip():
            raise self.error(place, unit, "its answer is empty")
        return answer

    def error(self, place: int, unit: str, why: str) -> ModelError:
        """That the model gave no replacement for a unit, and what to do."""
        return ModelError(
            f"{self.model.uri} gave no replacement for unit {place + 1}, {shown([unit])} ({why}). Name another model "
            f"with {self._option}=, pin this unit, or use operator='delete'. What was answered is recorded."
        )


def bare(answer: str) -> str:
    """An answer without white space and quotation marks around it."""
    text = answer.strip()
    if len(text) > 2 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        return text[1:-1].strip() or text
    return text


def filled(template: str, **parts: str) -> str:
    """A template with its ``{names}`` filled in, at once: what is filled in may hold braces of its own."""
    pieces: list[str] = []
    rest = template
    while rest:
        found = [(at, name) for name in parts if (at := rest.find(f"{{{name}}}")) >= 0]
        if not found:
            break
        at, name = min(found)
        pieces += [rest[:at], parts[name]]
        rest = rest[at + len(name) + 2 :]
    return "".join([*pieces, rest])


def check_template(template: str, *, needs: str, operator: str) -> None:
    """Refuse an instruction that does not say where the text goes.

    Raises:
        UsageError: naming what is missing.
    """
    if f"{{{needs}}}" not in template:
        raise UsageError(f"instruction={template[:60]!r} for operator={operator!r} must hold {{{needs}}}.")
