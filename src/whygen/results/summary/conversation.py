"""A recorded call as a report shows it: the conversation as people know it, and for each part what it changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from whygen.report.texts import clip, shorten, visible
from whygen.results.prompt import PromptExplanation, Section
from whygen.results.summary.outcomes import MOST_BESIDE, Outcomes, outcomes, pretty
from whygen.results.summary.words import parts_of
from whygen.types import Chat, ToolCall

MOST_PART = 1_500
"""Characters of one part that are shown."""
MOST_TALK = 120_000
"""Characters of all parts."""
MOST_ARGUMENTS = 2_000

SPEAKERS = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool result"}


def conversation(explanation: PromptExplanation) -> dict[str, Any] | None:
    """The conversation; None of prompts that are no call: plain texts, and chats in words without tools."""
    record = explanation.chat
    if record is None or explanation.tree is not None or not explanation.units:
        return None
    chat = Chat.from_json(record.request)
    if not (parts_of(explanation) or chat.tools or any(message.calls or message.parts for message in chat.messages)):
        return None
    return _Talk(explanation, chat).told()


class _Talk:
    """A conversation while it is put together."""

    def __init__(self, explanation: PromptExplanation, chat: Chat) -> None:
        self.explanation = explanation
        self.chat = chat
        self.units = sorted(range(len(explanation.units)), key=lambda i: explanation.units[i].start)
        self.parts = parts_of(explanation)
        tested = () if explanation.why is None else explanation.why.parts
        self.marks = {part.unit: _marked(suspect=part.suspect, named=part.named) for part in tested}
        self.answers: Outcomes | None = outcomes(explanation)
        strongest = sorted(self.units, key=lambda i: -abs(explanation.units[i].attribution))
        self.beside = set(strongest[:MOST_BESIDE])
        self.left = MOST_TALK

    def told(self) -> dict[str, Any]:
        return {
            "tools": [self._tool(section) for section in self.explanation.sections if section.kind == "tool"],
            "turns": [*self._turns(), *self._images()],
            "answer": self._answer(),
        }

    def _tool(self, section: Section) -> dict[str, Any]:
        pieces = self._pieces(section)
        return {
            "name": visible(section.name.removeprefix("tool definition ")),
            "pieces": pieces,
            "sure": self._sure(pieces),
        }

    def _turns(self) -> Iterator[dict[str, Any]]:
        sections = [section for section in self.explanation.sections if section.kind == "message"]
        named = self._names()
        upto = 0
        for number, section in enumerate(sections):
            if section.start < upto:
                continue
            whole = next((i for i in self.units if self._over(i, section)), None)
            if whole is not None:
                upto = self.explanation.units[whole].end
                part = self._unit(whole)
                name = part["name"] or "example"
                yield {"role": "example", "name": name, "pieces": [part], "sure": self._sure([part])}
                continue
            pieces = self._pieces(section)
            text = self.explanation.prompt[section.start : section.end]
            yield {
                "role": section.name if section.name in SPEAKERS else "user",
                "name": visible(named.get(number, section.name)),
                "pieces": pieces,
                "sure": self._sure(pieces),
                "short": shorten(text[:400], 90),
            }

    def _images(self) -> list[dict[str, Any]]:
        """The pictures of all messages, or their regions, that are units: they stand below the transcript."""
        end = max(section.end for section in self.explanation.sections if section.kind == "message")
        pieces = [self._unit(i) for i in self.units if self.explanation.units[i].start >= end]
        if not pieces:
            return []
        return [{"role": "images", "name": "pictures in the messages", "pieces": pieces, "sure": self._sure(pieces)}]

    def _over(self, unit: int, section: Section) -> bool:
        """Whether a unit begins in a message and ends in a later one, as an example in two turns does."""
        found = self.explanation.units[unit]
        return section.start <= found.start < section.end < found.end

    def _names(self) -> dict[int, str]:
        """What each message is called: results of tools are counted, and told by the tool that gave them."""
        called = {call.id: call.name for message in self.chat.messages for call in message.calls if call.id}
        found: dict[int, str] = {}
        results = 0
        for number, message in enumerate(self.chat.messages):
            results += message.role == "tool"
            tool = called.get(message.answers)
            told = f"tool result {results}" + (f" ({tool})" if tool else "")
            found[number] = told if message.role == "tool" else SPEAKERS.get(message.role, message.role)
        return found

    def _pieces(self, section: Section) -> list[dict[str, Any]]:
        """A message or a tool in order: its units, its calls and images, and what is always sent."""
        marked = [
            (s.start, s.end, self._noted(s))
            for s in self.explanation.sections
            if s.kind in ("call", "image") and section.start <= s.start and s.end <= section.end
        ]
        held = [
            (unit.start, unit.end, self._unit(i))
            for i in self.units
            if section.start <= (unit := self.explanation.units[i]).start and unit.end <= section.end
        ]
        pieces: list[dict[str, Any]] = []
        place = section.start
        for start, end, piece in sorted([*marked, *held], key=lambda each: each[:2]):
            if start < place:
                continue
            pieces += self._text(place, start)
            pieces.append(piece)
            place = end
        return _runs([*pieces, *self._text(place, section.end)])

    def _text(self, start: int, end: int) -> list[dict[str, Any]]:
        text = self.explanation.prompt[start:end]
        if not text:
            return []
        shown, left_out = self._clipped(text)
        return [{"kind": "text" if text.strip() else "space", "text": shown, "left_out": left_out}]

    def _clipped(self, text: str) -> tuple[str, int]:
        shown, left_out = clip(text, max(0, min(MOST_PART, self.left)))
        self.left -= len(shown)
        return visible(shown), left_out

    def _noted(self, section: Section) -> dict[str, Any]:
        text = self.explanation.prompt[section.start : section.end]
        if section.kind == "image":
            return {"kind": "image", "text": visible(text), "left_out": 0}
        name = section.name.removeprefix("call of ")
        return call_card(ToolCall(name, text.removeprefix(f"[calls {name} ").removesuffix("]")))

    def _unit(self, unit: int) -> dict[str, Any]:
        """A unit: a part that opens on what it changed, or a word among others."""
        found = self.explanation.units[unit]
        part = self.parts.get((found.start, found.end))
        text, left_out = self._clipped(self.explanation.prompt[found.start : found.end])
        whole = part is not None or "\n" in found.text
        beside = self.answers.beside(unit) if self.answers is not None and whole and unit in self.beside else None
        return {
            "kind": "part" if whole else "unit",
            "unit": unit,
            "name": "" if part is None else visible(part.name),
            "mark": self.marks.get(unit, ""),
            "text": text,
            "left_out": left_out,
            "beside": beside,
        }

    def _sure(self, pieces: Sequence[dict[str, Any]]) -> bool:
        """Whether something in it is significant, or is said to have had a say, so that nothing hides it."""
        units, why = self.explanation.units, self.explanation.why
        named = {part.unit for part in why.parts if part.named} if why is not None else set[int]()
        inside: list[dict[str, Any]] = []
        for piece in pieces:
            inside += piece["pieces"] if piece["kind"] == "run" else [piece]
        held = [int(piece["unit"]) for piece in inside if "unit" in piece]
        return any(units[unit].significant is True or unit in named for unit in held)

    def _answer(self) -> dict[str, Any]:
        """What the model answered to the whole call: the first reference."""
        evidence = self.explanation.evidence
        samples = () if evidence is None else evidence.samples
        first = next((sample for sample in samples if sample.kind == "reference"), None)
        text = self.explanation.reference.text if first is None else first.output
        shown, left_out = clip(text, MOST_PART)
        calls = () if first is None else first.calls or ()
        return {
            "text": visible(shown),
            "left_out": left_out,
            "calls": [call_card(ToolCall.from_json(call)) for call in calls],
            "empty": not text.strip() and not calls,
        }


def _marked(*, suspect: bool, named: bool) -> str:
    """What the page says of a part that was tested for the action."""
    if suspect:
        return "accused" if named else "from outside, not accused"
    return "led to it" if named else ""


INLINE = ("unit", "text", "space")


def _runs(pieces: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pieces with words of a text in one run; what stands alone has no white space around it, nor commas of a list."""
    found: list[dict[str, Any]] = []
    for inline, group in groupby(pieces, key=lambda piece: piece["kind"] in INLINE):
        each = list(group)
        if inline and any(piece["kind"] == "unit" for piece in each):
            found.append({"kind": "run", "pieces": each})
            continue
        for piece in each:
            text = piece["text"].strip() if inline else ""
            if not inline:
                found.append(piece)
            elif text not in ("", ","):
                found.append({**piece, "text": text})
    return found


def call_card(call: ToolCall) -> dict[str, Any]:
    """A call of a tool: its name, and its arguments over several lines."""
    arguments, left_out = clip(pretty(call.arguments), MOST_ARGUMENTS)
    return {"kind": "call", "name": visible(call.name), "arguments": visible(arguments), "left_out": left_out}
