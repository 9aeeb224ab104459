"""A real cluster of two machines on this one; `make test-ray` has Ray in an environment of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

THERE = '''
"""Models that workers open."""
import os, time

import numpy as np

from whygen.models.python import batched
from whygen.types import Limits, Output


def log(line):
    with open(os.environ["RAYTEST_LOG"], "a") as file:
        file.write(line + "\\n")


def slow(prompt: str) -> str:
    log(f"{os.getpid()} {prompt}")
    time.sleep(0.02)
    return prompt.upper()


@batched
def deadly(prompts: list[str]) -> list[str]:
    if any("poison" in prompt for prompt in prompts):
        time.sleep(0.5)
        os._exit(1)
    return [prompt[::-1] for prompt in prompts]


class Slow:
    """Loads for a while, answers for a while, and cannot count."""

    uri, limits = "test/slow", Limits()

    def __init__(self):
        log("loads")
        time.sleep(2)

    def answer(self, requests):
        log("asked")
        time.sleep(3)
        return [Output(text="done") for request in requests]

    def count_tokens(self, request):
        os._exit(1)


class Linear:
    shape = (6,)
    value_range = (-float("inf"), float("inf"))

    def encode(self, samples):
        return 0.8 * samples[:, :3], np.full((len(samples), 3), -3.0, np.float32)

    def decode(self, latents):
        return np.concatenate([latents / 0.8, np.zeros_like(latents)], axis=1)


class Homesick(Linear):
    """Works in the process that asks, and nowhere else."""

    def encode(self, samples):
        if "ray::" in open("/proc/self/cmdline").read():
            raise RuntimeError("it works only here")
        return super().encode(samples)


class Crashing(Linear):
    """Kills the worker that reads a large number."""

    def encode(self, samples):
        if (samples > 50).any() and "ray::" in open("/proc/self/cmdline").read():
            log("crashes")
            os._exit(1)
        return super().encode(samples)


linear, homesick, crashing = Linear(), Homesick(), Crashing()


class Unloadable:
    def __init__(self):
        raise RuntimeError("no weights here")

    def answer(self, requests):
        return []
'''


@pytest.fixture(scope="session")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on the import path of every worker; ``log`` in it is written by them."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "planted_there.py").write_text(THERE)
    return folder


@pytest.fixture(scope="session")
def cluster(there: Path) -> Iterator[Any]:
    """A head that works, and a second node; a processor each."""
    utils = pytest.importorskip("ray.cluster_utils")
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{there}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("RAYTEST_LOG", str(there / "log"))
        patch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
        patch.syspath_prepend(str(there))
        how = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        made = utils.Cluster(initialize_head=True, head_node_args=how)
        try:
            made.add_node(num_cpus=1, object_store_memory=80 * 2**20)
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


@pytest.fixture
def log(cluster: Any, there: Path) -> Path:
    """What workers were asked, a line each."""
    path = there / "log"
    path.write_text("")
    return path
