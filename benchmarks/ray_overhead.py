# pyright: basic
"""Ray with two one-thread workers against two plain processes on the same job, and what a call through Ray costs.

The job is ``--calls`` prompts for a model that computes for some 20 ms (a product of matrices, one thread). Plain: two
processes, each with half of the prompts. Ray: one run, two workers, on a cluster of two nodes on this machine. Loading
is not counted; both are run ``--rounds`` times in turn, and the shortest of each counts. Beside seconds stands the time
of processors, of Ray's own processes too, which tells more where others use the machine. The cost of a call is
that of 1,000 calls of a model that answers at once, less what they cost without Ray.

``python -m benchmarks.ray_overhead`` in an environment with the extra ``ray`` (`make test-ray` makes one).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from whygen.calls import Runner, Store
from whygen.models import ModelOptions, load_model
from whygen.types import Request

SIZE, PRODUCTS = 192, 60


def computes(prompt: str) -> str:
    """Some 20 ms of one processor."""
    matrix = np.random.default_rng(len(prompt)).normal(size=(SIZE, SIZE)) / SIZE**0.5
    power = matrix
    for _ in range(PRODUCTS):
        power = power @ matrix
    return f"{prompt} {power[0, 0]:.3f}"


def answers_at_once(prompt: str) -> str:
    return prompt


def seconds(model: Any, prompts: list[str]) -> float:
    """Of a run, without its loading."""
    with Store(None) as store:
        runner = Runner(model, store=store)
        began = time.perf_counter()
        runner.ask([Request(prompt=prompt) for prompt in prompts])
        return time.perf_counter() - began


def processor_seconds() -> float:
    """Of this process and all that it started and that live, Ray's servers and workers among them."""
    parents, used = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(stat.parent.name)], used[int(stat.parent.name)] = int(told[1]), int(told[11]) + int(told[12])
    mine, before = {os.getpid()}, 0
    while len(mine) > before:
        before = len(mine)
        mine |= {child for child, parent in parents.items() if parent in mine}
    return sum(used.get(each, 0) for each in mine) / os.sysconf("SC_CLK_TCK")


def _half(prompts: list[str], ready: Any, go: Any, done: Any) -> None:
    model = load_model("py/benchmarks.ray_overhead:computes")
    model.answer([Request(prompt="warm")])
    ready.release()
    go.wait()
    began = time.process_time()
    done.put((seconds(model, prompts), time.process_time() - began))


def plain(prompts: list[str]) -> tuple[float, float]:
    """Two processes that begin together: the time of the slower one, and the processor's of both."""
    context = multiprocessing.get_context("spawn")
    ready, go, done = context.Semaphore(0), context.Event(), context.Queue()
    workers = [context.Process(target=_half, args=(prompts[part::2], ready, go, done)) for part in range(2)]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.acquire()
    go.set()
    found = [done.get() for _ in workers]
    for worker in workers:
        worker.join()
    return max(wall for wall, _ in found), sum(used for _, used in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    from ray.cluster_utils import Cluster

    prompts = [f"prompt number {number}" for number in range(chosen.calls)]
    how = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=how)
    try:
        cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
        options = ModelOptions(executor="ray", address=cluster.address, workers=2)
        model: Any = load_model("py/benchmarks.ray_overhead:computes", options)
        while model.places < 4:
            time.sleep(0.05)
        times: dict[str, list[tuple[float, float]]] = {"plain": [], "ray": []}
        for _ in range(chosen.rounds):
            times["plain"].append(plain(prompts))
            before = processor_seconds()
            times["ray"].append((seconds(model, prompts), processor_seconds() - before))
            print({name: each[-1] for name, each in times.items()}, flush=True)
        model.crew.close()
        quick: Any = load_model("py/benchmarks.ray_overhead:answers_at_once", options)
        while quick.places < 4:
            time.sleep(0.05)
        thousand = [f"call {number}" for number in range(1000)]
        through = min(seconds(quick, thousand) for _ in range(3))
        without = min(seconds(load_model("py/benchmarks.ray_overhead:answers_at_once"), thousand) for _ in range(3))
    finally:
        import ray

        ray.shutdown()
        cluster.shutdown()
    best = {name: round(min(wall for wall, _ in each), 3) for name, each in times.items()}
    used = {name: round(min(used for _, used in each), 3) for name, each in times.items()}
    figures = {
        "calls": chosen.calls, **{f"{name}_s": each for name, each in best.items()},
        **{f"{name}_processor_s": each for name, each in used.items()},
        "share_of_plain": round(best["plain"] / best["ray"], 3),
        "share_of_plain_by_processor": round(used["plain"] / used["ray"], 3),
        "overhead_s_per_1000_calls": round(through - without, 3), "without_ray_s_per_1000_calls": round(without, 3),
    }  # fmt: skip
    print(figures)
    record.write("ray_overhead", figures)


if __name__ == "__main__":
    main()
