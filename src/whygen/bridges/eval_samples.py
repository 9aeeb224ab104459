"""The samples of an evaluation's log, from inspect_ai or promptfoo: what was asked, whether it passed, how to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from whygen.bridges.inspect_scorers import SCORERS, inspect_score
from whygen.bridges.promptfoo_asserts import NotComputableError, passes
from whygen.errors import DataError, UnknownNameError, WhygenError
from whygen.records import Call, Recorded, inspect_logs, promptfoo, read_calls
from whygen.records.fields import Field
from whygen.records.files import ARCHIVE, Items, beginning, load
from whygen.types import Output

Score: TypeAlias = Callable[[Output], float]
HALF: Final = 0.5
"""A sample fails below this score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSample:
    """One sample.

    Attributes:
        name: its id, for people.
        group: samples of one group were asked alike: of one model, with one prompt.
        failed: whether the log says that it failed; None where it does not say.
        score: scores an answer as the evaluation did; None where nobody can without its code.
        why_not: what there is no way to compute.
        read: reads the call that was scored.
    """

    name: str
    group: str
    failed: bool | None
    score: Score | None
    why_not: str = ""
    read: Callable[[], Call]


def read_samples(path: Path, scorer: str | None = None) -> list[EvalSample]:
    """The samples of a log, in their order.

    Args:
        path: of inspect_ai's log (``.eval`` or JSON) or promptfoo's results.
        scorer: of inspect_ai, which one; the first that can be computed unless given.

    Raises:
        MissingError: if the file, or the package that reads it, is not there.
        DataError: if it is neither.
    """
    items = Items([inspect_logs.load_eval(path)]) if beginning(path).startswith(ARCHIVE) else load(path)
    logs = [item for item in items.found if inspect_logs.matches(item)]
    results = [item for item in items.found if promptfoo.matches(item)]
    if logs:
        return [each for log in logs for each in _inspect(log, path, scorer)]
    if results:
        rows = [row for item in results for row in promptfoo.rows(item)]
        return [_promptfoo(number, *both) for number, both in enumerate(zip(rows, read_calls(path), strict=True), 1)]
    raise DataError(
        f"{path.name!r} is no log of an evaluation: give a log of inspect_ai (.eval, or JSON) or promptfoo's results "
        "(promptfoo eval -o results.json)."
    )


def _inspect(log: Field, path: Path, scorer: str | None) -> Iterable[EvalSample]:
    """A log of inspect_ai: of each sample, the last call is what was scored."""
    last = {each.run: each for each in read_calls(path)}
    used = _scorers(log)
    if scorer is not None and scorer not in used:
        raise UnknownNameError("scorer of this log", scorer, used)
    chosen = scorer or next((name for name in used if name in SCORERS), next(iter(used), ""))
    for sample in log["samples"]:
        run = f"{sample['id'].name()}/{sample['epoch'].name() or 1}"
        if run not in last:
            continue
        value = sample.at("scores", chosen, "value").value
        found, why = (None, f"inspect_ai's scorer {chosen or '(none)'}")
        if chosen in SCORERS:
            found, why = inspect_score(chosen, used[chosen], sample["target"].value), ""
        number = _number(value)
        yield EvalSample(
            name=run, group=log.at("eval", "model").name(), failed=None if number is None else number < HALF,
            score=found, why_not=why, read=last[run].call,
        )  # fmt: skip


def _scorers(log: Field) -> dict[str, Mapping[str, Any]]:
    """The scorers that a log names, by their name without the package, with their options."""
    listed, found = log.at("eval", "scorers"), dict[str, Mapping[str, Any]]()
    for each in listed if listed.is_list else ():
        options = each["options"]
        found[each["name"].name().rpartition("/")[2]] = options.object() if options.is_object else {}
    scored = log.at("results", "scores")
    for each in scored if scored.is_list else ():
        found.setdefault(each["name"].name(), {})
    return found


def _number(value: object) -> float | None:
    """A score of inspect_ai as a number; None where it is none."""
    letters = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
    if isinstance(value, bool | int | float):
        return float(value)
    return letters.get(value) if isinstance(value, str) else None


def _promptfoo(number: int, row: Field, recorded: Recorded) -> EvalSample:
    """One of promptfoo's results: of a prompt, a provider and a test."""
    test, success = row["testCase"], row["success"].value
    threshold = test["threshold"].value
    share = float(threshold) if isinstance(threshold, int | float) else None
    found, why = None, ""
    try:
        found = passes(list(test["assert"]), row["vars"].object(), share)
    except NotComputableError as error:
        why = f"promptfoo's {error}"
    provider = row.at("provider", "id").name() or row["provider"].name()
    label = row.at("prompt", "label")
    return EvalSample(
        name=test["description"].name() or f"test {number}",
        group=f"{provider}, {' '.join(label.text().split())[:80] if label.is_text else ''}",
        failed=None if not isinstance(success, bool) else not success,
        score=found, why_not=why, read=recorded.call,
    )  # fmt: skip


def reproduced(sample: EvalSample, call: Call) -> bool:
    """Whether the score of the recorded answer is a failure, as the log says.

    Raises:
        WhygenError: if the answer cannot be scored.
    """
    if sample.score is None or call.answer is None:
        return False
    try:
        return sample.score(call.answer) < HALF
    except Exception as error:  # a scorer is code of others
        raise WhygenError(f"{sample.name}: its scorer failed: {error}") from error


def of_group(samples: Sequence[EvalSample], group: str | None) -> list[EvalSample]:
    """The samples of one group: the one that is named, or that with the most failures.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    failures = {each.group: 0 for each in samples}
    for each in samples:
        failures[each.group] += bool(each.failed)
    if group is not None and group not in failures:
        raise UnknownNameError("group", group, failures)
    chosen = group if group is not None else max(failures, key=lambda name: failures[name])
    return [each for each in samples if each.group == chosen]
