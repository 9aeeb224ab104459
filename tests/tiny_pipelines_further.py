"""Tiny random parts of further families of picture pipelines, each of which few classes share.

Sizes after the dummy components of diffusers' own tests (Apache-2.0).
"""

from __future__ import annotations

from typing import Any

import diffusers
import torch
import transformers
from tokenizers.processors import TemplateProcessing

from tiny_parts import Parts, clip, no_guards, t5, vae, words


def begun(made: Any) -> Any:
    """The tokenizer with a mark at the begin of each text, so that an empty one has a token too."""
    mark = made.convert_ids_to_tokens(0)
    made.backend_tokenizer.post_processor = TemplateProcessing(single=f"{mark} $A", special_tokens=[(mark, 0)])
    return made


def aura_flow(name: str) -> Parts:
    transformer = diffusers.AuraFlowTransformer2DModel(
        sample_size=32, patch_size=2, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_projection_dim=32, joint_attention_dim=32, out_channels=4,
        pos_embed_max_size=256,
    )  # fmt: skip
    text = transformers.UMT5EncoderModel(
        transformers.UMT5Config(vocab_size=1000, d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
    )
    return {
        "transformer": transformer, "vae": vae(4, blocks=2), "text_encoder": text, "tokenizer": words(256),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
    }  # fmt: skip


def hunyuan_dit(name: str) -> Parts:
    transformer = diffusers.HunyuanDiT2DModel(
        sample_size=16, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3, in_channels=4,
        cross_attention_dim=32, cross_attention_dim_t5=32, pooled_projection_dim=16, hidden_size=24,
        activation_fn="gelu-approximate",
    )  # fmt: skip
    text = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=1000, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37
        )
    )
    return {
        "transformer": transformer, "vae": vae(4, blocks=4), "scheduler": diffusers.DDPMScheduler(),
        "text_encoder": text, "tokenizer": words(77), "text_encoder_2": t5(), "tokenizer_2": words(256), **no_guards(),
    }  # fmt: skip


def cogview3(name: str) -> Parts:
    transformer = diffusers.CogView3PlusTransformer2DModel(
        patch_size=2, in_channels=4, num_layers=1, attention_head_dim=4, num_attention_heads=2, out_channels=4,
        text_embed_dim=32, time_embed_dim=8, condition_dim=2, pos_embed_max_size=32, sample_size=8,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(4, blocks=2), "scheduler": diffusers.CogVideoXDDIMScheduler(),
        "text_encoder": t5(), "tokenizer": words(224),
    }  # fmt: skip


def cogview4(name: str) -> Parts:
    transformer = diffusers.CogView4Transformer2DModel(
        patch_size=2, in_channels=8 if "Control" in name else 4, num_layers=2, attention_head_dim=4,
        num_attention_heads=4, out_channels=4, text_embed_dim=32, time_embed_dim=8, condition_dim=4,
    )  # fmt: skip
    text = transformers.GlmModel(
        transformers.GlmConfig(
            vocab_size=1000, hidden_size=32, intermediate_size=8, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=8, pad_token_id=0,
        )
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        base_shift=0.25, max_shift=0.75, base_image_seq_len=256, use_dynamic_shifting=True, time_shift_type="linear"
    )
    return {
        "transformer": transformer, "vae": vae(4, blocks=2), "scheduler": scheduler, "text_encoder": text,
        "tokenizer": begun(words(1024)),
    }  # fmt: skip


def bria(name: str) -> Parts:
    transformer = diffusers.BriaTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=None, axes_dims_rope=[0, 4, 4],
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(4), "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        "text_encoder": t5(), "tokenizer": words(128), **no_guards(),
    }  # fmt: skip


def _movq() -> Any:
    return diffusers.VQModel(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"), in_channels=3,
        latent_channels=4, layers_per_block=1, norm_num_groups=8, norm_type="spatial", num_vq_embeddings=12,
        out_channels=3, up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"), vq_embed_dim=4,
    )  # fmt: skip


def kandinsky3(name: str) -> Parts:
    network = diffusers.Kandinsky3UNet(
        in_channels=4, time_embedding_dim=4, groups=2, attention_head_dim=4, layers_per_block=3,
        block_out_channels=(16, 32), cross_attention_dim=4, encoder_hid_dim=32,
    )  # fmt: skip
    return {
        "unet": network, "movq": _movq(), "text_encoder": t5(), "tokenizer": words(128),
        "scheduler": diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=True),
    }  # fmt: skip


def kandinsky_unet(name: str, told: str) -> Any:
    """The network that both versions have; it is ``told`` an image, or a text and an image."""
    return diffusers.UNet2DConditionModel(
        in_channels=9 if "Inpaint" in name else 4, out_channels=8, addition_embed_type=told,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", block_out_channels=(32, 64), layers_per_block=1,
        encoder_hid_dim=32, encoder_hid_dim_type=f"{told}_proj", cross_attention_dim=32, attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
    )  # fmt: skip


def kandinsky2_2(name: str) -> Parts:
    """Two stages in one: a prior from a text to what a picture is like, and a decoder from there to the picture."""
    network = kandinsky_unet(name, "image")
    prior = diffusers.PriorTransformer(num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1)
    prior.clip_std = torch.nn.Parameter(torch.ones(prior.clip_std.shape))
    sees = transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=32, image_size=28, projection_dim=32, intermediate_size=37, num_attention_heads=4,
            num_hidden_layers=1, patch_size=14,
        )
    )  # fmt: skip
    return {
        "unet": network, "movq": _movq(),
        "scheduler": diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        "prior_prior": prior, "prior_image_encoder": sees, "prior_text_encoder": clip(projects=True),
        "prior_tokenizer": words(77),
        "prior_scheduler": diffusers.UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", num_train_timesteps=1000, clip_sample_range=10.0
        ),
        "prior_image_processor": transformers.CLIPImageProcessorPil(size=28, crop_size=28),
    }  # fmt: skip


def lumina(name: str) -> Parts:
    transformer = diffusers.LuminaNextDiT2DModel(
        sample_size=4, patch_size=2, in_channels=4, hidden_size=4, num_layers=2, num_attention_heads=1, num_kv_heads=1,
        multiple_of=16, ffn_dim_multiplier=None, norm_eps=1e-5, learn_sigma=True, qk_norm=True, cross_attention_dim=8,
        scaling_factor=1.0,
    )  # fmt: skip
    text = transformers.GemmaForCausalLM(
        transformers.GemmaConfig(
            vocab_size=1000, head_dim=2, hidden_size=8, intermediate_size=37, num_attention_heads=4,
            num_hidden_layers=2, num_key_value_heads=4,
        )
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(4, blocks=4), "text_encoder": text, "tokenizer": begun(words(256)),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
    }  # fmt: skip


FURTHER = (aura_flow, hunyuan_dit, cogview3, cogview4, bria, kandinsky3, kandinsky2_2, lumina)
