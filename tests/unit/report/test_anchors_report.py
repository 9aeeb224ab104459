"""The report of an anchor explanation: everything the issue asks for is there, and text of others does no harm."""

# pyright: basic
from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

from whygen import report
from whygen.errors import UsageError
from whygen.report.anchors_svg import covering, criteria_scatter
from whygen.report.terminal import anchors_terminal
from whygen.results.anchors import (
    GROUPS,
    AnchorEvidence,
    AnchorExplanation,
    CalibrationRecord,
    CoverageRecord,
    CriterionRecord,
    CurveRecord,
    Details,
    GroupRecord,
    LabelTableRecord,
    ReadingRecord,
    SelectionRecord,
    ThresholdRecord,
)
from whygen.results.anchors_rows import UNSURE
from whygen.results.prompt import Warned
from whygen.results.summary.anchors import summarise_anchors
from whygen.stats.seeds import generator

EVIL = '<script>alert("x")</script>[bold red]&\x1b[31m\u202e'


def explained(n: int = 40, *, pictures: bool = True, label: str = "a") -> AnchorExplanation:
    rng = generator(0, "report")
    codes = np.arange(n, dtype=np.int8) % 4
    shown = np.arange(8)
    reading = ReadingRecord(label=None, group="HILE", count=10, read=7, share=0.7, low=0.4, high=0.9)
    images = rng.random((8, 6, 5, 1)).astype(np.float32) if pictures else None
    selection = SelectionRecord(
        name="k-dispersion", means="smallest distance", sense="max", objective=1.5, bound=3.0, gap=2.0, exact=False,
        metric="euclidean", first="nearest to the mean", diversity=2.0, covering_radius=1.0,
    )  # fmt: skip
    return AnchorExplanation(
        whygen="0",
        model=f"test/{label}",
        n_anchors=n,
        criteria=(
            CriterionRecord(name="kld", kind="intrinsic", unit="nats"),
            CriterionRecord(name="sse", kind="extrinsic", unit="squares"),
        ),
        calibration=CalibrationRecord(kind="conformal", n=79, role="held-out", alpha=0.025, level="per-criterion"),
        thresholds={"kld": 1.0, "sse": 1.2},
        groups={name: GroupRecord(count=n // 4, share=0.25, low=0.2, high=0.3) for name in GROUPS},
        mean_flip_rate=0.1,
        selected={name: (place, place + 4) for place, name in enumerate(GROUPS)},
        seed=0,
        versions={"whygen": "0"},
        warnings=(Warned(code="hile-majority", text=f"Look at {label}."),),
        details=Details(
            criteria_reason=f"because {label}", provenance="against 79 samples", realised_level=0.025,
            thresholds=(ThresholdRecord(criterion="kld", value=1.0, comparison="<=", spread=0.1),),
            realised_low=0.01, realised_high=0.05, multiplicity="none", rounds=None, per_round=None,
            implied_quantile=None, draws=8, noise="shared", n_reference=79, reference_role="held-out",
            sources={"anchors": label}, bootstrap=dict.fromkeys(GROUPS, (0.1, 0.4)),
            label_table=LabelTableRecord(labels=(label, 1), counts=((10, 0, 5, 5), (0, 10, 5, 5))),
            delusion=(reading,), of_hile=reading, select="k-dispersion:2", space="pixels",
            selections=dict.fromkeys(GROUPS, selection), missable_mode=0.07, seconds={"criteria": 0.5},
            coverage=CoverageRecord(share=0.8, expected=0.97, normalised=0.82),
            curve=CurveRecord(counts=(1, 2, 3), radii=(3.0, 2.0, 1.9), enough=2),
        ),
        evidence=AnchorEvidence(
            draws=rng.random((2, n, 2)) * 2, codes=codes, flip_rate=rng.random(n), shown=shown,
            names=tuple(f"{label}{i}" for i in range(n)), labels=(label,) * n,
            originals=images, reconstructions=None if images is None else 1 - images,
        ),
    )  # fmt: skip


def test_the_summary_is_json() -> None:
    summary = summarise_anchors(explained())
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_the_page_has_all_its_parts() -> None:
    page = explained().to_html()
    for part in (
        "Groups", "Criteria", "Labels and groups", "Is it delusion?", "Are there enough anchors?", "How it was made",
        "Hile majority", "polyline", "stroke-dasharray", "against 79 samples", "at best 3.0", "70.0%",
    ):  # fmt: skip
        assert part in page
    # Eight anchors beside what came back and the difference, and for five groups one of them with what came back.
    assert page.count("data:image/png;base64,") == 8 * 3 + 5 * 2
    embedded = re.search(r'id="whygen-explanation">(.*?)</script>', page, re.DOTALL)
    assert embedded is not None
    assert json.loads(embedded[1]) == explained().to_dict()


def test_representatives_that_are_unsure_are_labelled() -> None:
    one = explained()
    flips = one.evidence.flip_rate[one.evidence.shown]
    assert one.to_html().count(": unsure</span>") == (flips > UNSURE).sum() > 0
    record = one.details.selections["HIHE"].model_copy(update={"unsure": (4,)})
    details = one.details.model_copy(update={"selections": {**one.details.selections, "HIHE": record}})
    summary = summarise_anchors(one.model_copy(update={"details": details}))
    assert [group["selected"] for group in summary["groups"]][:2] == [["0", "4 (unsure)"], ["1", "5"]]


def test_the_page_loads_nothing_and_runs_nothing_even_with_evil_names() -> None:
    page = explained(label=EVIL).to_html()
    assert page.count("<script") == 1
    assert "http-equiv" in page
    assert "style=" not in page
    assert not re.search(r"(src|href)=\"(?!data:image/png;base64,)", page)
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_what_is_not_known_is_left_out() -> None:
    assert "data:image" not in explained(pictures=False).to_html()
    alone = AnchorExplanation.model_validate(explained().to_dict())
    page = alone.to_html()
    assert "Groups" in page
    assert "<circle cx" in page
    assert "Labels and groups" not in page
    assert "polyline" not in page


def test_what_groups_mean_is_whole_in_a_terminal_of_eighty_columns() -> None:
    stream = io.StringIO()
    summary = summarise_anchors(explained())
    summary["controls"] = ["untrained copy", "mean", "flat", "nearest"]
    summary["groups"] = [group | {"controls": ["100.0%"] * 4} for group in summary["groups"]]
    Console(file=stream, width=80, color_system=None).print(anchors_terminal(summary))
    lines = stream.getvalue().splitlines()
    for group in summary["groups"]:
        assert sum(line.startswith(group["name"]) and "100.0%" in line for line in lines) == 1
        assert f"{group['name']} {group['meaning']}" in " ".join(" ".join(lines).split())


@pytest.mark.parametrize("width", [50, 120])
def test_the_terminal_shows_groups_thresholds_labels_and_warnings(width: int) -> None:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(
        anchors_terminal(summarise_anchors(explained(label=EVIL)))
    )
    shown = stream.getvalue()
    for part in ("HIHE", "LILE", "25.0%", "hile-majority", "kld", "70.0%", "Representatives"):
        assert part in shown
    assert "[boldred]" in re.sub(r"\s", "", shown)
    assert "\x1b" not in shown


def test_a_scatter_has_a_dot_for_each_point_and_edges_for_those_beyond() -> None:
    part = np.array([[0.5, 0.5], [1e9, 0.1]])
    empty = np.zeros((0, 2))
    groups = {"HIHE": part, "HILE": empty, "LIHE": empty, "LILE": empty}
    figure = criteria_scatter(groups, groups, thresholds=(1.0, 1.0), names=("a<b", "c"))
    assert figure.count("<circle") == 2
    assert "a&lt;b" in figure
    assert "nan" not in figure


def test_a_curve_of_one_radius_or_of_zeros_is_drawn() -> None:
    assert "polyline" in covering([1], [0.0], enough=None)
    assert "stroke-dasharray" in covering([1, 2], [1.0, 0.0], enough=2)


def test_plots_by_matplotlib() -> None:
    pytest.importorskip("matplotlib")
    found = explained()
    drawn = found.plot_criteria()
    assert drawn.get_xlabel() == "kld (nats)"
    assert found.plot_representatives("HILE").get_yticks().size == 3
    with pytest.raises(UsageError, match="group is"):
        found.plot_representatives("HIGH")
    with pytest.raises(UsageError, match="no pictures"):
        explained(pictures=False).plot_representatives()


def test_in_a_notebook_it_stands_in_a_frame() -> None:
    assert report.notebook(explained().to_html()) == explained().view()._repr_html_()
    assert "25.0%" in explained()._repr_html_()
