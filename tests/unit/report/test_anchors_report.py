"""The report of an anchor explanation: everything the issue asks for is there, and text of others does no harm."""

# pyright: basic
from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console
from tests.example_anchors import anchor_explanation as explained

from whygen import report
from whygen.errors import UsageError
from whygen.report.anchors_summary import summarise_anchors
from whygen.report.anchors_svg import covering, criteria_scatter
from whygen.report.anchors_terminal import anchors_terminal
from whygen.results.anchors import (
    AnchorExplanation,
)

EVIL = '<script>alert("x")</script>[bold red]&\x1b[31m\u202e'


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
    assert page.count("data:image/png;base64,") == 8
    embedded = re.search(r'id="whygen-explanation">(.*?)</script>', page, re.DOTALL)
    assert embedded is not None
    assert json.loads(embedded[1]) == explained().to_dict()


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
    assert report.notebook(explained().to_html()) == explained()._repr_html_()
