"""First stage of the page of a trimmed prompt: a plain dict that holds all it shows; and its lines for a terminal."""

from __future__ import annotations

from typing import Any

from whygen.report.texts import clip, percent, shorten, signed, visible
from whygen.results.trimmed import Trimmed, TrimTest
from whygen.texts import counted, differences

MOST_SHOWN = 2_000
"""Characters of an answer that the page shows."""
_WHY = {
    "shown": "not worse by the margin",
    "worse": "could not be shown any more",
    "inputs": "not shown by these inputs",
    "budget": "not shown within the budget",
}


def summarise_trimmed(found: Trimmed) -> dict[str, Any]:
    """Everything that the page shows, as JSON."""
    return {
        "kind": "trimmed",
        "title": f"Trimmed: {shorten(found.before, 40)}",
        "model": visible(shorten(found.model, 60)),
        "headline": headline(found),
        "facts": _facts(found),
        "warnings": [{"code": each.code, "text": visible(each.text)} for each in found.warnings],
        "units": [
            {"text": visible(unit.text), "kept": unit.kept, "attribution": signed(unit.attribution)}
            for unit in found.units
        ],
        "prompt": visible(found.file[1]),
        "file": found.file[0],
        "means": _means(found),
        "tests": [_test(each, number) for number, each in enumerate(found.tests, start=1)],
        "worse": [
            {
                "number": each.number,
                "text": visible(shorten(each.text, 400)),
                "loss": percent(each.loss),
                **dict(zip(("before", "after"), sides(each.before, each.after), strict=True)),
            }
            for each in found.worse
        ],
        "made": _made(found),
        "document": found.to_dict(),
    }


def told(found: Trimmed) -> list[str]:
    """What a terminal says."""
    lines = [headline(found)]
    lines += [f"- dropped: {visible(shorten(unit.text, 100))}" for unit in found.dropped]
    lines.append(_means(found))
    if found.worse:
        numbers = ", ".join(str(each.number) for each in found.worse)
        lines.append(
            f"{counted(len(found.worse), 'input')} of {found.verified_on} lost half or more all the same ({numbers}). "
            "If they matter, pin what they need (--pin) and trim again."
        )
    lines += [f"Warning ({each.code}): {visible(each.text)}" for each in found.warnings]
    lines += [_saving(found)] if _saving(found) else []
    lines.append(f"{counted(found.calls.asked, 'answer')} asked for, {counted(found.calls.made, 'call')} made.")
    return lines


def headline(found: Trimmed) -> str:
    """What came out, in a sentence that says no more than was shown."""
    test = found.test
    if test is None:
        if not found.tests:
            return "Nothing can go: every shorter prompt that was tried did worse on the inputs that chose."
        return "Nothing was shown to be idle: the whole prompt stays."
    goes = f"{len(found.dropped)} of {counted(len(found.units), 'unit')} can go"
    return f"{goes}: the prompt is {percent(_shorter(found))} shorter, and {_not_worse(found, test)}."


def _shorter(found: Trimmed) -> float:
    whole = len(found.before)
    return (whole - len(found.text)) / whole if whole else 0.0


def _not_worse(found: Trimmed, test: TrimTest) -> str:
    where = "these inputs" if found.over == "these" else "inputs like these"
    return f"over {where} it loses at most {percent(_up(test.bound))} on average"


