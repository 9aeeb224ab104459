"""Play the tasks in full: the log-probability of the answer under every subset of the units, kept in one JSON file.

    python -m benchmarks.smol.record [--minutes 3] [--model FOLDER]

Goes on where it stopped. Rows are subsets in the order of binary counting, the first unit the highest bit. All subsets
of a task are one trie: SmolLM2 reads each beginning once (`whygen.models.hf.prefixes`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.smol import model_file
from benchmarks.smol.tasks import TASKS, Task
from whygen.models import ModelOptions, load_model
from whygen.models.hf.model import HfModel
from whygen.types import Floats, Output, Request

FILE = Path(__file__).parent / "games.json"
ABOUT = (
    "Log-probability (nats) of a task's answer under each subset of its units; SmolLM2-135M-Instruct, Q4_1 GGUF, "
    "dequantised to single precision. Tasks: benchmarks/smol/tasks.py. Row i: bits of i, the first unit the highest."
)


def main() -> None:
    """Play what is not recorded, as long as there is time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--model", default=None, help="a folder with the same weights, which loads faster")
    parser.add_argument("--out", type=Path, default=FILE, help="the file of games")
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    games = recorded(asked.out)
    model = load_model(f"hf/{asked.model or model_file()}", ModelOptions(device="cpu", batch_size=1024))
    assert isinstance(model, HfModel)
    for task in TASKS:
        if task.name not in games and time.monotonic() < until:
            games[task.name] = [round(value, 4) for value in played(model, task)]
            asked.out.write_text(json.dumps({"about": ABOUT, "games": games}, indent=None) + "\n", "utf-8")
            sys.stdout.write(f"{task.name} {time.process_time():.0f} s\n")
            sys.stdout.flush()


def played(model: HfModel, task: Task) -> list[float]:
    """The game's values, all subsets."""
    requests = [Request(prompt=task.prompt(kept), continuation=task.answer) for kept in subsets(len(task.units))]
    answers = model.score(requests)
    return [sum(score.logprob for score in each.scores or ()) for each in answers if isinstance(each, Output)]


def subsets(n: int) -> list[tuple[int, ...]]:
    """Places that are kept, for every row."""
    return [tuple(place for place, bit in enumerate(bits) if bit) for bits in product((0, 1), repeat=n)]


def recorded(file: Path = FILE) -> dict[str, list[float]]:
    """The games in a file, by name."""
    return json.loads(file.read_text("utf-8"))["games"] if file.exists() else {}


def values(name: str) -> Floats:
    """One game, shape ``(2 ** n,)``."""
    return np.array(recorded()[name], dtype=np.float64)


if __name__ == "__main__":
    main()
