"""Many prompts in a row: one budget, nothing asked twice, one failure harms no other, and a run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import whygen
from faults.scripts import after
from faults.server import FaultServer
from whygen.calls import Budget, RunOptions
from whygen.errors import DataError, MissingError, StoreError, UnknownNameError, UsageError
from whygen.models import ModelOptions
from whygen.prompt.prompt_files import read_prompts

PROMPTS = {"first": "a fox ran home", "second": "the fox sleeps now", "third": "a fox ran home"}
QUICK = {"target": "token-set", "budget": 24}


def test_each_is_what_explain_prompt_says_and_equal_prompts_are_asked_once(tmp_path: Path) -> None:
    found = whygen.explain_many("planted/additive", PROMPTS, cache=tmp_path / "c.sqlite", **QUICK)
    assert [each.name for each in found] == list(PROMPTS)
    for name, prompt in PROMPTS.items():
        alone = whygen.explain_prompt("planted/additive", prompt, cache=None, **QUICK)
        mine = found[name].explanation
        assert mine is not None
        assert [unit.attribution for unit in mine.units] == [unit.attribution for unit in alone.units]
    assert found["third"].explanation is not None
    assert found["third"].explanation.calls.made == 0
    table = found.table()
    assert table["prompt"].count("second") == 4
    assert {"attribution", "text", "target", "model"} <= table.keys()


def test_what_fails_is_noted_and_the_others_go_on(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text(
        '"a fox ran"\n{"id": "b", "messages": [{"role": "user", "content": "the fox. Sleeps."}]}\n{broken\n'
        '{"id": "d"}\n'
        '{"id": "e", "prompt": ""}\n{"name": "f", "text": "a \\u202efox <script>"}\n',
        encoding="utf-8",
    )
    found = whygen.explain_many("planted/additive", file, out=tmp_path / "out", cache=None, **QUICK)
    assert [each.name for each in found if each.explanation is not None] == ["line 1", "b", "f"]
    assert "no JSON" in found["line 3"].error
    assert 'object with "prompt"' in found["d"].error
    assert found.given == len(found) == 6
    assert not found.ended
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "\u202e" not in page
    assert "<script>" not in page.replace('<script type="application/json"', "")
    assert whygen.load(tmp_path / "out" / "00002-b").units
    index = json.loads((tmp_path / "out" / "index.json").read_text(encoding="utf-8"))
    assert [item["name"] for item in index["items"]] == ["line 1", "b", "line 3", "d", "e", "f"]


CALL = '{"model": "planted/additive", "messages": [{"role": "user", "content": "the fox. Sleeps."}]}'
MIXED = f'"a fox ran"\n{CALL}\n{{broken\n{{"prompt": "a fox ran"}}\n[1, 2]\n{CALL}\n'


def test_a_broken_line_among_recorded_calls_is_one_that_fails_or_ends_all_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mixed.jsonl"
    file.write_text(MIXED, encoding="utf-8")
    found = whygen.explain_many("planted/additive", file, cache=None, **QUICK)
    assert [each.name for each in found] == ["line 1", "call 1", "call 2", "line 3", "line 4", "line 5"]
    assert [each.name for each in found.failed] == ["line 3", "line 5"]
    asked: list[str] = []
    with pytest.raises(DataError, match=r"2 of 6 prompts cannot be read.*Line 3 of.*Line 5 of.*--damaged skip"):
        whygen.explain_many(lambda prompt: asked.append(prompt) or prompt, file, damaged="stop", **QUICK)
    assert not asked
    with pytest.raises(UnknownNameError, match="skip"):
        whygen.explain_many("planted/additive", file, damaged="leave")  # pyright: ignore[reportArgumentType]


def test_a_record_that_holds_no_call_is_not_lost_among_those_that_do(tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    file.write_text(f'{CALL}\n{{"id": "t", "request": {{"foo": 1}}}}\n{{"model": "x"}}\n{CALL}\n', encoding="utf-8")
    named = read_prompts(file)
    assert [each.name for each in named] == ["call 1", "call 2", "t", "line 3"]
    for each in named[2:]:
        with pytest.raises(DataError, match=r"line [23] holds no call of a model"):
            each.read()


def test_plain_lines_may_begin_with_what_json_begins_with(tmp_path: Path) -> None:
    lines = ['"Run home," said the fox.', "[Note] the fox ran", "{name} sleeps now"]
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert [each.read() for each in read_prompts(file)] == lines
    quoted = ['"Run home!"', "the fox ran", "\u201cno\u201d, it said", "{{ name }} sleeps"]
    file.write_text("\n".join(quoted), encoding="utf-8")
    assert [each.read() for each in read_prompts(file)] == quoted
    broken = file.rename(tmp_path / "prompts.jsonl")
    broken.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError, match=r"Line 1 of .* is no JSON"):
        read_prompts(broken)[0].read()


def test_the_forecast_of_many_counts_what_is_asked_and_equal_prompts_once(tmp_path: Path) -> None:
    file = tmp_path / "mixed.jsonl"
    file.write_text(MIXED, encoding="utf-8")
    foreseen = whygen.forecast_many("planted/additive", file, **QUICK)
    found = whygen.explain_many("planted/additive", file, cache=tmp_path / "c.sqlite", **QUICK)
    assert foreseen.together.calls == sum(each.calls.made for each in found.explanations)
    assert foreseen.failed.keys() == {each.name for each in found.failed}
    assert foreseen.again == ("call 2", "line 4")
    assert foreseen.each["line 1"] == whygen.forecast("planted/additive", "a fox ran", **QUICK)
    assert whygen.forecast_many("planted/additive", [""], **QUICK).together.calls == 0


def test_the_folder_is_tried_before_anything_is_asked(tmp_path: Path) -> None:
    asked: list[str] = []
    (tmp_path / "out" / "index.html").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be written"):
        whygen.explain_many(lambda prompt: asked.append(prompt) or prompt, PROMPTS, out=tmp_path / "out", **QUICK)
    assert not asked


def test_the_page_has_a_dot_for_each_unit_of_each_prompt(tmp_path: Path) -> None:
    prompts = ["a fox ran home", "the dog sleeps now", "some owl sat there"]  # no two share a unit
    found = whygen.explain_many("planted/additive", prompts, cache=None, **QUICK)
    page = found.to_html()
    assert page.count('<circle class="dot') == sum(len(each.units) for each in found.explanations)
    assert "every unit of every prompt" in page
    assert "<circle" not in whygen.explain_many("planted/additive", [""], cache=None, **QUICK).to_html()


def test_all_together_keep_to_one_budget_and_go_on_from_there(tmp_path: Path) -> None:
    bound = RunOptions(spending=Budget(calls=60))
    ways = {"cache": tmp_path / "c.sqlite", "target": "token-set", "budget": 40, "out": tmp_path / "out"}
    prompts = [f"the fox and {word} ran over a hill to see what was there" for word in ("dog", "cat", "owl")]
    first = whygen.explain_many("planted/noisy", prompts, run=bound, **ways)
    assert first.reason == "cost"
    assert len(first) < 3
    assert sum(each.calls.made for each in first.explanations) <= 60
    again = whygen.explain_many("planted/noisy", prompts, **ways)
    assert len(again.explanations) == 3
    whole = [each.explanation is not None and each.explanation.ended is None for each in first]
    assert [each.again for each in again] == [*whole, *[False] * (3 - len(first))]
    assert any(whole)
    once_more = whygen.explain_many("planted/noisy", prompts, **ways)
    assert all(each.again for each in once_more)
    other = whygen.explain_many("planted/noisy", prompts, **{**ways, "target": "exact"})
    assert not any(each.again for each in other)


def test_a_model_that_answers_nobody_any_more_ends_the_row() -> None:
    with FaultServer(after(40, "401")) as server:
        found = whygen.explain_many(
            "openai/test", [f"tell me about the fox number {n}" for n in range(20)], cache=None, target="exact",
            budget=30, options=ModelOptions(base_url=server.url),
        )  # fmt: skip
        assert found.reason == "failures"
        assert len(found) < 5
        assert len(server.received) < 120
    assert found.explanations


def test_wrong_arguments_are_refused_before_anything_is_asked() -> None:
    def never(text: str) -> str:
        raise AssertionError(text)

    with pytest.raises(UnknownNameError, match="token-set"):
        whygen.explain_many(never, ["a b"], target="token-sets", cache=None)
    with pytest.raises(UsageError, match="empty"):
        whygen.explain_many(never, [], cache=None)
    with pytest.raises(UsageError, match="list of prompts"):
        whygen.explain_many(never, "a b", cache=None)
    with pytest.raises(StoreError, match=r"cannot be made .*file is in its place.* with out="):
        whygen.explain_many(never, ["a b"], cache=None, out=__file__)
    with pytest.raises(MissingError, match="not there"):
        whygen.explain_many(never, Path("nowhere.jsonl"), cache=None)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("\n".join(f"the fox ran to hill {n}" for n in range(12)), encoding="utf-8")
    (tmp_path / "slow.py").write_text(
        "import time\ndef answer(text):\n    time.sleep(0.01)\n    return 'yes' if 'fox' in text else 'no'\n",
        encoding="utf-8",
    )
    line = [
        str(Path(sys.executable).parent / "whygen"), "explain-many", "p.txt", "-o", "out", "--model", "py/slow:answer",
        "--target", "exact", "--budget", "24", "--cache", "c.sqlite", "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    running = subprocess.Popen(line, cwd=tmp_path, env=environment)
    done = tmp_path / "out" / "explained.jsonl"
    until = time.monotonic() + 60
    while not (done.exists() and len(done.read_text().splitlines()) >= 3) and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = len(done.read_text().splitlines())
    assert 3 <= before < 12
    subprocess.run(line, cwd=tmp_path, env=environment, check=True)
    index = json.loads((tmp_path / "out" / "index.json").read_text(encoding="utf-8"))
    assert len(index["items"]) == 12
    assert not any(item["error"] for item in index["items"])
    assert len({json.loads(each)["key"] for each in done.read_text().splitlines()}) == 12


@pytest.mark.parametrize(
    "rows",
    [tuple(PROMPTS.values()), (each for each in PROMPTS.values()), np.array([*PROMPTS.values()]), pd.Series(PROMPTS)],
)
def test_prompts_come_from_whatever_gives_one_after_another(rows: object) -> None:
    found = whygen.explain_many("planted/additive", rows, cache=None, **QUICK)  # type: ignore[arg-type]
    assert [each.name for each in found] == ["prompt 1", "prompt 2", "prompt 3"]
    assert [each.explanation is not None for each in found] == [True] * 3
    assert found[1:] == found.items[1:]
    assert "prompt 3" in found
    assert "prompt 4" not in found


def test_what_is_no_row_of_prompts_is_told_how_it_becomes_one(tmp_path: Path) -> None:
    kept = tmp_path / "prompts.jsonl"
    kept.write_text('"a fox ran home"\n', encoding="utf-8")
    told = {
        r"Write pathlib\.Path\(": str(kept),
        r"write \[prompt\]": "a fox ran home",
        r"Write list\(table\['Prompt'\]\)": pd.DataFrame({"id": [1], "Prompt": ["a fox ran home"]}),
        r"write sorted\(prompts\)": {"a fox ran home"},
        "give a list of prompts": 7,
    }
    for words, given in told.items():
        with pytest.raises(UsageError, match=words):
            whygen.explain_many("planted/additive", given, **QUICK)  # type: ignore[arg-type]


def test_a_row_without_a_model_is_refused_once_and_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"None of 3 prompts is a recorded call that names its model\. Name one as"):
        whygen.explain_many(None, PROMPTS, out=tmp_path / "out", **QUICK)
    with pytest.raises(UsageError, match="None of 3 prompts is a recorded call"):
        whygen.forecast_many(None, PROMPTS, **QUICK)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="No model was named"):
        whygen.explain_prompt(None, "a fox ran home", **QUICK)
