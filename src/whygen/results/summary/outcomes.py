"""What a model did with a part of its prompt and without it: counts of what it did, and two answers side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.report.texts import counted, quoted, shorten, visible
from whygen.results.evidence import Evidence, Sample
from whygen.results.prompt import PromptExplanation
from whygen.texts import Stretch, differences
from whygen.types import ToolCall

MOST_BESIDE = 200
"""Units that are shown with what was done without them; the strongest, where there are more."""

MOST_SHARED = 4_096
"""Answers whose prompts are compared once, all with all; the table takes 64 MiB then."""

MOST_OUTCOMES = 4
MOST_ANSWER = 1_200
"""Characters of an answer that are shown."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The answers to masked prompts.

    Attributes:
        kept: which units each of them was given, shape ``(answers, n)``.
        samples: the answers.
        labels: what each of them did, in words.
        whole: what the answer to the whole prompt did; None where it is not known.
        words: whether answers are told apart by what they say, for want of tools that were called.
        shared: how many units both of two answers were given, shape ``(answers, answers)``; None where there are so
            many answers that it is counted side by side.
    """

    kept: NDArray[np.bool_]
    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    whole: str | None = None
    words: bool = False
    shared: NDArray[np.float32] | None = None

    def beside(self, unit: int) -> dict[str, Any] | None:
        """What was done with a unit and without it; None where one side was never asked."""
        with_it, without = self._side(unit, kept=True), self._side(unit, kept=False)
        if not (with_it and without):
            return None
        counts = [Counter(self.labels[i] for i in side) for side in (with_it, without)]
        rows = _rows(counts, first=self.whole)
        if not self.words:  # answers that did what is typical of their side
            label = rows[0]["text"] if counts[0][rows[0]["text"]] else counts[0].most_common(1)[0][0]
            with_it = [i for i in with_it if self.labels[i] == label]
            without = [i for i in without if self.labels[i] == counts[1].most_common(1)[0][0]]
        first, second, others = self._nearest(with_it, without)
        shown = differing(said_of(self.samples[first]), said_of(self.samples[second]))
        asked = [sum(side.values()) for side in counts]
        top = rows[0]
        did = f"{top['text'][:1].upper()}{top['text'][1:]} in {top['with']:,} of {counted(asked[0], 'answer')} with it"
        return {
            "sentence": f"{did}, in {top['without']:,} of {asked[1]:,} without it",
            "rows": rows,
            "with_count": asked[0],
            "without_count": asked[1],
            "others": others,
            "words": self.words,
            "few": len(counts[0] | counts[1]) <= MOST_OUTCOMES,
            "with": shown[0],
            "without": shown[1],
            "same": said_of(self.samples[first]) == said_of(self.samples[second]),
        }

    def _side(self, unit: int, *, kept: bool) -> list[int]:
        found: list[int] = np.flatnonzero(self.kept[:, unit] == kept).tolist()
        return found

    def _nearest(self, with_it: Sequence[int], without: Sequence[int]) -> tuple[int, int, int]:
        """One answer of each side, to the two prompts that differ least in other units, and in how many they do.

        Of equally near ones it is those from which least was taken away. A pair that differs in much else as well
        would show what the other units did.
        """
        rows, columns, n = list(with_it), list(without), self.kept.shape[1]
        shared = _shared(self.kept[rows], self.kept[columns]) if self.shared is None else self.shared[rows][:, columns]
        sizes = self.kept.sum(axis=1, dtype=np.float32)
        both = sizes[rows][:, None] + sizes[columns][None, :]
        apart = both - 2.0 * shared
        i, j = divmod(int(np.argmin(apart - both / (2 * n + 1))), len(without))
        return with_it[i], without[j], round(float(apart[i, j])) - 1


def _shared(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float32]:
    return one.astype(np.float32) @ other.astype(np.float32).T


def outcomes(explanation: PromptExplanation) -> Outcomes | None:
    """The answers to masked prompts, and what each did; None where they were not kept or hold no text.

    None over many inputs, too: answers to one input would be laid to those to another.
    """
    evidence = explanation.evidence
    if evidence is None or evidence.media is not None or explanation.inputs or explanation.tree is not None:
        return None
    if evidence.pictures is not None and any(place is not None for place in evidence.pictures.samples):
        return None  # it drew
    pairs = list(_answers(evidence))
    samples = tuple(evidence.samples[place] for _, place in pairs)
    if not samples or all(sample.finish == "scored" for sample in samples):
        return None
    kept: NDArray[np.bool_] = evidence.masks[[row for row, _ in pairs]]
    first = next((sample for sample in evidence.samples if sample.kind == "reference"), None)
    every = [*samples, *([] if first is None else [first])]
    labels = labels_of(every)
    words = not any(sample.calls for sample in every)
    whole = None if first is None else labels[-1]
    shared = _shared(kept, kept) if len(kept) <= MOST_SHARED else None
    return Outcomes(kept, samples, labels[: len(samples)], whole, words=words, shared=shared)


def _answers(evidence: Evidence) -> Iterator[tuple[int, int]]:
    """The row of each answer to a mask, and its place among the samples."""
    if evidence.answers is not None:
        for row, places in enumerate(evidence.answers.tolist()):
            yield from ((row, place) for place in places if place >= 0)
        return
    for place, sample in enumerate(evidence.samples):
        if sample.mask is not None and 0 <= sample.mask < len(evidence.masks):
            yield sample.mask, place


def labels_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """What each answer did: the tools that it called, with what where all called the same; else what it said.

    Answers in words are told apart only where no tool was called in any.
    """
    called = {_called(sample) for sample in samples if sample.calls}
    words = not called
    arguments = len(called) == 1
    return tuple(_label(sample, words=words, arguments=arguments) for sample in samples)


def _called(sample: Sample) -> tuple[str, ...]:
    return tuple(str(call["name"]) for call in sample.calls or ())


def _label(sample: Sample, *, words: bool, arguments: bool) -> str:
    if sample.calls:
        told = [ToolCall.from_json(call).said for call in sample.calls] if arguments else dict.fromkeys(_called(sample))
        return f"called {shorten(', '.join(told), 90)}"
    if sample.finish == "refused":
        return "refused"
    if not sample.output.strip():
        return "answered nothing"
    return f"said {quoted(sample.output, 60)}" if words else "called no tool"


def _rows(counts: Sequence[Counter[str]], *, first: str | None) -> list[dict[str, Any]]:
    """The commonest outcomes, ``first`` before all; the others in one row."""
    with_it, without = counts
    order = sorted({*with_it, *without}, key=lambda label: (label != first, -with_it[label], -without[label], label))
    shown = order if len(order) <= MOST_OUTCOMES else order[: MOST_OUTCOMES - 1]
    rows = [{"text": label, "with": with_it[label], "without": without[label]} for label in shown]
    rest = [label for label in order if label not in shown]
    if rest:
        text = counted(len(rest), "other answer")
        rows.append({"text": text, "with": sum(with_it[r] for r in rest), "without": sum(without[r] for r in rest)})
    return rows


def said_of(sample: Sample) -> str:
    """An answer as it is shown: its text, and each call with its arguments spread over lines."""
    calls = [f"{call['name']}({pretty(str(call['arguments']))})" for call in sample.calls or ()]
    return "\n".join(filter(str.strip, (sample.output, *calls)))


def pretty(arguments: str, most: int = 4_000) -> str:
    """JSON over several lines; whatever cannot be read, or is too long for it, as it stands."""
    if len(arguments) > most:
        return arguments
    try:
        value: object = json.loads(arguments)
        return "" if value == {} else json.dumps(value, ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return arguments


def differing(one: str, other: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two texts in stretches, those that only one of them has marked."""
    pairs = zip(differences(one[:MOST_ANSWER], other[:MOST_ANSWER]), (one, other), strict=True)
    first, second = ([*map(_stretch, side), *_more(text)] for side, text in pairs)
    return first, second


def _stretch(found: Stretch) -> dict[str, Any]:
    return {"text": visible(found.text), "differs": found.own}


def _more(text: str) -> list[dict[str, Any]]:
    left_out = len(text) - MOST_ANSWER
    return [{"text": f" … {left_out:,} more characters", "differs": False}] if left_out > 0 else []
