"""Random generators by name: one seed for a run, and an independent stream for each purpose."""

from __future__ import annotations

import hashlib
import json
import operator

import numpy as np


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """The stream of random numbers for one purpose, such as ``generator(0, "masks", 3)``.

    The same seed and path give the same stream on every machine and in any order of use; two that differ anywhere
    give independent ones. The seed and the path are hashed together (sha256), and the digest feeds NumPy's
    ``SeedSequence``, whose streams are stable across NumPy versions.

    Raises:
        TypeError: if the seed is no whole number, or a step of the path is neither text nor a whole number.
    """
    steps = [operator.index(seed), *(step if isinstance(step, str) else operator.index(step) for step in path)]
    digest = hashlib.sha256(json.dumps(steps).encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "big"))))
