"""The results of ``whygen reproduce gsmile-editing`` as Markdown, as JSON, and as what a page shows.

Tables are made once, as `Section`, and written in every form from there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from whygen.errors import DataError
from whygen.media import pictures
from whygen.report.html import page as rendered
from whygen.types import Picture
from whygen_experiments.gsmile_editing.output_map import OutputMap, Separation
from whygen_experiments.gsmile_editing.study import (
    DEEP,
    EDITS,
    METHODS,
    NAME,
    SEEDS,
    SURROGATES,
    Method,
    Results,
    mean_interval,
)  # fmt: skip

THUMB = 96
"""Pixels along the longer side of a picture in the page."""
TITLES = {"default": "whygen's default", "gsmile-images": "preset `gsmile-images`"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One experiment: what it shows, its table, and what to know when reading it."""

    key: str
    title: str
    said: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: tuple[tuple[str, ...], ...] = field(default=())
    """Row by row where the table shows means; its first row holds the heads."""


def sections(results: Results) -> tuple[Section, ...]:
    """The five experiments."""
    return (_stability(results), _accuracy(results), _map(results), _surrogates(results), _seeds(results))


def write(results: Results, folder: Path) -> dict[str, Path]:
    """Write the results as Markdown, as JSON and as a page; the files by their endings."""
    files = {kind: folder / f"{NAME}.{kind}" for kind in ("md", "json", "html")}
    files["md"].write_text(markdown(results), encoding="utf-8")
    text = json.dumps(document(results), indent=1, ensure_ascii=False, allow_nan=False)
    files["json"].write_text(text + "\n", encoding="utf-8")
    drawn = rendered("experiment.html.j2", page(results), package="whygen_experiments")
    files["html"].write_text(drawn, encoding="utf-8")
    return files


def document(results: Results) -> dict[str, Any]:
    """Everything that was measured, as JSON; pictures by digest."""
    drawn = results.drawn
    return {
        "experiment": NAME,
        "model": results.model,
        "encoder": results.encoder,
        "edits": EDITS,
        "stability": [asdict(row) for row in results.stable],
        "accuracy": [asdict(row) for row in results.accurate],
        "accuracy by chance": asdict(results.chance),
        "map": None if drawn is None else _map_json(results, drawn),
        "surrogates": [asdict(row) for row in results.predicted],
        "noises": [asdict(row) for row in results.seeded],
        "baseline drawn again, generalised Jaccard": results.again,
        "labelled": [
            {"name": each.name, "instruction": each.edit.instruction, "labels": list(each.labels or ())}
            for each in results.questions.labelled
        ],
    }


def _map_json(results: Results, drawn: OutputMap) -> dict[str, Any]:
    return {
        "condition": results.mapped,
        "instruction": results.questions.named(results.mapped).edit.instruction,
        "pca": drawn.pca.tolist(),
        "explained": list(drawn.explained),
        "tsne": None if drawn.tsne is None else drawn.tsne.tolist(),
        "present": drawn.present.tolist(),
        "separations": [asdict(each) for each in drawn.separations],
    }


def markdown(results: Results) -> str:
    """All sections, one under the other."""
    parts = [f"# Image editing: {results.model}", f"Made by `whygen reproduce {NAME}`. {_setting(results)}"]
    for section in sections(results):
        parts += [f"## {section.title}", section.said, _table(section.heads, section.rows)]
        if section.more:
            parts.append(_table(section.more[0], section.more[1:]))
    return "\n\n".join(parts) + "\n"


def page(results: Results) -> dict[str, Any]:
    """What the page shows."""
    return {
        "title": f"Image editing: {results.model}",
        "what": f"whygen reproduce {NAME}",
        "model": results.model,
        "headline": "The published experiments with image editors",
        "setting": _setting(results).replace("`", ""),
        "sections": [_shown(section) for section in sections(results)],
        "strips": {"stability": _stability_strips(results), "seeds": _seed_strips(results)},
        "references": _references(results),
        "maps": [] if results.drawn is None else _maps(results.drawn),
        "document": document(results),
    }


def _shown(section: Section) -> dict[str, Any]:
    """A section for the page, where backticks mean nothing."""
    plain = [[cell.replace("`", "") for cell in row] for row in (section.heads, *section.rows)]
    return {
        "key": section.key,
        "title": section.title,
        "said": section.said.replace("`", ""),
        "heads": plain[0],
        "rows": plain[1:],
        "more": [[cell.replace("`", "") for cell in row] for row in section.more],
    }


def _setting(results: Results) -> str:
    return (
        f"{results.questions.said} {EDITS} pictures an explanation ({DEEP} for the map and the surrogates), encoder "
        f"{results.encoder} for both methods, words cut at white space. Beside a mean stands its 95% t interval over "
        "instructions."
    )


