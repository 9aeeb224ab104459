"""Statements about an explanation that hold, fail or stay unknown, each with its error rate: assertions for tests.

They decide as `whygen.evaluation.check` does: a limit is kept where the whole 95% interval is on its side and broken
where all of it is on the other. A statement that the interval leaves open is *unknown*: it never passes because nobody
looked hard enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from whygen.errors import UnknownNameError, UsageError, WhygenError
from whygen.evaluation.check import DISCOVERIES, Checked, check
from whygen.evaluation.rules import Attribution, Rule, Sign
from whygen.prompt.units.pieces import is_called
from whygen.report.texts import decimals_for, listed, p_value, percent, quoted, signed
from whygen.results.prompt import PromptExplanation, UnitAttribution
from whygen.results.summary.words import headline, labels, names
from whygen.results.why import PartTest
from whygen.texts import counted

WITHIN: Final = 0.2
"""A suspect is cleared where it surely moves the action by less than this."""
_SHORT = re.compile(r"(tool|user|assistant|system|document|memory|example)\s*:\s*(\d+)", re.IGNORECASE)
_LONG: Final = {"tool": "tool result", "user": "user message", "assistant": "assistant message"}
MOST_LISTED = 12


class NotSoError(AssertionError):
    """A statement does not hold, or it cannot be told whether it does; the text says which, with the numbers."""


def fail_unknown(text: str) -> None:
    """What cannot be told counts as failed."""
    raise NotSoError(text)


class Explained:
    """An explanation that can be asserted about.

    Each method returns what was observed where its statement holds, and raises `NotSoError` where it does not.

    Args:
        explanation: of a prompt or a recorded call.
        on_unknown: called with a text where the interval leaves a statement open; it raises, skips or does nothing.
    """

    def __init__(self, explanation: PromptExplanation, on_unknown: Callable[[str], None] = fail_unknown) -> None:
        self.explanation, self._on_unknown = explanation, on_unknown

    def __repr__(self) -> str:
        return f"<Explained: {headline(self.explanation)}>"

    def drives(self, unit: str, *, more_than: float = 0.0) -> Checked:
        """That keeping a unit pulls the answer towards what the model said, by more than so much.

        Args:
            unit: its text, its name, or words that stand in it and in no other.
            more_than: in the unit of the target (``explanation.target.unit``).

        Raises:
            NotSoError: if it does not, or that cannot be told.
            UnknownNameError: if no unit is meant, or several are.
        """
        __tracebackhide__ = True
        much = f" by more than {more_than:g}" if more_than else ""
        return self._limit(unit, ">", more_than, f"drives the answer{much}", f"does not drive the answer{much}")

    def does_not_drive(self, unit: str, *, more_than: float) -> Checked:
        """That a unit pulls the answer towards what the model said by less than so much.

        It takes a margin: that something has no effect at all cannot be shown by any number of calls.

        Raises:
            NotSoError: if it does, or that cannot be told.
            UnknownNameError: if no unit is meant, or several are.
        """
        __tracebackhide__ = True
        what = f"the answer by more than {more_than:g}"
        return self._limit(unit, "<", more_than, f"drives {what}", f"drives {what}")

    def not_suspect(self, part: str, *, more_than: float = WITHIN) -> Checked:
        """That a part of a recorded call did not make the model act.

        It fails where the part is accused, at 5% false discovery over the suspects. It holds where the part is not, and
        surely moves the action by less than ``more_than`` (of 1: from never to always).

        Args:
            part: its name, such as ``tool result 3``, or ``tool:3``; ``tool result`` are all of them.
            more_than: the margin.

        Raises:
            NotSoError: if it is accused, or neither can be told.
            UsageError: if the explanation asks about no action.
            UnknownNameError: if there is no such part.
        """
        __tracebackhide__ = True
        found = self._parts(part)
        accused = [each for each in found if each.named]
        rule = f"not suspect {part!r}"
        if accused:
            worst = max(each.p_value or 0.0 for each in accused)
            text = (
                f"{listed([each.name for each in accused])} made the model act (p {_p(worst)}, at 5% false discovery "
                f"over the suspects)."
            )
            return self._told(Checked(rule=rule, verdict="fail", observed=text, error_rate=DISCOVERIES), text)
        each = [self._beyond(self.explanation.units[one.unit], "<", more_than) for one in found]
        open_ = [(one, seen) for one, seen in zip(found, each, strict=True) if seen.verdict != "pass"]
        if not open_:
            return each[0].model_copy(update={"rule": rule})
        one, seen = open_[0]
        text = (
            f"Unknown whether {one.name} made the model act: it is not accused (p {_p(one.p_value)}), and moves the "
            f"action by {_interval(self.explanation.units[one.unit])}, which is not surely less than {more_than:g}."
        )
        return self._told(seen.model_copy(update={"rule": rule, "verdict": "unknown"}), text)

    def holds(self, rule: str) -> Checked:
        """That a rule of ``whygen check`` is kept, such as ``fidelity >= 0.5``.

        Raises:
            NotSoError: if it is not, or that cannot be told.
            UsageError: if it has none of the forms of rules.
        """
        __tracebackhide__ = True
        try:
            found = check(self.explanation, [rule])[0]
        except WhygenError as error:
            raise error.with_traceback(None)  # noqa: B904 - a test shows its own line, not those of whygen
        word = "Unknown whether this is so" if found.verdict == "unknown" else "This is not so"
        return self._told(found, f"{word}: {found.rule}. Observed: {found.observed}.")

    def _limit(self, text: str, sign: Sign, limit: float, asked: str, failed: str) -> Checked:
        __tracebackhide__ = True
        unit = self._unit(text)
        found = self._beyond(unit, sign, limit)
        called, value = quoted(unit.text, 60), f"its attribution is {_interval(unit)}"
        if found.verdict == "unknown":
            return self._told(found, f"Unknown whether {called} {asked}: {value}, on both sides of {limit:g}.")
        return self._told(found, f"{called} {failed}: {value}.")

    def _beyond(self, unit: UnitAttribution, sign: Sign, limit: float) -> Checked:
        """A unit's attribution against a limit, by the rule of `check`."""
        alike = [each for each, name in self._named() if unit.text in (each.text, name)]
        text = f"unit {unit.text!r} attribution {sign} {limit:g}"
        rule = Rule(text, Attribution(unit.text, alike.index(unit) + 1, sign, limit))
        return check(self.explanation, [rule])[0]

    def _told(self, found: Checked, text: str) -> Checked:
        """The statement if it holds; else what is not so, or not known, is said."""
        __tracebackhide__ = True
        if found.verdict == "pass":
            return found
        whole = "\n".join([text, *self._about(found)])
        if found.verdict == "fail":
            raise NotSoError(whole)
        self._on_unknown(whole)
        return found

    def _about(self, found: Checked) -> list[str]:
        """What stands below every failure: how sure that is, what was found, and what more calls would buy."""
        explanation = self.explanation
        lines = [f"{headline(explanation)} ({explanation.model}, {counted(explanation.calls.asked, 'call')})"]
        if found.error_rate is not None:
            lines.insert(0, f"Such a verdict is wrong in at most {percent_of(found.error_rate)} of cases.")
        if found.verdict == "unknown" and explanation.advice:
            lines.append(explanation.advice)
        return lines

    def _named(self) -> list[tuple[UnitAttribution, str]]:
        return list(zip(self.explanation.units, names(self.explanation), strict=True))

    def _unit(self, text: str) -> UnitAttribution:
        """The unit that is meant.

        Raises:
            UnknownNameError: if none is.
            UsageError: if several are.
        """
        __tracebackhide__ = True
        exact = [unit for unit, name in self._named() if text in (unit.text, name)]
        inside = [unit for unit, _ in self._named() if text and text.casefold() in unit.text.casefold()]
        found = exact or inside
        if not found:
            raise UnknownNameError("unit", text, labels(self.explanation)[:MOST_LISTED])
        if len(found) > 1:
            told = listed([quoted(unit.text) for unit in found[:MOST_LISTED]])
            raise UsageError(
                f"{text!r} stands in {len(found)} units: {told}. Give more of one's text, or a rule that counts them: "
                f"holds(\"unit '{found[0].text}' #2 attribution > 0\")."
            )
        return found[0]

    def _parts(self, name: str) -> list[PartTest]:
        """The parts of a recorded call that are meant.

        Raises:
            UsageError: if nothing was asked about parts.
            UnknownNameError: if there is none of that name.
        """
        __tracebackhide__ = True
        why = self.explanation.why
        if why is None:
            raise UsageError(
                "not_suspect asks what made the model act, and this explanation asked about no action. Explain a "
                "recorded call: explained(pathlib.Path('call.json')); or a Chat with target='tool', units='part' and "
                "suspect=()."
            )
        wanted = _SHORT.sub(lambda found: f"{_LONG.get(found[1].lower(), found[1])} {found[2]}", name)
        found = [part for part in why.parts if is_called(part.name, wanted)]
        if not found:
            raise UnknownNameError("part", name, [part.name for part in why.parts])
        return found


def percent_of(rate: float) -> str:
    """A small share, such as 2.5%."""
    return f"{100 * rate:g}%"


def _interval(unit: UnitAttribution) -> str:
    """The attribution with its interval, as people read it."""
    if unit.low is None or unit.high is None:
        return f"{signed(unit.attribution, decimals_for(abs(unit.attribution)))} (no interval)"
    places = decimals_for(max(abs(unit.low), abs(unit.high)))
    limits = f"{signed(unit.low, places)} to {signed(unit.high, places)}"
    return f"{signed(unit.attribution, places)} ({percent(0.95)} interval {limits})"


def _p(value: float | None) -> str:
    return p_value(value) if value is None or value < 0.001 else f"= {p_value(value)}"
