"""Results that the real promptfoo writes: what we compute of an assertion is what promptfoo found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.bridges.apart.painting import COLOURS, SYSTEM, serving
from typer.testing import CliRunner

from whygen.bridges.eval_samples import read_samples
from whygen.cli.app import app

PROMPTFOO = os.environ.get("PROMPTFOO") or shutil.which("promptfoo")
pytestmark = pytest.mark.skipif(
    PROMPTFOO is None, reason="promptfoo is not here (`make test-large` has it): PROMPTFOO names its command"
)
KEY = "sk-not-a-real-key-0123456789"
EACH: list[dict[str, Any]] = [
    {"type": kind, "value": value}
    for kind, values in {
        "equals": ["nice", "Nice", "{{word}}"],
        "contains": ["ice", "ICE"],
        "icontains": ["ICE", "x"],
        "contains-any": [["x", "ice"], "x, ice", ["x"]],
        "contains-all": [["n", "ice"], "n, x"],
        "icontains-any": [["X", "ICE"]],
        "icontains-all": [["N", "ICE"], ["N", "X"]],
        "starts-with": ["ni", "ce"],
        "regex": ["^n.ce$", "^x"],
        "not-contains": ["ice", "x"],
        "not-equals": ["nice"],
        "not-regex": ["x"],
    }.items()
    for value in values
] + [{"type": "is-json"}, {"type": "contains-json"}, {"type": "not-is-json"}]


def evaluated(folder: Path, url: str, tests: list[dict[str, Any]]) -> Path:
    chat = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "What is the colour of {{thing}}?"}]
    (folder / "chat.json").write_text(json.dumps(chat))
    provider = {"id": "openai:chat:gpt-4o-mini", "config": {"apiBaseUrl": url, "apiKey": KEY, "temperature": 0}}
    config = {"prompts": ["file://chat.json"], "providers": [provider], "tests": tests}
    (folder / "promptfooconfig.json").write_text(json.dumps(config))
    environment = {
        **os.environ, "PROMPTFOO_CONFIG_DIR": str(folder / "home"), "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1", "PROMPTFOO_CACHE_ENABLED": "false",
    }  # fmt: skip
    told = subprocess.run(
        [str(PROMPTFOO), "eval", "-c", "promptfooconfig.json", "-o", "results.json", "--no-table", "--no-progress-bar"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert (folder / "results.json").is_file(), told.stdout + told.stderr
    return folder / "results.json"


def test_assertions_are_computed_as_promptfoo_computes_them(tmp_path: Path) -> None:
    with serving() as url:
        tests = [{"vars": {"thing": "sky", "word": "nice"}, "assert": [each]} for each in EACH]
        weighed = [{"type": "contains", "value": "ice", "weight": 3}, {"type": "contains", "value": "x"}]
        tests += [{"vars": {"thing": "sky"}, "assert": weighed, "threshold": limit} for limit in (0.5, 0.75, 0.8)]
        found = read_samples(evaluated(tmp_path, url, tests))
    assert len(found) == len(EACH) + 3
    for sample in found:
        answer = sample.read().answer
        assert sample.score is not None, sample.why_not
        assert answer is not None
        assert sample.score(answer) == float(not sample.failed), sample.name


def test_the_failures_of_a_real_run_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    tests = [{"vars": {"thing": name}, "assert": [{"type": "equals", "value": each}]} for name, each in COLOURS.items()]
    with serving() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        log = evaluated(tmp_path, url, tests)
        done = CliRunner().invoke(app, ["failures", str(log), "--budget", "24", "--json", "-q"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["failed_again"] == 6
    assert [each["text"] for each in told["instructions"] if each["costs"]] == ["Never name a colour."]
