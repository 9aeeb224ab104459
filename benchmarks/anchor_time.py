# pyright: basic
"""Seconds of every phase of `explain_anchors` against the number of anchors, and the exponents of growth.

The paper's VAE (METHODS B5), MNIST digits as anchors (shifted copies beyond 70,000), n = 100 to 100,000, one thread:
the default (conformal, 1,900 held-out zeros, 8 draws) and the paper's rule (mean-max, 1 draw, a stated part of its
generated samples). The exponent is the slope of log seconds over log n from 3,000 on, with Student's interval.
``python -m benchmarks anchor_time --data FOLDER`` on an otherwise idle machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import linregress
from scipy.stats import t as student

from benchmarks import record
from benchmarks.vaes import fit, flat, timed
from whygen.anchors.explain import explain_anchors
from whygen_experiments.pxgen_mnist0 import TRAINING, Mnist, load_mnist

FROM = 3000
"""Below this what does not grow with n drowns what does."""
PUBLISHED = 60_000 * 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    counts: tuple[int, ...] = (100, 300, 1000, 3000, 10_000, 20_000, 50_000, 100_000)
    repeats: int = 3
    repeated_up_to: int = 10_000
    epochs: int = 5
    rounds: int = 2
    per_round: int = 10_000


def images(mnist: Mnist, count: int) -> NDArray[np.uint8]:
    """As many digits: test, then training, then all of them again, shifted by a pixel each time."""
    known = np.concatenate([mnist.test_images, mnist.train_images])
    parts = [np.roll(known, shift, axis=2) for shift in range(-(-count // len(known)))]
    return np.concatenate(parts)[:count]


def exponent(counts: Sequence[int], seconds: Sequence[float]) -> dict[str, float]:
    """Slope of log seconds over log n, and Student's 95% interval."""
    found = linregress(np.log(counts), np.log(np.maximum(seconds, 1e-6)))
    half = float(student.ppf(0.975, len(counts) - 2) * found.stderr) if len(counts) > 2 else float("nan")
    return {"exponent": float(found.slope), "low": float(found.slope) - half, "high": float(found.slope) + half}


def medians(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Seconds of each phase by mode and n, over repeats."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["mode"], row["n"]), []).append(row)
    return [
        {"mode": mode, "n": n, **{name: float(np.median([row[name] for row in members])) for name in _phases(members)}}
        for (mode, n), members in sorted(groups.items())
    ]


def _phases(rows: list[dict[str, Any]]) -> list[str]:
    return [name for name in rows[0] if name not in ("mode", "n", "repeat")]


def grown(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The exponent of each phase and of the whole, by mode, from `medians`."""
    found = []
    for mode in dict.fromkeys(row["mode"] for row in known):
        mine = [row for row in known if row["mode"] == mode and row["n"] >= FROM]
        for phase in _phases(mine):
            slope = exponent([row["n"] for row in mine], [row[phase] for row in mine])
            found.append({"mode": mode, "phase": phase, **slope})
    return found


def run(data: Path, *, size: Size | None = None, keep: Callable[[dict[str, Any]], Any] = id) -> dict[str, Any]:
    size, mnist = size or Size(), load_mnist(data)
    module = fit(flat(mnist.zeros[:TRAINING]), 1, epochs=size.epochs)[0]
    modes: dict[str, dict[str, Any]] = {
        "default": {"reference": mnist.zeros[TRAINING:]},
        "pxgen": {"preset": "pxgen", "rounds": size.rounds, "per_round": size.per_round},
    }
    everything, rows, figures = images(mnist, max(size.counts)), list[dict[str, Any]](), dict[str, Any]()
    for options in modes.values():  # what is imported or opened once is not counted
        explain_anchors(module, everything[: size.counts[0]], cache=None, **options)
    for count in size.counts:
        for repeat in range(size.repeats if count <= size.repeated_up_to else 1):
            for mode, options in modes.items():
                found, seconds = timed(
                    lambda n=count, more=options: explain_anchors(module, everything[:n], cache=None, **more)
                )
                rows.append({"mode": mode, "n": count, "repeat": repeat, **found.details.seconds, "all": seconds})
        print(rows[-2], rows[-1], flush=True)
        figures = {
            "size": {name: getattr(size, name) for name in size.__slots__},
            "share of the published generated samples": size.rounds * size.per_round / PUBLISHED,
            "medians": medians(rows),
            "rows": rows,
        }
        keep(figures)
    figures["exponents"] = grown(figures["medians"])
    keep(figures)
    return figures


def main(data: Path | None = None) -> None:
    if data is None:
        raise SystemExit("Give the folder of mnist.npz with --data.")
    import torch

    torch.set_num_threads(1)
    figures = run(data, keep=lambda known: record.write("anchor_time", known, seed=1))
    print(record.table(figures["exponents"]))


if __name__ == "__main__":
    main()
