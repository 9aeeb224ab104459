"""Failing samples of promptfoo's results: scored as promptfoo does, explained, and pooled over samples."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from whygen.bridges.eval_samples import of_group, read_samples
from whygen.bridges.failures import Failures, explain_failures, forecast_failures, pooled, question_of
from whygen.bridges.promptfoo_asserts import NotComputableError, passes
from whygen.calls import Interrupted
from whygen.cli.app import app
from whygen.errors import DataError
from whygen.records import Call
from whygen.records.fields import Field
from whygen.types import Output

SYSTEM = "You answer questions about paint. Use one word. Never name a colour. Be polite."
COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black", "blood": "red", "milk": "white"}


def painter(chat: Any) -> str:
    """Knows its colours, and keeps to its instructions."""
    system, user = (each["content"] for each in chat) if isinstance(chat, list) else ("", str(chat))
    thing = next((name for name in COLOURS if name in user), "")
    if "Never name a colour" in system or not thing:
        return "Something nice."
    return COLOURS[thing] if "one word" in system else f"It is {COLOURS[thing]}."


def row(thing: str, answer: str, asserted: list[dict[str, Any]], *, success: bool) -> dict[str, Any]:
    """One of promptfoo's results, in the form that its version 0.123 writes."""
    chat = [
        {"role": "system", "content": SYSTEM}, {"role": "user", "content": f"What is the colour of {thing}? Say it."},
    ]  # fmt: skip
    return {
        "prompt": {"raw": json.dumps(chat), "label": "chat.json"}, "provider": {"id": "openai:chat:gpt-4o-mini"},
        "response": {"output": answer, "finishReason": "stop"}, "success": success, "vars": {"thing": thing},
        "testCase": {"vars": {"thing": thing}, "assert": asserted},
    }  # fmt: skip


def results(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"evalId": "e", "results": {"version": 3, "results": rows}, "config": {}}))
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rows = [
        row(thing, "Something nice.", [{"type": "icontains", "value": colour}], success=False)
        for thing, colour in COLOURS.items()
    ]
    rows.append(row("sky", "Something nice.", [{"type": "contains", "value": "nice"}], success=True))
    rows.append(row("tar", "Something nice.", [{"type": "llm-rubric", "value": "is kind"}], success=False))
    rows.append(row("ash", "grey", [{"type": "contains", "value": "grey"}], success=False))  # something else failed
    return results(tmp_path / "results.json", rows)


def test_the_instruction_that_costs_the_failures_is_found_and_the_others_are_not(log: Path) -> None:
    question = question_of(of_group(read_samples(log), None), most=12)
    assert question.instructions == (
        "You answer questions about paint.", "Use one word.", "Never name a colour.", "Be polite.", "Say it.",
    )  # fmt: skip
    assert question.skipped == {"promptfoo's llm-rubric": 1, "its failure comes from what cannot be scored again": 1}
    assert forecast_failures(painter, question, budget=32).calls >= 6 * 20
    seen: list[str] = []
    found = explain_failures(
        painter, question, budget=32, cache=None, each=lambda name, explanation: seen.append(explanation.prompt)
    )
    assert len(seen) == len(found.samples) == found.failed_again == 6
    costs = [each for each in found.instructions if each.costs]
    assert [each.text for each in costs] == ["Never name a colour."]
    assert costs[0].high is not None
    assert costs[0].effect < costs[0].high < -0.3
    assert "“Never name a colour.”" in found.headline
    assert not any(each.helps for each in found.instructions)


def test_a_sample_that_cannot_be_read_is_named_and_the_others_are_explained(log: Path) -> None:
    def broken() -> Call:
        raise DataError("messages[0] is missing")

    samples = of_group(read_samples(log), None)
    samples[1] = replace(samples[1], read=broken)
    question = question_of(samples, most=12)
    assert len(question.ready) == 5
    assert question.skipped["test 2 cannot be read: messages[0] is missing"] == 1


