"""Tiny random parts that picture pipelines of several families share.

Sizes after the dummy components of diffusers' own tests (Apache-2.0).
"""

from __future__ import annotations

from typing import Any

import diffusers
import transformers

import tiny_models

Parts = dict[str, Any]


def clip(*, projects: bool) -> Any:
    kind = transformers.CLIPTextModelWithProjection if projects else transformers.CLIPTextModel
    return kind(
        transformers.CLIPTextConfig(
            vocab_size=1000, hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
            projection_dim=32, max_position_embeddings=77, bos_token_id=0, eos_token_id=0, pad_token_id=0,
        )
    )  # fmt: skip


def t5() -> Any:
    return transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=1000, d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
    )


def words(most: int) -> Any:
    made = tiny_models.tokenizer()
    made.model_max_length = most
    made.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    return made


def vae(channels: int, *, blocks: int = 1, kind: str = "AutoencoderKL") -> Any:
    more = {} if kind == "AutoencoderKLFlux2" else {"shift_factor": 0.06, "scaling_factor": 1.5}
    return getattr(diffusers, kind)(
        block_out_channels=(4,) * blocks, down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks, latent_channels=channels, norm_num_groups=1, sample_size=32,
        use_quant_conv=False, use_post_quant_conv=False, **more,
    )  # fmt: skip


def unet(channels: int, **more: Any) -> Any:
    told: dict[str, Any] = {
        "sample_size": 16, "in_channels": channels, "out_channels": 4, "block_out_channels": (8, 16),
        "layers_per_block": 1, "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "attention_head_dim": 4, "norm_num_groups": 4,
    }  # fmt: skip
    return diffusers.UNet2DConditionModel(**told | more)


def no_guards() -> Parts:
    return {"safety_checker": None, "feature_extractor": None, "image_encoder": None}


def qwen3(*, layers: int, heads: bool = True) -> Any:
    config = transformers.Qwen3Config(
        vocab_size=1000, hidden_size=16, intermediate_size=16, num_hidden_layers=layers, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=512,
    )  # fmt: skip
    return transformers.Qwen3ForCausalLM(config) if heads else transformers.Qwen3Model(config)


def gemma() -> Any:
    return transformers.Gemma2Model(
        transformers.Gemma2Config(
            vocab_size=1000, hidden_size=8, intermediate_size=16, head_dim=4, num_attention_heads=2,
            num_hidden_layers=2, num_key_value_heads=2, attn_implementation="eager",
        )
    )  # fmt: skip
