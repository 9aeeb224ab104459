"""What sounds of a minute cost: transport between pairs of them, all mass moved or only what differs; and a whole run.

Processor seconds of one thread, since other work may share the machine.
"""

# pyright: basic
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

import whygen
from benchmarks import record
from whygen.distances import optimal_transport, sets
from whygen.distances.sets import ground, least_cost
from whygen.encoders.plain import LogMel
from whygen.media import sounds
from whygen.types import Sound

RATE, SECONDS, CALLS = 16_000, 60, 24
PROMPT = "a calm rainy night with distant thunder rolling"
TIMES = np.arange(RATE * SECONDS) / RATE


def melody(seed: int) -> np.ndarray:
    """Four notes a second that die away, over a little noise."""
    rng = np.random.default_rng(seed)
    made = 0.005 * rng.standard_normal(len(TIMES))
    for start in range(0, len(TIMES), RATE // 4):
        tone = 220 * 2 ** (rng.integers(0, 24) / 12)
        at = TIMES[: RATE // 4]
        made[start : start + RATE // 4] += 0.4 * np.sin(2 * np.pi * tone * at) * np.exp(-3 * at)
    return made


def hiss(seed: int) -> np.ndarray:
    return 0.2 * np.random.default_rng(seed).standard_normal(len(TIMES))


def loop(kind: str) -> np.ndarray:
    """A second that repeats."""
    second = TIMES[:RATE]
    turned = 440 * second if kind == "tone" else np.cumsum(400 + 300 * np.sin(2 * np.pi * second)) / RATE
    return np.tile(0.4 * np.sin(2 * np.pi * turned), SECONDS)


def words(prompt: str) -> np.ndarray:
    """Each word is a tone of its own for an eighth of the minute: fewer words make a shorter sound."""
    length = len(TIMES) // len(PROMPT.split())
    parts = []
    for word in prompt.split() or ["silence"]:
        number = sum(map(ord, word))
        tone = 200 + number * 37 % 1500
        wobble = 1 + 0.1 * np.sin(np.pi * TIMES[:length])
        noise = 0.02 * np.random.default_rng(number).standard_normal(length)
        parts.append(0.3 * np.sin(2 * np.pi * tone * TIMES[:length] * wobble) + noise)
    return np.concatenate(parts)


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    first, half = melody(1), melody(3)
    spoken = melody(4)
    spoken[len(TIMES) // 3 :] = 0.0
    silent = melody(5)
    silent[len(TIMES) // 3 :] = 0.0
    return {
        "two melodies": (first, melody(2)),
        "two hisses": (hiss(1), hiss(2)),
        "a tone and a siren, tiled": (loop("tone"), loop("siren")),
        "the second half is another": (first, np.concatenate([first[: len(first) // 2], half[len(half) // 2 :]])),
        "twenty seconds, then silence": (spoken, silent),
        "words, the last one left out": (words(PROMPT), words(PROMPT.rsplit(" ", 1)[0])),
    }


def timed(call: Callable[[], float]) -> tuple[float, float]:
    begun = time.process_time()
    value = call()
    return time.process_time() - begun, value


def main(data: Path | None = None) -> None:
    del data
    encoder = LogMel()
    least_cost(np.ones((2, 3)))  # the libraries are loaded before anything is timed
    rows = []
    for name, held in pairs().items():
        a, b = (track.points for track in encoder.tracks([sounds.sound_of(each, RATE) for each in held]))
        whole, value = timed(lambda a=a, b=b: least_cost(ground(a, b)))
        now, found = timed(lambda a=a, b=b: float(optimal_transport([a], b)[0]))
        rows.append({"pair": name, "points": [len(a), len(b)], "all": round(whole, 3), "now": round(now, 3),
                     "apart": abs(found - value)})  # fmt: skip
        print(rows[-1], flush=True)

    def speak(prompt: str) -> Sound:
        return sounds.sound_of(words(prompt), RATE)

    def run() -> float:
        found = whygen.explain_prompt(speak, PROMPT, budget=CALLS, cache=None)
        return max(abs(unit.attribution) for unit in found.units)

    seconds, value = timed(run)
    with mock.patch.object(sets, "_transport", lambda a, b: least_cost(ground(a, b))):
        whole, known = timed(run)
    spent = {"all": round(whole, 1), "now": round(seconds, 1), "apart": abs(value - known)}
    print(f"{CALLS} calls with a minute of sound: {spent}")
    record.write("long_sounds", {"pairs": rows, "calls": CALLS, "run": spent}, seed=1)


if __name__ == "__main__":
    main()
