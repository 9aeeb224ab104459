"""`whygen check`: each form of a rule, what cannot be told, and what is no rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.example_anchors import anchor_explanation

import whygen
from whygen.cli import main
from whygen.errors import FormatError, MissingError, UsageError
from whygen.evaluation.rules import FORMS, check, read_rules
from whygen.results import PromptExplanation

PROMPT = "tell me a story about a red fox in the quiet harbour"


@pytest.fixture(scope="module")
def explanation() -> PromptExplanation:
    return whygen.explain_prompt("planted/additive", PROMPT, target="edit", cache=None, surrogate="ridge")


def verdict(explanation: PromptExplanation, rule: str, folder: Path | None = None) -> str:
    return check(explanation, [rule], folder=folder)[0].verdict


def test_every_form_that_is_listed_is_understood(tmp_path: Path, explanation: PromptExplanation) -> None:
    explanation.save(tmp_path / "before")
    text = explanation.units[0].text
    for form in FORMS:
        rule = form.split("  (")[0].replace("TEXT", text).replace("DIR", "before").replace("CODE", "noise")
        subject = anchor_explanation() if rule.startswith(("share", "flips")) else explanation
        assert check(subject, [rule], folder=tmp_path)[0].verdict in {"pass", "fail"}, form


def test_units(explanation: PromptExplanation) -> None:
    strongest = max(explanation.units, key=lambda unit: abs(unit.attribution))
    value = strongest.attribution
    assert verdict(explanation, f"unit {strongest.text} in top 1") == "pass"
    assert verdict(explanation, f"unit {strongest.text} significant") == "pass"
    assert verdict(explanation, f"unit {strongest.text} not significant") == "fail"
    assert verdict(explanation, f"unit {strongest.text} >= {value}") == "pass"
    assert verdict(explanation, f"unit {strongest.text} > {value}") == "fail"
    assert verdict(explanation, f"unit {strongest.text} surely > {strongest.low}") == "fail"
    assert verdict(explanation, f"unit {strongest.text} surely >= {strongest.low}") == "pass"
    assert verdict(explanation, "unit zebra significant") == "unknown"


def test_drift_is_none_from_itself_and_some_from_another(tmp_path: Path, explanation: PromptExplanation) -> None:
    explanation.save(tmp_path / "same")
    other = whygen.explain_prompt(lambda prompt: "boats" * ("quiet" in prompt), PROMPT, target="edit", cache=None)
    other.save(tmp_path / "other")
    assert verdict(explanation, "drift from same <= 0", tmp_path) == "pass"
    assert verdict(explanation, "changed from same <= 0", tmp_path) == "pass"
    assert verdict(explanation, "correlation with same >= 0.999", tmp_path) == "pass"
    assert verdict(explanation, "drift from other <= 0.05", tmp_path) == "fail"
    with pytest.raises(MissingError, match="nowhere"):
        verdict(explanation, "drift from nowhere <= 0.1", tmp_path)


@pytest.mark.parametrize(
    "rule",
    ["", "fidelity", "fidelity >= much", "fidelity == 1", "unit fox", "unit fox in top 0", "unit zebra nonsense",
     "unit 'fox significant", "__import__('os')", "share HIGH >= 1"],
)  # fmt: skip
def test_what_is_no_rule(explanation: PromptExplanation, rule: str) -> None:
    with pytest.raises(UsageError, match="Rules are"):
        check(explanation, [rule])


def test_a_rule_for_the_other_kind_of_explanation(explanation: PromptExplanation) -> None:
    with pytest.raises(UsageError, match="by anchors"):
        check(explanation, ["share HIHE >= 0.9"])
    with pytest.raises(UsageError, match="of a prompt"):
        check(anchor_explanation(), ["fidelity >= 0.5"])
    with pytest.raises(UsageError, match="No rule"):
        check(explanation, [])


def test_files_of_rules(tmp_path: Path) -> None:
    lines, table, odd = tmp_path / "rules.txt", tmp_path / "rules.toml", tmp_path / "odd.toml"
    lines.write_text("# before a release\nfidelity >= 0.5\n\nno warning\n")
    table.write_text('rules = ["fidelity >= 0.5", "no warning"]\n')
    odd.write_text("rules = 3\n")
    assert read_rules(lines) == read_rules(table) == ["fidelity >= 0.5", "no warning"]
    with pytest.raises(FormatError, match="list of texts"):
        read_rules(odd)
    with pytest.raises(MissingError):
        read_rules(tmp_path / "none.txt")


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str], explanation: PromptExplanation) -> None:
    explanation.save(tmp_path)
    for rules, code in (
        (["calls <= 64"], 0),
        (["calls <= 64", "calls <= 1"], 1),
        (["unit zebra significant"], 1),
        (["x"], 2),
    ):
        with pytest.raises(SystemExit) as end:
            main(["check", str(tmp_path), "--json", *(word for rule in rules for word in ("--rule", rule))])
        assert end.value.code == code
        if code < 2:
            assert json.loads(capsys.readouterr().out)["passed"] is (code == 0)
