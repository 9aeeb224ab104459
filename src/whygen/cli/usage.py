"""What the parser refuses, as a sentence with the line to type: words of other tools, values, places, commands."""

from __future__ import annotations

import re
import shlex
from typing import Any, Final

from whygen.cli.commands import MEANT, OWN
from whygen.elsewhere import option_meant

_SHORT: Final = {"-m": "--model", "-p": "--prompt", "-f": "--file", "-n": "--n", "-t": "--temp", "-v": "--verbose"}
"""Letters as most programs read them."""
_PLACES: Final = {"file": "@FILE", "prompt_file": "@FILE", "input": "@FILE", "input_file": "@FILE"}
_TOLD: Final = {
    "system": "A system message is one of a chat: --chat FILE, a JSON list of messages.",
    "system_prompt": "A system message is one of a chat: --chat FILE, a JSON list of messages.",
    "verbose": "Progress and a summary are shown unless you say --quiet.",
    "version": "Type whygen --version.",
    "yes": "Nothing is asked back: leave it out.",
}
_MODEL: Final = re.compile(r"[\w-]+/[^\s/.][^\s.]*(?:[.:][^\s/]+)*")
_KEYS: Final = re.compile(r"(?:\w+_)?(?:api_)?(?:key|token|secret)")
_UNITS: Final = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "k": 1000}


def told(error: Any) -> str:
    """What is wrong with a line, as a sentence."""
    show: Any = getattr(error, "format_message", None)
    sentence = str(show() if callable(show) else error).rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return sentence
    found = _of_option(error, context) or _of_value(error) or _of_command(sentence, context)
    return found or _of_place(sentence, context) or _of_missing(error, sentence, context)


def _of_option(error: Any, context: Any) -> str | None:
    """An option that there is not: the place that is meant, or the option."""
    given = str(getattr(error, "option_name", ""))
    if type(error).__name__ != "NoSuchOption":
        return None
    plain = _SHORT.get(given, given).strip("-").replace("-", "_").lower()
    places = [each for each in context.command.params if each.param_type_name == "argument"]
    names = {word for each in places for word in re.findall(r"[a-z]+", f"{each.name} {each.metavar or ''}".lower())}
    line = _line(context)
    if places and plain in names | {context.command.name} and plain not in _PLACES:
        return f"{given} is no option: it is given by its place, as in `{line}`"
    if plain in _PLACES and "@FILE" in line:
        return f"{given} is no option: a file is named in the place of the text, as in `{line}`, such as @prompt.txt"
    known = {each.opts[0].strip("-").replace("-", "_"): each for each in context.command.params if each.opts}
    options = {name: each for name, each in known.items() if each.param_type_name == "option"}
    if (meant := option_meant(plain, options)) is not None:
        name, value = meant
        shown = f"--{name.replace('_', '-')}" + (f" {value}" if value else "")
        return f"No such option: {given}. Type {shown}"
    if plain in _TOLD and not (plain.startswith("system") and "chat" not in options):
        return f"No such option: {given}. {_TOLD[plain]}"
    if _KEYS.fullmatch(plain):
        return f"No such option: {given}. Keys come from the environment alone, such as OPENAI_API_KEY"
    near = [str(each) for each in getattr(error, "possibilities", None) or ()]
    return f"No such option: {given}" + (f". Did you mean {' or '.join(near)}?" if near else "")


def _of_value(error: Any) -> str | None:
    """A value that is no number, with the number that it means."""
    cause: Any = getattr(error, "__cause__", None)
    details: Any = cause.errors() if callable(getattr(cause, "errors", None)) else ()
    kinds = {"int_parsing": "a whole number", "float_parsing": "a number", "int_from_float": "a whole number"}
    found = next((each for each in details if each.get("type") in kinds), None)
    if found is None or getattr(error, "param", None) is None:
        return None
    name, value, kind = max(error.param.opts, key=len), str(found["input"]), kinds[found["type"]]
    number = _number(value)
    whole = None if number is None or (kind == "a whole number" and number != int(number)) else number
    meant = "" if whole is None else f": {name} {int(whole) if whole == int(whole) else whole}"
    return f"{name} takes {kind}, and {value[:60]!r} is none{meant}"


def _number(value: str) -> float | None:
    """The number in what people write with a unit, a currency or commas."""
    parts = re.fullmatch(r"\s*[$€£]?\s*(\d{1,12}(?:[.,]\d{1,12})*(?:e\d)?)\s*([A-Za-z]*?)s?\s*[$€£]?\s*", value)
    if parts is None:
        return None
    digits, unit = parts[1], parts[2].lower()
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        digits = digits.replace(",", "")
    try:
        return float(digits.replace(",", ".")) * _UNITS.get(unit, 1)
    except ValueError:
        return None


def _of_missing(error: Any, sentence: str, context: Any) -> str:
    """What is not there, and what it is."""
    if not sentence:
        return f"A command is missing. It has {_commands(context)}"
    if sentence.startswith("Missing argument"):
        return f"{sentence}. The line is `{_line(context)}`"
    told = getattr(getattr(error, "param", None), "help", None) if sentence.startswith("Missing option") else None
    return f"{sentence}: {str(told).split('. ')[0].rstrip('.')}" if told else sentence


def _commands(context: Any) -> str:
    return ", ".join(sorted(getattr(context.command, "commands", ())))


def _of_command(sentence: str, context: Any) -> str | None:
    """A command that there is not: a prompt or a model in its place."""
    parts = re.fullmatch(r"No such command '(.*?)'(.*)", sentence, re.DOTALL)
    if parts is None or parts[2].strip(" ."):
        return None
    given = parts[1]
    if context.parent is not None:
        return f"No such command {given!r}. It has {_commands(context)}"
    if any(map(str.isspace, given.strip())):
        return f"{given[:80]!r} is no command. Type: whygen prompt MODEL {shlex.quote(given)}"
    if re.fullmatch(r"[\w.-]+/\S+", given) and given.partition("/")[0] not in {*OWN, *MEANT}:
        return f"{given!r} is a model, and no command. Type: whygen prompt {shlex.quote(given)} 'PROMPT'"
    return None


def _of_place(sentence: str, context: Any) -> str | None:
    """More stands in the line than it has places for."""
    if not sentence.startswith("Got unexpected extra argument"):
        return None
    line = _line(context)
    quotes = "A text of several words stands in quotes. " if "@FILE" in line else ""
    options = [each.opts[0] for each in context.command.params if each.param_type_name == "option"]
    extra = re.fullmatch(r".*\((\S+)\)", sentence)
    for name in ("--model", "--anchors"):
        if extra is not None and name in options and (name == "--anchors" or _MODEL.fullmatch(extra[1])):
            return f"{sentence}. Type {name} {extra[1]}"
    return f"{sentence}. The line is `{line}`. {quotes}All else is named by its option, such as {options[0]}"


def _line(context: Any) -> str:
    places = [each for each in context.command.params if each.param_type_name == "argument"]
    pieces = [piece for each in places for piece in each.get_usage_pieces(context)]
    return " ".join([context.command_path, *(re.sub(r"[{}]", "", piece).upper() for piece in pieces)])
