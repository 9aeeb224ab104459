"""The pages of an evaluation and of a comparison: their verdicts, and that nothing in them is obeyed."""

import json

import pytest

from example_explanations import prompt_explanation
from whygen.cli import main
from whygen.report import html
from whygen.results.prompt import TargetRecord
from whygen.results.summary.evaluated import (
    changes_verdict,
    evaluation_verdict,
    summarise_changes,
    summarise_evaluation,
)

EVIL = "</script><img src=x onerror=alert(1)>"


def measure(name="r2_heldout", metric="fidelity", value=0.8, better="higher", **more):
    found = {"low": None, "high": None, "chance": 0.0, "chance_low": -0.1, "chance_high": 0.1, "n": 9, "how": EVIL}
    return {"metric": metric, "name": name, "value": value, "better": better, **found, **more}


def evaluation(*measures):
    return {
        "model": EVIL, "prompt": EVIL, "measures": measures, "digest": "0" * 64, "seed": 0, "whygen": "1",
        "left_out": [{"metric": "accuracy", "reason": EVIL}], "calls": {"asked": 3, "made": 2},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("measures", "begins"),
    [
        ((measure(), measure("aopc", "faithfulness")), "It holds up so far as this was measured: on prompts"),
        (
            (measure(), *(measure(name, "faithfulness") for name in ("aopc", "lds_fresh", "x"))),
            "It holds up: on prompts",
        ),
        ((measure(value=0.05), measure("aopc", "faithfulness")), "Do not rely on it"),
        ((measure(value=-0.4),), "Do not rely on it"),
        ((measure(), measure("aopc", "faithfulness", value=0.02)), "Take it with care"),
        ((measure(), measure("sufficiency", "faithfulness", value=0.5, better="lower")), "Take it with care"),
        (
            (measure("deletion_auc", "faithfulness", value=-0.5, better="lower"),),
            "It holds up so far as this was measured: the one figure",
        ),
        ((measure(chance=None, chance_low=None, chance_high=None),), "On prompts it was not fitted to"),
        ((measure("calls", "cost", value=63.0, better="lower"),), "Nothing was measured"),
        ((measure("r2_insample", value=1.0),), "Nothing was measured"),
        ((), "Nothing was measured"),
        (  # above the range of chance, and its interval holds it
            (measure(low=-0.2, high=1.0),),
            "Take it with care: on prompts it was not fitted to, it predicts 80% of the variation, which cannot be",
        ),
        (  # with few prompts chance reaches all there is
            (measure(value=1.0, chance=-0.3, chance_high=1.0),),
            "Take it with care: on prompts it was not fitted to, it predicts 100% of the variation, which cannot be",
        ),
        ((measure(value=0.05, chance=0.1, chance_high=0.3),), "Do not rely on it"),
    ],
)
def test_the_verdict_of_an_evaluation_goes_by_held_out_figures_beside_chance(measures, begins):
    assert evaluation_verdict(evaluation(*measures)).startswith(begins)


def test_what_chance_reaches_too_is_said_so_and_not_called_no_better_than_it():
    said = evaluation_verdict(evaluation(measure(value=1.0, chance=-0.3, chance_high=1.0)))
    assert said.endswith("which cannot be told from chance: shuffled effects reach 100% as well.")
    said = evaluation_verdict(evaluation(measure(value=0.05, chance=0.0, chance_high=0.1)))
    assert said.startswith("Do not rely on it: on prompts it was not fitted to, it predicts 5% of the variation, which")


def comparison(*units, **more):
    return {
        "units": units, "only_first": [EVIL], "only_second": [], "settings": {"model": [EVIL, "b"]}, "same_unit": True,
        "rank_correlation": 0.9, "jaccard": [1.0, 0.2], "overlap": [0.8, 0.4], "changed": 0, "notes": [EVIL], **more,
    }  # fmt: skip


def pair(changed, low=-0.1, high=0.1):
    return {"text": EVIL, "first": 0.2, "second": -0.1, "low": low, "high": high, "changed": changed, "p_value": 0.5}


@pytest.mark.parametrize(
    ("found", "begins"),
    [
        (comparison(pair(True), pair(False), changed=1), "1 of 2 units changed"),
        (comparison(pair(False)), "No change can be told from noise in 1 unit"),
        (comparison(pair(False, low=None, high=None)), "No unit could be tested"),
        (comparison(pair(False), same_unit=False), "The values cannot be compared"),
        (comparison(pair(False), rank_correlation=None), "No change"),
    ],
)
def test_the_verdict_of_a_comparison_says_no_more_than_was_tested(found, begins):
    assert changes_verdict(found).startswith(begins)


def test_hostile_text_stays_text_on_both_pages():
    for summary in (
        summarise_evaluation(evaluation(measure())),
        summarise_changes(comparison(pair(True), changed=1), names=(EVIL, "b")),
    ):
        page = html(json.loads(json.dumps(summary)))
        assert "<img" not in page
        assert page.count("<script") == 1


def test_the_commands_write_the_pages(tmp_path, capsys):
    for name, seed in (("a", 1), ("b", 2)):
        target = TargetRecord(name="token-set", distance="token-set", unit="Jaccard distance of words (0 to 1)")
        prompt_explanation(seed=seed, target=target).save(tmp_path / name)
    for arguments in (
        ["evaluate", str(tmp_path / "a"), "--metric", "cost", "--no-cache"],
        ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "both")],
    ):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert not end.value.code, capsys.readouterr().err
    assert "is the explanation any good?" in (tmp_path / "a" / "evaluation.html").read_text()
    assert "what changed between two explanations?" in (tmp_path / "both" / "report.html").read_text()
    assert "units" in json.loads((tmp_path / "both" / "comparison.json").read_text())
