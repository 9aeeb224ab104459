"""Explanations to show and to save in tests: a story of a fox, its masks, answers and figures, all from one seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.results.evidence import Evidence, Sample
from whygen.results.prompt import (
    Calls,
    Fidelity,
    IntervalRecord,
    Noise,
    PromptExplanation,
    Reference,
    TargetRecord,
    UnitAttribution,
    Warned,
)

STORY = (
    "You are a storyteller. Please write a very short story about a curious fox in a misty harbour, "
    "never mention a dragon, and let a golden lantern appear."
)
PINNED = ((0, 22),)
WEIGHTS = {"fox": 0.21, "harbour": 0.16, "lantern": 0.12, "misty": 0.07, "golden": 0.06, "story": 0.05, "curious": 0.04}
WEIGHTS |= {"dragon": -0.09, "never": 0.03}

_PARTS = {
    "curious": "A curious", "fox": "fox", "misty": "walked through the mist", "harbour": "along the harbour",
    "dragon": "where a dragon slept", "golden": "and a golden light", "lantern": "fell from a lantern",
}  # fmt: skip


def spans(prompt: str, *, pinned: int = 0) -> list[tuple[int, int]]:
    """Words of a prompt after its pinned beginning, punctuation cut off."""
    found: list[tuple[int, int]] = []
    start = pinned
    for word in prompt[pinned:].split():
        start = prompt.index(word, start)
        found.append((start, start + len(word.rstrip(".,"))))
        start += len(word)
    return found


def story(words: list[str], rng: np.random.Generator) -> str:
    """What the pretended model answers to these words."""
    told = [text for word, text in _PARTS.items() if word in words]
    start = "Once there was" if "fox" in words else "It was quiet"
    return (
        f"{start}: {', '.join(told) or 'nothing happened'}. {rng.choice(['The end.', 'Nobody knew why.', ''])}".strip()
    )


def prompt_explanation(
    *, prompt: str = STORY, pinned: tuple[tuple[int, int], ...] = PINNED, pairs: int = 48, seed: int = 7, **changes: Any
) -> PromptExplanation:
    """A whole explanation, evidence and all. ``changes`` replace fields."""
    rng = np.random.default_rng(seed)
    places = spans(prompt, pinned=pinned[0][1] if pinned else 0)
    words = [prompt[start:end] for start, end in places]
    truth = np.array([WEIGHTS.get(word, 0.0) for word in words])
    half = rng.random((pairs, len(words))) < 0.5
    masks = np.stack([half, ~half], axis=1).reshape(2 * pairs, len(words))
    signs = 2.0 * masks - 1.0
    effects = -0.62 + 0.5 * signs @ truth + 0.11 * rng.standard_normal(len(masks))
    estimate, low, high, p_values = _estimate(masks, effects)
    significant = p_values < 0.02
    predicted = -0.62 + signs @ (estimate / 2) + 0.02 * rng.standard_normal(len(masks))
    samples = _samples(prompt, places, words, masks, effects, rng)
    fields: dict[str, Any] = {
        "whygen": "0.1.0",
        "model": "demo/storyteller",
        "prompt": prompt,
        "reference": Reference(text=story(words, rng), n=1),
        "units": tuple(
            UnitAttribution(
                text=word, start=start, end=end, attribution=float(estimate[i]), low=float(low[i]),
                high=float(high[i]), p_value=float(p_values[i]), significant=bool(significant[i]),
            )
            for i, (word, (start, end)) in enumerate(zip(words, places, strict=True))
        ),
        "estimand": "banzhaf",
        "keep": 0.5,
        "target": TargetRecord(
            name="optimal-transport", distance="exact optimal transport",
            unit="optimal transport between token embeddings (0 to 2)",
        ),
        "operator": "delete",
        "design": "complement pairs",
        "masks": "sampled",
        "interval": IntervalRecord(level=0.95, method="cross-fitted scores, Student t over pairs"),
        "fidelity": Fidelity(
            r2_heldout=0.74, r2_insample=0.93, r2_chance=0.27, noise_ceiling=0.91, r2_chance_p95=0.36
        ),
        "noise": Noise(repeats=2, level=0.041, differs=True),
        "calls": Calls(asked=len(samples), made=len(samples) - 17, cached=17, failed=0),
        "seed": 0,
        "versions": {"python": "3.12.4", "numpy": "2.4.0", "scikit-learn": "1.9.0", "POT": "0.9.6"},
        "warnings": (
            Warned(
                code="few_masks",
                text="48 pairs of masks for 24 units: attributions are shrunk towards zero and intervals are wide. "
                "A budget of about 104 gives two pairs a unit; coarser units (sentences) need fewer.",
            ),
        ),
        "settings": {"max_tokens": 256, "seed": 0, "temperature": 0.7},
        "pinned": pinned,
        "surrogate": "ridge",
        "evidence": Evidence(
            masks=masks, effects=effects, predicted=predicted, groups=np.repeat(np.arange(pairs), 2), samples=samples,
        ),
    }  # fmt: skip
    return PromptExplanation(**{**fields, **changes})


def _estimate(masks: NDArray[np.bool_], effects: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Pair scores: plain means, good enough to look like the real thing."""
    signs = 2.0 * masks - 1.0
    coefficients = np.linalg.lstsq(np.c_[np.ones(len(masks)), signs], effects, rcond=None)[0][1:]
    residual = effects - effects.mean() - signs @ coefficients
    scores = (2 * coefficients + 2 * signs * residual[:, None]).reshape(-1, 2, masks.shape[1]).mean(axis=1)
    middle, error = scores.mean(axis=0), scores.std(axis=0, ddof=1) / np.sqrt(len(scores)) * 1.6
    p_values = np.clip(np.exp(-0.717 * np.abs(middle / error) - 0.416 * (middle / error) ** 2), 1e-4, 1.0)
    return middle, middle - 2 * error, middle + 2 * error, p_values


def _samples(
    prompt: str,
    places: list[tuple[int, int]],
    words: list[str],
    masks: NDArray[np.bool_],
    effects: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[Sample, ...]:
    whole = [Sample("reference", None, 0, prompt, story(words, rng), "stop", None)]
    whole += [Sample("repeat", None, i, prompt, story(words, rng), "stop", -0.03 - 0.02 * i) for i in (1, 2)]
    asked = [
        Sample("mask", row, 0, _render(prompt, places, mask), story(_kept(words, mask), rng), "stop", float(effect))
        for row, (mask, effect) in enumerate(zip(masks, effects, strict=True))
    ]
    redrawn = [
        Sample("redraw", row, 1, sample.prompt, sample.output, "length", float(sample.effect or 0) + 0.03)
        for row, sample in enumerate(asked[:8])
    ]
    return (*whole, *asked, *redrawn)


def _kept(words: list[str], mask: NDArray[np.bool_]) -> list[str]:
    return [word for word, kept in zip(words, mask, strict=True) if kept]


def _render(prompt: str, places: list[tuple[int, int]], mask: NDArray[np.bool_]) -> str:
    text = prompt
    for (start, end), kept in reversed(list(zip(places, mask, strict=True))):
        if not kept:
            before = start - 1 if start and text[start - 1] == " " else start
            text = text[:before] + text[end:]
    return text
