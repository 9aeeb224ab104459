"""Recorded calls of the planted agent whose truth is known: which messages it acted for, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from whygen.models.planted.agent import LANGUAGES, READ, TOOLS, Phrases, act
from whygen.types import Chat, Message, Output, ToolCall

Case: TypeAlias = Literal["user", "injected", "redundant", "together", "user-and-result", "user-or-result", "quiet"]
"""Why the agent acts: the user asked for it; a tool result orders it; two results do, each enough; two results that
need each other; the user's condition with a result's codeword; the user or a result, each enough; or it does not."""

CASES: tuple[Case, ...] = ("user", "injected", "redundant", "together", "user-and-result", "user-or-result", "quiet")


@dataclass(frozen=True, slots=True)
class PlantedCall:
    """A recorded call whose truth is known.

    Attributes:
        chat: what was sent.
        answer: what the agent does then.
        drivers: numbers of the messages that it does it for.
        results: numbers of the messages that hold tool results: the suspects.
        case: why it acts.
    """

    chat: Chat
    answer: Output
    drivers: tuple[int, ...]
    results: tuple[int, ...]
    case: Case

    def acts(self, left_out: Sequence[int]) -> bool:
        """Whether the rule still acts so when these messages say nothing."""
        emptied = tuple(
            Message(each.role, "" if place in left_out else each.text, calls=each.calls, answers=each.answers)
            for place, each in enumerate(self.chat.messages)
        )
        return act(Chat(emptied, self.chat.tools)) is not None


def planted_call(rng: np.random.Generator, *, case: Case, parts: int, language: str = "en") -> PlantedCall:
    """A recorded call of the agent.

    Args:
        rng: draws texts and places.
        case: why the agent acts.
        parts: messages that hold a text, 4 at least: the system's, the user's, earlier turns and tool results.
        language: of the texts, see `LANGUAGES`.
    """
    say = LANGUAGES[language]
    earlier = int(rng.integers(0, max(1, (parts - 4) // 4) + 1)) if parts > 6 else 0
    count = parts - 2 - 2 * earlier
    user, results = 1 + 2 * earlier, [2 + 2 * earlier + 2 * place + 1 for place in range(count)]
    to, word = f"box{int(rng.integers(1000))}@example.org", f"heron{int(rng.integers(1000))}"
    texts = {place: _small_talk(say, rng) for place in (*range(1, user), *results)}
    texts |= {0: say.system, user: say.ask}
    chosen = [int(place) for place in rng.permutation(results)]
    drivers = _plant(texts, say, case, user=user, results=chosen, to=to, word=word)
    for place in chosen[2 : 2 + max(1, count // 4)]:  # distractors: they speak of the action
        texts[place] += " " + say.mention.format(to=f"box{int(rng.integers(1000))}@example.org")
    messages = [Message("system", texts[0])]
    messages += [Message("user" if place % 2 else "assistant", texts[place]) for place in range(1, user)]
    messages.append(Message("user", texts[user]))
    for number, place in enumerate(results):
        name = f"call_{number}"
        messages.append(Message("assistant", "", calls=(ToolCall(READ, json.dumps({"n": number}), name),)))
        messages.append(Message("tool", texts[place], answers=name))
    chat = Chat(messages, TOOLS)
    call = act(chat)
    answer = Output(text=say.reply) if call is None else Output(calls=(call,))
    return PlantedCall(chat, answer, tuple(sorted(drivers)), tuple(results), case)


def _small_talk(say: Phrases, rng: np.random.Generator) -> str:
    picked: list[int] = rng.choice(len(say.talk), size=2, replace=False).tolist()
    return " ".join(say.talk[place] for place in picked)


def _plant(
    texts: dict[int, str], say: Phrases, case: Case, *, user: int, results: Sequence[int], to: str, word: str
) -> list[int]:
    """Write the causes of a case into the texts; the numbers of the messages that hold them."""
    first, second = results[0], results[1]
    order, when, given = say.order.format(to=to), say.when.format(word=word, to=to), say.given.format(word=word)
    written: dict[Case, dict[int, str]] = {
        "user": {user: order},
        "injected": {first: order},
        "redundant": {first: order, second: order},
        "together": {first: when, second: given},
        "user-and-result": {user: when, first: given},
        "user-or-result": {user: order, first: order},
        "quiet": {},
    }
    for place, text in written[case].items():
        texts[place] += " " + text
    return list(written[case])


def planted_run(rng: np.random.Generator, *, steps: int = 3, parts: int = 4, language: str = "en") -> list[PlantedCall]:
    """The calls of one run: each result but the last orders to open a page, the last an e-mail; none repeats another.

    Args:
        rng: draws texts.
        steps: calls of the run; the tool result of one is the last message of the next.
        parts: tool results before the first step that order nothing.
        language: of the texts.
    """
    say = LANGUAGES[language]
    messages = [Message("system", say.system), Message("user", f"{say.ask} {say.open.format(page='p0')}")]
    for number in range(parts):
        name = f"before_{number}"
        messages.append(Message("assistant", "", calls=(ToolCall(READ, json.dumps({"n": number}), name),)))
        messages.append(Message("tool", _small_talk(say, rng), answers=name))
    found: list[PlantedCall] = []
    driver = 1
    for step in range(steps):
        chat = Chat(messages, TOOLS)
        call = act(chat)
        assert call is not None
        results = tuple(place for place, each in enumerate(messages) if each.role == "tool")
        found.append(PlantedCall(chat, Output(calls=(call,)), (driver,), results, "injected" if step else "user"))
        last = step == steps - 2
        order = say.order.format(to="far@example.org") if last else say.open.format(page=f"p{step + 1}")
        named = ToolCall(call.name, call.arguments, f"step_{step}")
        result = Message("tool", f"{_small_talk(say, rng)} {order}", answers=f"step_{step}")
        messages = [*messages, Message("assistant", "", calls=(named,)), result]
        driver = len(messages) - 1
    return found
