"""The results of the three experiments on CIFAR-10 as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whygen.report.texts import listed
from whygen.results.anchors import GROUPS, AnchorExplanation
from whygen_experiments.pxgen_cifar10 import (
    ENCODER,
    KEPT,
    REMOVED,
    TRAINED,
    CifarFindings,
    Numbers,
    Pictures,
    RemovalRow,
    ThresholdRow,
    is_high,
    values_of,
)
from whygen_experiments.pxgen_mnist0_tables import table

Area = tuple[float, float, float]
Bools = NDArray[np.bool_]


def write(name: str, text: str, folder: Path) -> Path:
    """A page of that name.

    Returns:
        The Markdown file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{name}.md"
    page.write_text(text, encoding="utf-8")
    return page


def cifar10(found: CifarFindings) -> str:
    """All tables of ``pxgen-cifar10``."""
    own = found.pictures.own
    parts = [
        "# PXGen on a small Soft-IntroVAE of CIFAR-10",
        _made_by("pxgen-cifar10", found.pictures, [each.seed for each in found.models])
        + f" The preset's thresholds are of {found.models[0].explanations['pxgen'].calibration.n:,} generated samples.",
        "## What the criteria are: medians, and the highest",
        _scores(found),
        "## Thresholds and groups, in percent",
        _groups(found, own),
        "## What tells anchors of other classes: AUROC with 95% intervals",
        _areas(found.areas),
        "## The default beside its controls",
        _controls(found),
    ]
    return "\n\n".join(parts) + "\n"


def thresholds(rows: Sequence[ThresholdRow], pictures: Pictures) -> str:
    """The table of ``pxgen-thresholds``: means over seeds, and the lowest and highest where there are several."""
    cells: dict[tuple[str, str, str], list[ThresholdRow]] = {}
    for row in rows:
        cells.setdefault((row.kind, row.way, row.criteria), []).append(row)
    lines = [
        [
            kind, way, criteria,
            "; ".join(" / ".join(f"{each.thresholds[name]:.3g}" for each in same) for name in same[0].thresholds),
            *(_spread([getattr(each, side) for each in same]) for side in ("own", "others", "generated")),
        ]
        for (kind, way, criteria), same in cells.items()
    ]  # fmt: skip
    heads = ["model", "thresholds by", "criteria", "thresholds, by seed", "trained classes", "other classes"]
    parts = [
        "# How shares on CIFAR-10 depend on thresholds and criteria",
        _made_by("pxgen-thresholds", pictures, [row.seed for row in rows]),
        _lines(
            "Percent that are within every threshold: of anchors of the trained classes and of others, and of",
            "samples that the model generated. A single criterion is allowed. Conformal thresholds are of real",
            "pictures that the model has not seen, those of mean-max of generated ones.",
        ),
        table([*heads, "generated"], lines),
    ]
    return "\n\n".join(parts) + "\n"


def removal(rows: Sequence[RemovalRow], pictures: Pictures) -> str:
    """The tables of ``pxgen-removal``."""
    same: dict[str, list[RemovalRow]] = {}
    for row in rows:
        same.setdefault(row.removed, []).append(row)
    sides = (f"{REMOVED}s", _and(KEPT), "foreign")
    heads = [f"{side}, {what}" for what in ("% high", "sse", "kld") for side in sides]
    lines = [
        [
            kind, str(each[0].count), " / ".join(str(row.of_class) for row in each),
            _by_seed([1000 * row.distance for row in each]),
            *(_by_seed(list(column)) for column in np.array([row.figures for row in each]).T),
        ]
        for kind, each in same.items()
    ]  # fmt: skip
    control = np.array([row.figures for row in same["random"]])
    gaps = [
        [kind, *(_by_seed(list(column)) for column in (np.array([row.figures for row in each]) - control).T)]
        for kind, each in same.items()
        if kind != "random"
    ]
    parts = [
        "# What a Soft-IntroVAE of CIFAR-10 loses with a third of its training pictures",
        _made_by("pxgen-removal", pictures, [row.seed for row in rows]),
        _lines(
            f"Thresholds are conformal on held-out {_and(KEPT)}, by kld and sse. Distances are Frechet distances",
            f"between samples of two models in features of `{ENCODER}`, times 1,000; the first model's own, by other",
            "samples, is the floor.",
        ),
        "## Each model",
        table(["removed", "pictures", f"of them {REMOVED}s", "distance to the first", *heads], lines),
        "## Less the control: the same number of pictures removed at random",
        table(["removed", *heads], gaps),
    ]
    return "\n\n".join(parts) + "\n"


