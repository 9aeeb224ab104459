"""Verdicts of `whygen why` on calls of fourteen rules, by a model that shares nothing with the planted agent.

A rule says which marked sentences must be there for the model to pay: in the user's words, in the system's, in results
of a tool, in several of these, or in any of several. Texts are in five languages, calls have 2 to 20 results, and the
budget is 64 answers. With noise, so many answers are the other one, both ways. ``first``: a driver is the surest part.
``all``: every driver is named. ``idle``: a part without a say is named; ``accused``: one from outside. ``right``,
``wrong`` and ``open`` are the verdict's: a wrong one says something that is not so of whoever made the model act.
``short``: calls in which drivers are named and not all of them; ``rest told``: those of them that show that the action
comes without the named ones too.

    python -m benchmarks why_rules            # under ten minutes on one core
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import whygen
from benchmarks import record
from benchmarks.partial import Rows, arguments
from whygen.records import Call
from whygen.results.prompt import PromptExplanation
from whygen.results.why import Verdict
from whygen.stats.wilson import wilson
from whygen.types import Chat, JsonValue, Limits, Message, Output, Request, Tool, ToolCall

SEED, CALLS, BUDGET = 2011, 18, 64
NOISE = (0.0, 0.02, 0.1)


@dataclass(frozen=True, slots=True)
class Rule:
    """When the model pays.

    Attributes:
        ways: each enough: marks that must all be there. ``u`` stands in the user's words, ``s`` in the system's, other
            letters in a result each; ``!s`` must not be there.
        verdict: that is right.
        chance: of paying, whatever is sent; None where the ways decide.
    """

    ways: tuple[str, ...]
    verdict: Verdict
    chance: float | None = None

    @property
    def marks(self) -> str:
        """All of them, also those that keep the model from paying."""
        return "".join(sorted({mark for way in self.ways for mark in way if mark != "!"}))

    @property
    def drivers(self) -> str:
        """Those that lead to it in the whole request: what only keeps it from paying leads to nothing."""
        return "".join(mark for mark in self.marks if any(mark in way.replace(f"!{mark}", "") for way in self.ways))

    def pays(self, there: set[str]) -> bool:
        """Whether one of the ways is open."""
        for way in self.ways:
            banned = {way[place + 1] for place, mark in enumerate(way) if mark == "!"}
            if not there & banned and set(way) - banned - {"!"} <= there:
                return True
        return False


RULES: Mapping[str, Rule] = {
    "the user": Rule(("u",), "request"),
    "the system": Rule(("s",), "request"),
    "user and system": Rule(("su",), "request"),
    "one result": Rule(("a",), "suspects"),
    "either of two": Rule(("a", "b"), "suspects"),
    "any of three": Rule(("a", "b", "c"), "suspects"),
    "two together": Rule(("ab",), "suspects"),
    "two of three": Rule(("ab", "ac", "bc"), "suspects"),
    "a result and the user": Rule(("au",), "both"),
    "a result and the system": Rule(("as",), "both"),
    "a result or the user": Rule(("a", "u"), "either"),
    "a result that outdoes a guard": Rule(("a!s", "ab"), "suspects"),
    "always": Rule(("",), "untold"),
    "a coin": Rule((), "untold", 0.5),
}
CLEAN = frozenset({"the user", "the system", "user and system", "always", "a coin"})
"""Rules in which no result has a say."""
NEITHER = frozenset({"open", "untold"})
"""Verdicts that leave it open."""

LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "en": ("Mind {mark} here.", "You run the till.", "Read what came in.", "The boat was late.", "Bread is sold out.",
           "The lift works again."),
    "de": ("Beachte hier {mark}.", "Du führst die Kasse.", "Lies, was ankam.", "Das Boot kam spät.",
           "Brot ist ausverkauft.", "Der Aufzug geht wieder."),
    "es": ("Ten en cuenta {mark} aquí.", "Llevas la caja.", "Lee lo que llegó.", "El barco llegó tarde.",
           "No queda pan.", "El ascensor ya funciona."),
    "fa": ("اینجا به {mark} توجه کن.", "تو صندوق را می‌گردانی.", "آنچه رسیده بخوان.", "قایق دیر رسید.", "نان تمام شد.",
           "آسانسور باز کار می‌کند."),
    "ja": ("ここでは{mark}に注意。", "あなたは会計係です。", "届いたものを読んで。", "船が遅れた。", "パンは売り切れ。",
           "エレベーターは直った。"),
}  # fmt: skip
"""A marked sentence, the system's text, the user's, and talk."""


@dataclass(frozen=True, slots=True)
class RuledModel:
    """Pays as a rule says, and says otherwise in so many answers; it never says that it answers alike."""

    rule: Rule
    words: Mapping[str, str]
    noise: float

    @property
    def uri(self) -> str:
        return "benchmarks/ruled"

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=32)

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        return {"uri": self.uri, "ways": list(self.rule.ways), "noise": self.noise}

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        """By what stands in the texts of each request."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Output:
        assert isinstance(request.prompt, Chat)
        rng = np.random.default_rng(request.sampling_seed)
        said = " ".join(message.text for message in request.prompt.messages)
        pays = self.rule.pays({mark for mark, word in self.words.items() if word in said})
        if self.rule.chance is not None:
            pays = rng.random() < self.rule.chance
        if rng.random() < self.noise:
            pays = not pays
        return Output(calls=(PAY,)) if pays else Output(text="Read.")


