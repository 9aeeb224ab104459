# pyright: basic
"""What an explanation takes that no one machine holds: calls, tokens, bytes and seconds, before anything is bought.

``python -m benchmarks.plan`` prints the plans of docs/scale.md; ``--check`` makes small runs here and says what the
same formulas predict of them. Calls, tokens and bytes are counted; seconds follow from rates, which are assumptions:
those of `Cluster` are what makers state, times a share that is reached in practice.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import whygen
from benchmarks import record
from whygen.models import load_model

EMPTY = 50_000
"""Bytes of a record of nothing."""
RECORDED = 430
"""Bytes of a recorded call beside its texts: keys, identity, settings, indices; measured by ``--check``."""
JUDGED = 72e-6
"""Seconds of one processor for the verdict on an anchor (200 other runs, 400 shares, 8 draws, 2 criteria); measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What answers.

    Attributes:
        gpus: accelerators.
        flops: operations a second of one, in half precision.
        bandwidth: bytes a second of one, to its own memory.
        reached: part of either that is reached.
        batch: answers that are written at the same time.
        disk: bytes a second of the files that anchors are read from.
        processors: that judge anchors.
    """

    gpus: int = 8
    flops: float = 990e12
    bandwidth: float = 3.35e12
    reached: float = 0.4
    batch: int = 64
    disk: float = 2e9
    processors: int = 1


def prompts(
    number: int, *, budget: int, tokens: int, pinned: int, answer: int, parameters: float, cluster: Cluster,
    characters: float = 4.5,
) -> dict[str, float]:  # fmt: skip
    """Of so many prompts.

    Args:
        number: of prompts.
        budget: answers asked for of each; one is the reference, two repeat it, the others have units left out.
        tokens: of a prompt.
        pinned: of these, always sent.
        answer: tokens of an answer.
        parameters: of the model.
        cluster: what answers.
        characters: of a token.
    """
    calls = number * budget
    read = number * (3 * tokens + (budget - 3) * (pinned + (tokens - pinned) / 2))
    written = calls * answer
    reading = 2 * parameters * read / (cluster.gpus * cluster.flops * cluster.reached)
    steps = written / cluster.batch
    writing = steps * 2 * parameters / (cluster.gpus * cluster.bandwidth * cluster.reached)
    return {
        "calls": calls, "tokens_in": read, "tokens_out": written,
        "bytes_recorded": EMPTY + calls * RECORDED + characters * (read + written),
        "seconds": reading + writing, "seconds_with_prefixes_kept": reading * (1 - pinned * calls / read) + writing,
    }  # fmt: skip


def anchors(
    number: int, *, dim: int, latent: int, criteria: int, draws: int, flops: float, k: int, cluster: Cluster,
    spooled: bool,
) -> dict[str, float]:  # fmt: skip
    """Of so many anchors in a stream.

    Args:
        number: of anchors.
        dim: float32 numbers of an anchor.
        latent: numbers of its point, where distances are measured in the latent; 0: in the anchors themselves.
        criteria: that are measured.
        draws: of the posterior.
        flops: operations to encode or to decode one.
        k: representatives of a group.
        cluster: what scores.
        spooled: whether anchors come once and their points are written down.
    """
    point = 4 * latent if latent else 4 * dim if spooled else 0
    scores = number * (8 * draws * criteria + 8 + point)
    verdicts = number * (1 + 2 + 1)
    working = number * (1 + 4 + 4)
    read = number * 4 * dim
    passes = (k - 1) * number * 4 * (latent or dim)
    seconds = {
        "scoring": number * (1 + draws) * flops / (cluster.gpus * cluster.flops * cluster.reached)
        + read / cluster.disk,
        "verdicts": number * JUDGED / cluster.processors,
        "passes": passes / cluster.disk,
    }
    return {
        "bytes_read": read + passes, "bytes_of_scores": scores, "bytes_of_verdicts": verdicts, "bytes_working": working,
        **{f"seconds_{name}": each for name, each in seconds.items()}, "seconds": sum(seconds.values()),
    }  # fmt: skip


def plans() -> dict[str, dict[str, float]]:
    """Those of the page."""
    large = Cluster()
    return {
        "one prompt": prompts(
            1, budget=256, tokens=4000, pinned=1000, answer=200, parameters=70e9, cluster=large
        ),
        "ten thousand prompts": prompts(
            10_000, budget=256, tokens=4000, pinned=1000, answer=200, parameters=70e9, cluster=large
        ),
        "10^8 anchors": anchors(
            10**8, dim=3072, latent=128, criteria=2, draws=8, flops=1e9, k=8,
            cluster=Cluster(), spooled=False,
        ),
    }  # fmt: skip


def check() -> dict[str, Any]:
    """Small runs here, and what the formulas say of them; of seconds, what one run says of a larger one."""
    return {"prompt": _check_prompt(), "anchors": _check_anchors()}


class Counting:
    """A planted model that counts the words it reads."""

    def __init__(self) -> None:
        self._model = load_model("planted/noisy")
        self.uri, self.limits, self.identity = self._model.uri, self._model.limits, {"counting": 1}
        self.words = self.written = 0

    def answer(self, requests: Any) -> Any:
        answers = self._model.answer(requests)
        self.words += sum(len(str(request.prompt).split()) for request in requests)
        self.written += sum(len(answer.text.split()) for answer in answers)
        return answers


def _check_prompt() -> dict[str, Any]:
    text = " ".join(["Tell a story about a red fox that lives in the old forest and loves the first snow"] * 2)
    rows = []
    for budget in (64, 256):
        with tempfile.TemporaryDirectory() as made:
            model, store = Counting(), Path(made) / "calls.sqlite"
            found = whygen.explain_prompt(model, text, budget=budget, target="tfidf", cache=store, seed=0)
            size = sum(path.stat().st_size for path in Path(made).iterdir())
        told = prompts(
            1, budget=budget, tokens=len(text.split()), pinned=0, answer=round(model.written / budget), parameters=0,
            cluster=Cluster(), characters=4.5,
        )  # fmt: skip
        rows.append(
            {"calls": found.calls.made, "calls_predicted": told["calls"], "tokens_in": model.words,
             "tokens_in_predicted": told["tokens_in"], "bytes": size, "bytes_predicted": told["bytes_recorded"]}
        )  # fmt: skip
    return {"runs": rows}


def _check_anchors() -> dict[str, Any]:
    from benchmarks.anchor_stream import Linear, write
    from whygen.anchors.streaming import stream_anchors

    reference = np.random.default_rng(1).standard_normal((1000, 16)).astype(np.float32)
    rows = []
    for number in (20_000, 60_000):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            path = write(folder / "anchors.npy", number, 16)
            found = stream_anchors(Linear(), path, folder / "out", reference=reference, cache=None, space="pixels")
            files = [(each.name, each.stat().st_size) for each in (folder / "out").iterdir()]
        scores = sum(size for name, size in files if name.startswith("scores-"))
        verdicts = sum(size for name, size in files if name.endswith(".npy"))
        told = anchors(number, dim=16, latent=0, criteria=2, draws=8, flops=0, k=8, cluster=Cluster(), spooled=False)
        rows.append(
            {"anchors": number, "scores": scores, "scores_predicted": told["bytes_of_scores"], "verdicts": verdicts,
             "verdicts_predicted": told["bytes_of_verdicts"], "groups_s": found.seconds["groups"],
             "criteria_s": found.seconds["criteria"]}
        )  # fmt: skip
    for name in ("groups_s", "criteria_s"):
        rows[1][f"{name}_predicted"] = rows[0][name] * 3
    return {"runs": rows, "judged_s_an_anchor": rows[1]["groups_s"] / rows[1]["anchors"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="make small runs, and hold the formulas against them")
    chosen = parser.parse_args()
    figures: dict[str, Any] = {"plans": plans(), **({"check": check()} if chosen.check else {})}
    for name, each in {**figures["plans"], **figures.get("check", {})}.items():
        print(name)
        for what, value in each.items():
            print(f"  {what}: {value:.4g}" if isinstance(value, float | int) else f"  {what}: {value}")
    record.write("plan", {**record.figures("plan"), **figures}, seed=0)


if __name__ == "__main__":
    main()
