"""`explain_many`: many prompts or recorded calls in a row, within one budget; what fails harms no other.

`forecast_many` counts beforehand what they would ask for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from whygen._arguments import short, typed
from whygen.calls import DEFAULT_STORE, EndedError, Interrupted, Progress, RunOptions, SharedBudget
from whygen.encoders import AnyEncoder
from whygen.errors import DataError, MissingError, StoreError, UnknownNameError, UsageError, WhygenError
from whygen.models import HasIdentity, ModelOptions, load_model
from whygen.models.registry import NO_MODEL
from whygen.prompt.explain import explain_prompt
from whygen.prompt.forecast import Forecast, forecast, summed
from whygen.prompt.options import PromptOptions, choose
from whygen.prompt.prompt_files import NamedPrompt, read_prompts
from whygen.prompt.question import check_names
from whygen.records import Call
from whygen.results.files import make_folder, try_places
from whygen.results.many import INDEX, LISTED, PAGE, Explanations, OneOfMany, add_line, kept_in, light, read_done
from whygen.results.prompt import PromptExplanation
from whygen.types import JsonValue, Settings, Source, Template, digest, output_json, prompt_json
from whygen.version import __version__

_NOT_ASKED = ("cache", "progress")
"""Choices that change nothing of what is asked."""
_SHOWN = 5
"""Unreadable prompts that an error names."""

Damaged = Literal["skip", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyForecast:
    """What many prompts would ask for.

    Attributes:
        together: of all of them; prompts that are asked alike count once, since they share the store of answers.
        each: of each prompt, by name, in their order.
        again: names of prompts that are equal to one before them.
        failed: why others would not be explained, by name.
    """

    together: Forecast
    each: Mapping[str, Forecast]
    again: tuple[str, ...]
    failed: Mapping[str, str]


@typed("prompts", options=PromptOptions)
def explain_many(
    model: object,
    prompts: object,
    *,
    out: Path | str | None = None,
    preset: str | PromptOptions | None = None,
    encoder: AnyEncoder = "auto",
    settings: Settings | None = None,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
    damaged: Damaged = "skip",
    **choices: Any,
) -> Explanations:
    """Explain many prompts or recorded calls, one after the other.

    They share the model, the store of recorded answers (what two of them ask alike is asked once) and what ``run`` may
    spend. A prompt that cannot be explained is noted, and the others go on; a bound of ``run``, an interrupt, or a
    model that answers nobody any more ends the whole.

    Args:
        model: as in `explain_prompt`; None where every prompt is a recorded call, which names its own.
        prompts: a list, a column of a table, or a dict by name, of what `explain_prompt` takes; or the path of a file
            of prompts: plain lines, JSON Lines, recorded calls (see `whygen.prompt.prompt_files.read_prompts`).
        out: a folder, in which each explanation is written as it is done. The same call again goes on from there.
        preset: as in `explain_prompt`, as are those that are not explained here.
        encoder: for the targets and kernels that need one.
        settings: how to generate; a recorded call keeps its own where none are given.
        seed: of everything random.
        cache: file of recorded answers; None keeps them in memory.
        options: how the model is opened.
        progress: where to report progress.
        run: what all of them together may spend, how fast and how long.
        damaged: what to do about a prompt that cannot be read, such as a broken line: ``skip`` it and note why, or
            ``stop`` before anything is asked.
        **choices: what to change of the preset; ``budget`` is that of each prompt.

    Returns:
        What became of each prompt. Where ``out`` is given, explanations are light: their evidence is on disk.

    Raises:
        UsageError: for an argument that cannot work with any prompt.
        DataError: with ``damaged="stop"``, if a prompt cannot be read; names it.
        MissingError: if the model, or the file of prompts, is missing.
        StoreError: if ``out`` cannot be written.
    """
    if damaged not in ("skip", "stop"):
        raise UnknownNameError("damaged", damaged, ("skip", "stop"))
    check_names(choose(preset, choices))
    given: dict[str, Any] = {
        "preset": preset, "encoder": encoder, "settings": settings, "seed": seed, "cache": cache,
        "progress": progress, **choices,
    }  # fmt: skip
    named = _named(prompts)
    if damaged == "stop":
        named = _read_all(named)
    if model is None:
        _require_calls(named)
    bounds = Together(run or RunOptions())
    box = None if model is None else load_model(model, options)
    place = None if out is None else make_folder(Path(out), by="out= (-o)")
    if place is not None:
        try_places(place, (LISTED, INDEX, PAGE))
    row = _Series(
        model=box, options=options, bounds=bounds, choices=given, place=place,
        seen={} if place is None else read_done(place),
    )  # fmt: skip
    found = tuple(row.explained(named))
    result = Explanations(items=found, given=len(named), ended=bounds.said, reason=bounds.reason)
    if place is not None:
        result.save(place)
    return result


@typed("prompts", options=PromptOptions)
def forecast_many(
    model: object,
    prompts: object,
    *,
    preset: str | PromptOptions | None = None,
    encoder: AnyEncoder = "auto",
    settings: Settings | None = None,
    seed: int = 0,
    options: ModelOptions | None = None,
    run: RunOptions | None = None,
    **choices: Any,
) -> ManyForecast:
    """Count what `explain_many` would ask for with these arguments; nothing is sent.

    Raises:
        UsageError: for an argument that cannot work with any prompt.
        MissingError: if the model, or the file of prompts, is missing.
    """
    check_names(choose(preset, choices))
    given: dict[str, Any] = {
        "preset": preset, "encoder": encoder, "settings": settings, "seed": seed, "options": options, "run": run,
        **choices,
    }  # fmt: skip
    box = None if model is None else load_model(model, replace(options or ModelOptions(), purpose="foresee"))
    each, failed, first, again = dict[str, Forecast](), dict[str, str](), dict[str, Forecast](), list[str]()
    named = _named(prompts)
    if model is None:
        _require_calls(named)
    for number, prompt in enumerate(named, start=1):
        name = prompt.name if prompt.name not in each and prompt.name not in failed else f"{prompt.name} ({number})"
        try:
            source = prompt.read()
            key = digest(_prompt(source))
            if key in first:
                again.append(name)
            each[name] = first[key] = first[key] if key in first else forecast(box, source, **given)
        except WhygenError as error:
            if isinstance(error, MissingError) and number == 1:  # the others lack it too
                raise
            failed[name] = str(error)
    together = summed(list(first.values()))
    return ManyForecast(together=together, each=each, again=tuple(again), failed=failed)


def _require_calls(named: Sequence[NamedPrompt]) -> None:
    """Refuse a row without a model of which no prompt is a recorded call, which would name its own.

    Raises:
        UsageError: saying how to name one.
    """
    readable = 0
    for each in named:
        try:
            if isinstance(each.read(), Call):
                return
        except WhygenError:
            continue
        readable += 1
    if readable:
        raise UsageError(f"None of {len(named):,} prompts is a recorded call that names its model. {NO_MODEL}")


def _read_all(named: Sequence[NamedPrompt]) -> list[NamedPrompt]:
    """The same prompts, already read.

    Raises:
        DataError: if one cannot be read.
    """
    wrong, found = list[str](), list[NamedPrompt]()
    for each in named:
        try:
            found.append(NamedPrompt(each.name, partial(_same, each.read())))
        except WhygenError as error:
            wrong.append(str(error))
    if wrong:
        shown = " ".join(wrong[:_SHOWN]) + (f" And {len(wrong) - _SHOWN:,} more." if len(wrong) > _SHOWN else "")
        raise DataError(
            f"{len(wrong):,} of {len(named):,} prompts cannot be read, and nothing was asked. {shown} Mend them, or "
            'leave them out with damaged="skip" (--damaged skip).'
        )
    return found


def _named(prompts: object) -> list[NamedPrompt]:
    if isinstance(prompts, Path):
        return read_prompts(prompts)
    if isinstance(prompts, Mapping):
        items = [(str(name), each) for name, each in cast("Mapping[object, object]", prompts).items()]
    elif _is_a_row(prompts):
        items = [(f"prompt {number}", each) for number, each in enumerate(cast("Iterable[object]", prompts), start=1)]
    else:
        raise UsageError(f"prompts is {short(prompts)}: {_LISTS}{_in_a_list(prompts)}")
    if not items:
        raise UsageError("prompts is empty: give at least one.")
    return [NamedPrompt(name, partial(_same, cast("Source | Call", each))) for name, each in items]


_LISTS = "give a list of prompts, a dict of them by name, or a pathlib.Path of a file."


def _is_a_row(prompts: object) -> bool:
    """Whether this gives prompts one after another: a list, a column of a table, a generator."""
    return (
        isinstance(prompts, Iterable)
        and not isinstance(prompts, str | bytes | Set)
        and not _columns(cast("object", prompts))
    )


def _columns(prompts: object) -> list[str]:
    """Names of a table's columns: of pandas and polars, and of datasets."""
    named = getattr(prompts, "column_names", None) or getattr(prompts, "columns", None)
    return [str(each) for each in cast("Iterable[object]", named)] if isinstance(named, Iterable) else []


