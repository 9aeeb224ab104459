"""Tiny random parts of picture pipelines that few use, or that draw after a second picture; each serves a class or two.

Sizes after the dummy components of diffusers' own tests (Apache-2.0), or, where the library has none, by hand.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import diffusers
import torch
import transformers

from tiny_parts import Parts, clip, no_guards, qwen3, t5, unet, vae, words
from tiny_pipelines_further import begun, kandinsky2_2, kandinsky_unet


def _deprecated(room: str, name: str) -> Any:
    return getattr(importlib.import_module(f"diffusers.pipelines.{room}"), name)


def _sees(side: int = 28) -> Any:
    return transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=32, image_size=side, projection_dim=32, intermediate_size=37, num_attention_heads=4,
            num_hidden_layers=1, patch_size=14,
        )
    )  # fmt: skip


def _prior() -> Any:
    made = diffusers.PriorTransformer(num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1)
    made.clip_std = torch.nn.Parameter(torch.ones(made.clip_std.shape))
    return made


def alt_diffusion(name: str) -> Parts:
    room = "deprecated.alt_diffusion.modeling_roberta_series"
    config = _deprecated(room, "RobertaSeriesConfig")(
        vocab_size=1000, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37,
        project_dim=32, max_position_embeddings=80, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    return {
        "vae": vae(4, blocks=2), "text_encoder": _deprecated(room, "RobertaSeriesModelWithTransformation")(config),
        "tokenizer": words(77), "unet": unet(4, cross_attention_dim=32),
        "scheduler": diffusers.DDIMScheduler(clip_sample=False, steps_offset=1), **no_guards(),
    }  # fmt: skip


def amused(name: str) -> Parts:
    network = diffusers.UVit2DModel(
        hidden_size=8, cond_embed_dim=32, micro_cond_encode_dim=2, micro_cond_embed_dim=10, encoder_hidden_size=32,
        vocab_size=32, codebook_size=16, in_channels=8, block_out_channels=8, num_res_blocks=1, downsample=True,
        upsample=True, block_num_heads=1, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
    )  # fmt: skip
    codes = diffusers.VQModel(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=8,
        up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, norm_num_groups=4, num_vq_embeddings=16,
        sample_size=32, mid_block_add_attention=False, lookup_from_codebook=True,
    )  # fmt: skip
    return {
        "vqvae": codes, "tokenizer": words(77), "text_encoder": clip(projects=True), "transformer": network,
        "scheduler": diffusers.AmusedScheduler(mask_token_id=31),
    }  # fmt: skip


def deep_floyd(name: str) -> Parts:
    network = diffusers.UNet2DConditionModel(
        sample_size=32, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=32,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", in_channels=6 if "Super" in name else 3, out_channels=6,
        attention_head_dim=4, addition_embed_type="text", addition_embed_type_num_heads=2, encoder_hid_dim=32,
        cross_attention_norm="group_norm", resnet_time_scale_shift="scale_shift", act_fn="gelu",
        **({"class_embed_type": "timestep", "mid_block_scale_factor": 1.414} if "Super" in name else {}),
    )  # fmt: skip
    network.set_attn_processor(diffusers.models.attention_processor.AttnAddedKVProcessor())
    schedule: dict[str, Any] = {"beta_schedule": "squaredcos_cap_v2", "variance_type": "learned_range"}
    return {
        "tokenizer": words(77), "text_encoder": t5(), "unet": network, "safety_checker": None, "watermarker": None,
        "feature_extractor": None, "scheduler": diffusers.DDPMScheduler(**schedule),
        "image_noising_scheduler": diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
    }  # fmt: skip


def stable_unclip(name: str) -> Parts:
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    network = unet(
        4, cross_attention_dim=32, class_embed_type="projection", projection_class_embeddings_input_dim=64,
        use_linear_projection=True,
    )  # fmt: skip
    return {
        "prior_tokenizer": words(77), "prior_text_encoder": clip(projects=True), "prior": _prior(),
        "prior_scheduler": diffusers.DDPMScheduler(variance_type="fixed_small_log", prediction_type="sample"),
        "image_normalizer": StableUnCLIPImageNormalizer(embedding_dim=32), "image_encoder": _sees(),
        "feature_extractor": transformers.CLIPImageProcessorPil(size=28, crop_size=28),
        "image_noising_scheduler": diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        "tokenizer": words(77), "text_encoder": clip(projects=False), "unet": network,
        "scheduler": diffusers.DDIMScheduler(steps_offset=1), "vae": vae(4, blocks=2),
    }  # fmt: skip


def unclip(name: str) -> Parts:
    decoder = diffusers.UNet2DConditionModel(
        sample_size=16, in_channels=3, out_channels=6, block_out_channels=(8, 16), layers_per_block=1,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), norm_num_groups=4,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", cross_attention_dim=32, attention_head_dim=4,
        resnet_time_scale_shift="scale_shift", class_embed_type="identity",
    )  # fmt: skip
    larger = [
        diffusers.UNet2DModel(
            sample_size=32, layers_per_block=1, down_block_types=("ResnetDownsampleBlock2D",) * 2, in_channels=6,
            up_block_types=("ResnetUpsampleBlock2D",) * 2, block_out_channels=(8, 16), out_channels=3,
            norm_num_groups=4,
        )
        for _ in range(2)
    ]  # fmt: skip
    project = _deprecated("deprecated.unclip.text_proj", "UnCLIPTextProjModel")
    schedule: dict[str, Any] = {"prediction_type": "epsilon", "num_train_timesteps": 1000}
    return {
        "prior": _prior(), "decoder": decoder, "text_encoder": clip(projects=True), "tokenizer": words(77),
        "text_proj": project(clip_embeddings_dim=32, time_embed_dim=32, cross_attention_dim=32),
        "super_res_first": larger[0], "super_res_last": larger[1],
        "prior_scheduler": diffusers.UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=5.0
        ),
        "decoder_scheduler": diffusers.UnCLIPScheduler(variance_type="learned_range", **schedule),
        "super_res_scheduler": diffusers.UnCLIPScheduler(variance_type="fixed_small_log", **schedule),
    }  # fmt: skip


def latent_diffusion(name: str) -> Parts:
    return {
        "unet": unet(4, cross_attention_dim=32), "scheduler": diffusers.DDIMScheduler(clip_sample=False),
        "vqvae": vae(4, blocks=4), "bert": clip(projects=False), "tokenizer": words(77),
    }  # fmt: skip


def kandinsky2_1(name: str) -> Parts:
    room = "kandinsky.text_encoder"
    config = _deprecated(room, "MCLIPConfig")(
        numDims=32, transformerDimensions=32, hidden_size=32, intermediate_size=37, num_attention_heads=4,
        num_hidden_layers=2, vocab_size=1000, max_position_embeddings=80,
    )  # fmt: skip
    return {
        **kandinsky2_2(name), "unet": kandinsky_unet(name, "text_image"),
        "text_encoder": _deprecated(room, "MultilingualCLIP")(config),
        "tokenizer": begun(words(77)),
    }  # fmt: skip


def hidream(name: str) -> Parts:
    transformer = diffusers.HiDreamImageTransformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_channels=[32, 16], text_emb_dim=64, num_routed_experts=4,
        num_activated_experts=2, axes_dims_rope=(4, 2, 2), max_resolution=(32, 32), llama_layers=(0, 1),
    )  # fmt: skip
    writes = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=1000, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=512,
        )
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(4, blocks=4), "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        "text_encoder": clip(projects=True), "tokenizer": words(77), "text_encoder_2": clip(projects=True),
        "tokenizer_2": words(77), "text_encoder_3": t5(), "tokenizer_3": words(128), "text_encoder_4": writes,
        "tokenizer_4": words(128),
    }  # fmt: skip


def ovis(name: str) -> Parts:
    transformer = diffusers.OvisImageTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=16, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae(1, blocks=2), "text_encoder": qwen3(layers=2, heads=False),
        "tokenizer": words(512), "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
    }  # fmt: skip


def wuerstchen(name: str) -> Parts:
    room = "deprecated.wuerstchen"
    return {
        "tokenizer": words(77), "text_encoder": clip(projects=False), "vqgan": _paella(),
        "decoder": _deprecated(room, "WuerstchenDiffNeXt")(
            c_cond=32, c_hidden=[16], nhead=[-1], blocks=[4], level_config=["CT"], clip_embd=32, inject_effnet=[False],
        ),
        "scheduler": diffusers.DDPMWuerstchenScheduler(), "prior_tokenizer": words(77),
        "prior_text_encoder": clip(projects=False),
        "prior_prior": _deprecated(room, "WuerstchenPrior")(c_in=16, c=16, c_cond=32, depth=2, nhead=2),
        "prior_scheduler": diffusers.DDPMWuerstchenScheduler(),
    }  # fmt: skip


def _paella() -> Any:
    return _deprecated("deprecated.wuerstchen", "PaellaVQModel")(bottleneck_blocks=1, num_vq_embeddings=8, embed_dim=16)


def stable_cascade(name: str) -> Parts:
    common: dict[str, Any] = {"conditioning_dim": 32}
    prior = diffusers.StableCascadeUNet(
        block_out_channels=(32, 32), num_attention_heads=(2, 2), down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1), clip_image_in_channels=768, switch_level=(False,), clip_text_in_channels=32,
        clip_text_pooled_in_channels=32, **common,
    )  # fmt: skip
    plain = ("SDCascadeResBlock", "SDCascadeTimestepBlock")
    decoder = diffusers.StableCascadeUNet(
        in_channels=4, out_channels=4, block_out_channels=(16, 32), num_attention_heads=(-1, 2),
        down_num_layers_per_block=(1, 1), up_num_layers_per_block=(1, 1), down_blocks_repeat_mappers=(1, 1),
        up_blocks_repeat_mappers=(1, 1), block_types_per_layer=(plain, (*plain, "SDCascadeAttnBlock")),
        switch_level=None, clip_text_pooled_in_channels=32, dropout=(0.1, 0.1), **common,
    )  # fmt: skip
    return {
        "tokenizer": words(77), "text_encoder": clip(projects=True), "decoder": decoder, "vqgan": _paella(),
        "scheduler": diffusers.DDPMWuerstchenScheduler(), "prior_text_encoder": clip(projects=True),
        "prior_tokenizer": words(77), "prior_prior": prior, "prior_scheduler": diffusers.DDPMWuerstchenScheduler(),
        "prior_feature_extractor": None, "prior_image_encoder": None,
    }  # fmt: skip


def vq_diffusion(name: str) -> Parts:
    network = diffusers.Transformer2DModel(
        attention_bias=True, cross_attention_dim=32, attention_head_dim=8, num_attention_heads=2, num_vector_embeds=12,
        num_embeds_ada_norm=12, norm_num_groups=8, sample_size=8, activation_fn="geglu-approximate", num_layers=1,
    )  # fmt: skip
    codes = diffusers.VQModel(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4,
        up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, norm_num_groups=4, num_vq_embeddings=12,
        vq_embed_dim=4,
    )  # fmt: skip
    learned = _deprecated("deprecated.vq_diffusion.pipeline_vq_diffusion", "LearnedClassifierFreeSamplingEmbeddings")
    return {
        "vqvae": codes, "text_encoder": clip(projects=False), "tokenizer": words(77), "transformer": network,
        "scheduler": diffusers.VQDiffusionScheduler(num_vec_classes=12, num_train_timesteps=10),
        "learned_classifier_free_sampling_embeddings": learned(learnable=False),
    }  # fmt: skip


def prx(name: str) -> Parts:
    sizes: dict[str, Any] = {
        "vocab_size": 1000, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "max_position_embeddings": 64,
        "layer_types": ["full_attention"], "query_pre_attn_scalar": 4, "dropout_rate": 0.0,
    }  # fmt: skip
    encoder = transformers.T5GemmaModuleConfig(**sizes)
    transformer = diffusers.PRXTransformer2DModel(
        patch_size=1, in_channels=3 if "Pixel" in name else 4, context_in_dim=8, hidden_size=8, mlp_ratio=2.0,
        num_heads=2, depth=1, axes_dim=[2, 2],
    )  # fmt: skip
    from transformers.models.t5gemma.modeling_t5gemma import T5GemmaEncoder

    return {
        "transformer": transformer, "vae": vae(4), "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        "text_encoder": T5GemmaEncoder(encoder), "tokenizer": begun(words(64)),
    }  # fmt: skip


REST = (
    alt_diffusion, amused, deep_floyd, stable_unclip, unclip, latent_diffusion, kandinsky2_1, hidream, ovis, wuerstchen,
    stable_cascade, vq_diffusion, prx,
)  # fmt: skip


def beside(kind: Any, parts: Parts) -> Parts:
    """What a class asks for beside the parts of its family: a network for a second picture, made of the first."""
    types, name = kind._get_signature_types(), kind.__name__
    asked = set(inspect.signature(kind.__init__).parameters) - set(parts)
    found: Parts = {}
    if "controlnet" in asked:
        if "ControlNetXS" in name:
            parts["unet"] = _like(parts["unet"], layers_per_block=2)
        made = next(each for each in types["controlnet"] if inspect.isclass(each) and issubclass(each, torch.nn.Module))
        found["controlnet"] = _awake(_control(made, name, parts))
    if "adapter" in asked:
        found["unet"] = _like(
            parts["unet"], down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )  # fmt: skip
        found["adapter"] = diffusers.T2IAdapter(channels=[8, 16], num_res_blocks=1, downscale_factor=2)
    if "low_res_scheduler" in asked:
        found["low_res_scheduler"] = diffusers.DDPMScheduler()
        found["unet"] = _like(parts["unet"], in_channels=7, num_class_embeds=1000)
        found["vae"] = _like(parts["vae"], use_quant_conv=True, use_post_quant_conv=True)
        found["watermarker"] = None
    if "depth_estimator" in asked:
        found["depth_estimator"] = transformers.DPTForDepthEstimation(
            transformers.DPTConfig(
                hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=37, image_size=32,
                patch_size=16, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[16, 16, 32, 32],
                fusion_hidden_size=16, is_hybrid=False,
            )
        )  # fmt: skip
        found["feature_extractor"] = transformers.DPTImageProcessorPil(size={"height": 32, "width": 32})
        found["unet"] = _like(parts["unet"], in_channels=5)
    if name == "FluxControlPipeline":
        found["transformer"] = _like(parts["transformer"], in_channels=8, out_channels=4)
    return found


def _like(network: Any, **changes: Any) -> Any:
    return type(network).from_config(dict(network.config) | changes)


def _control(made: Any, name: str, parts: Parts) -> Any:
    if "ControlNetXS" in name:
        return made.from_unet(
            parts["unet"], size_ratio=1.0, conditioning_embedding_out_channels=(4, 8), learn_time_embedding=True
        )
    if hasattr(made, "from_unet"):
        return made.from_unet(parts["unet"], conditioning_embedding_out_channels=(4, 8))
    config, painted = parts["transformer"].config, int("Inpaint" in name)
    if "ZImage" in name:
        sizes = {each: config[each] for each in ("dim", "n_refiner_layers", "n_heads", "n_kv_heads")}
        return made.from_transformer(made(control_layers_places=[0], control_in_dim=4, **sizes), parts["transformer"])
    if not hasattr(made, "from_transformer"):
        takes = inspect.signature(made.__init__).parameters
        return made(**{each: config[each] for each in takes if each in config})
    told: dict[str, Any] = {
        "num_layers": 1, "num_single_layers": 1, "transformer_num_layers": 1, "load_weights_from_transformer": False,
        "num_extra_conditioning_channels": painted, "extra_condition_channels": 4 * painted,
        "attention_head_dim": config.get("attention_head_dim"),
        "num_attention_heads": config.get("num_attention_heads"),
    }  # fmt: skip
    takes = inspect.signature(made.from_transformer).parameters
    return made.from_transformer(parts["transformer"], **{each: told[each] for each in told if each in takes})


def _awake(network: Any) -> Any:
    """With weights that are no zeros: what a control adds begins as nothing."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
    return network
