"""A batch outlives the run that handed it over: killed, interrupted or started twice, nothing is handed over again."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults.batches import BatchPlan
from faults.scripts import Received
from faults.server import FaultServer
from faults.signals import hear_signals
from whygen.calls import open_store
from whygen.cli import main

PROMPT = "Write about a fox and a piano near the castle, please."
CHILD = """
import json, sys, time
from whygen import explain_prompt
from whygen.models import ModelOptions, load_model
from whygen.calls import RunOptions, batches

batches.DOUBT = 0.5
batches.BatchPace.__init__.__kwdefaults__.update(first=0.02, longest=0.05)
batches.BatchDispatcher.__init__.__kwdefaults__.update(doubt=0.5)
uri, url, path, batch = sys.argv[1:]
print("up", flush=True)
explanation = explain_prompt(
    uri, PROMPT, target="token-set", budget=60, cache=path, options=ModelOptions(base_url=url),
    run=RunOptions(batch=batch or None),
)
document = explanation.to_dict()
del document["calls"]
for sample in document.get("samples", []):
    sample.pop("seconds", None)
print(json.dumps(document, sort_keys=True))
"""


def command(folder: Path, server: FaultServer, provider: str, *, store: str, batch: str = "provider") -> list[str]:
    script = folder / "child.py"
    script.write_text(CHILD.replace("PROMPT", repr(PROMPT)))
    url = server.root if provider == "anthropic" else server.url
    return [sys.executable, str(script), f"{provider}/test", url, str(folder / store), batch]


def result(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_killed_ten_times_the_batch_is_handed_over_once(
    tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At random moments, from before the first byte to after the last: the server sees every request once."""
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", "a-key-of-somebody")
    rng = random.Random(10)
    with FaultServer(latency=0.02, batches=BatchPlan(polls=4)) as server:
        child = command(tmp_path, server, provider, store="calls.sqlite")
        for _ in range(10):
            process = subprocess.Popen(child, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0.0, 1.5))
            process.kill()
            process.communicate()
        found = result(child)
        handed_over = server.desk.handed_over
        assert len(handed_over) == len(set(handed_over))
        calm = result(command(tmp_path, server, provider, store="calm.sqlite", batch=""))
    assert found == calm
    with open_store(tmp_path / "calls.sqlite") as store:
        assert store.ledger.entries() == []
        assert {call.key for call in store.calls()} == set(handed_over)


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("before", [True, False])
def test_killed_while_the_batch_is_being_handed_over(
    tmp_path: Path, provider: str, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one moment that nobody can know of: killed just before the provider takes it, and just after."""
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", "a-key-of-somebody")
    victims: list[subprocess.Popen[bytes]] = []

    def script(received: Received) -> str:
        creates = received.path.endswith("batches") and received.method == "POST"
        if not creates or not victims:
            return "ok"
        victims.pop().kill()
        return "reset" if before else "lost"

    with FaultServer(script, batches=BatchPlan(polls=2)) as server:
        child = command(tmp_path, server, provider, store="calls.sqlite")
        process = subprocess.Popen(child, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        victims.append(process)
        assert process.wait() == -signal.SIGKILL
        with open_store(tmp_path / "calls.sqlite") as store:
            (entry,) = store.ledger.entries()
        assert entry.name is None
        assert result(child)
        assert len(server.desk.handed_over) == len(set(server.desk.handed_over))


@pytest.mark.slow
def test_two_runs_at_once_share_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-somebody")
    with FaultServer(latency=0.05, batches=BatchPlan(polls=10)) as server:
        child = command(tmp_path, server, "openai", store="calls.sqlite")
        processes = [subprocess.Popen(child, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        outputs = [process.communicate()[0].splitlines()[-1] for process in processes]
        assert outputs[0] == outputs[1]
        assert len(server.desk.handed_over) == len(set(server.desk.handed_over))


def test_ctrl_c_leaves_the_batch_and_says_how_to_go_on_and_how_to_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-somebody")
    cache = str(tmp_path / "calls.sqlite")
    with FaultServer(batches=BatchPlan(polls=0)) as server:
        server.desk.paused.set()
        arguments = [
            "prompt", "openai/test", PROMPT, "--base-url", server.url, "--target", "token-set", "--budget", "20",
            "--cache", cache, "--batch", "provider", "-o", str(tmp_path / "out"),
        ]  # fmt: skip
        run = [sys.executable, "-c", "from whygen.cli import main; main()", *arguments]
        process = subprocess.Popen(
            run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_signals,  # noqa: PLW1509
        )  # fmt: skip
        while not any(received.method == "GET" for received in server.received) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        said = " ".join(errors.split())
        assert "batch_0 goes on at the provider" in said
        assert "whygen batch cancel batch_0" in said
        main_of(["batch", "list", "--json", "--cache", cache])
        listed = json.loads(capsys.readouterr().out)["batches"]
        assert [(row["batch"], row["model"], row["requests"]) for row in listed] == [("batch_0", "openai/test", 3)]
        main_of(["batch", "cancel", "batch_0", "--cache", cache])
        assert server.desk.batches[0].is_cancelled
        with pytest.raises(SystemExit) as end:
            main(["batch", "cancel", "batch_9", "--cache", cache])
        assert end.value.code == 2
        assert "There is: batch_0" in " ".join(capsys.readouterr().err.split())
        main_of(["batch", "forget", "batch_0", "--cache", cache])
        main_of(["batch", "list", "--cache", cache])
        assert "No batch is under way" in capsys.readouterr().out


def main_of(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code in (0, None)


def test_what_does_not_go_with_batches_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-somebody")
    with FaultServer(batches=BatchPlan()) as server:
        given = ["prompt", "openai/test", PROMPT, "--base-url", server.url, "--target", "token-set", "--cache"]
        given += [str(tmp_path / "calls.sqlite"), "--batch", "provider"]
        for more, word in (
            (["--requests-per-minute", "5"], "pace"),
            (["--sets", "4"], "sets=4"),
            (["--no-cache"], "store on disk"),
            (["--endpoint", "completions", "--target", "logprob"], "log-probabilities"),
            (["--batch", "nightly"], "provider"),
        ):
            with pytest.raises(SystemExit) as end:
                main([*given, *more])
            assert end.value.code in {1, 2}, more
            assert word in " ".join(capsys.readouterr().err.split())
        assert not server.received
        with pytest.raises(SystemExit) as end:
            main(["prompt", "planted/additive", PROMPT, "--batch", "provider", "--cache", str(tmp_path / "a.sqlite")])
        assert end.value.code == 2


def test_a_dry_run_shows_half_the_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-somebody")
    given = ["prompt", "openai/gpt-4o-mini", PROMPT, "--target", "token-set", "--dry-run", "--json"]
    costs: list[float] = []
    for more in ([], ["--batch", "provider"]):
        main_of([*given, *more])
        costs.append(json.loads(capsys.readouterr().out)["cost_at_most"])
    assert costs[0] > 0
    assert costs[1] == pytest.approx(costs[0] / 2)
