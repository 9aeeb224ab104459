"""The command, and the Python, that make an explanation again: from its recipe, with what differs from the defaults.

Run again with the same file of recorded answers, either gives the same explanation and asks nothing. Where something
cannot be written down (a function, a picture), nothing is made up: the text says what must be given by hand.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from pprint import pformat
from typing import Any, cast

from whygen._arguments import declared
from whygen.anchors.options import AnchorArguments
from whygen.demo.digits import SOURCES
from whygen.demo.digits import URI as DIGITS
from whygen.errors import UsageError
from whygen.models import ModelOptions
from whygen.prompt.options import EDIT, PRESETS, TEXT, PromptOptions
from whygen.prompt.recipe import model_options, needed, options_of
from whygen.prompt.saved import settings_of
from whygen.records import Call
from whygen.report.texts import listed, visible
from whygen.results.anchors import AnchorExplanation
from whygen.results.prompt import PromptExplanation
from whygen.results.recipe import AskedRecord, Recipe, TargetRecipe
from whygen.results.texts import TextAnchorExplanation, TextScores
from whygen.types import Chat, Edit, Settings, Template

_OWN_FUNCTION = re.compile(r"py/(__main__:|.*[<>])")
"""A model that was a function of a session or inside of another one: no other process can open it."""
_MANY_INPUTS = (
    "The inputs of a template are kept shortened at most: run `whygen prompt MODEL TEMPLATE --inputs FILE` with the "
    "options under “How it was made”."
)
GIVEN = "given.png"
"""The picture of an edit, as its page offers it to be kept."""


@dataclass(frozen=True, slots=True)
class Again:
    """What makes an explanation again.

    Attributes:
        python: a program; empty where there is none.
        command: a line for a shell; empty where there is none.
        note: why one is missing, or what must be put in by hand; empty where nothing.
    """

    python: str = ""
    command: str = ""
    note: str = ""


def again(explanation: PromptExplanation, folder: Path | None = None) -> Again:
    """What makes it again, as far as its record says.

    Args:
        explanation: the explanation.
        folder: where it is saved: what stands in no line, such as a picture, is read from there.
    """
    recipe = explanation.recipe
    if recipe is None:
        return Again(note="This explanation was saved by an earlier version, which kept no recipe.")
    if recipe.source == "inputs" or explanation.inputs:
        return Again(note=_MANY_INPUTS)
    try:
        return _Written(explanation, recipe, folder).told()
    except UsageError as error:  # something was an object of the person's own, or was not kept
        return Again(note=str(error))


_JOINED: Mapping[str, str] = {"size": "x", "shape": ",", "value_range": ",", "trained": ",", "criteria": ","}
"""What stands between the parts of an argument in a line for a shell."""


def again_by_anchors(explanation: AnchorExplanation | TextAnchorExplanation) -> Again:
    """What makes an explanation by anchors again, as far as its record says."""
    kept = explanation.scores if isinstance(explanation, TextAnchorExplanation) else explanation.details
    if kept is None or kept.asked is None:
        return Again(note="What it was asked with was not kept: an earlier version saved it.")
    sources = {} if isinstance(kept, TextScores) else kept.sources
    brings = kept.asked.given.get("model") == DIGITS and sources.get("anchors") == SOURCES["anchors"]
    return _WrittenAnchors(kept.asked, brings=brings).told()


class _WrittenAnchors:
    """What `explain_anchors` was asked with, while it is written down; the demo model ``brings`` its own anchors."""

    def __init__(self, asked: AskedRecord, *, brings: bool) -> None:
        given: dict[str, Any] = dict(asked.given)
        self.model: str | None = given.pop("model", None)
        self.anchors: str | list[str] | dict[str, str] | None = given.pop("anchors", None)
        self.options: Mapping[str, Any] = given.pop("options", {})
        self.given, self.brings, self.only = given, brings, list(asked.only)
        self.by_hand = [name for name in asked.by_hand if not (brings and name == "anchors")]

    def told(self) -> Again:
        several = [name for name, value in self.given.items() if isinstance(value, list | dict) and name not in _JOINED]
        several += ["anchors"] if isinstance(self.anchors, list) else []
        several += ["what was read by some criteria"] if self.only else []
        if not self.by_hand and not several:
            return Again(self._python(), self._command())
        put = f"Put in what was an object of your own: {listed(self.by_hand)}. " if self.by_hand else ""
        missing = listed([*self.by_hand, *several])
        return Again(self._python(), note=f"{put}No command: {missing} cannot be typed in a line.")

    def _python(self) -> str:
        lines = ["import whygen", ""]
        named = [f"{name}={_literal(_as_taken(value))}" for name, value in self.given.items()]
        if self.options:
            lines.insert(1, "from whygen.models import ModelOptions")
            named.append(f"options={_made(ModelOptions, self.options)}")
        named += [f"{name}=your_{name}" for name in self.by_hand if name not in ("model", "anchors")]
        if self.brings:
            lines.insert(1, "from whygen.demo.digits import digits")
        anchors = "your_anchors" if self.anchors is None else _literal(self.anchors)
        model = "your_model" if self.model is None else repr(self.model)
        program = _program(lines, "explain_anchors", [model, 'digits("anchors")' if self.brings else anchors, *named])
        return program + (f"explanation = explanation.read(criteria={self.only!r})\n" if self.only else "")

    def _command(self) -> str:
        places = [self.anchors] if isinstance(self.anchors, str) else list[str]()
        if isinstance(self.anchors, dict):
            places = [f"{role}={place}" for role, place in self.anchors.items()]
        typed = {
            name: _JOINED[name].join(map(str, cast("list[object]", value))) if isinstance(value, list) else value
            for name, value in self.given.items()
        }
        words = ["whygen", "anchors", str(self.model), *(word for each in places for word in _typed("--anchors", each))]
        words += [*_flags(AnchorArguments, typed), *_flags(ModelOptions, self.options)]
        return " ".join(map(_quoted, words))


class _Written:
    """One explanation while it is written down."""

    def __init__(self, explanation: PromptExplanation, recipe: Recipe, folder: Path | None) -> None:
        self.explanation = explanation
        self.folder = folder
        self.source = explanation.source()
        self.recipe = recipe
        self.own_model = bool(_OWN_FUNCTION.match(explanation.model))
        self.settings = settings_of(explanation)
        self.options = model_options(recipe, None)
        if recipe.again:
            raise needed(explanation, recipe.again[0])
        wanted = {"target": _target(recipe.target, explanation.reference.text), "operator": recipe.operator.name}
        given = options_of(explanation, recipe, wanted, other_units=True)
        base = PRESETS[given.preset]
        self.choices = _differing(given, base) | ({"preset": given.preset} if given.preset else {})
        if isinstance(self.source, Call):
            self._for_a_call()

    def _for_a_call(self) -> None:
        """A call brings its settings, and a target that was chosen by its answer is chosen by it again."""
        assert self.explanation.call is not None  # noqa: S101 - what a call's explanation holds
        self.settings = Settings()
        self.choices |= {"suspect": self.recipe.suspect, "sets": self.recipe.sets}
        if self.explanation.call.reason:
            self.choices.pop("target", None)
        if any(warned.code == "lone-part" for warned in self.explanation.warnings):
            for name in ("units", "within", "suspect"):  # a lone part is cut finer again, unless one of them is given
                self.choices.pop(name, None)
        elif self.recipe.units != "part":  # which is what a call is cut into unless it is said
            self.choices["units"] = self.recipe.units

    def told(self) -> Again:
        notes: list[str] = []
        if self.own_model:
            notes.append(f"The model was a function of your own, {visible(self.explanation.model)}: put it in.")
        if isinstance(self.source, Call):
            origin = f" ({visible(self.source.origin)})" if self.source.origin else ""
            return Again(
                self._python(), note=" ".join([*notes, f"As a command: `whygen why FILE` on its record{origin}."])
            )
        if isinstance(self.source, Template):
            return Again(self._python(), note=" ".join([*notes, "No command: fields are named in Python alone."]))
        command, missing = self._command()
        if missing:
            notes.append(f"No command: {listed(missing)} cannot be typed in a line.")
        elif isinstance(self.source, Edit):
            notes.append(f"Before the command, keep the picture as {GIVEN}: this page has it, with a link to download.")
        return Again(self._python(), command, " ".join(notes))

    # -- Python --

    def _python(self) -> str:
        lines, prompt = self._what()
        named = dict(self.choices)
        named |= {} if self.recipe.encoder == "auto" else {"encoder": self.recipe.encoder}
        named |= {"seed": self.explanation.seed} if self.explanation.seed else {}
        arguments = [f"{name}={_literal(value)}" for name, value in named.items()]
        for cls, object_of, name in ((Settings, self.settings, "settings"), (ModelOptions, self.options, "options")):
            if inside := _differing(object_of, cls()):
                arguments.append(f"{name}={_made(cls, inside)}")
                lines.insert(1, f"from {'whygen.types' if cls is Settings else 'whygen.models'} import {cls.__name__}")
        model = "your_model" if self.own_model else repr(self.explanation.model)
        return _program(lines, "explain_prompt", [model, prompt, *arguments])

    def _what(self) -> tuple[list[str], str]:
        """The lines that make what is explained, and what that is called in the call."""
        source = self.source
        if isinstance(source, Call | Edit) or (isinstance(source, Chat) and _has_pictures(self.explanation)):
            where = str(self.folder or "DIR")
            return ["import whygen", "", f"was = whygen.load({where!r})", ""], "was.source()"
        if isinstance(source, Template):
            fields = pformat(dict(source.fields), width=100, sort_dicts=False)
            between = f", between={source.between!r}" if source.between != Template("").between else ""
            made = f"template = whygen.Template({source.text!r}, {fields}{between})"
            return ["import whygen", "", made, ""], "template"
        if isinstance(source, Chat):
            assert self.explanation.chat is not None  # noqa: S101 - what a chat's explanation holds
            made = pformat(self.explanation.chat.request, width=100, sort_dicts=False)
            return ["import whygen", "", f"chat = whygen.Chat.from_json({made})", ""], "chat"
        return ["import whygen", ""], repr(source)

    # -- the command line --

    def _command(self) -> tuple[str, list[str]]:
        """The line, and what kept it from being written; one of both is empty."""
        door = EDIT if isinstance(self.source, Edit) else TEXT
        missing = [name for name, value in self.choices.items() if not _typable(name, value, door)]
        missing += ["the model"] if self.own_model else []
        drawn = self.settings.temperature > 0.0  # one --seed is of the sampling, too
        missing += ["the seed of sampling"] if drawn and self.settings.seed != self.explanation.seed else []
        words, before = ["whygen", "prompt", self.explanation.model], ""
        if isinstance(self.source, Edit):
            words = ["whygen", "edit", self.explanation.model, GIVEN, self.source.instruction]
            missing += ["an instruction that begins so"] if self.source.instruction[:1] in ("", "@", "-") else []
        elif self.recipe.source == "chat":
            messages = _plain_messages(self.explanation)
            missing += ["what the chat holds beside texts"] if messages is None else []
            before = f"printf %s {_quoted(json.dumps(messages, ensure_ascii=False))} > chat.json\n"
            words += ["--chat", "chat.json"]
        elif self.explanation.prompt[:1] in ("", "@", "-"):
            words.append(f"--text={self.explanation.prompt}")
        else:
            words.append(self.explanation.prompt)
        if missing:
            return "", missing
        words += _flags(PromptOptions, self.choices)
        words += [] if self.recipe.encoder == "auto" else ["--encoder", self.recipe.encoder]
        words += ["--seed", str(self.explanation.seed)] if self.explanation.seed else []
        words += _flags(Settings, _differing(self.settings, Settings()))
        words += [word for name, value in self.settings.extra.items() for word in _setting(name, value)]
        words += _flags(ModelOptions, _differing(self.options, ModelOptions()))
        return before + " ".join(map(_quoted, words)), []


def _target(told: TargetRecipe, reference: str) -> str:
    """A target and its argument as one text.

    Raises:
        UsageError: for one that takes two.
    """
    if told.distance is not None:
        raise UsageError(
            "The target compares the answer with another one by a distance: "
            f"load_target('contrastive', alternative={told.alternative!r}, distance={told.distance!r})."
        )
    argument = told.alternative if told.alternative is not None else told.span
    if isinstance(argument, tuple):
        argument = reference[argument[0] : argument[1]]
    return told.name if argument is None or ":" in told.name else f"{told.name}:{argument}"


def _as_taken(value: Any) -> Any:
    """A list that was a tuple before it was saved, as sizes and ranges are, is one again."""
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def _differing(one: Any, base: Any) -> dict[str, Any]:
    """The declared fields in which an object of options is not as another."""
    names = [field.name for field in fields(one)]
    return {name: value for name in names if (value := getattr(one, name)) != getattr(base, name) and name != "preset"}


def _program(lines: Sequence[str], function: str, arguments: Sequence[str]) -> str:
    body = "".join(f"    {each},\n" for each in arguments)
    return "\n".join([*lines, f"explanation = whygen.{function}(\n{body})", ""])


def _made(cls: type, values: Mapping[str, Any]) -> str:
    """An object of options as Python makes it."""
    return f"{cls.__name__}({', '.join(f'{name}={_literal(value)}' for name, value in values.items())})"


def _literal(value: Any) -> str:
    plain = dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value
    return repr(plain)


def _typable(name: str, value: Any, door: str) -> bool:
    """Whether the command line takes it: a name, a number or a list of texts for an option that it shows."""
    if name not in declared(PromptOptions) or door not in declared(PromptOptions)[name].option.read_by:
        return False
    listing = isinstance(value, tuple | list)
    texts = listing and all(isinstance(each, str) for each in cast("Sequence[object]", value))
    return isinstance(value, str | int | float) or texts


def _flags(cls: type, values: Mapping[str, Any]) -> Iterator[str]:
    """Options as they are typed."""
    for name, value in values.items():
        found = declared(cls).get(name)
        if found is None:  # the seed and further settings have options of their own
            continue
        flag = found.option.flag or f"--{name.replace('_', '-')}"
        for each in cast("Sequence[Any]", value) if isinstance(value, tuple | list) else [value]:
            yield from _typed(flag, each)


def _typed(flag: str, value: object) -> tuple[str, ...]:
    """One option as it is typed; what begins like another option is tied to its own."""
    return (f"{flag}={value}",) if str(value).startswith("-") else (flag, str(value))


def _setting(name: str, value: Any) -> tuple[str, str]:
    return "--setting", f"{name}={json.dumps(value)}"


def _quoted(word: str) -> str:
    """A word for a shell. What commands a terminal or hides is written by its number: pasting a text types it."""
    if visible(word) == word and "\n" not in word and "\t" not in word:
        return shlex.quote(word)
    return "$'" + "".join(_escaped(each) for each in word) + "'"


def _escaped(character: str) -> str:
    known = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t"}
    if character in known:
        return known[character]
    return character if visible(character) == character else f"\\U{ord(character):08X}"


def _has_pictures(explanation: PromptExplanation) -> bool:
    return explanation.chat is not None and '"sha256"' in json.dumps(explanation.chat.request)


def _plain_messages(explanation: PromptExplanation) -> list[dict[str, str]] | None:
    """The messages, where they are texts and nothing else."""
    assert explanation.chat is not None  # noqa: S101 - asked of chats alone
    request = cast("dict[str, Any]", explanation.chat.request)
    turns = cast("list[dict[str, Any]]", request.get("chat", []))
    if set(request) - {"chat"} or any(set(turn) - {"role", "text"} for turn in turns):
        return None
    return [{"role": turn["role"], "content": turn["text"]} for turn in turns]
