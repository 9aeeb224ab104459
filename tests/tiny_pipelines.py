"""Tiny random parts of picture pipelines by family, and every class of the installed diffusers that they can build.

Sizes after the dummy components of diffusers' own tests (Apache-2.0). Classes are found by what their constructors ask
for, so that a class of a later version joins its family here without being named.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import diffusers
import torch
import transformers

from tiny_parts import Parts, clip, gemma, no_guards, qwen3, t5, unet, vae, words
from tiny_pipelines_further import FURTHER
from tiny_pipelines_rest import REST, beside
from whygen.errors import UsageError
from whygen.models.diffusers.kinds import check_class

NO_MODELS = ("Onnx", "Modular", "Flax")
NEEDS_MORE = ("source_prompt", "token_indices", "num_frames", "video", "video_length", "layers")
"""Parameters of classes that need more than a text, a picture and a mask, or draw something else than one picture."""


def stable_diffusion(name: str) -> Parts:
    is_distilled = "LatentConsistency" in name
    more = {"time_cond_proj_dim": 32} if is_distilled else {}
    scheduler = diffusers.LCMScheduler if is_distilled else diffusers.DDIMScheduler
    return {
        "vae": vae(4, blocks=2), "text_encoder": clip(projects=False), "tokenizer": words(77),
        "unet": unet(8 if "InstructPix2Pix" in name else 4, cross_attention_dim=32, **more),
        "scheduler": scheduler(clip_sample=False, steps_offset=1), **no_guards(),
    }  # fmt: skip


def stable_diffusion_xl(name: str) -> Parts:
    channels = 8 if "InstructPix2Pix" in name else 4
    network = unet(
        channels, cross_attention_dim=64, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
    )  # fmt: skip
    return {
        "vae": vae(4, blocks=2), "text_encoder": clip(projects=False), "tokenizer": words(77),
        "text_encoder_2": clip(projects=True), "tokenizer_2": words(77), "unet": network,
        "scheduler": diffusers.EulerDiscreteScheduler(), **no_guards(),
    }  # fmt: skip


def stable_diffusion_3(name: str) -> Parts:
    channels = 16 if "Inpaint" in name else 4
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=32, patch_size=1, in_channels=channels, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=32, pooled_projection_dim=64, out_channels=channels,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(channels, blocks=2),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        "text_encoder": clip(projects=True), "tokenizer": words(77), "text_encoder_2": clip(projects=True),
        "tokenizer_2": words(77), "text_encoder_3": t5(), "tokenizer_3": words(512), **no_guards(),
    }  # fmt: skip


def flux(name: str) -> Parts:
    latent = 2 if "Fill" in name else 1
    channels = 32 if "Fill" in name else 4  # latents (8), those of the masked picture (8), and the mask (16)
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=channels, out_channels=4 * latent, num_layers=1, num_single_layers=1,
        attention_head_dim=16, num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(latent, blocks=2),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        "text_encoder": clip(projects=False), "tokenizer": words(77), "text_encoder_2": t5(),
        "tokenizer_2": words(512), **no_guards(),
    }  # fmt: skip


def chroma(name: str) -> Parts:
    transformer = diffusers.ChromaTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=[4, 4, 8], approximator_hidden_dim=32, approximator_layers=1,
        approximator_num_channels=16,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(1, blocks=2), "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        "text_encoder": t5(), "tokenizer": words(512), **no_guards(),
    }  # fmt: skip


def flux2_klein(name: str) -> Parts:
    transformer = diffusers.Flux2Transformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=256, axes_dims_rope=[4, 4, 4, 4], guidance_embeds=False,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(1, blocks=2, kind="AutoencoderKLFlux2"),
        "text_encoder": qwen3(layers=28), "tokenizer": words(512),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
    }  # fmt: skip


def z_image(name: str) -> Parts:
    transformer = diffusers.ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2,
        n_kv_heads=2, cap_feat_dim=16, axes_dims=[8, 4, 4], axes_lens=[256, 64, 64],
    )  # fmt: skip
    with torch.no_grad():  # these are left empty
        transformer.x_pad_token.fill_(1.0)
        transformer.cap_pad_token.fill_(1.0)
    return {
        "transformer": transformer, "vae": vae(4, blocks=2), "text_encoder": qwen3(layers=2, heads=False),
        "tokenizer": words(512), "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(), "siglip": None,
        "siglip_processor": None,
    }  # fmt: skip


def sana(name: str) -> Parts:
    transformer = diffusers.SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=8,
        sample_size=32, **({"guidance_embeds": True} if "Sprint" in name else {}),
    )  # fmt: skip
    blocks = ("ResBlock", "EfficientViTBlock")
    coder = diffusers.AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=2, encoder_block_types=blocks, decoder_block_types=blocks,
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)), encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1),
        downsample_block_type="conv", upsample_block_type="interpolate", decoder_norm_types="rms_norm",
        decoder_act_fns="silu", scaling_factor=0.4,
    )  # fmt: skip
    scheduler = diffusers.SCMScheduler() if "Sprint" in name else diffusers.FlowMatchEulerDiscreteScheduler()
    return {
        "transformer": transformer, "vae": coder, "text_encoder": gemma(), "tokenizer": words(300),
        "scheduler": scheduler,
    }  # fmt: skip


def lumina2(name: str) -> Parts:
    transformer = diffusers.Lumina2Transformer2DModel(
        sample_size=4, patch_size=2, in_channels=4, hidden_size=8, num_layers=2, num_attention_heads=1, num_kv_heads=1,
        multiple_of=16, axes_dim_rope=[4, 2, 2], cap_feat_dim=8,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(4, blocks=4), "text_encoder": gemma(), "tokenizer": words(512),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
    }  # fmt: skip


def pixart(name: str) -> Parts:
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=8, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3, caption_channels=32,
        in_channels=4, cross_attention_dim=24, out_channels=8, num_embeds_ada_norm=1000, norm_type="ada_norm_single",
        norm_elementwise_affine=False, norm_eps=1e-6,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(4, blocks=2), "text_encoder": t5(), "tokenizer": words(300),
        "scheduler": diffusers.DDIMScheduler(),
    }  # fmt: skip


class _Sees:
    """What a vision-language processor does, without torchvision: texts and pictures to ids, patches and grids."""

    def __init__(self) -> None:
        self.tokenizer = words(512)
        self.image_processor = transformers.Qwen2VLImageProcessorPil(patch_size=14, min_pixels=784, max_pixels=784)

    def __call__(self, *, text: Any, images: Any = None, **_: Any) -> Any:
        seen = dict(self.image_processor(images=images, return_tensors="pt")) if images is not None else {}
        grids = iter(seen["image_grid_thw"].prod(-1).tolist() if seen else [])
        rows: list[list[int]] = []
        for each in [text] if isinstance(text, str) else text:
            first, *rest = each.split("<|image_pad|>")
            row = list(self.tokenizer(first).input_ids)
            for part in rest:
                row += [999] * (int(next(grids)) // 4) + list(self.tokenizer(part).input_ids)
            rows.append(row)
        longest = max(map(len, rows))
        ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        return transformers.BatchFeature({**seen, "input_ids": ids, "attention_mask": mask})


def qwen_image(name: str) -> Parts:
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 1000, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 2,
            "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
        },
        image_token_id=999, vision_start_token_id=998, vision_end_token_id=997,
    )  # fmt: skip
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=3,
        joint_attention_dim=16, guidance_embeds=False, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    coder = diffusers.AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 2, 4], num_res_blocks=1, temperal_downsample=[False, True],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": coder, "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        "text_encoder": transformers.Qwen2_5_VLForConditionalGeneration(config), "tokenizer": words(512),
        "processor": _Sees(),
    }  # fmt: skip


FAMILIES: Mapping[str, Callable[[str], Parts]] = {
    family.__name__: family
    for family in (
        stable_diffusion, stable_diffusion_xl, stable_diffusion_3, flux, chroma, flux2_klein, z_image,
        sana, lumina2, pixart, qwen_image, *FURTHER, *REST,
    )
}  # fmt: skip


def _asked(kind: Any) -> Mapping[str, inspect.Parameter]:
    return {name: each for name, each in inspect.signature(kind.__init__).parameters.items() if name != "self"}


_BESIDE = ("controlnet", "adapter", "low_res_scheduler", "depth_estimator")
"""Parts that `beside` makes of those of any family."""


def _fits(kind: Any, parts: Parts) -> bool:
    """Whether a class can be built of these parts: by names, and by the types of networks that it names."""
    types = kind._get_signature_types()
    for name, parameter in _asked(kind).items():
        part = parts.get(name)
        if name in _BESIDE:
            continue
        if part is None:
            if parameter.default is parameter.empty and name not in parts:
                return False
        elif isinstance(part, torch.nn.Module):
            wanted = [each for each in types.get(name, ()) if inspect.isclass(each)]
            if wanted and not isinstance(part, tuple(wanted)):
                return False
    asked = set(_asked(kind))
    reads, draws = {"text_encoder", "prior_text_encoder", "bert"}, {"unet", "transformer", "decoder"}
    return bool(reads & asked) and bool(draws & asked)


def classes() -> list[tuple[str, str]]:
    """Family and name of every class that draws from a text, or from a text and a picture, and can be built here."""
    found: list[tuple[str, str]] = []
    kinds = [name for name in dir(diffusers) if name.endswith("Pipeline") and not name.startswith(NO_MODELS)]
    with warnings.catch_warnings(action="ignore"):
        built = {family: make("StableDiffusionPipeline") for family, make in FAMILIES.items()}
    for name in kinds:
        kind = getattr(diffusers, name)
        if type(kind).__name__ == "DummyObject" or "_get_signature_types" not in dir(kind):
            continue
        takes = inspect.signature(kind.__call__).parameters
        if set(NEEDS_MORE) & set(takes) or not _opens(kind):
            continue
        found += [(family, name) for family, parts in built.items() if _fits(kind, parts)][:1]
    return found


def _opens(kind: Any) -> bool:
    """Whether whygen opens that class, as one that draws."""
    try:
        return check_class(kind, kind.__name__) == "picture"
    except UsageError:
        return False


def build(family: str, name: str, *, seed: int = 5) -> Any:
    """A pipeline of that class with random weights, spread so that texts and pictures matter."""
    torch.manual_seed(seed)
    with warnings.catch_warnings(action="ignore"):  # of diffusers, of its own parts
        kind, parts = getattr(diffusers, name), FAMILIES[family](name)
        parts |= beside(kind, parts)
    for part_name, part in parts.items():
        if isinstance(part, torch.nn.Module):
            part.eval()
            with torch.no_grad():
                for weights in part.parameters():
                    if weights.dim() >= 2:
                        weights.mul_(3.0 if part_name.startswith("text") else 1.5)
    asked = _asked(kind)
    more = {"requires_safety_checker": False} if "requires_safety_checker" in asked else {}
    made = kind(**{key: part for key, part in parts.items() if key in asked}, **more)
    if "HiDream" in name:
        made.default_sample_size = 4  # it draws so many pixels, whatever it is told
    return made
