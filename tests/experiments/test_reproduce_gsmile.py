"""The published run goes through the one call, and its numbers come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import whygen
from whygen.cli import main
from whygen.errors import DataError, MissingError, UsageError
from whygen.prompt.gsmile import draw_masks
from whygen_experiments import gsmile_life

RUN = gsmile_life.load_run()


def test_the_preset_gives_the_published_coefficients_and_fidelity() -> None:
    explanation = gsmile_life.by_preset(RUN)
    assert [unit.attribution for unit in explanation.units] == pytest.approx(RUN.published, abs=1e-6)
    assert explanation.fidelity.r2_insample == pytest.approx(0.5628, abs=1e-4)
    assert [unit.text for unit in explanation.units if unit.significant] == ["life?"]
    assert (explanation.preset, explanation.estimand, explanation.masks) == ("gsmile", "local", "sampled")
    assert explanation.evidence is not None
    assert len(explanation.evidence.masks) == 64


def test_the_packaged_masks_are_those_of_the_generator() -> None:
    np.testing.assert_array_equal(draw_masks(RUN.prompt.split()).masks, RUN.masks)


def test_the_default_reads_every_recorded_pair_and_agrees_with_the_line_by_hand() -> None:
    explanation = gsmile_life.by_default(RUN, encoder="auto")
    assert explanation.masks == "enumerated"
    assert explanation.evidence is not None
    masks, effects = explanation.evidence.masks, explanation.evidence.effects
    assert len(masks) == 62
    # Without the empty and the whole prompt a difference of means gives a unit a part of what the others do.
    by_hand = np.linalg.lstsq(np.column_stack([np.ones(62), masks]), effects, rcond=None)[0][1:]
    assert [unit.attribution for unit in explanation.units] == pytest.approx(by_hand.tolist(), abs=1e-9)


def test_the_command_writes_the_table_and_both_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["reproduce", "gsmile-life", "-o", str(tmp_path)])
    assert end.value.code == 0
    assert "| life? | +0.2703 | +0.270254 |" in capsys.readouterr().out
    assert whygen.load(tmp_path / "preset") == gsmile_life.by_preset(RUN)
    assert (tmp_path / "default/report.html").is_file()


def test_a_file_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no recorded run"):
        gsmile_life.load_run(tmp_path / "gone.json")
    (tmp_path / "other.json").write_text('{"prompt": "a"}')
    with pytest.raises(DataError, match="lacks reference_output"):
        gsmile_life.load_run(tmp_path / "other.json")
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(DataError, match="no recorded run"):
        gsmile_life.load_run(tmp_path / "list.json")


def test_the_preset_asks_for_word_vectors_unless_its_distance_is_replaced() -> None:
    with pytest.raises(UsageError, match="encoder=PATH"):
        whygen.explain_prompt("planted/additive", "a fox ran away", preset="gsmile", cache=None)
    explanation = whygen.explain_prompt(
        "planted/additive", "a fox ran away", preset="gsmile", target="edit", kernel="dropped", cache=None
    )
    assert explanation.target.unit.startswith("min-max over this run")
