"""Rules on a saved explanation: what they mean, what they decide, and how a bad one is told."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whygen
from whygen.cli import main
from whygen.errors import DataError, MissingError, UsageError
from whygen.evaluation.check import check, verdict
from whygen.evaluation.evaluate import evaluate
from whygen.evaluation.rules import Attribution, Drift, NoWarning, Number, Significant, Top, read_rule, read_rules

PROMPT = "tell me a story about a red fox in the quiet harbour"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    explanation = whygen.explain_prompt("planted/additive", PROMPT, target="token-set", cache=None)
    folder = explanation.save(tmp_path_factory.mktemp("saved") / "a")
    evaluate(explanation, metrics=["fidelity", "cost"], cache=None).save(folder)
    return folder


# Reading


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("unit 'snow' significant", Significant("snow", None, wanted=True)),
        ('unit "it\'s" #2 not significant', Significant("it's", 2, wanted=False)),
        ("unit 'not' attribution > -.1e-1", Attribution("not", None, ">", -0.01)),
        ("top 3 contains 'refund'", Top(3, "refund", wanted=True)),
        ("top 12 lacks 'the'", Top(12, "the", wanted=False)),
        ("fidelity>=0.5", Number("fidelity", ">=", 0.5)),
        ("faithfulness.aopc > 0", Number("faithfulness.aopc", ">", 0.0)),
        ("drift from last run/b <= 0.2", Drift("last run/b", "<=", 0.2)),
        ("drift from 'x > y' <= 0.2", Drift("x > y", "<=", 0.2)),
        ("no warning", NoWarning(None)),
        ("  no warning 'few_masks' ", NoWarning("few_masks")),
    ],
)
def test_each_form_is_read(text: str, form: object) -> None:
    assert read_rule(text).form == form


@pytest.mark.parametrize(
    "text",
    ["", "unit snow significant", "unit 'snow'", "top 0 contains 'x'", "fidelity = 0.5", "fidelity >= high",
     "fidelity >= 0.5; no warning", "__import__('os')", "no warnings", "fidelity >= nan", "unit 'a' #0 significant"],
)  # fmt: skip
def test_what_has_no_form_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match="top 3 contains"):
        read_rule(text)


@given(st.text())
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert read_rule(text).text == text.strip()


def test_rules_come_from_lines_and_from_toml(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# a gate\n\nno warning\n  calls <= 300\n")
    (tmp_path / "a.toml").write_text('rules = ["no warning", "calls <= 300"]\n')
    assert read_rules(tmp_path / "a.txt") == read_rules(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.txt", "# nothing\n", "holds no rule"), ("a.toml", "rules = 3", "list of texts"),
     ("a.toml", "rules = [", "no TOML"), ("a.toml", "", "list of texts")],
)  # fmt: skip
def test_files_without_rules_are_refused(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_rules(tmp_path / name)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        read_rules(tmp_path / "none")
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_rules(tmp_path / "b")


# Deciding


@pytest.mark.parametrize(
    ("value", "low", "high", "sign", "expected"),
    [
        (0.5, 0.4, 0.6, ">", "pass"),
        (0.3, 0.2, 0.6, ">", "unknown"),
        (0.1, 0.0, 0.2, ">", "fail"),
        (0.3, 0.3, 0.3, ">=", "pass"),
        (0.3, 0.3, 0.3, ">", "fail"),
        (0.3, None, None, "<=", "pass"),
        (None, None, None, "<", "unknown"),
    ],
)
def test_a_limit_is_decided_by_the_whole_interval(
    value: float | None, low: float | None, high: float | None, sign: str, expected: str
) -> None:
    assert verdict(value, low, high, sign, 0.3) == expected  # type: ignore[arg-type]


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(-1, 1))
def test_a_limit_and_its_opposite_are_never_both_passed(middle: float, half: float, limit: float) -> None:
    both = {verdict(middle, middle - half, middle + half, sign, limit) for sign in (">", "<=")}  # type: ignore[arg-type]
    assert both in ({"pass", "fail"}, {"unknown"})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("unit 'fox' significant", "pass"),
        ("unit 'tell' significant", "fail"),
        ("unit 'tell' not significant", "pass"),
        ("unit 'fox' attribution > 0.1", "pass"),
        ("unit 'fox' attribution < 0.1", "fail"),
        ("unit 'dragon' significant", "fail"),
        ("unit 'a' #2 not significant", "pass"),
        ("unit 'a' #3 significant", "fail"),
        ("top 1 contains 'fox'", "pass"),
        ("top 1 contains 'tell'", "fail"),
        ("top 1 lacks 'tell'", "pass"),
        ("answer contains 'fox'", "pass"),
        ("answer lacks 'fox'", "fail"),
        ("fidelity >= 0.9", "pass"),
        ("noise_ceiling >= 0.9", "pass"),
        ("calls <= 300", "pass"),
        ("calls <= 3", "fail"),
        ("r2_insample >= 0.9", "pass"),
        ("no warning 'no-such-code'", "pass"),
    ],
)
def test_rules_are_decided(saved: Path, rule: str, expected: str) -> None:
    [found] = check(saved, [rule])
    assert (found.rule, found.verdict) == (rule, expected)
    assert found.observed


def test_drift_is_none_from_itself_and_large_from_another(saved: Path, tmp_path: Path) -> None:
    [found] = check(saved, [f"drift from {saved} <= 0"])
    assert (found.verdict, found.value) == ("pass", 0.0)
    own = whygen.PromptExplanation.load(saved)
    units = tuple(unit.model_copy(update={"attribution": unit.attribution / 2}) for unit in own.units)
    half = own.model_copy(update={"units": units}).save(tmp_path / "b")
    [far] = check(saved, [f"drift from {half} <= 0.2"])
    assert (far.verdict, far.value) == ("fail", pytest.approx(0.5))
    unlike = whygen.explain_prompt("planted/additive", PROMPT, target="edit", cache=None).save(tmp_path / "c")
    with pytest.raises(UsageError, match="different targets"):
        check(saved, [f"drift from {unlike} <= 0.2"])


def test_figures_of_an_evaluation_need_one_and_it_must_be_of_this_explanation(saved: Path, tmp_path: Path) -> None:
    other = whygen.explain_prompt("planted/additive", PROMPT, target="edit", cache=None)
    [found] = check(other, ["r2_insample > 0"])
    assert found.verdict == "unknown"
    assert "whygen evaluate" in found.observed
    folder = other.save(tmp_path / "b")
    (folder / "evaluation.json").write_bytes((saved / "evaluation.json").read_bytes())
    with pytest.raises(UsageError, match="another explanation"):
        check(folder, ["r2_insample > 0"])
    with pytest.raises(UsageError, match="no 'speed'"):
        check(saved, ["speed > 0"])


def test_a_text_that_stands_there_twice_must_be_counted(saved: Path) -> None:
    with pytest.raises(UsageError, match="unit 'a' #1"):
        check(saved, ["unit 'a' significant"])


def test_rules_for_anchors_are_refused_for_prompts_and_no_rule_is_refused(saved: Path) -> None:
    with pytest.raises(UsageError, match="explains a prompt"):
        check(saved, ["group HILE share <= 0.1"])
    with pytest.raises(UsageError, match="no rule"):
        check(saved, [])


# The command


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (["fidelity >= 0.5", "calls <= 300"], 0),
        (["fidelity >= 0.5", "calls <= 3"], 1),
        (["calls <= many"], 2),
        ([], 2),
    ],
)
def test_the_command_ends_with_the_code_of_the_verdict(
    saved: Path, rules: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [part for rule in rules for part in ("--rule", rule)]
    with pytest.raises(SystemExit) as end:
        main(["check", str(saved), *arguments])
    assert end.value.code == code
    printed = capsys.readouterr()
    assert "pass" in printed.out if code < 2 else "Error" in printed.err


def test_unknown_fails_unless_it_is_told_to_pass(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explanation = whygen.PromptExplanation.load(saved)
    units = tuple(unit.model_copy(update={"low": -1.0, "high": 1.0}) for unit in explanation.units)
    wide = explanation.model_copy(update={"units": units}).save(saved.parent / "wide")
    for flags, code in (([], 1), (["--unknown", "pass"], 0)):
        with pytest.raises(SystemExit) as end:
            main(["check", str(wide), "--rule", "unit 'fox' attribution > 0.1", "--json", *flags])
        assert end.value.code == code
        document = json.loads(capsys.readouterr().out)
        assert document["held"] is (code == 0)
        assert document["rules"][0]["verdict"] == "unknown"


def test_a_verdict_states_how_often_it_would_be_wrong(saved: Path) -> None:
    rules = ["unit 'fox' significant", "fidelity >= -1", "fidelity >= 0.999999", "top 3 contains 'fox'", "calls <= 64"]
    found = {each.rule: each for each in check(saved, rules)}
    assert found["fidelity >= -1"].error_rate == 0.025
    assert found["unit 'fox' significant"].error_rate == (
        0.05 if found["unit 'fox' significant"].verdict == "pass" else None
    )
    assert found["top 3 contains 'fox'"].error_rate is None  # nothing says how sure an order is
    assert found["calls <= 64"].error_rate is None  # a count is a fact
