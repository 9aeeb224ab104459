"""Train the painter from scratch on one or two processor cores.

    python -m training.painter.train --out build/painter --vae-minutes 8 --minutes 40

First the autoencoder, then the text encoder learns to read, then text encoder and U-Net paint together. Instructions
with deleted words are in the training data,
with what the rule makes of them: that deleting an idle word changes nothing is taught, not found.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch.nn import functional
from transformers import CLIPTextModel

from training.painter import parts, reading
from whygen.demo.painter import SIDES, Scene, draw_scene, render
from whygen_experiments.gsmile_editing.instructions import (
    COLOUR_WORDS,
    SKY_WORDS,
    THING_WORDS,
    Edits,
    carry_out,
    draw_edits,
    interpret,
    is_held_out,
    vocabulary,
    write_instruction,
)

BATCH = 48
SCENES = 2500
EMA = 0.998
RATE = 1.2e-3
STRAY = 0.15
"""Share of instructions with one more word, most often of the kinds that matter. Only the first of a kind counts, so
this is how a red house comes to stand beside the word *yellow*."""
STRAYS = (*THING_WORDS, *COLOUR_WORDS, *SKY_WORDS)
BLUR = 0.1
"""Noise on the text's states in the first part of the training, in units of their size."""
TAUGHT = 800
"""Steps of reading alone."""
SUNS = 0.2
"""Share of instructions whose sky becomes a sun, beside those drawn so: of all edits it has two right answers, and
takes longest to settle on one of them."""
READING = 0.1
"""Weight of the reading error beside the painting error."""


