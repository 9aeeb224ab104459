"""The steps of one run: which earlier step's result, or whose words, led to each action.

Each step is explained by itself, from its own record: it was sent the results of all steps before it, and is sent them
again as they stand there. No tool is run, and no step is asked what it would do after another answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from whygen._arguments import typed
from whygen.errors import DataError
from whygen.prompt.why.words import listed
from whygen.records import Call, Recorded
from whygen.results.prompt import PromptExplanation
from whygen.results.why import PartTest, Why
from whygen.texts import counted
from whygen.types import Message, Output, ToolCall

NOT_RUN = "No tool was run again: each step was asked with the results that the record holds."

UNREAD = "unread-step"
"""The code of the notice that a call of a run could not be read."""

_RESULT = re.compile(r"tool result (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run.

    Attributes:
        number: of the step, from 1 on.
        call: its record.
        explanation: what led to what was answered.
        came_from: for each part that had a say, its name and the step that asked for it; None for what no step of the
            record asked for.
    """

    number: int
    call: Call
    explanation: PromptExplanation
    came_from: tuple[tuple[str, int | None], ...]

    @property
    def sentence(self) -> str:
        """What led to this step, and which step brought that."""
        why = self.explanation.why
        if why is None:
            return f"Step {self.number}: the answer is a text; its parts are in its own explanation."
        steps = sorted({step for _, step in self.came_from if step is not None})
        what = "That result was" if sum(step is not None for _, step in self.came_from) == 1 else "Those results were"
        where = f"step{'s' * (len(steps) > 1)} {listed([str(step) for step in steps])}"
        brought = f" {what} asked for by {where}." if steps else ""
        return f"Step {self.number}: {why.sentences[0]}{brought}"

    def to_json(self) -> dict[str, Any]:
        """Plain values: the explanation as everywhere, and where its parts come from."""
        return {
            "step": self.number,
            "sentence": self.sentence,
            "came_from": [{"part": name, "step": step} for name, step in self.came_from],
            "explanation": self.explanation.to_dict(),
        }


def run_of(calls: Sequence[Recorded], pick: Recorded | None) -> list[Call]:
    """The calls of the run to which one belongs, in the order in which they were sent.

    Where the record tells of no runs, those that begin with the same words of the user are one: a log may hold
    thousands of calls that have nothing to do with each other.

    Args:
        calls: of a file.
        pick: one of the run; None where all are to be of one.

    Raises:
        DataError: if they are of several runs and none was picked; or a call cannot be read.
    """
    calls = _in_time(calls)
    if pick is not None and pick.run:
        return _read([each for each in calls if each.run == pick.run], pick)[1]
    calls, read = _read(calls, pick)
    runs = {each.run for each in calls} - {""}
    begins = [each.run or _begins(call) for each, call in zip(calls, read, strict=True)]
    meant = begins[0] if pick is None else begins[calls.index(pick)]
    if pick is None and len(set(begins)) > 1:
        what = "runs" if runs else "conversations"
        raise DataError(
            f"The file holds calls of {len(set(begins)):,} {what}, and the steps of one are explained. Pick a call of "
            "it (--pick N, --pick ID, --pick last)."
        )
    return [call for call, begin in zip(read, begins, strict=True) if begin == meant]


def _read(calls: Sequence[Recorded], pick: Recorded | None) -> tuple[list[Recorded], list[Call]]:
    """Those that can be read, and what they hold; the first of them says that others are no steps.

    Raises:
        DataError: if none can be read, or not the one that was picked.
    """
    found: list[tuple[Recorded, Call]] = []
    lost: list[DataError] = []
    for each in calls:
        try:
            found.append((each, each.call()))
        except DataError as error:
            if each is pick:
                raise
            lost.append(error)
    if not found:
        raise lost[0]
    if lost:
        (first, call), no_steps = found[0], "is no step" if len(lost) == 1 else "are no steps"
        text = f"{counted(len(lost), 'call')} of the run cannot be read, and {no_steps}: {lost[0]}"
        found[0] = first, replace(call, notices=(*call.notices, (UNREAD, text)))
    return [each for each, _ in found], [call for _, call in found]


def _begins(call: Call) -> str:
    """The first words of the user, by which calls of one conversation are known."""
    return next((turn.text for turn in call.chat.messages if turn.role == "user"), "")


_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")


def _in_time(calls: Sequence[Recorded]) -> list[Recorded]:
    """Oldest first, where all say when they were sent and in one way; logs are often newest first."""
    times = [each.time for each in calls]
    if all(time.replace(".", "", 1).isdecimal() and time.isascii() for time in times):
        return sorted(calls, key=lambda each: float(each.time))
    return sorted(calls, key=lambda each: each.time) if all(map(_DATE.match, times)) else list(calls)


def steps_in(call: Call) -> list[Call]:
    """The steps that one record holds: each earlier turn that called a tool, sent all that stood before it; itself."""
    turns = call.chat.messages
    earlier = [
        replace(
            call,
            chat=replace(call.chat, messages=turns[:place]),
            answer=Output(text=turn.text, calls=turn.calls),
        )
        for place, turn in enumerate(turns)
        if place and turn.role == "assistant" and turn.calls
    ]
    return [*earlier, call]


@typed("explained")
def steps_of(explained: Iterable[tuple[Call, PromptExplanation]]) -> list[Step]:
    """The steps of a run, each with where the parts that had a say come from."""
    found: list[Step] = []
    for number, (call, explanation) in enumerate(explained, start=1):
        earlier = [step.call for step in found]
        parts = tuple(
            (part.name, _asked_by(part, call, earlier))
            for part in ([] if explanation.why is None else _with_say(explanation.why))
        )
        found.append(Step(number=number, call=call, explanation=explanation, came_from=parts))
    return found


def _with_say(why: Why) -> list[PartTest]:
    return [part for part in why.parts if part.named]


def _asked_by(part: PartTest, call: Call, earlier: Sequence[Call]) -> int | None:
    """The step whose answer called the tool that gave this result; None where none of the record did."""
    match = _RESULT.match(part.name)
    if match is None:
        return None
    results = [message for message in call.chat.messages if message.role == "tool"]
    made = _call_behind(call.chat.messages, results[int(match[1]) - 1].answers)
    answers = [(number, step.answer) for number, step in enumerate(earlier, start=1) if step.answer is not None]
    asked = [(number, each) for number, answer in reversed(answers) for each in answer.calls]
    if made is None:
        return None
    return next((number for same in _SAME for number, each in asked if same(made, each)), None)


_NUMBERED = re.compile(r"call_\d+(?:_\d+)?")
"""Ids of calls that had none in the record: they are counted anew in each."""
_SAME: tuple[Callable[[ToolCall, ToolCall], bool], ...] = (
    lambda one, other: one.id == other.id and one.said == other.said,
    lambda one, other: bool(one.id) and one.id == other.id and not _NUMBERED.fullmatch(one.id),
    lambda one, other: one.said == other.said,
)
"""When two records mean one call, the surest first: services draw ids anew, and logs write arguments their own way."""


def _call_behind(messages: Sequence[Message], name: str) -> ToolCall | None:
    return next((call for message in messages for call in message.calls if name and call.id == name), None)