def _stability(results: Results) -> Section:
    rows: list[tuple[str, ...]] = []
    for key, name in _JACCARDS:
        values = {method: [float(getattr(r, key)) for r in _of(results, method)] for method in METHODS}
        chance = {method: [float(getattr(r, f"chance_{key}")) for r in _of(results, method)] for method in METHODS}
        difference = [a - b for a, b in zip(values["default"], values["gsmile-images"], strict=True)]
        cells = [f"{_mean(values[method])} ({np.mean(chance[method]):.2f})" for method in METHODS]
        rows.append((name, *cells, _mean(difference)))
    more = [("condition", "instruction", "method", *(name for _, name in _JACCARDS))]
    more += [
        (r.condition, r.instruction, TITLES[r.method], *(f"{getattr(r, key):.2f}" for key, _ in _JACCARDS))
        for r in results.stable
    ]
    return Section(
        key="stability",
        title="Stability when ### is appended",
        said=(
            "Each condition is explained with and without `###`, which asks for nothing. 1 is the same explanation; in "
            "brackets, what two random orders share. The published masks are one fixed draw, and another word in the "
            "prompt makes it another draw: both methods see other masks with the mark than without."
        ),
        heads=("figure", *(f"{TITLES[method]} (chance)" for method in METHODS), "difference, paired"),
        rows=tuple(rows),
        more=tuple(more),
    )


_JACCARDS = (
    ("top1", "Jaccard, strongest word"),
    ("top2", "Jaccard, two strongest"),
    ("generalised", "generalised Jaccard"),
)


def _of(results: Results, method: Method) -> list[Any]:
    return [row for row in results.stable if row.method == method]


def _accuracy(results: Results) -> Section:
    figures = (
        ("auroc", "AUROC"), ("accuracy", "ATT ACC"), ("f1", "ATT F1"),
        ("accuracy_significant", "ATT ACC, significant words"), ("f1_significant", "ATT F1, significant words"),
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for key, name in figures:
        values = {m: [float(getattr(r, key)) for r in results.accurate if r.method == m] for m in METHODS}
        difference = [a - b for a, b in zip(values["default"], values["gsmile-images"], strict=True)]
        chance = "" if key.endswith("significant") else f"{getattr(results.chance, key):.2f}"
        rows.append((name, *(_mean(values[method]) for method in METHODS), _mean(difference), chance))
    more = [("instruction", "method", "AUROC", "ATT ACC", "ATT F1")]
    more += [
        (r.instruction, TITLES[r.method], f"{r.auroc:.2f}", f"{r.accuracy:.2f}", f"{r.f1:.2f}")
        for r in results.accurate
    ]
    return Section(
        key="accuracy",
        title="Accuracy against labelled words",
        said=(
            f"{len(results.questions.labelled)} instructions whose important words are known. AUROC ranks by the "
            "signed attribution. ATT ACC and F1 need a threshold, and none is published: here a word is called "
            "important at half of the largest attribution or more; below that, at a significant positive attribution."
        ),
        heads=("figure", *(TITLES[method] for method in METHODS), "difference, paired", "random"),
        rows=tuple(rows),
        more=tuple(more),
    )


def _map(results: Results) -> Section:
    instruction = results.questions.named(results.mapped).edit.instruction
    drawn = results.drawn
    said = f"The pictures drawn for masks of {instruction!r}, as {results.encoder} sees them. "
    if drawn is None:
        said += "All of them are equal, so there is no map."
    else:
        explained = 100 * sum(drawn.explained)
        said += (
            f"The first two axes of PCA hold {explained:.0f}% of the variance. Silhouettes are computed in the whole "
            "space, not in the plane; chance deals the presence of the word out anew, pair by pair of masks."
        )
    rows = () if drawn is None else tuple(_separation(each) for each in drawn.separations)
    return Section(
        key="map",
        title="Do the outputs fall apart by a word?",
        said=said,
        heads=("word", "silhouette", "chance", "95% of chance", "p"),
        rows=rows,
    )


def _separation(each: Separation) -> tuple[str, ...]:
    if each.silhouette is None:
        return (each.unit, "too few pictures without it", "", "", "")
    figures = (each.silhouette, each.chance or 0.0, each.chance_p95 or 0.0, each.p_value or 0.0)
    return (each.unit, *(f"{round(value, 3) + 0.0:.3f}" for value in figures))


def _surrogates(results: Results) -> Section:
    table = {name: {r.condition: r.r2 for r in results.predicted if r.surrogate == name} for name in SURROGATES}
    both = [condition for condition, r2 in table["ridge"].items() if r2 is not None]
    rows: list[tuple[str, ...]] = []
    for name in SURROGATES:
        values = [float(table[name][condition] or 0.0) for condition in both]
        linear = [float(table["ridge"][condition] or 0.0) for condition in both]
        difference = "" if name == "ridge" else _mean([a - b for a, b in zip(values, linear, strict=True)], decimals=3)
        rows.append(
            (name, _mean(values, decimals=3), f"{min(values, default=0.0):.3f}" if values else "none", difference)
        )
    more = [("condition", *SURROGATES)]
    more += [(condition, *(_r2(table[name][condition]) for name in SURROGATES)) for condition in table["ridge"]]
    return Section(
        key="surrogates",
        title="Linear and non-linear surrogates, held out",
        said=(
            f"R2 on masks that the surrogate was not fitted to, over the same masks and folds ({DEEP} pictures a "
            "condition). `boosting` keeps its trees only where they help on left-out pairs."
        ),
        heads=("surrogate", "mean held-out R2", "least", "difference to ridge, paired"),
        rows=tuple(rows),
        more=tuple(more),
    )


def _r2(value: float | None) -> str:
    return "no change in the outputs" if value is None else f"{value:.3f}"


def _seeds(results: Results) -> Section:
    rows: list[tuple[str, ...]] = [("own guidance, the first noise drawn again", f"{results.again:.2f}", "", "", "")]
    for guidance in ("own", "high"):
        found = [row for row in results.seeded if row.guidance == guidance]
        spread = float(np.var([row.generalised for row in found], ddof=1))
        means = [_mean([float(getattr(row, key)) for row in found]) for key in ("generalised", "top1", "top2")]
        rows.append((f"{guidance} guidance, {SEEDS} other noises", means[0], f"{spread:.4f}", *means[1:]))
    question = results.questions.named(results.questions.seeded)
    high = ", ".join(f"{name} {value}" for name, value in results.questions.high.items())
    return Section(
        key="seeds",
        title="Ten noises at high guidance, and the deterministic baseline",
        said=(
            f"{question.edit.instruction!r}, explained from {SEEDS} noises at high guidance ({high}) and at the "
            "model's own. Each is compared with the baseline: the model's own guidance and its first noise. The rows "
            "differ in guidance alone, so what the noise does can be told from what guidance does."
        ),
        heads=("", "generalised Jaccard, mean", "its variance", "Jaccard, strongest word", "Jaccard, two strongest"),
        rows=tuple(rows),
    )


def _mean(values: Sequence[float], *, decimals: int = 2) -> str:
    if not values:
        return "none"
    mean, half = mean_interval(values)
    return f"{mean:.{decimals}f}" + ("" if half is None else f" ± {half:.{decimals}f}")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _stability_strips(results: Results) -> list[dict[str, Any]]:
    return [
        {"name": TITLES[method].replace("`", ""), "values": [row.generalised for row in _of(results, method)]}
        for method in METHODS
    ]


def _seed_strips(results: Results) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{guidance} guidance",
            "values": [row.generalised for row in results.seeded if row.guidance == guidance],
        }
        for guidance in ("own", "high")
    ]