def train_autoencoder(rng: np.random.Generator, *, minutes: float) -> torch.nn.Module:
    """L1 and squared error with a faint KL term; then latents are folded to mean 0 and deviation 1 a channel."""
    vae = parts.autoencoder()
    optimiser = torch.optim.AdamW(vae.parameters(), lr=2.5e-3, weight_decay=1e-4)
    start, step = time.monotonic(), 0
    while (share := (time.monotonic() - start) / (60 * minutes)) < 1:
        set_rate(optimiser, 2.5e-3, share, step)
        pictures = parts.tensor(np.stack([render(edited_scene(rng)) for _ in range(BATCH)]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            law = vae.encode(pictures).latent_dist
            again = vae.decode(law.sample()).sample
        error = (again.float() - pictures).abs().mean() + functional.mse_loss(again.float(), pictures)
        loss = error + 3e-4 * law.kl().mean() / (parts.LATENT**2 * parts.LATENT_CHANNELS)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 100 == 0:
            print(f"autoencoder {step} steps, {100 * share:.0f}%, error {error.item():.4f}", flush=True)
    fold(vae, parts.tensor(np.stack([render(edited_scene(rng)) for _ in range(1024)])))
    return vae.eval().requires_grad_(False)


def set_rate(optimiser: torch.optim.Optimizer, highest: float, share: float, step: int) -> None:
    """Two hundred steps of warming up, then half a cosine over the time there is."""
    rate = highest * min(1.0, (step + 1) / 200) * 0.5 * (1 + np.cos(np.pi * min(share, 1.0)))
    for group in optimiser.param_groups:
        group["lr"] = max(rate, 1e-5)


def edited_scene(rng: np.random.Generator) -> Scene:
    """A scene, most often after one or two edits."""
    scene = draw_scene(rng)
    if rng.random() < 0.3:
        return scene
    edits = draw_edits(scene, rng, changes=int(rng.integers(1, 3)))
    return carry_out(scene, edits, side=str(rng.choice(SIDES)))


def fold(vae: torch.nn.Module, pictures: torch.Tensor) -> None:
    """Scale the latents inside the autoencoder's own last layers, so that no scaling factor is needed."""
    with torch.no_grad():
        latents = torch.cat([vae.encode(batch).latent_dist.mode() for batch in pictures.split(64)])
        mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
        channels = parts.LATENT_CHANNELS
        vae.quant_conv.weight[:channels] /= deviation[:, None, None, None]
        vae.quant_conv.bias[:channels] = (vae.quant_conv.bias[:channels] - mean) / deviation
        vae.quant_conv.bias[channels:] -= 2 * deviation.log()  # the second half is the log-variance
        after = vae.post_quant_conv
        after.bias += (after.weight[:, :, 0, 0] * mean[None]).sum(1)
        after.weight *= deviation[None, :, None, None]


class Pictures:
    """Latents of scenes, edited on demand and kept: an autoencoder's pass costs more than a dictionary."""

    def __init__(self, vae: torch.nn.Module, rng: np.random.Generator) -> None:
        self._vae = vae
        self.scenes = [draw_scene(rng) for _ in range(SCENES)]
        self._known: dict[Scene, torch.Tensor] = {}

    def latents(self, scenes: list[Scene]) -> torch.Tensor:
        new = [scene for scene in dict.fromkeys(scenes) if scene not in self._known]
        if new:
            with torch.no_grad():
                found = self._vae.encode(parts.tensor(np.stack([render(scene) for scene in new]))).latent_dist.mode()
            self._known |= dict(zip(new, found.half(), strict=True))
        return torch.stack([self._known[scene] for scene in scenes]).float()


def lesson(scenes: list[Scene], words: tuple[str, ...], rng: np.random.Generator) -> tuple[Scene, str, Scene]:
    """A scene, an instruction (whole, with words missing, or idle) and the scene it should become."""
    while True:
        scene = scenes[int(rng.integers(len(scenes)))]
        text = instruction(scene, words, rng)
        edits = interpret(text)
        if not is_held_out(edits):
            return scene, text, carry_out(scene, edits, side=str(rng.choice(SIDES)))


def instruction(scene: Scene, words: tuple[str, ...], rng: np.random.Generator) -> str:
    if rng.random() < 0.04:
        return ""
    other = draw_scene(rng) if rng.random() < 0.04 else scene  # then the thing may not be there
    edits: Edits = draw_edits(other, rng, changes=1 if rng.random() < 0.55 else 2)
    if rng.random() < SUNS:
        edits = replace(edits, sky="sun")
    said = write_instruction(edits, rng, part="training", padding=3).split()
    if rng.random() < 0.25:
        kept = rng.random(len(said)) > rng.uniform(0.0, 0.8)
        said = [word for word, keep in zip(said, kept, strict=True) if keep]
    if rng.random() < STRAY:
        strays = STRAYS if rng.random() < 0.8 else words
        said.insert(int(rng.integers(len(said) + 1)), strays[int(rng.integers(len(strays)))])
    if rng.random() < 0.05:
        said = rng.permutation(said).tolist()
    return " ".join(said)


def error(
    encoder: torch.nn.Module,
    net: torch.nn.Module,
    tokens: torch.Tensor,
    before: torch.Tensor,
    after: torch.Tensor,
    alphas: torch.Tensor,
    *,
    blur: float,
    noise: torch.Generator,
) -> torch.Tensor:
    """Squared error of the clean latent, five times as heavy where the picture must change."""
    u = torch.rand(len(after), generator=noise)
    times = ((1 - u**2) * 999).long()
    level = alphas[times].view(-1, 1, 1, 1)
    noisy = level.sqrt() * after + (1 - level).sqrt() * torch.randn(after.shape, generator=noise)
    shown = before * (torch.rand(len(after), 1, 1, 1, generator=noise) > 0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = encoder(tokens)[0]
        size = states.detach().float().pow(2).mean().sqrt()
        states = states + blur * size * torch.randn(states.shape, generator=noise)
        guess = net(torch.cat([noisy, shown], dim=1), times, states).sample
    changed = (after - before).abs().mean(dim=1, keepdim=True) > 0.1
    return ((1.0 + 4.0 * changed) * (guess.float() - after) ** 2).mean()


def train_editor(
    vae: torch.nn.Module,
    rng: np.random.Generator,
    *,
    minutes: float,
    start_from: Path | None = None,
    rate: float = RATE,
) -> tuple[torch.nn.Module, torch.nn.Module, object, int]:
    """Predict the clean latent from noise, the picture's latent and the instruction; weigh what must change."""
    words, names = parts.tokenizer(), vocabulary()
    encoder, net = parts.text_encoder(words), parts.unet()
    if start_from is not None:
        encoder = CLIPTextModel.from_pretrained(start_from / "text_encoder", dtype=torch.float32).train()
        net = UNet2DConditionModel.from_pretrained(start_from / "unet", torch_dtype=torch.float32).train()
    trained = torch.nn.ModuleList([encoder, net])
    average = copy.deepcopy(trained).requires_grad_(False)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=rate, weight_decay=1e-3)
    alphas = parts.scheduler().alphas_cumprod
    pictures = Pictures(vae, rng)

    def read(texts: Sequence[str]) -> torch.Tensor:
        return words(
            list(texts), padding="max_length", truncation=True, max_length=parts.POSITIONS, return_tensors="pt"
        ).input_ids

    begin = reading.teach if start_from is None else reading.listen
    reader = begin(encoder, read, lambda: lesson(pictures.scenes, names, rng)[1], steps=TAUGHT)
    noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
    start, step = time.monotonic(), 0
    while (share := (time.monotonic() - start) / (60 * minutes)) < 1:
        set_rate(optimiser, rate, share, step)
        lessons = [lesson(pictures.scenes, names, rng) for _ in range(BATCH)]
        before = pictures.latents([scene for scene, _, _ in lessons])
        after = pictures.latents([scene for _, _, scene in lessons])
        texts = [text for _, text, _ in lessons]
        tokens = read(texts)
        blur = BLUR if share < 0.7 else 0.0
        loss = error(encoder, net, tokens, before, after, alphas, blur=blur, noise=noise)
        loss = loss + READING * reader.error(encoder(tokens)[0], tokens, texts)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            decay = min(EMA, step / (step + 20))
            for slow, fast in zip(average.parameters(), trained.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        if step % 50 == 0:
            print(f"editor {step} steps, {100 * share:.1f}%, loss {loss.item():.4f}", flush=True)
    return average[0].eval(), average[1].eval(), words, step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vae-minutes", type=float, default=8)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--rate", type=float, default=RATE, help="highest learning rate of the editor")
    parser.add_argument("--start-from", type=Path, help="a pipeline whose training goes on; its autoencoder is kept")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    torch.manual_seed(chosen.seed)
    rng = np.random.default_rng(chosen.seed)
    start = time.monotonic()
    if chosen.start_from is None:
        vae = train_autoencoder(rng, minutes=chosen.vae_minutes)
    else:
        vae = AutoencoderKL.from_pretrained(chosen.start_from / "vae", torch_dtype=torch.float32)
        vae = vae.eval().requires_grad_(False)
    encoder, net, words, steps = train_editor(
        vae, rng, minutes=chosen.minutes, start_from=chosen.start_from, rate=chosen.rate
    )
    made = parts.pipeline(vae, encoder, words, net).to(dtype=torch.float16)
    made.save_pretrained(chosen.out / "model", safe_serialization=True)
    record = {
        "seed": chosen.seed,
        "steps": steps,
        "batch": BATCH,
        "scenes": SCENES,
        "minutes": round((time.monotonic() - start) / 60, 1),
        "parameters": sum(p.numel() for m in (vae, encoder, net) for p in m.parameters()),
    }
    (chosen.out / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(record)


if __name__ == "__main__":
    main()
