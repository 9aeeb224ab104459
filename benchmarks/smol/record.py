"""Play the tasks: the log-probability of the answer under subsets of the units, kept in files.

    python -m benchmarks.smol.record [--minutes 3] [--model FOLDER] [--names NAME ...] [--copy bits:3 --out FILE]

Goes on where it stopped, the smallest tasks first. Up to twelve units, all subsets are played and kept in
``games.json``: rows are subsets in the order of binary counting, the first unit the highest bit. Of larger tasks,
`FRESH` subsets are played on which predictions are judged; what methods ask for is added to the same file,
``larger.npz``, by `benchmarks.smol.rivals --model`. Subsets that are asked for together are one trie: SmolLM2 reads
each beginning once (`whygen.models.hf.prefixes`).

``--copy`` plays a coarser copy of the model: ``bits:3`` rounds the weights of its layers to so many bits in groups of
32, ``layers:25`` leaves the last of its 30 layers out. Such games are what `benchmarks.smol.cheaper` plays.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.rivals.protocol import Bools
from benchmarks.smol import model_file
from benchmarks.smol.tasks import FULL, LARGER, TASKS, Task
from whygen.models import ModelOptions, load_model
from whygen.models.hf.model import HfModel
from whygen.types import Floats, Output, Request

FILE = Path(__file__).parent / "games.json"
LARGER_FILE = FILE.with_name("larger.npz")
FRESH = 500
_PIECE = 512
"""Subsets played between two savings."""
ABOUT = (
    "Log-probability (nats) of a task's answer under each subset of its units; SmolLM2-135M-Instruct, Q4_1 GGUF, "
    "dequantised to single precision. Tasks: benchmarks/smol/tasks.py. Row i: bits of i, the first unit the highest."
)


class NotRecorded(LookupError):  # noqa: N818
    """A subset was asked for that nobody played, and no model is open."""


def main() -> None:
    """Play what is not recorded, as long as there is time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--model", default=None, help="a folder with the same weights, which loads faster")
    parser.add_argument("--out", type=Path, default=FILE, help="the file of games; larger.npz stands beside it")
    parser.add_argument("--names", nargs="*", help="only these tasks")
    parser.add_argument("--copy", help="bits:N or layers:N")
    asked = parser.parse_args()
    until, games = time.monotonic() + 60 * asked.minutes, recorded(asked.out)
    model = opened(asked.model)
    if asked.copy:
        coarsen(model.network, asked.copy)
    for task in sorted((*TASKS, *LARGER), key=lambda each: len(each.units)):
        if task.name in games or (asked.names and task.name not in asked.names) or time.monotonic() > until:
            continue
        file = LARGER_FILE.name if len(task.units) > FULL else f"{task.name}.npz"
        answers = Answers(task, asked.out.with_name(file), model)
        wanted = subsets_of(task)
        for start in range(0, len(wanted), _PIECE):
            if time.monotonic() < until:
                answers(wanted[start : start + _PIECE])
        if len(task.units) <= FULL and len(answers.known) == len(wanted):
            games[task.name] = [round(float(value), 4) for value in answers(wanted)]
            asked.out.write_text(json.dumps({"about": ABOUT, "games": games}, indent=None) + "\n", "utf-8")
            answers.file.unlink()
        sys.stdout.write(f"{task.name} {len(answers.known)} {time.process_time():.0f} s\n")
        sys.stdout.flush()


def opened(folder: str | None) -> HfModel:
    """SmolLM2, of its package or of a folder with the same weights."""
    model = load_model(f"hf/{folder or model_file()}", ModelOptions(device="cpu", batch_size=1024))
    assert isinstance(model, HfModel)
    return model


def coarsen(network: Any, how: str) -> None:
    """Make a network worse: fewer bits a weight (``bits:N``, the ends of each group of 32 kept), or fewer layers."""
    kind, _, count = how.partition(":")
    if kind == "layers":
        network.model.layers = network.model.layers[: int(count)]
        network.config.num_hidden_layers = int(count)
        return
    with torch.no_grad():
        for weight in network.model.layers.parameters():
            if weight.dim() == 2:
                groups = weight.view(-1, 32)
                low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
                step = (high - low).clamp_min(1e-12) / (2 ** int(count) - 1)
                weight.copy_((((groups - low) / step).round() * step + low).view_as(weight))


class Answers:
    """Values of a task's subsets, shape ``(m,)`` for masks ``(m, n)``: kept, or asked of the model and kept.

    Args:
        task: whose answer is scored.
        file: of all tasks' values; made when something is kept.
        model: that is asked for what is not in the file; without one, that is `NotRecorded`.
    """

    def __init__(self, task: Task, file: Path, model: HfModel | None = None) -> None:
        self.task, self.file, self.model = task, file, model
        self.known: dict[int, float] = {}
        if file.exists():
            with np.load(file, allow_pickle=False) as kept:
                if task.name in kept.files:
                    codes = kept[task.name].tolist()
                    self.known = dict(zip(codes, kept[f"{task.name}, values"].tolist(), strict=True))

    def __call__(self, masks: Bools) -> Floats:
        codes = rows_of(np.atleast_2d(masks)).tolist()
        missing = sorted(set(codes) - self.known.keys())  # in order: neighbours begin alike
        if missing:
            self._play(missing)
        return np.array([self.known[code] for code in codes], dtype=np.float64)

    def _play(self, codes: list[int]) -> None:
        if self.model is None:
            raise NotRecorded(
                f"{self.task.name}: {len(codes)} subsets are not recorded. Name a --model that plays them."
            )
        n = len(self.task.units)
        kept = [tuple(place for place in range(n) if code >> (n - 1 - place) & 1) for code in codes]
        answers = self.model.score([Request(prompt=self.task.prompt(k), continuation=self.task.answer) for k in kept])
        for code, each in zip(codes, answers, strict=True):
            if isinstance(each, Output):
                self.known[code] = float(np.float32(round(sum(score.logprob for score in each.scores or ()), 4)))
        self.keep()

    def keep(self) -> None:
        """Write the values into the file, those of other tasks left as they are."""
        kept: dict[str, Any] = {}
        if self.file.exists():
            with np.load(self.file, allow_pickle=False) as before:
                kept = {name: before[name] for name in before.files}
        codes = sorted(self.known)
        kept[self.task.name] = np.array(codes, dtype=np.uint32)
        kept[f"{self.task.name}, values"] = np.array([self.known[code] for code in codes], dtype=np.float32)
        beside = self.file.with_suffix(".new.npz")
        np.savez_compressed(beside, **kept)
        beside.replace(self.file)


def subsets_of(task: Task) -> Bools:
    """All subsets of a small task; of a larger one, those that predictions are judged on, each unit kept by chance."""
    n = len(task.units)
    if n <= FULL:
        return all_subsets(n)
    drawn = np.random.default_rng((19, n)).random((FRESH, n)) < 0.5
    return drawn[np.argsort(rows_of(drawn))]


def all_subsets(n: int) -> Bools:
    """All masks ``(2**n, n)``, in the order of the rows."""
    return np.array(list(product((False, True), repeat=n)))


def rows_of(masks: Bools) -> Any:
    """Rows of the table, the first unit the highest bit."""
    return masks @ (1 << np.arange(masks.shape[1] - 1, -1, -1))


def recorded(file: Path = FILE) -> dict[str, list[float]]:
    """The games in a file, by name."""
    return json.loads(file.read_text("utf-8"))["games"] if file.exists() else {}


def values(name: str) -> Floats:
    """One game, shape ``(2 ** n,)``."""
    return np.array(recorded()[name], dtype=np.float64)


if __name__ == "__main__":
    main()