def _in_a_list(prompts: object) -> str:
    """How what was given becomes such a list."""
    if isinstance(prompts, str):
        if prompts and "\n" not in prompts and _is_file(prompts):
            return f" Write pathlib.Path({short(prompts)})."
        return " For one prompt, write [prompt], or ask whygen.explain_prompt."
    if columns := _columns(prompts):
        named = next((each for each in columns if each.lower() in _PROMPT_COLUMNS), columns[0])
        return f" Write list(table[{named!r}])."
    return " A set has no order: write sorted(prompts)." if isinstance(prompts, Set) else ""


_PROMPT_COLUMNS = frozenset({"prompt", "prompts", "text", "texts", "question", "input", "instruction"})


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def _same(prompt: Source | Call) -> Source | Call:
    return prompt


class Together:
    """What all runs together may spend and how long they may take, and why the row ended before its end."""

    def __init__(self, run: RunOptions) -> None:
        given = run.spending
        self._run = replace(run, spending=given if isinstance(given, SharedBudget) else SharedBudget(given))
        self._began = time.monotonic()
        self.said = ""
        self.reason = ""

    def run(self) -> RunOptions:
        """For the next prompt: the same budget, and the time that is left."""
        if self._run.deadline is None:
            return self._run
        left = self._run.deadline - (time.monotonic() - self._began)
        return replace(self._run, deadline=max(left, 1e-3))

    def end(self, reason: str, said: str) -> None:
        self.reason, self.said = reason, said