def test_the_command_forecasts_first_and_writes_what_it_found(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "painters.py").write_text(
        f"COLOURS = {COLOURS!r}\n\n{_source()}\n\ndef score(answer, name):\n    return 'blue' in answer.lower()\n"
    )
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    common = [
        "failures",
        str(log),
        "--model",
        "py/painters:painter",
        "--samples",
        "2",
        "--budget",
        "24",
        "--no-cache",
    ]
    counted = run.invoke(app, [*common, "--dry-run"])
    assert "Nothing was sent" in counted.output
    done = run.invoke(app, [*common, "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "2 failing samples" in done.output
    assert "more than 2 samples (--samples) (6)" in done.output
    written = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert written["failed_again"] == 2
    assert (tmp_path / "out" / "sample-002" / "report.html").is_file()
    own = run.invoke(app, [*common[:4], "--samples", "1", "--budget", "24", "--score", "py/painters:score", "--json"])
    assert own.exit_code == 0, own.output
    assert json.loads(own.stdout)["instructions"][2]["effect"] < 0


def _source() -> str:
    import inspect

    return "from typing import Any\n\n" + inspect.getsource(painter)


ANSWER = 'The sky is Blue. {"a": [1, 2]}'


class Interrupting:
    """The painter, whom a person interrupts at a call."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, chat: Any) -> str:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return painter(chat)


def test_an_interrupt_keeps_what_was_found_of_the_samples_that_were_done(log: Path) -> None:
    question = question_of(of_group(read_samples(log), None), most=12)
    one = explain_failures(painter, replace(question, ready=question.ready[:1]), budget=24, cache=None).calls
    with pytest.raises(Interrupted) as stop:
        explain_failures(Interrupting(2 * one + one // 2), question, budget=24, cache=None)
    found = stop.value.explanation
    assert isinstance(found, Failures)
    assert (len(found.samples), found.ended) == (2, "interrupt")
    assert found.skipped["the run was interrupted"] == len(question.ready) - 2
    with pytest.raises(KeyboardInterrupt) as nothing:
        explain_failures(Interrupting(2), question, budget=24, cache=None)
    assert not isinstance(getattr(nothing.value, "explanation", None), Failures)


def test_the_command_shows_what_was_found_before_it_was_interrupted(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bridges.test_failures.interrupting", Interrupting(45), raising=False)
    line = ["failures", str(log), "--model", "py/tests.bridges.test_failures:interrupting", "--no-cache"]
    ran = CliRunner().invoke(app, [*line, "--budget", "24", "-o", str(tmp_path / "out")])
    assert ran.exit_code == 130
    assert "the run was interrupted" in ran.output
    assert json.loads((tmp_path / "out" / "failures.json").read_text())["ended"] == "interrupt"


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [
        ("equals", ANSWER, True),
        ("equals", "{{word}}", False),
        ("contains", "{{word}}", True),
        ("contains", "blue", False),
        ("icontains", "BLUE", True),
        ("not-icontains", "BLUE", False),
        ("contains-any", ["red", "Blue"], True),
        ("contains-all", "sky, Blue", True),
        ("contains-all", ["sky", "red"], False),
        ("icontains-all", ["SKY", "blue"], True),
        ("icontains-any", ["SEA", "RED"], False),
        ("starts-with", "The sky", True),
        ("not-starts-with", "The sky", False),
        ("regex", r"B\w+e\.", True),
        ("is-json", None, False),
        ("contains-json", None, True),
    ],
)
def test_assertions_are_computed_as_promptfoo_does(kind: str, value: object, held: bool) -> None:
    score = passes([Field({"type": kind, "value": value})], {"word": "Blue"}, None)
    assert score(Output(text=ANSWER)) == float(held)


def test_weights_and_thresholds_decide_as_promptfoo_does() -> None:
    asserted = [Field({"type": "contains", "value": "sky", "weight": 3}), Field({"type": "contains", "value": "sea"})]
    assert passes(asserted, {}, None)(Output(text=ANSWER)) == 0.0
    assert passes(asserted, {}, 0.75)(Output(text=ANSWER)) == 1.0
    assert passes(asserted, {}, 0.8)(Output(text=ANSWER)) == 0.0
    assert passes([Field({"type": "equals", "value": {"a": 1}})], {}, None)(Output(text=' {"a": 1}\n')) == 1.0


@pytest.mark.parametrize(
    "asserted",
    [
        {"type": "llm-rubric", "value": "kind"},
        {"type": "javascript", "value": "output.length < 9"},
        {"type": "contains", "value": "file://secret.txt"},
        {"type": "contains", "value": "{{word | upper}}"},
        {"type": "contains", "value": "{{other}}"},
        {"type": "regex", "value": "(?<name>"},
        {"type": "is-json", "value": {"type": "object"}},
        {"type": "contains", "value": "x", "transform": "output.trim()"},
        {},
    ],
)
def test_what_takes_more_than_the_answer_is_named_and_not_guessed(asserted: dict[str, Any]) -> None:
    with pytest.raises(NotComputableError):
        passes([Field(asserted)], {"word": "Blue"}, None)


def test_a_log_without_failures_and_what_is_no_log_say_so(tmp_path: Path) -> None:
    path = results(tmp_path / "r.json", [row("sky", "blue", [{"type": "contains", "value": "blue"}], success=True)])
    with pytest.raises(DataError, match="No sample of this log failed"):
        question_of(read_samples(path), most=3)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"no log of an evaluation.*promptfoo eval -o"):
        read_samples(tmp_path / "other.json")
    path = results(tmp_path / "r.json", [row("sky", "x", [{"type": "python", "value": "x"}], success=False)])
    with pytest.raises(DataError, match=r"promptfoo's python \(1\).*--score"):
        question_of(read_samples(path), most=3)


def test_the_interval_over_samples_holds_its_level_and_the_correction_its_rate() -> None:
    """Samples differ, and each is estimated with noise: no instruction has an effect on average."""
    rng = np.random.default_rng(0)
    runs, samples, instructions = 400, 8, 10
    missed = called = 0
    for _ in range(runs):
        effects = rng.normal(0, 0.2, (samples, instructions)) + rng.normal(0, 0.1, (samples, instructions))
        found = pooled([str(k) for k in range(instructions)], effects)
        missed += sum(
            not (each.low <= 0 <= each.high) for each in found if each.low is not None and each.high is not None
        )
        called += any(each.costs or each.helps for each in found)
    assert 0.03 <= missed / (runs * instructions) <= 0.07
    assert called / runs <= 0.08


def test_samples_that_agree_leave_room_for_those_that_were_not_seen() -> None:
    found = pooled(["a", "b"], np.array([[-1.0, 0.0]] * 6))
    assert found[0].costs
    assert found[0].high == pytest.approx(-1 + 1 - 0.05 ** (1 / 6))
    assert not found[1].costs
    told = Failures(model="m", group="g", samples=("a",) * 9, failed_again=9, skipped={}, calls=9, instructions=())
    for half, said in ((0.05, "none could cost"), (0.2, "none surely costs")):
        effects = np.array([[-half], [half]] * 40)
        assert said in told.model_copy(update={"instructions": pooled(["a"], effects * 4)}).headline
    alone = pooled(["a"], np.array([[-1.0]]))[0]
    assert (alone.low, alone.costs) == (None, False)
