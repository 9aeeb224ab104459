"""What may be asked on the bench: a form that a page sends, held against bounds and the models that were named.

Whatever a form names is one of whygen's own names: a target ``py/module:callable`` would run code that a page chose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, cast

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.edits import REGION
from whygen.prompt.targets import TARGETS
from whygen.prompt.units import PART, SPLITTERS, TOKEN, UNIT_KINDS
from whygen.records import Call
from whygen.report.texts import visible
from whygen.results.estimands import WORDS
from whygen.types import Settings, Source

USUAL_UNITS: Final[Mapping[str, str]] = {"inputs": "sentence"}
"""What each kind of question is cut into unless it is said otherwise; words elsewhere."""
LONGEST_PROMPT: Final = 20_000
"""Characters of a prompt that is cut once; a longer one has levels."""
LONGEST_SOURCE: Final = 100_000
"""Characters of a prompt with levels, of what is asked again from the shelf, of inputs, and of many prompts."""
MOST_INPUTS: Final = 100
"""Inputs of a template, and prompts of a list."""
MOST_TOGETHER: Final = 10_000
"""Calls of all prompts of a list."""
LONGEST_TEXT: Final = 500
"""Characters of what stands after the colon of a target, and of a pinned text."""
LONGEST_ID: Final = 64
LEVELS: Final = "levels"
"""What a long prompt is cut into: coarse parts first, then inside those that matter."""
MOST_CALLS: Final = 2_000
MOST_PINS: Final = 20
MOST_TOKENS: Final = 4_096

TARGETS_TOLD: Final[Mapping[str, str]] = {
    "auto": "how much the answer changes in meaning",
    "contains": "whether the answer says a text",
    "logprob": "how likely the model finds the answer, or a text of it",
    "contrastive": "why this answer and not another one",
    "refusal": "whether it refuses",
    "label": "which of some labels it names",
    "regex": "whether the answer fits a pattern",
    "json": "a field of the JSON it answers with",
    "tool": "whether it calls a tool, and with what",
    "exact": "whether the answer stays the same, letter by letter",
    "edit": "how many letters change",
    "token-set": "how many words change",
    "tfidf": "how much the wording changes",
    "cosine": "how far sentence vectors move",
    "optimal-transport": "how far the words' vectors move, or the patches of a picture",
    "pixel": "of a picture: how much its pixels change",
}
"""Targets, the ones most asked for first."""
TAKES_TEXT: Final = frozenset(name for name, kind in TARGETS.items() if kind.colon is not None)
ESTIMANDS_TOLD: Final[Mapping[str, str]] = {name: f"{name}: {words.sentence}" for name, words in WORDS.items()}
UNITS_TOLD: Final[Mapping[str, str]] = {
    **{name: UNIT_KINDS[name] for name in (*SPLITTERS, TOKEN, PART, "message", "field", "document")},
    LEVELS: "of a long prompt: coarse parts first, then inside those that matter",
    REGION: "of a picture: its parts",
}
KINDS_TOLD: Final[Mapping[str, str]] = {
    "prompt": "one prompt",
    "inputs": "a template, over many inputs",
    "each": "many prompts, one a line",
    "edit": "a picture, and what to change in it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One question, as it was typed.

    Attributes:
        model: URI of a model that was named on the command line.
        prompt: the text to explain, the template, the prompts line by line, or what to change in the picture; empty
            where there is a source.
        kind: what the prompt is, one of `KINDS_TOLD`.
        inputs: of a template: a text or a JSON object of its fields on each line.
        picture: id of the one to be changed: an edit on the shelf, or what was uploaded.
        source: id of an explanation on the shelf, of which the chat, template or recorded call is asked again.
        target: what is measured of an answer.
        text: what stands after the target's colon.
        units: what the prompt is cut into.
        estimand: what an attribution means.
        budget: calls at most.
        width: stop as soon as the widest interval is under this; None asks all calls.
        pin: texts that are always sent.
        seed: of everything random.
        tokens: of an answer, at most.
        temperature: of the model.
    """

    model: str
    prompt: str
    kind: str = "prompt"
    inputs: str = ""
    picture: str = ""
    source: str = ""
    target: str = "auto"
    text: str = ""
    units: str = "word"
    estimand: str = "banzhaf"
    budget: int = 64
    width: float | None = None
    pin: tuple[str, ...] = ()
    seed: int = 0
    tokens: int = 256
    temperature: float = 0.0

    def choices(self, asked: Source | Call) -> dict[str, Any]:
        """Keywords of `explain_prompt`. A recorded call brings its settings, and its answer chooses the target.

        Units that are the usual ones are left to the door: a template of one sentence, and a call of one message, is
        cut finer.
        """
        target = f"{self.target}:{self.text}" if self.text else self.target
        given = {
            "target": target,
            **({"hierarchy": "auto"} if self.units == LEVELS else {"units": self.units}),
            "estimand": self.estimand,
            "budget": self.budget,
            "pin": self.pin,
            "tolerance": self.width,
            "seed": self.seed,
            "settings": self.settings,
        }
        own = ({"settings", "target"} if target == "auto" else {"settings"}) if isinstance(asked, Call) else set[str]()
        usual = PART if isinstance(asked, Call) else USUAL_UNITS["inputs"] if self.kind == "inputs" else None
        own |= {"units"} if self.units == usual else set()
        return {name: value for name, value in given.items() if name not in own}

    @property
    def settings(self) -> Settings:
        """How the model generates."""
        if self.kind == "edit":
            return Settings(seed=self.seed)
        return Settings(seed=self.seed, max_tokens=self.tokens, temperature=self.temperature)

    def to_json(self) -> dict[str, Any]:
        """As the page knows it."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"pin": list(self.pin)}


def read_form(sent: Mapping[str, Any], live: Sequence[str]) -> Form:
    """A form as a page sent it.

    Raises:
        UsageError: for what is missing, unknown, of another kind or out of bounds; the message says what is allowed.
    """
    names = [field.name for field in fields(Form)]
    for name in sent:
        if name not in names:
            raise UnknownNameError("field of the bench", visible(name)[:80], names)
    source = _text(sent, "source", LONGEST_ID)
    kind = _one_of(sent, "kind", "prompt", KINDS_TOLD)
    units = _one_of(sent, "units", PART if source else USUAL_UNITS.get(kind, "word"), UNITS_TOLD)
    longest = LONGEST_SOURCE if units == LEVELS or kind == "each" else LONGEST_PROMPT
    form = Form(
        model=_one_of(sent, "model", "", live),
        prompt="" if source else _text(sent, "prompt", longest),
        kind=kind,
        inputs=_text(sent, "inputs", LONGEST_SOURCE) if kind == "inputs" else "",
        picture=_text(sent, "picture", LONGEST_ID) if kind == "edit" else "",
        source=source,
        target=_one_of(sent, "target", "auto", TARGETS_TOLD),
        text=_text(sent, "text", LONGEST_TEXT),
        units=units,
        estimand=_one_of(sent, "estimand", "banzhaf", WORDS),
        budget=int(_number(sent, "budget", 64, 1, MOST_CALLS, whole=True)),
        width=None if sent.get("width") in (None, "") else _number(sent, "width", 0.1, 1e-9, 1e9),
        pin=_pins(sent.get("pin", [])),
        seed=int(_number(sent, "seed", 0, 0, 2**31 - 1, whole=True)),
        tokens=int(_number(sent, "tokens", 256, 1, MOST_TOKENS, whole=True)),
        temperature=_number(sent, "temperature", 0.0, 0.0, 2.0),
    )
    if not form.source and not form.prompt.strip():
        raise UsageError("There is no prompt yet. Type the text that the model is to answer.")
    if form.text and form.target not in TAKES_TEXT:
        raise UsageError(f"The target {form.target!r} takes no text beside it. Leave the text empty.")
    return form


def _text(sent: Mapping[str, Any], name: str, longest: int) -> str:
    value = sent.get(name, "")
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a text.")
    if len(value) > longest:
        more = f" Longer ones have levels: cut it into {LEVELS!r}." if longest == LONGEST_PROMPT else ""
        raise UsageError(f"{name} has {len(value):,} characters. The bench takes {longest:,} at most.{more}")
    # What no encoding can say, half a surrogate pair, would fail only when it is sent.
    return value.encode("utf-8", "replace").decode("utf-8")


def _one_of(sent: Mapping[str, Any], name: str, default: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    value = sent.get(name, default)
    if not isinstance(value, str) or value not in known:
        if name == "model":
            named = ", ".join(known) or "none"
            raise UsageError(f"This bench asks only the models that `whygen view --live` named: {named}.")
        raise UnknownNameError(name, visible(str(value))[:80], list(known))
    return value


def _number(
    sent: Mapping[str, Any], name: str, default: float, least: float, most: float, *, whole: bool = False
) -> float:
    value = sent.get(name, default)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = math.nan
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{name}: give {kind} from {least:g} to {most:,.10g}.")
    return float(value)


def _pins(value: object) -> tuple[str, ...]:
    pins = cast("list[object]", value) if isinstance(value, list) else None
    if pins is None or len(pins) > MOST_PINS or not all(isinstance(pin, str) for pin in pins):
        raise UsageError(f"pin: give at most {MOST_PINS} texts that stand in the prompt.")
    return tuple(_text({"pin": pin}, "pin", LONGEST_TEXT) for pin in pins if pin)
