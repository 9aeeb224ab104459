"""Logs that the real inspect_ai writes, their failing samples explained by its own scorers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.bridges.apart.painting import COLOURS, SYSTEM, serving
from typer.testing import CliRunner

from whygen.bridges.eval_samples import read_samples
from whygen.bridges.failures import question_of
from whygen.bridges.inspect_scorers import SCORERS, inspect_score
from whygen.cli.app import app
from whygen.types import Output

inspect_ai = pytest.importorskip("inspect_ai", reason="inspect_ai is not installed here: `make test-bridges` has it")
pytestmark = pytest.mark.filterwarnings("default")
KEY = "sk-not-a-real-key-0123456789"


def evaluated(folder: Path, url: str, form: str, scorer: str) -> Path:
    """The log of an evaluation."""
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai import scorer as scorers
    from inspect_ai.dataset import Sample
    from inspect_ai.model import get_model
    from inspect_ai.solver import generate, system_message

    samples = [
        Sample(id=thing, input=f"What is the colour of {thing}?", target=colour) for thing, colour in COLOURS.items()
    ]
    samples.append(Sample(id="praise", input="Say something.", target="nice"))
    task = Task(
        name="paint", dataset=samples, solver=[system_message(SYSTEM), generate()], scorer=getattr(scorers, scorer)()
    )
    model = get_model("openai/gpt-4o-mini", base_url=url, api_key=KEY, responses_api=False, memoize=False)
    evaluate(task, model=model, log_dir=str(folder), log_format=form, display="none", temperature=0.0)
    return next(folder.glob(f"*.{form}"))


@pytest.mark.parametrize(("form", "scorer"), [("eval", "includes"), ("json", "match")])
def test_the_instruction_that_costs_the_failures_of_a_real_log(
    form: str, scorer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving() as url:
        log = evaluated(tmp_path / "logs", url, form, scorer)
        found = read_samples(log)
        assert {each.name for each in found if not each.failed} == {"praise/1"}
        assert len(found) == 7
        question = question_of(found, most=12)
        assert question.skipped == {}
        done = CliRunner().invoke(app, ["failures", str(log), "--budget", "24", "--json", "-q"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["failed_again"] == 6
    assert [each["text"] for each in told["instructions"] if each["costs"]] == ["Never name a colour."]
    assert KEY not in done.output


@pytest.mark.parametrize("name", [name for name in SCORERS if name not in ("pattern", "answer", "math")])
def test_scorers_give_what_inspect_ai_gives(name: str) -> None:
    score = inspect_score(name, {}, "blue")
    assert score(Output(text="blue")) == 1.0
    assert score(Output(text="red")) == 0.0


def test_a_scorer_that_asks_a_model_is_named(tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log, write_eval_log

    with serving() as url:
        log = evaluated(tmp_path / "logs", url, "json", "includes")
    read = read_eval_log(str(log))
    assert read.eval.scorers
    text = (
        log.read_text()
        .replace('"includes"', '"model_graded_qa"')
        .replace("inspect_ai/includes", "inspect_ai/model_graded_qa")
    )
    log.write_text(text)
    write_eval_log(read_eval_log(str(log)), str(log))
    found = read_samples(log)
    assert found[0].score is None
    assert "model_graded_qa" in found[0].why_not
