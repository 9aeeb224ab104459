"""The results of ``whygen reproduce pxgen-mnist0`` as Markdown, beside the figures of METHODS B5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whygen.results.anchors import GROUPS, AnchorExplanation
from whygen_experiments.pxgen_mnist0 import NAME, TRAINED, SeedResult

MODES = ("pxgen", "pxgen-saturated", "default")
EARLIER = {
    "pxgen": {
        "kld": "26.7 / 30.3 / 32.5",
        "sse": "28.5 / 24.1 / 29.8",
        "zeros HIHE": "98.8 / 97.7 / 99.2",
        "others HIHE": "11.1 / 4.0 / 22.7",
        "others HILE": "63 / 85 / 68",
    },
    "pxgen-saturated": {"kld": "", "sse": "", "zeros HIHE": "82.7 (seed 1)", "others HIHE": "", "others HILE": ""},
    "default": {
        "kld": "21.4 (seed 1)",
        "sse": "24.4 (seed 1)",
        "zeros HIHE": "96.7 / 96.4 / 96.5",
        "others HIHE": "2.5 / 1.9 / 2.4",
        "others HILE": "47 / 53 / 47",
    },
}
"""METHODS B5: measured with an independent script, R = 4, one posterior draw."""


def markdown(results: Sequence[SeedResult]) -> str:
    """All tables, one under the other."""
    parts = [
        "# PXGen on MNIST zeros",
        "Made by `whygen reproduce pxgen-mnist0`. " + _settings(results),
        "## Thresholds and shares, beside earlier figures",
        _summary(results),
        "## Groups by digit, in percent",
        *(_by_digit(results, mode) for mode in MODES),
        "## Is it delusion? What a digit classifier reads in reconstructions of other digits",
        _delusion(results),
        "## k-dispersion and k-center, ten picks each, in pixel space",
        _picks(results),
        "## Seconds of each phase",
        _seconds(results),
    ]
    return "\n\n".join(parts) + "\n"


def write(results: Sequence[SeedResult], folder: Path) -> Path:
    """The tables as pxgen-mnist0.md, with a gallery of each group (default mode, first seed) beside it.

    Returns:
        The Markdown file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [(group, gallery(results[0].explanations["default"], group, folder / f"{group}.png")) for group in GROUPS]
    shown = [
        f"{group}: originals, reconstructions, differences\n\n![{group}]({group}.png)" for group, file in drawn if file
    ]
    page = folder / f"{NAME}.md"
    page.write_text("\n\n".join([markdown(results).rstrip(), "## Representatives", *shown]) + "\n", encoding="utf-8")
    return page


def figures(explanation: AnchorExplanation) -> dict[str, float]:
    """Thresholds, and percentages of the trained digit and of the others."""
    own, others = _shares(explanation)
    return {
        "kld": explanation.thresholds["kld"],
        "sse": explanation.thresholds["sse"],
        "zeros HIHE": 100 * float(own[0]),
        "others HIHE": 100 * float(others[0]),
        "others HILE": 100 * float(others[1]),
    }


def gallery(explanation: AnchorExplanation, group: str, file: Path) -> Path | None:
    """Originals, reconstructions and differences of a group's representatives as one image; None if there are none."""
    evidence = explanation.evidence
    if evidence is None or evidence.originals is None or evidence.reconstructions is None:
        return None
    rows = np.flatnonzero(np.isin(evidence.shown, explanation.selected[group]))
    if rows.size == 0:
        return None
    originals, made = evidence.originals[rows], evidence.reconstructions[rows]
    strips = [np.concatenate(list(strip), axis=1) for strip in (originals, made, np.abs(originals - made))]
    pixels = (np.concatenate(strips) * 255).round().astype(np.uint8).squeeze(axis=-1)
    Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2), Image.Resampling.NEAREST).save(file)
    return file


def _settings(results: Sequence[SeedResult]) -> str:
    details = results[0].explanations["pxgen"].details
    default = results[0].explanations["default"].details
    seeds = ", ".join(str(result.seed) for result in results)
    if details is None or default is None:
        return f"Training seeds {seeds}."
    return (
        f"Training seeds {seeds}. Preset: {details.provenance}, {details.draws} posterior draw (the saturating loader "
        f"with a tenth of the rounds). Default: {default.provenance}, {default.draws} posterior draws."
    )


def _summary(results: Sequence[SeedResult]) -> str:
    rows: list[list[str]] = []
    for mode in MODES:
        found = [figures(result.explanations[mode]) for result in results]
        for name in found[0]:
            shown = " / ".join(f"{each[name]:.1f}" for each in found)
            rows.append([mode, name, shown, EARLIER[mode][name]])
    return table(["mode", "figure", "here, by seed", "METHODS B5"], rows)


def _shares(explanation: AnchorExplanation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of the groups among anchors of the trained digit, and among all others."""
    table = explanation.details.label_table if explanation.details else None
    if table is None:
        nothing = np.full(len(GROUPS), np.nan)
        return nothing, nothing
    counts = np.array(table.counts, dtype=np.float64)
    own = np.array([label == TRAINED for label in table.labels])
    one, other = counts[own].sum(axis=0), counts[~own].sum(axis=0)
    return one / one.sum(), other / other.sum()


def _by_digit(results: Sequence[SeedResult], mode: str) -> str:
    tables = [result.explanations[mode].details for result in results]
    counts = [np.array(each.label_table.counts, dtype=float) for each in tables if each and each.label_table]
    share = 100 * np.mean([each / each.sum(axis=1, keepdims=True) for each in counts], axis=0)
    labels = tables[0].label_table.labels if tables[0] and tables[0].label_table else ()
    rows = [[str(label), *(f"{value:.1f}" for value in row)] for label, row in zip(labels, share, strict=True)]
    return f"`{mode}`, mean over seeds\n\n" + table(["digit", *GROUPS], rows)


def _delusion(results: Sequence[SeedResult]) -> str:
    rows: list[list[str]] = []
    for mode in MODES:
        for result in results:
            details = result.explanations[mode].details
            for row in details.delusion if details else ():
                if row.label is None:
                    shown = f"{100 * row.share:.1f} ({100 * row.low:.1f} to {100 * row.high:.1f})"
                    rows.append([mode, str(result.seed), row.group, str(row.count), shown])
    return table(["mode", "seed", "group", "other digits in it", "read as zero, %"], rows)


def _picks(results: Sequence[SeedResult]) -> str:
    rows = [[str(result.seed), *_cells(row)] for result in results for row in result.picks]
    return table(["seed", *results[0].picks[0]], rows) if rows else "No group has two members."


def _cells(row: Mapping[str, object]) -> list[str]:
    return [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()]


def _seconds(results: Sequence[SeedResult]) -> str:
    rows: list[list[str]] = []
    for result in results:
        for mode in MODES:
            details = result.explanations[mode].details
            seconds = details.seconds if details else {}
            phases = [f"{seconds.get(phase, 0):.1f}" for phase in _PHASES]
            rows.append([str(result.seed), mode, f"{result.training_seconds:.1f}", *phases])
    return table(["seed", "mode", "training", *_PHASES], rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


_PHASES = ("criteria", "calibration", "groups", "selection", "diagnostics")
