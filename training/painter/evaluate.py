"""How well the painter follows, on scenes, phrasings and combinations that training never showed.

    python -m training.painter.evaluate --model build/painter/model --prompts 200

The tests of pixels are those of `training.painter.checks`, fixed before any training.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline
from PIL import Image

from training.painter import parts
from training.painter.checks import followed, has_sun
from whygen.demo.painter import COLOURS, Scene, draw_scene, render
from whygen_experiments.gsmile_editing.instructions import (
    Edits,
    Part,
    draw_edits,
    interpret,
    is_held_out,
    write_instruction,
)
from whygen_experiments.gsmile_editing.labelled import label

BATCH = 32
Case = tuple[Scene, str]


def open_pipeline(path: Path) -> StableDiffusionInstructPix2PixPipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = StableDiffusionInstructPix2PixPipeline.from_pretrained(path, dtype=torch.float32)
    made.set_progress_bar_config(disable=True)
    return made


def paint(
    pipeline: StableDiffusionInstructPix2PixPipeline, cases: Sequence[Case], *, steps: int, seed: int
) -> list[np.ndarray]:
    """The pictures, as the stock pipeline draws them; each case has noise of its own."""
    found: list[np.ndarray] = []
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        noise = [torch.Generator().manual_seed(seed + start + i) for i in range(len(batch))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images = pipeline(
                [text for _, text in batch],
                image=[Image.fromarray(render(scene)) for scene, _ in batch],
                num_inference_steps=steps,
                guidance_scale=1.0,
                image_guidance_scale=1.0,
                generator=noise,
                output_type="np",
            ).images
        found += list(np.round(images * 255).astype(np.uint8))
    return found


def cases(
    rng: np.random.Generator, n: int, *, part: Part, changes: int, wanted: Callable[[Scene, Edits], bool]
) -> list[Case]:
    found: list[Case] = []
    while len(found) < n:
        scene = draw_scene(rng)
        edits = draw_edits(scene, rng, changes=changes)
        if wanted(scene, edits):
            found.append((scene, write_instruction(edits, rng, part=part)))
    return found


def held_out_combinations(rng: np.random.Generator, n: int) -> list[Case]:
    """A yellow house, or snow beside something purple."""
    found: list[Case] = []
    while len(found) < n:
        scene = draw_scene(rng)
        thing = scene.things[0]
        edits = Edits(None, "house", "yellow") if rng.random() < 0.5 else Edits("snow", thing.name, "purple")
        there = scene.thing(edits.thing or "")
        if there is not None and there.colour != edits.change:
            found.append((scene, write_instruction(edits, rng, part="training")))
    return found


def idle(rng: np.random.Generator, n: int) -> list[Case]:
    """Instructions whose words that matter were deleted: nothing must change."""
    found: list[Case] = []
    while len(found) < n:
        scene = draw_scene(rng)
        item = label(scene, write_instruction(draw_edits(scene, rng, changes=1), rng, part="held-out"))
        words = [item.text[a:b] for (a, b), matters in zip(item.spans, item.labels, strict=True) if not matters]
        text = " ".join(words)
        if interpret(text).count == 0:
            found.append((scene, text))
    return found


def share(pipeline: StableDiffusionInstructPix2PixPipeline, items: Sequence[Case], *, steps: int, seed: int) -> float:
    pictures = paint(pipeline, items, steps=steps, seed=seed)
    return float(np.mean([followed(p, s, interpret(t)) for p, (s, t) in zip(pictures, items, strict=True)]))


def round_trip(pipeline: StableDiffusionInstructPix2PixPipeline, rng: np.random.Generator, n: int) -> float:
    """Mean absolute error of the autoencoder on edited scenes, of 255."""
    from training.painter.train import edited_scene

    pictures = np.stack([render(edited_scene(rng)) for _ in range(n)])
    with torch.no_grad():
        again = pipeline.vae(parts.tensor(pictures)).sample
    return float((again.clamp(-1, 1) - parts.tensor(pictures)).abs().mean() * 127.5)


def suns(pipeline: StableDiffusionInstructPix2PixPipeline, rng: np.random.Generator, *, steps: int) -> dict[str, int]:
    """Where 64 suns of one instruction stand, over seeds."""
    scene = next(s for s in iter(lambda: draw_scene(rng), None) if len(s.things) == 1 and s.things[0].name == "ball")
    pictures = paint(pipeline, [(scene, "add a sun")] * 64, steps=steps, seed=1000)
    sides = [tuple(side for side in ("left", "right") if has_sun(picture, side, scene)) for picture in pictures]
    return {
        "left": sides.count(("left",)), "right": sides.count(("right",)),
        "both": sides.count(("left", "right")), "neither": sides.count(()),
    }  # fmt: skip


def run(path: Path, n: int, *, steps: int, seed: int) -> dict[str, object]:
    pipeline, rng = open_pipeline(path), np.random.default_rng([seed, 77])

    def any_(scene: Scene, edits: Edits) -> bool:
        return not is_held_out(edits)

    sets = {
        "one edit, phrasings of the training, new scenes": cases(rng, n, part="training", changes=1, wanted=any_),
        "one edit, held-out phrasings": cases(rng, n, part="held-out", changes=1, wanted=any_),
        "held-out combinations": held_out_combinations(rng, n),
        "two edits, phrasings of the training": cases(rng, n, part="training", changes=2, wanted=any_),
        "two edits, held-out phrasings": cases(rng, n, part="held-out", changes=2, wanted=any_),
        "words that matter deleted: unchanged": idle(rng, n),
    }
    return {
        "followed": {name: share(pipeline, items, steps=steps, seed=seed) for name, items in sets.items()},
        "autoencoder, mean error of 255": round_trip(pipeline, rng, 512),
        "suns over seeds": suns(pipeline, rng, steps=steps),
        "instructions a row": n,
        "steps": steps,
        "colours": len(COLOURS),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(json.dumps(run(chosen.model, chosen.prompts, steps=chosen.steps, seed=chosen.seed), indent=1))


if __name__ == "__main__":
    main()
