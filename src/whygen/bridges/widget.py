"""An explanation of a prompt as a widget of a notebook: click a word for the answers with it and without it, read the
answers by another target or estimand. No model is asked.

`anywidget <https://anywidget.dev>`_ carries it: the page side is ``widget.js`` beside this file, which shows what the
traits hold and sets the three that a person chooses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np

from whygen.errors import MissingExtraError, UsageError, WhygenError
from whygen.report.colours import FAINT, LEVELS, level_of, sign_of
from whygen.report.texts import visible
from whygen.results import PromptExplanation
from whygen.results.estimands import EstimandName
from whygen.results.summary import summarise
from whygen.results.summary.outcomes import Outcomes, outcomes

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise MissingExtraError("A widget", extra="notebook", package="anywidget") from error

_HERE: Final = Path(__file__).parent
_SHOWN: Final = ("headline", "noun", "level", "unit", "meaning", "by_size", "model")
_OF_UNIT: Final = ("short", "sign", "step", "mark", "significant", "attribution_text", "interval_text", "p_text")


class ExplanationWidget(anywidget.AnyWidget):
    """The widget of an explanation.

    Attributes:
        shown: what the page shows of the present reading.
        target: chosen by the person: the target to read by; "" for that of the explanation.
        estimand: chosen by the person: the estimand; "" for that of the explanation.
        unit: chosen by the person: the number of the unit that was clicked; -1 for none.
        beside: what the model did with that unit and without it; empty where none is chosen.
        by_sentence: whether the person asked which words brought each sentence of the answer.
        sentences: each sentence, and for every unit its sign, step and whether it is sure; empty before that.
        trouble: why the last choice could not be read; empty where it could.
        reading: the explanation that is shown, for the next cell.
    """

    _esm = _HERE / "widget.js"
    _css = _HERE / "widget.css"
    shown = traitlets.Dict().tag(sync=True)
    target = traitlets.Unicode("").tag(sync=True)
    estimand = traitlets.Unicode("").tag(sync=True)
    unit = traitlets.Int(-1).tag(sync=True)
    beside = traitlets.Dict().tag(sync=True)
    by_sentence = traitlets.Bool(False).tag(sync=True)
    sentences = traitlets.Any([]).tag(sync=True)
    trouble = traitlets.Unicode("").tag(sync=True)

    def __init__(self, explanation: object) -> None:
        if not isinstance(explanation, PromptExplanation):
            raise UsageError(
                "A widget shows an explanation of a prompt; of a model by anchors there is view('compact') and "
                "view('full')."
            )
        self._explanation = self.reading = explanation
        self._outcomes: Outcomes | None = outcomes(explanation)
        self._chosen = ("", "")
        super().__init__(shown=_told(explanation))
        self.observe(self._read_again, names=["target", "estimand"])
        self.observe(self._look_beside, names=["unit"])
        self.observe(self._split, names=["by_sentence"])

    def _read_again(self, change: object) -> None:
        del change
        chosen = (self.target.strip(), self.estimand)
        if chosen == self._chosen:  # both were set at once, and the first has read them
            return
        self._chosen = chosen
        self.trouble = ""
        target, estimand = (each or None for each in chosen)
        found = self._explanation
        try:
            self.reading = found if chosen == ("", "") else found.read(target=target, estimand=estimand)
        except WhygenError as error:
            self.trouble = str(error)
            return
        self.shown = _told(self.reading)

    def _look_beside(self, change: object) -> None:
        del change
        within = 0 <= self.unit < len(self._explanation.units)
        if not within or self._outcomes is None:
            self.beside = {}
            return
        # A unit that every mask kept, or none, has one side alone.
        self.beside = self._outcomes.beside(self.unit) or {"sentence": "No answer was asked for without it."}

    def _split(self, change: object) -> None:
        """Attributions to each sentence, read from the same answers."""
        del change
        if not self.by_sentence:
            self.sentences = []
            return
        try:
            found = self._explanation
            matrix = found.matrix or found.read(matrix="sentence").matrix
        except WhygenError as error:
            self.trouble = str(error)
            return
        if matrix is None:
            self.trouble = "The answer has no sentences to tell apart."
            return
        values, sure = matrix.array(), matrix.sure()
        largest = float(np.abs(values).max(initial=0.0))
        self.sentences = [
            {
                "text": visible(sentence.text),
                "units": [
                    [sign_of(value), level_of(value, largest, most=LEVELS if is_sure else FAINT), bool(is_sure)]
                    for value, is_sure in zip(values[:, column].tolist(), sure[:, column], strict=True)
                ],
            }
            for column, sentence in enumerate(matrix.sentences)
        ]


def _told(explanation: PromptExplanation) -> dict[str, Any]:
    """What the page needs of the summary of a report."""
    summary = summarise(explanation)
    reference = cast("dict[str, Any]", summary["reference"])
    return {
        **{name: summary[name] for name in _SHOWN},
        "pieces": [{name: piece[name] for name in ("kind", "text", "unit")} for piece in summary["pieces"]],
        "units": [{name: unit[name] for name in _OF_UNIT} for unit in summary["units"]],
        "facts": [{name: fact[name] for name in ("question", "figure", "caption")} for fact in summary["facts"]],
        "warnings": [warning["text"] for warning in summary["warnings"]],
        "answer": reference["text"],
        "target": explanation.target.name,
        "estimand": explanation.estimand,
        "estimands": list(get_args(EstimandName)),
        "targets": _readable(explanation),
    }


def _readable(explanation: PromptExplanation) -> list[str]:
    """Targets that read the same kind of answers, for the list below the field; anything may be typed."""
    from whygen._arguments import names_of
    from whygen.prompt.options import TargetName

    return list(dict.fromkeys([explanation.target.name, *names_of(TargetName)]))
