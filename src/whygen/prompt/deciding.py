"""Does a prompt change the answer? From one call, or from as many as it takes where the model samples.

A prompt does it where more than half of its answers would. Draw by draw that is a sequential test of a share against
one half, and it may be looked at after every call: the likelihood ratio of a mixture against one half exceeds 1 / a at
any time with a chance of at most a (Ville's inequality; Robbins 1970, Annals of Mathematical Statistics 41:1397-1409).
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincc, betaln

from whygen.prompt.noise import Steadiness

AGREEING = 3
"""Answers to one prompt that must agree where a model is steady so far: one odd answer in five deceives three of them
in one prompt of a hundred."""

SHARPLY = 0.95
"""Half of the mixture is a share so far from one half, for models that are odd at times; the other half is uniform."""


def evidence(successes: int, draws: int) -> float:
    """Likelihood ratio of "more than half" against "half" after so many draws, over shares between one half and one.

    Its expected value is at most one where the share is one half or under, after any number of draws that was chosen on
    the way.
    """
    misses = draws - successes
    log_half = -draws * np.log(2.0)
    uniform = np.log(2.0 * betaincc(successes + 1.0, misses + 1.0, 0.5)) + betaln(successes + 1.0, misses + 1.0)
    sharp = successes * np.log(SHARPLY) + misses * np.log1p(-SHARPLY)
    return float(np.exp(np.logaddexp(uniform, sharp) - log_half) / 2.0)


def decided(does: list[bool], *, steady: Steadiness, error: float) -> bool | None:
    """Whether a prompt does it, from its calls in order; None while that is open.

    Args:
        does: of each call; the first may have chosen the prompt among others, so it is no evidence where the model
            samples.
        steady: of the model.
        error: chance of a wrong answer at most.
    """
    if not does:
        return None
    if steady == "known":
        return does[0]
    if steady == "so far" and len(set(does)) == 1:
        return does[0] if len(does) >= AGREEING else None
    fresh = does[1:]
    yes = sum(fresh)
    for said, successes in ((True, yes), (False, len(fresh) - yes)):
        if evidence(successes, len(fresh)) >= 1.0 / error:
            return said
    return None


def leaning(does: list[bool]) -> bool | None:
    """What most calls say; None without a call, and where as many say the one as the other."""
    yes = sum(does)
    return None if 2 * yes == len(does) else 2 * yes > len(does)