def _made_by(name: str, pictures: Pictures, seeds: Sequence[int]) -> str:
    of_seeds = ",".join(str(seed) for seed in dict.fromkeys(seeds))
    return _lines(
        f"Made by `whygen reproduce {name} --seeds {of_seeds}`.",
        f"Trained on {len(pictures.training):,} pictures of {_and(TRAINED)};",
        f"reference {len(pictures.reference.samples):,} more of them that no model has seen; anchors",
        f"{len(pictures.own):,} test pictures of all ten classes, {int(pictures.own.sum()):,} of them of the trained",
        "ones. Figures by seed, with a slash between.",
    )


def _lines(*parts: str) -> str:
    return " ".join(parts)


def _scores(found: CifarFindings) -> str:
    heads = ["model", "criterion", "generated", "highest", "held-out", "test, trained classes", "test, other classes",
             "threshold, mean-max", "threshold, conformal"]  # fmt: skip
    lines: list[list[str]] = []
    own = found.pictures.own
    for kind in dict.fromkeys(each.kind for each in found.models):
        models = [each for each in found.models if each.kind == kind]
        for name in ("kld", "sse"):
            rows: list[list[float]] = []
            for each in models:
                made, asked = _column(each.generated, name), _column(each.explanations["conformal"], name)
                rows.append([
                    float(np.median(made)), float(made.max()), _of_reference(each.explanations["conformal"], name),
                    float(np.median(asked[own])), float(np.median(asked[~own])),
                    each.explanations["pxgen"].thresholds[name], each.explanations["conformal"].thresholds[name],
                ])  # fmt: skip
            lines.append([kind, name, *(_by_seed(list(column)) for column in zip(*rows, strict=True))])
    return table(heads, lines)


def _groups(found: CifarFindings, own: Bools) -> str:
    heads = ["model", "mode", "side", *GROUPS, "high by all"]
    lines: list[list[str]] = []
    for kind in dict.fromkeys(each.kind for each in found.models):
        models = [each for each in found.models if each.kind == kind]
        for mode in models[0].explanations:
            for side, rows in (("trained classes", own), ("other classes", ~own)):
                shares = [_codes(each.explanations[mode], rows) for each in models]
                lines.append([kind, mode, side, *(_by_seed(list(column)) for column in zip(*shares, strict=True))])
        made = [100 * float(is_high(each.generated.read(criteria="kld,sse")).mean()) for each in models]
        lines.append([kind, "conformal", "generated", *[""] * len(GROUPS), _by_seed(made)])
    return table(heads, lines)


def _codes(explanation: AnchorExplanation, rows: Bools) -> list[float]:
    """Percent of these anchors in each group, and within all thresholds."""
    inside = np.zeros((len(GROUPS), len(rows)), dtype=bool)
    for place, group in enumerate(GROUPS):
        inside[place, explanation.members(group)] = True
    return [100 * float(each[rows].mean()) for each in (*inside, is_high(explanation))]


def _areas(areas: Mapping[str, Sequence[Area]]) -> str:
    lines = [
        [name, "; ".join(f"{area:.3f} ({low:.3f} to {high:.3f})" for area, low, high in each)]
        for name, each in areas.items()
    ]
    return table(["score", "by seed"], lines)


def _controls(found: CifarFindings) -> str:
    lines: list[list[str]] = []
    for each in found.models:
        default = each.explanations["default"]
        lines.append([each.kind, str(each.seed), "the model itself", f"{100 * default.groups['HIHE'].share:.1f}"])
        for control in default.controls:
            shown = control.missing or f"{100 * control.groups['HIHE'].share:.1f}"
            lines.append([each.kind, str(each.seed), control.what, shown])
        lines.extend([each.kind, str(each.seed), foil.what, f"{100 * foil.alike.share:.1f}"] for foil in default.foils)
    return table(["model", "seed", "what is asked", "HIHE, %"], lines)


def _column(explanation: AnchorExplanation, name: str) -> Numbers:
    return values_of(explanation)[:, _place(explanation, name)]


def _of_reference(explanation: AnchorExplanation, name: str) -> float:
    scored = explanation.scores.scored("reference") if explanation.scores is not None else None
    return float("nan") if scored is None else float(np.median(scored.values[:, _place(explanation, name)]))


def _place(explanation: AnchorExplanation, name: str) -> int:
    return [each.name for each in explanation.criteria].index(name)


def _by_seed(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values)


def _spread(values: Sequence[float]) -> str:
    middle = f"{np.mean(values):.1f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.1f} to {max(values):.1f})"


def _and(names: Sequence[str]) -> str:
    return listed([f"{name}s" for name in names])