def _references(results: Results) -> list[dict[str, Any]]:
    """What each condition's instruction was, and what was drawn for it, without the mark and with it."""
    rows: list[dict[str, Any]] = []
    for question in results.questions.stability:
        plain, marked = results.references[question.name]
        shown = {"given": question.edit.picture, "drawn": plain, "with ###": marked}
        rows.append(
            {
                "condition": question.name,
                "instruction": question.edit.instruction,
                "pictures": [{"name": name, "url": _url(picture)} for name, picture in shown.items()],
            }
        )
    return rows


def _url(picture: Picture | None) -> str | None:
    """A picture written anew and small: nothing that a model drew gets into a page as it came."""
    if picture is None:
        return None
    try:
        values = pictures.pixels(picture)
    except DataError:
        return None
    height, width = values.shape[:2]
    shrink = min(1.0, THUMB / max(width, height))
    small = pictures.resized(values, width=max(1, round(width * shrink)), height=max(1, round(height * shrink)))
    return "data:image/png;base64," + base64.b64encode(pictures.picture_of(small).data).decode("ascii")


def _maps(drawn: OutputMap) -> list[dict[str, Any]]:
    """PCA and t-SNE, coloured by the word that separates most and by the one that separates least."""
    known = [i for i, each in enumerate(drawn.separations) if each.silhouette is not None]
    if not known:
        return []
    order = sorted(known, key=lambda i: -(drawn.separations[i].silhouette or 0.0))
    chosen = list(dict.fromkeys([order[0], order[-1]]))
    planes = [("PCA", drawn.pca), *([] if drawn.tsne is None else [("t-SNE", drawn.tsne)])]
    return [
        {
            "word": drawn.separations[i].unit,
            "plane": name,
            "x": plane[:, 0].tolist(),
            "y": plane[:, 1].tolist(),
            "classes": ["with" if there else "without" for there in drawn.present[:, i].tolist()],
        }
        for i in chosen
        for name, plane in planes
    ]
