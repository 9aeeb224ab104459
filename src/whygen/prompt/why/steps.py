"""The steps of one run: which earlier step's result, or whose words, led to each action.

Each step is explained by itself, from its own record: it was sent the results of all steps before it, and is sent them
again as they stand there. No tool is run, and no step is asked what it would do after another answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from whygen._arguments import typed
from whygen.prompt.why.words import listed
from whygen.records import Call, Recorded
from whygen.results.prompt import PromptExplanation
from whygen.results.why import PartTest, Why
from whygen.types import Message, Output, ToolCall

NOT_RUN = "No tool was run again: each step was asked with the results that the record holds."

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
        brought = f" That result was asked for by step {listed([str(step) for step in steps])}." if steps else ""
        return f"Step {self.number}: {why.sentences[0]}{brought}"

    def to_json(self) -> dict[str, Any]:
        """Plain values: the explanation as everywhere, and where its parts come from."""
        return {
            "step": self.number,
            "sentence": self.sentence,
            "came_from": [{"part": name, "step": step} for name, step in self.came_from],
            "explanation": self.explanation.to_dict(),
        }


def run_of(calls: Sequence[Recorded], pick: Recorded | None) -> list[Recorded]:
    """The calls of the run to which one belongs; all of them where the record tells of no runs."""
    run = "" if pick is None else pick.run
    return [each for each in calls if each.run == run] if run else list(calls)


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
    for number in range(len(earlier), 0, -1):
        answer = earlier[number - 1].answer
        if made is not None and answer is not None and any(_same(made, each) for each in answer.calls):
            return number
    return None


def _call_behind(messages: Sequence[Message], name: str) -> ToolCall | None:
    return next((call for message in messages for call in message.calls if name and call.id == name), None)


def _same(one: ToolCall, other: ToolCall) -> bool:
    """Whether two records mean one call: by its id where both have one."""
    return one.id == other.id if one.id and other.id else one == other
