"""Wall time and memory of explained edits at 64, 256 and 1,024 pixels, beside the bare pipeline and bare encoding.

The pipeline is a stock InstructPix2Pix with random weights and the shape of the real one (autoencoder of factor 8,
attention on an eighth and a sixteenth of the side), small enough for two cores: what an explanation adds to it counts
for more than beside a real one. The floor is the same prompts in the same batches through the pipeline alone, and the
encoder alone on what came out; files are neither written nor read in it. Peak memory is that of a process which does
nothing else, model and libraries included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import whygen
from benchmarks import record
from benchmarks.editing import transport
from whygen.encoders import load_image_encoder
from whygen.media import pictures
from whygen.models import Model, ModelOptions, load_model
from whygen.types import Edit, Picture, Request, Settings

SEED = 7
EDITS = {64: 32, 256: 32, 1024: 11}
"""At 1,024 pixels the fewest that an explanation of these words needs."""
ROUNDS = {64: 5, 256: 2, 1024: 1}
STEPS = {64: 10, 256: 10, 1024: 2}
"""Ten are the painter's; editors in use take 20 to 100, beside which what is added counts for less."""
INSTRUCTION = "please make it a winter night with snow on the roof"
WHAT = ("explained", "bare")


def random_pipeline(folder: Path) -> Path:
    """A stock pipeline with random weights, saved as its users save one."""
    import diffusers
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

    torch.manual_seed(SEED)
    core = Tokenizer(models.WordLevel({"[END]": 0, **{w: i + 1 for i, w in enumerate(INSTRUCTION.split())}}, "[END]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = dict.fromkeys(("unk_token", "pad_token", "eos_token"), "[END]")
    words = PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=16, **marks)
    ids = {"eos_token_id": 0, "bos_token_id": 0, "pad_token_id": 0}
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=16, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, **ids,
    ))  # fmt: skip
    unet = diffusers.UNet2DConditionModel(
        sample_size=32, in_channels=8, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=64, attention_head_dim=16, norm_num_groups=8,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(16, 16, 32, 32), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, norm_num_groups=8, sample_size=256,
    )  # fmt: skip
    diffusers.StableDiffusionInstructPix2PixPipeline(
        vae=vae, text_encoder=text, tokenizer=words, unet=unet, scheduler=diffusers.DDIMScheduler(clip_sample=False),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


@dataclass
class Recorder:
    """The pipeline itself, and what it was called with; ``idle`` draws nothing and answers with black."""

    own: Any
    idle: bool = False
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def __call__(self, **given: Any) -> Any:
        self.calls.append(given)
        if not self.idle:
            return self.own(**given)
        return SimpleNamespace(images=np.zeros((len(given["prompt"]), 8, 8, 3)))


def picture(side: int) -> Picture:
    """Plain areas and a gradient, as a photograph has them; noise would make files larger than any photograph's."""
    rows, columns = np.mgrid[:side, :side] / side
    values = np.stack([200 * rows, 120 + 80 * columns, 255 * (rows + columns > 1)], axis=-1)
    return pictures.picture_of(values.astype(np.uint8))


def opened(folder: Path) -> Model:
    return load_model(f"diffusers/{folder}", ModelOptions(device="cpu"))


def explained(model: Any, side: int, seed: int) -> list[dict[str, Any]]:
    """Explain once; returns what the pipeline was called with."""
    model.pipeline = Recorder(getattr(model.pipeline, "own", model.pipeline))
    whygen.explain_prompt(
        model, Edit(picture(side), INSTRUCTION), encoder="patches", seed=seed, budget=EDITS[side], cache=None,
        settings=Settings(extra={"steps": STEPS[side], "guidance_scale": 1.0}), units="whitespace",
    )  # fmt: skip
    return model.pipeline.calls


def bare(model: Any, calls: list[dict[str, Any]]) -> tuple[float, float]:
    """Seconds on the wall and of the processor for the pipeline alone, and the encoder alone on what it drew."""
    from whygen.models.diffusers.pictures import quiet

    own, encoder = getattr(model.pipeline, "own", model.pipeline), load_image_encoder("patches")
    wall = processor = 0.0
    for given in calls:
        begun = time.perf_counter(), time.process_time()
        with quiet():
            drawn = own(**given)
        wall, processor = wall + time.perf_counter() - begun[0], processor + time.process_time() - begun[1]
        files = [pictures.picture_of((255 * values).round().astype(np.uint8)) for values in drawn.images]
        begun = time.perf_counter(), time.process_time()
        encoder.patches(files)
        wall, processor = wall + time.perf_counter() - begun[0], processor + time.process_time() - begun[1]
    return wall, processor


def timed(folder: Path, side: int) -> dict[str, object]:
    """Medians over rounds, the two taken in turn."""
    model = opened(folder)
    explained(model, min(side, 256), SEED)  # the first calls pay for imports and warm-up
    rows = []
    for turn in range(ROUNDS[side]):
        begun = time.perf_counter(), time.process_time()
        calls = explained(model, side, SEED + turn)
        whole = time.perf_counter() - begun[0], time.process_time() - begun[1]
        floor = bare(model, calls)
        rows.append((*whole, *floor))
        print(side, [round(each, 2) for each in rows[-1]], flush=True)
    walls, processors, bare_walls, bare_processors = np.array(rows).T
    return {
        "pictures": EDITS[side], "steps": STEPS[side], "batch": max(len(given["prompt"]) for given in calls),
        "explained s": float(np.median(walls)), "bare s": float(np.median(bare_walls)),
        "wall over bare": float(np.median(walls / bare_walls)),
        "processor over bare": float(np.median(processors / bare_processors)),
    }  # fmt: skip


def memory(folder: Path, side: int, what: str) -> float:
    """Peak MiB of a fresh process that does one of the two."""
    told = ["--one", what, "--side", str(side), "--pipeline", str(folder)]
    command = [sys.executable, "-m", "benchmarks.editing_sizes", *told]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def one(folder: Path, side: int, what: str) -> None:
    """Do one of the two, and print the peak of this process in MiB."""
    model: Any = opened(folder)
    if what == "explained":
        explained(model, side, SEED)
    else:
        bare(model, _calls(model, side))
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def _calls(model: Any, side: int) -> list[dict[str, Any]]:
    """What the pipeline is called with for so many pictures, in batches of the model's own size."""
    own = model.pipeline
    model.pipeline = recorder = Recorder(own, idle=True)
    settings = Settings(extra={"steps": STEPS[side], "guidance_scale": 1.0})
    model.answer([Request(prompt=Edit(picture(side), INSTRUCTION), settings=settings)] * EDITS[side])
    model.pipeline = own
    return recorder.calls


def kept(sides: tuple[int, ...]) -> list[dict[str, object]]:
    """Rows of an earlier run at other sizes."""
    path = record.RESULTS / "editing_sizes.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["figures"]["rows"] if path.is_file() else []
    return [row for row in rows if row["side"] not in sides]


def main(data: Path | None = None, *, sides: tuple[int, ...] = tuple(EDITS)) -> None:
    del data
    rows = kept(sides)
    told = {"pipeline": "random weights", "transport between 64 sets of 256, s": transport()}
    with tempfile.TemporaryDirectory() as place:
        folder = random_pipeline(Path(place) / "pipeline")
        for side in sides:
            peak = {f"{what}, peak MiB": memory(folder, side, what) for what in WHAT}
            rows.append({"side": side, **timed(folder, side), **peak})
            record.write("editing_sizes", {**told, "rows": rows}, seed=SEED)
    print(record.table(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int)
    parser.add_argument("--one", choices=WHAT, help="for memory: do this one thing and print the peak")
    parser.add_argument("--pipeline", type=Path)
    chosen = parser.parse_args()
    if chosen.one:
        one(chosen.pipeline, chosen.side, chosen.one)
    else:
        main(sides=tuple(EDITS) if chosen.side is None else (chosen.side,))