@dataclass(slots=True, kw_only=True)
class _Series:
    """Everything that the prompts of a row share."""

    model: Any
    options: ModelOptions | None
    bounds: Together
    choices: Mapping[str, Any]
    place: Path | None
    seen: Mapping[str, dict[str, Any]]

    def explained(self, named: Sequence[NamedPrompt]) -> Iterator[OneOfMany]:
        """What becomes of each, until one ends the row."""
        for number, prompt in enumerate(named, start=1):
            item = self._one(number, prompt)
            if item is not None:
                yield item
            if self.bounds.reason:
                return

    def _one(self, number: int, prompt: NamedPrompt) -> OneOfMany | None:
        item = OneOfMany(number=number, name=prompt.name)
        try:
            source = prompt.read()
            key = self._key(source)
            if (before := self._before(item, key)) is not None:
                return before
            explanation = explain_prompt(
                self.model, source, options=self.options, run=self.bounds.run(), **self.choices
            )
        except KeyboardInterrupt as stop:
            self.bounds.end("interrupt", "The run was interrupted. The same call again goes on from here.")
            return self._kept(item, stop.explanation, key="") if isinstance(stop, Interrupted) else None
        except EndedError as ended:  # not even a partial explanation: nobody after this one would get an answer
            self.bounds.end(ended.reason, str(ended))
            return None if ended.reason != "failures" else replace(item, error=str(ended))
        except StoreError:
            raise
        except WhygenError as error:
            if isinstance(error, MissingError) and number == 1:  # a key, a package, a model: the others lack it too
                raise
            return replace(item, error=str(error))
        if explanation.ended in ("cost", "deadline"):
            self.bounds.end(explanation.ended, explanation.warnings[0].text)
            key = ""
        return self._kept(item, explanation, key=key)

    def _before(self, item: OneOfMany, key: str) -> OneOfMany | None:
        """What an earlier run wrote of the same prompt, asked in the same way."""
        line = self.seen.get(key) if key else None
        if line is None or self.place is None:
            return None
        try:
            explanation = PromptExplanation.load(self.place / line["folder"])
        except WhygenError:  # gone, or damaged: it is explained again
            return None
        return replace(item, explanation=light(explanation), folder=line["folder"], again=True)

    def _kept(self, item: OneOfMany, explanation: PromptExplanation, *, key: str) -> OneOfMany:
        if self.place is None:
            return replace(item, explanation=explanation)
        kept = kept_in(self.place, item, explanation)
        if key:  # a partial one is explained again; what was answered is recorded
            add_line(self.place, {"key": key, "name": item.name, "folder": kept.folder})
        return kept

    def _key(self, source: Source | Call) -> str:
        """What tells a prompt and how it is asked from all others; empty where that cannot be told."""
        if self.place is None:
            return ""
        known = self.model.identity if isinstance(self.model, HasIdentity) else getattr(self.model, "uri", "")
        if known is None:  # nobody can tell this model from another
            return ""
        try:
            return digest(
                {
                    "whygen": __version__,
                    "model": _plain(known),
                    "prompt": _prompt(source),
                    "choices": {name: _plain(value) for name, value in self.choices.items() if name not in _NOT_ASKED},
                }
            )
        except (TypeError, ValueError):  # a function of one's own, an open encoder ...
            return ""


def _plain(value: object) -> JsonValue:
    """A choice as JSON.

    Raises:
        TypeError: if it is no plain value.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("Sequence[object]", value)]
    if isinstance(value, Settings):
        return value.to_json()
    raise TypeError(type(value).__name__)


def _prompt(source: Source | Call) -> JsonValue:
    if isinstance(source, Call):
        answer = None if source.answer is None else output_json(source.answer)
        return {
            "chat": source.chat.to_json(),
            "model": source.model,
            "settings": source.settings.to_json(),
            "answer": answer,
        }
    return source.to_json() if isinstance(source, Template) else prompt_json(source)