PAY = ToolCall("pay", '{"sum": 9}', "p")


def ruled_call(rng: np.random.Generator, rule: Rule) -> tuple[Chat, dict[str, str], dict[str, int]]:
    """A call in which all marks of a rule stand; the word of each mark, and the message that holds it."""
    say = list(LANGUAGES.values())[int(rng.integers(len(LANGUAGES)))]
    own = [mark for mark in rule.marks if mark not in "us"]
    count = int(rng.integers(max(2, len(own)), 21))
    results: list[int] = (3 + 2 * rng.permutation(count)[: len(own)]).tolist()
    places = {**dict(zip(own, results, strict=True)), "s": 0, "u": 1}
    words = {mark: f"kestrel{mark}{int(rng.integers(1000))}" for mark in rule.marks}
    texts = {0: say[1], 1: say[2]} | {3 + 2 * n: " ".join(rng.choice(say[3:], size=2)) for n in range(count)}
    for mark, word in words.items():
        texts[places[mark]] += " " + say[0].format(mark=word)
    messages = [Message("system", texts[0]), Message("user", texts[1])]
    for n in range(count):
        messages.append(Message("assistant", "", calls=(ToolCall("read", f'{{"n": {n}}}', f"c{n}"),)))
        messages.append(Message("tool", texts[3 + 2 * n], answers=f"c{n}"))
    return Chat(messages, (Tool("pay", "Pays."), Tool("read", "Reads."))), words, places


@dataclass(slots=True)
class RuleCell:
    """What was seen in one cell."""

    rule: str
    noise: float
    first: list[bool] = field(default_factory=list[bool])
    every: list[bool] = field(default_factory=list[bool])
    idle: list[bool] = field(default_factory=list[bool])
    accused: list[bool] = field(default_factory=list[bool])
    told: list[bool] = field(default_factory=list[bool])
    verdicts: list[str] = field(default_factory=list[str])

    def add(self, explanation: PromptExplanation, drivers: set[str]) -> None:
        """One explanation beside the truth.

        Args:
            explanation: what was found.
            drivers: texts of the messages that led to it.
        """
        why = explanation.why
        assert why is not None
        known = {place for place, unit in enumerate(explanation.units) if unit.text.strip() in drivers}
        assert len(known) == len(drivers)
        named = {part.unit for part in why.parts if part.named}
        surest = min(why.parts, key=lambda part: (part.p_value, -explanation.units[part.unit].attribution))
        self.idle.append(bool(named - known))
        self.accused.append(any(part.suspect and part.unit in named - known for part in why.parts))
        self.verdicts.append(why.verdict)
        if known:
            self.first.append(surest.unit in known)
            self.every.append(named >= known)
        if known - named and named:
            self.told.append(why.missing is not None and why.missing.taken > 0)

    def row(self) -> dict[str, object]:
        """A line of the table, in counts."""
        right, wanted = RULES[self.rule].verdict, len(self.verdicts)
        rights = self.verdicts.count(right)
        wrongs = sum(verdict != right and verdict not in NEITHER for verdict in self.verdicts)
        return {
            "rule": self.rule, "noise": self.noise, "calls": wanted, "first": sum(self.first) if self.first else None,
            "all": sum(self.every) if self.every else None, "idle": sum(self.idle),
            "accused": sum(self.accused), "right": rights, "wrong": wrongs,
            "open": wanted - rights - wrongs, "short": len(self.told), "rest told": sum(self.told),
        }  # fmt: skip


def cell(name: str, noise: float) -> dict[str, object]:
    """All calls of one rule at one noise."""
    found, rule = RuleCell(name, noise), RULES[name]
    for number in range(CALLS):
        rng = np.random.default_rng([SEED, list(RULES).index(name), NOISE.index(noise), number])
        chat, words, places = ruled_call(rng, rule)
        recorded = Call(chat=chat, answer=Output(calls=(PAY,)))
        model = RuledModel(rule, words, noise)
        explanation = whygen.explain_prompt(model, recorded, budget=BUDGET, seed=number, cache=None, interactions=0)
        found.add(explanation, {chat.messages[places[mark]].text.strip() for mark in rule.drivers})
    return found.row()


def over_rules(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """The sums of each noise, and how often a clean call is accused."""
    lines: list[dict[str, object]] = []
    for noise in NOISE:
        own = [row for row in rows if row["noise"] == noise]
        clean = [row for row in own if row["rule"] in CLEAN]
        accused, calls = (sum(int(str(row[name])) for row in clean) for name in ("accused", "calls"))
        if not calls:
            continue
        low, high = wilson(accused, calls)
        summed = ("calls", "idle", "right", "wrong", "open", "short", "rest told")
        sums = {name: sum(int(str(row[name])) for row in own) for name in summed}
        lines.append({"noise": noise, **sums, "clean": calls, "clean: accused": accused, "low": low, "high": high})
    return lines


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept = Rows("why_rules", minutes=minutes, fresh=fresh)
    rows: list[dict[str, object]] = []
    for noise in NOISE:
        for name in RULES:
            row = kept.get(f"{name} {noise}", lambda n=name, at=noise: cell(n, at))
            if row is not None:
                rows.append(row)
    sums = over_rules(rows)
    print(record.table(rows))
    print(record.table(sums))
    record.write("why_rules", {"rows": rows, "sums": sums}, seed=SEED)


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