def _up(share: float | None) -> float:
    """Rounded up to a hundredth: a bound is not made smaller to look at."""
    return 1.0 if share is None else min(1.0, max(0.0, -(-share * 100.0 // 1.0) / 100.0))


def _means(found: Trimmed) -> str:
    """What is measured, and what the test can see and cannot."""
    if found.sides == "one":
        what = f"A loss is a fall of the score ({found.target.distance}); a rise makes up for it."
    else:
        what = (
            f"A loss is drift: how much further an answer is from what the whole prompt said ({found.target.distance}) "
            "than new answers of the whole prompt are. Better answers count as drift too."
        )
    sure = (
        f" Losses are shares of all an input can lose. A prompt that loses {percent(found.margin)} or more on average "
        f"passes with a chance of {found.error:g} at most."
    )
    if found.unseen is not None and found.test is not None:
        sure += (
            f" An instruction that up to {percent(_up(found.unseen))} of such inputs need may have gone unseen: give "
            "more inputs, or pin it."
        )
    return visible(what + sure)


def _facts(found: Trimmed) -> list[dict[str, str]]:
    test = found.test
    loss = {
        "question": "What is lost?",
        "figure": "–" if test is None else f"≤ {percent(_up(test.bound))}",
        "caption": "nothing was dropped" if test is None else f"on average; seen: {percent(test.loss or 0)}",
        "text": ""
        if test is None
        else f"{counted(test.comparisons, 'pair')} of answers, margin {percent(found.margin)}.",
    }
    broken = {
        "question": "Which inputs lost much?",
        "figure": "–" if test is None else f"{len(found.worse)} of {found.verified_on}",
        "caption": "lost half or more" if test is not None else "nothing was dropped",
        "text": ""
        if found.unseen is None or test is None or found.worse
        else f"Of inputs that were not seen, up to {percent(_up(found.unseen))} may all the same.",
    }
    shorter = {
        "question": "How much shorter?",
        "figure": percent(_shorter(found)),
        "caption": f"{len(found.before):,} → {len(found.text):,} characters",
        "text": _saving(found),
    }
    return [shorter, loss, broken]


def _saving(found: Trimmed) -> str:
    """Tokens and money that a call saves."""
    before, after = found.tokens
    if before is None or after is None:
        return ""
    text = f"{before:,.0f} → {after:,.0f} tokens read in a call"
    if found.saved is not None:
        word = "saves" if found.saved >= 0 else "costs"
        text += f"; {word} ${abs(found.saved):,.4f} in 1,000 calls"
        if found.cost and found.saved > 0:
            text += f", and trimming is paid back after {1000 * found.cost / found.saved:,.0f}"
    return f"{text}."


def _test(test: TrimTest, number_: int) -> dict[str, str]:
    return {
        "number": str(number_),
        "dropped": ", ".join(str(unit + 1) for unit in test.dropped),
        "comparisons": f"{test.comparisons:,}",
        "loss": "–" if test.loss is None else percent(test.loss),
        "bound": "–" if test.bound is None else percent(_up(test.bound)),
        "error": f"{test.error:g}",
        "why": _WHY[test.why],
    }


def sides(before: str, after: str) -> list[list[tuple[str, bool]]]:
    """Two texts in stretches, each with whether it is marked: what the other has not. Nothing is, if all would be."""
    cut = [clip(visible(text), MOST_SHOWN) for text in (before, after)]
    found = [[(part.text, part.own) for part in each] for each in differences(cut[0][0], cut[1][0])]
    if not any(not own for _, own in found[0]):
        found = [[(text, False) for text, _ in each] for each in found]
    ends = [[(f" … {left:,} more characters", False)] if left else [] for _, left in cut]
    return [[*each, *end] for each, end in zip(found, ends, strict=True)]


def _made(found: Trimmed) -> list[tuple[str, str]]:
    rows = [
        ("model", visible(found.model)),
        ("target", visible(f"{found.target.name}: {found.target.distance}")),
        ("margin", f"{found.margin:g}, error {found.error:g}, over {found.over}"),
        ("inputs", f"{found.inputs}: {found.chosen_on} chose, {found.verified_on} tested"),
        ("calls", f"{counted(found.calls.asked, 'answer')} asked for, {counted(found.calls.made, 'call')} made"),
        ("seed", str(found.seed)),
        ("whygen", found.whygen),
    ]
    return rows if found.cost is None else [*rows, ("cost", f"${found.cost:,.4f}")]
