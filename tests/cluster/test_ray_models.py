"""Models on a cluster answer as in one process, and what dies there costs what it had in hand."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import whygen
from faults.server import FaultServer
from tiny_models import save
from whygen.calls import Runner, Store, open_store
from whygen.errors import MissingError, ModelError, UsageError
from whygen.models import ModelOptions, load_model
from whygen.models.ray import crew
from whygen.models.ray.cluster import connect
from whygen.types import Failure, Output, Request

PROMPT = "snow fell on the old town while a red fox crossed the quiet river"


@pytest.fixture
def on_ray(cluster: Any) -> Iterator[Any]:
    """Opens models on the cluster, and gives its processors back."""
    held: list[Any] = []

    def opened(model: object, **more: Any) -> Any:
        held.append(load_model(model, ModelOptions(executor="ray", address=cluster.address, **more)))
        return held[-1]

    yield opened
    for model in held:
        workers = getattr(model, "crew", None) or getattr(model, "_crew", None)
        if workers is not None:
            workers.close()


def asked(model: Any, prompts: list[str]) -> list[Output | Failure]:
    with Store(None) as store:
        return list(Runner(model, store=store).ask([Request(prompt=prompt) for prompt in prompts]))


def wait_for(model: Any, *, workers: int) -> None:
    """Until so many have loaded the model."""
    until = time.monotonic() + 60
    while model.places < 2 * workers:
        time.sleep(0.05)
        assert time.monotonic() < until


def texts(answers: list[Output | Failure]) -> list[str]:
    return [answer.text if isinstance(answer, Output) else answer.message for answer in answers]


@pytest.mark.parametrize("target", ["tfidf", "logprob"])
def test_an_explanation_is_the_same_here_and_there(on_ray: Any, target: str) -> None:
    model = on_ray("planted/additive")
    there = whygen.explain_prompt(model, PROMPT, target=target, cache=None)
    here = whygen.explain_prompt("planted/additive", PROMPT, target=target, cache=None)
    assert there.units == here.units
    assert there.model == here.model


def test_a_real_network_answers_and_scores_alike(on_ray: Any, tmp_path: Path) -> None:
    folder = save("gpt2", tmp_path / "tiny")
    there, here = on_ray(f"hf/{folder}", workers=2), load_model(f"hf/{folder}")
    assert there.identity == here.identity
    assert there.token_spans("Paris is") == here.token_spans("Paris is")  # type: ignore[union-attr]
    prompts = [" ".join(PROMPT.split()[:n]) for n in range(3, 13)]
    assert texts(asked(there, prompts)) == texts(asked(here, prompts))
    wanted = [Request(prompt=prompt, continuation=" and so on") for prompt in prompts]
    with Store(None) as one, Store(None) as two:
        found = Runner(there, store=one).score(wanted), Runner(here, store=two).score(wanted)
    for a, b in zip(*found, strict=True):
        assert isinstance(a, Output)
        assert isinstance(b, Output)
        assert [each.logprob for each in a.scores or ()] == pytest.approx([each.logprob for each in b.scores or ()])


def test_both_workers_work(on_ray: Any, log: Path) -> None:
    model = on_ray("py/planted_there:slow")
    wait_for(model, workers=2)
    found = asked(model, [f"w{n}" for n in range(120)])
    assert texts(found) == [f"W{n}" for n in range(120)]
    assert len({line.split()[0] for line in log.read_text().splitlines()}) == 2


def test_a_node_that_is_killed_costs_what_it_had_in_hand(cluster: Any, on_ray: Any, log: Path) -> None:
    doomed = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    model = on_ray("py/planted_there:slow", workers=3)
    prompts = [f"k{n}" for n in range(400)]

    def kill() -> None:
        wait_for(model, workers=3)
        while len(log.read_text().splitlines()) < 60:
            time.sleep(0.05)
        cluster.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    found = asked(model, prompts)
    killer.join()
    assert texts(found) == [prompt.upper() for prompt in prompts]
    again = len(log.read_text().splitlines()) - len(prompts)
    assert 0 <= again <= 16, "more was asked again than two batches"


def test_one_prompt_that_kills_its_worker_fails_alone(on_ray: Any) -> None:
    prompts = [f"p{n}" for n in range(30)]
    prompts[7] = "poison"
    found = asked(on_ray("py/planted_there:deadly"), prompts)
    assert [isinstance(answer, Failure) for answer in found] == [n == 7 for n in range(30)]
    assert isinstance(found[7], Failure)
    assert "3 workers died" in found[7].message


def test_none_is_blamed_that_waited_behind_one_that_kills(on_ray: Any) -> None:
    prompts = [f"{'poison ' if n % 17 == 5 and n < 30 else ''}p{n}" for n in range(40)]
    found = asked(on_ray("py/planted_there:deadly", batch_size=1), prompts)
    assert [n for n, answer in enumerate(found) if isinstance(answer, Failure)] == [5, 22]


def test_several_at_once_that_kill_fail_alone(on_ray: Any) -> None:
    workers = on_ray("py/planted_there:deadly", workers=2).crew
    prompts = ["poison 0", "poison 1", "poison 2", "poison 3", "good"]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda prompt: workers.ask("answer", [Request(prompt=prompt)], 1)[0], prompts))
    assert [isinstance(answer, Failure) for answer in found] == [True] * 4 + [False]


def test_workers_that_die_in_a_row_are_tried_on_what_was_answered_before(
    on_ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "DEATHS", 1)
    poison = [[Request(prompt=f"poison {n}")] for n in range(4)]
    workers = on_ray("py/planted_there:deadly", workers=1).crew
    assert texts(workers.ask("answer", [Request(prompt="good")], 1)) == ["doog"]
    assert all(isinstance(workers.ask("answer", one, 1)[0], Failure) for one in poison)
    assert not workers.troubles
    never = on_ray("py/planted_there:deadly", workers=1).crew
    with pytest.raises(ModelError, match="Workers die again and again"):
        [never.ask("answer", one, 1) for one in poison]


def test_a_machine_that_is_lost_says_nothing_of_what_its_worker_did(cluster: Any, on_ray: Any, log: Path) -> None:
    """While it loads, and while it has a request in hand that two workers died of before."""
    doomed = [cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]
    model = on_ray("py/planted_there:Slow", workers=4)
    wait_for_lines(log, "loads", 4)
    loading = {worker.machine for worker in model.crew._workers if worker.state == "loading"}
    doomed.sort(key=lambda node: node.node_id in loading)
    cluster.remove_node(doomed.pop(), allow_graceful=False)
    wait_for(model, workers=3)
    suspects = [Request(prompt=f"s{n}") for n in range(3)]
    found: list[Output | Failure] = []
    threads = [
        threading.Thread(target=lambda one=one: found.extend(model.crew.ask("answer", [one], 1, deaths=2)))
        for one in suspects
    ]
    for thread in threads:
        thread.start()
    wait_for_lines(log, "asked", 3)
    cluster.remove_node(doomed.pop(), allow_graceful=False)
    for thread in threads:
        thread.join()
    assert texts(found) == ["done"] * 3
    assert not model.crew.troubles


def wait_for_lines(log: Path, line: str, number: int) -> None:
    until = time.monotonic() + 60
    while log.read_text().split().count(line) < number:
        time.sleep(0.05)
        assert time.monotonic() < until


def test_a_crew_that_is_closed_while_it_is_asked_says_so(
    on_ray: Any, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "DEATHS", 1)
    model = on_ray("py/planted_there:Slow", workers=1)
    with pytest.raises(ModelError, match="workers died when they were asked for count_tokens"):
        model.count_tokens(Request(prompt="p"))
    threading.Thread(target=lambda: (wait_for_lines(log, "asked", 1), model.crew.close())).start()
    with pytest.raises(ModelError, match="No worker is left"):
        asked(model, ["p"])
    model.crew.grow(2)
    assert model.crew.size == 0


def test_a_model_that_cannot_be_loaded_is_said_once(on_ray: Any) -> None:
    with pytest.raises(ModelError, match="no weights here"):
        on_ray("py/planted_there:Unloadable")
    with pytest.raises(MissingError, match="nowhere"):
        on_ray("py/nowhere:thing")
    with pytest.raises(MissingError, match="no room for a worker"):
        _crowded(on_ray)


def test_one_cluster_has_several_names(cluster: Any, on_ray: Any) -> None:
    on_ray("planted/additive", workers=1)
    port = cluster.address.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1", socket.gethostname(), cluster.address.rpartition(":")[0]):
        connect(f"{host}:{port}")
    for other in (f"localhost:{int(port) - 1}", f"no.such.host.invalid:{port}"):
        with pytest.raises(UsageError, match="this process is connected to the cluster at"):
            connect(other)


def _crowded(on_ray: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crew, "PLACED", 1.0)
        first = on_ray("planted/additive", workers=2)
        wait_for(first, workers=2)
        on_ray("planted/additive", workers=2)


def test_a_function_of_ones_own_is_copied_to_workers(on_ray: Any) -> None:
    def titled(prompt: str) -> str:
        return prompt.title().replace("Fox", "Hound")

    there = whygen.explain_prompt(on_ray(titled), PROMPT, target="tfidf", cache=None)
    assert there.units == whygen.explain_prompt(titled, PROMPT, target="tfidf", cache=None).units
    lock = threading.Lock()
    with pytest.raises(UsageError, match="cannot be copied"):
        on_ray(lambda prompt: str(lock) + prompt)


def test_calls_of_a_remote_model_go_out_from_the_cluster(on_ray: Any) -> None:
    with FaultServer() as server:
        model = on_ray("openai/test", base_url=server.url)
        found = asked(model, [f"r{n}" for n in range(12)])
        assert all(isinstance(answer, Output) for answer in found), found
        assert len(server.received) == 12


MAIN = "import sys; from whygen.cli import main; sys.exit(main())"
DRIVER = """
import sys
from whygen.calls import Runner, open_store
from whygen.models import ModelOptions, load_model
from whygen.types import Request
model = load_model("py/planted_there:slow", ModelOptions(executor="ray", address=sys.argv[1]))
with open_store(sys.argv[2]) as store:
    runner = Runner(model, store=store)
    runner.ask([Request(prompt=f"d{n}") for n in range(300)])
    print(runner.tally.made)
"""


def test_a_driver_that_is_killed_goes_on_from_its_record(cluster: Any, log: Path, tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"
    command = [sys.executable, "-c", DRIVER, cluster.address, str(store)]
    environment = {**os.environ, "PYTHONPATH": f"{log.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    first = subprocess.Popen(command, env=environment)
    while len(log.read_text().splitlines()) < 60:
        time.sleep(0.05)
        assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.wait()
    with open_store(store) as kept:
        before = len(list(kept.calls()))
    assert 20 <= before < 300
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(second.stdout) == 300 - before
    assert len(log.read_text().splitlines()) <= 300 + 32, "more was lost than was in hand"


def test_an_address_without_a_cluster_is_said_on_the_command_line() -> None:
    pytest.importorskip("ray.cluster_utils")
    command = [sys.executable, "-c", MAIN, "prompt", "planted/additive", PROMPT, "--no-cache", "--executor", "ray"]
    told = subprocess.run([*command, "--address", "127.0.0.1:1"], capture_output=True, text=True, check=False)
    assert told.returncode == 3
    assert "there is no Ray cluster" in told.stderr
    assert "Traceback" not in told.stderr
