"""Tiny random pipelines that answer with videos and sounds: real classes of diffusers and transformers."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from tiny_models import tokenizer

VIDEOS = ("Wan", "LTX", "CogVideoX", "AnimateDiff", "WanImageToVideo", "LTXImageToVideo", "TextToVideoZero")
SOUNDS = ("StableAudio", "AudioLDM")
SETTINGS: dict[str, dict[str, Any]] = {
    "Wan": {"steps": 2, "frames": 5, "height": 16, "width": 16},
    "WanImageToVideo": {"steps": 2, "frames": 5, "height": 16, "width": 16},
    "LTX": {"steps": 2, "frames": 9, "height": 32, "width": 32},
    "LTXImageToVideo": {"steps": 2, "frames": 9, "height": 32, "width": 32},
    "CogVideoX": {"steps": 2, "frames": 8, "height": 16, "width": 16, "max_sequence_length": 16},
    "AnimateDiff": {"steps": 2, "frames": 4, "height": 16, "width": 16},
    "CogVideoXVideoToVideo": {"steps": 2, "max_sequence_length": 16},
    "AnimateDiffVideoToVideo": {"steps": 2},
    "TextToVideoZero": {"steps": 3, "frames": 2, "height": 16, "width": 16, "t0": 1, "t1": 2},
    "StableAudio": {"steps": 2, "seconds": 0.1},
    "AudioLDM": {"steps": 2, "seconds": 0.1},
}
"""What makes each quick."""


def t5(size: int, width: int = 32) -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(vocab_size=size, d_model=width, d_kv=8, d_ff=37, num_layers=2, num_heads=2, pad_token_id=0)
    ).eval()


def clip(size: int, width: int) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    ids = {"eos_token_id": 0, "bos_token_id": 0, "pad_token_id": 0}
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=size, hidden_size=width, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=64, **ids,
        )
    )  # fmt: skip


def vae(**changes: Any) -> Any:
    import diffusers

    options: dict[str, Any] = {
        "block_out_channels": (8, 8), "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2, "latent_channels": 4, "norm_num_groups": 4, "sample_size": 16,
    }  # fmt: skip
    return diffusers.AutoencoderKL(**{**options, **changes})


def unet(**changes: Any) -> Any:
    import diffusers

    options: dict[str, Any] = {
        "sample_size": 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (8, 8), "layers_per_block": 2,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "cross_attention_dim": 16, "attention_head_dim": 4,
        "norm_num_groups": 2,
    }  # fmt: skip
    return diffusers.UNet2DConditionModel(**{**options, **changes})


def wan(words: Any, *, image: bool) -> dict[str, Any]:
    import diffusers

    channels = 36 if image else 16
    parts: dict[str, Any] = {
        "vae": diffusers.AutoencoderKLWan(
            base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        ),
        "transformer": diffusers.WanTransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=channels, out_channels=16,
            text_dim=32, freq_dim=256, ffn_dim=32, num_layers=2, cross_attn_norm=True,
            qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
        ),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder": t5(len(words)),
    }  # fmt: skip
    return {**parts, "transformer_2": None, **({"image_encoder": None, "image_processor": None} if image else {})}


def ltx(words: Any) -> dict[str, Any]:
    import diffusers

    return {
        "vae": diffusers.AutoencoderKLLTXVideo(
            latent_channels=8, block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
            layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 5,
            spatio_temporal_scaling=(True, True, False, False),
            decoder_spatio_temporal_scaling=(True, True, False, False), decoder_inject_noise=(False,) * 5,
            upsample_residual=(False,) * 4, upsample_factor=(1,) * 4, timestep_conditioning=False, patch_size=1,
            patch_size_t=1, encoder_causal=True, decoder_causal=False,
        ),
        "transformer": diffusers.LTXVideoTransformer3DModel(
            in_channels=8, out_channels=8, patch_size=1, patch_size_t=1, num_attention_heads=4, attention_head_dim=8,
            cross_attention_dim=32, num_layers=1, caption_channels=32,
        ),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        "text_encoder": t5(len(words)),
    }  # fmt: skip


def cog(words: Any) -> dict[str, Any]:
    import diffusers

    return {
        "vae": diffusers.AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8,) * 4, latent_channels=4, layers_per_block=1, norm_num_groups=2,
            temporal_compression_ratio=4,
        ),
        "transformer": diffusers.CogVideoXTransformer3DModel(
            num_attention_heads=4, attention_head_dim=8, in_channels=4, out_channels=4, time_embed_dim=2,
            text_embed_dim=32, num_layers=1, sample_width=2, sample_height=2, sample_frames=9, patch_size=2,
            temporal_compression_ratio=4, max_text_seq_length=16,
        ),
        "scheduler": diffusers.CogVideoXDDIMScheduler(),
        "text_encoder": t5(len(words)),
    }  # fmt: skip


def animated(words: Any) -> dict[str, Any]:
    import diffusers

    return {
        "vae": vae(), "unet": unet(), "text_encoder": clip(len(words), 16),
        "motion_adapter": diffusers.MotionAdapter(
            block_out_channels=(8, 8), motion_layers_per_block=2, motion_norm_num_groups=2,
            motion_num_attention_heads=4,
        ),
        "scheduler": diffusers.DDIMScheduler(beta_schedule="linear", clip_sample=False),
        "feature_extractor": None, "image_encoder": None,
    }  # fmt: skip


def zero(words: Any) -> dict[str, Any]:
    import diffusers

    scheduler = diffusers.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False)
    rest = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return {"vae": vae(), "unet": unet(), "text_encoder": clip(len(words), 16), "scheduler": scheduler, **rest}


def stable_audio(words: Any) -> dict[str, Any]:
    import diffusers

    return {
        "vae": diffusers.AutoencoderOobleck(
            encoder_hidden_size=6, downsampling_ratios=[1, 2], decoder_channels=3, decoder_input_channels=3,
            audio_channels=2, channel_multiples=[2, 4], sampling_rate=2000,
        ),
        "transformer": diffusers.StableAudioDiTModel(
            sample_size=256, in_channels=3, num_layers=2, attention_head_dim=4, num_key_value_attention_heads=2,
            out_channels=3, cross_attention_dim=4, time_proj_dim=8, global_states_input_dim=8,
            cross_attention_input_dim=4,
        ),
        "projection_model": diffusers.StableAudioProjectionModel(
            text_encoder_dim=32, conditioning_dim=4, min_value=0, max_value=32
        ),
        "scheduler": diffusers.EDMDPMSolverMultistepScheduler(
            solver_order=2, prediction_type="v_prediction", sigma_data=1.0, sigma_schedule="exponential"
        ),
        "text_encoder": t5(len(words)),
    }  # fmt: skip


def audio_ldm(words: Any) -> dict[str, Any]:
    import diffusers
    from transformers import ClapTextConfig, ClapTextModelWithProjection, SpeechT5HifiGan, SpeechT5HifiGanConfig

    text = ClapTextConfig(
        vocab_size=len(words), hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        projection_dim=8, pad_token_id=0, max_position_embeddings=80,
    )  # fmt: skip
    vocoder = SpeechT5HifiGanConfig(
        model_in_dim=8, sampling_rate=16000, upsample_initial_channel=16, upsample_rates=[2, 2],
        upsample_kernel_sizes=[4, 4], resblock_kernel_sizes=[3, 7], resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5]],
        normalize_before=False,
    )  # fmt: skip
    return {
        "unet": unet(
            sample_size=32, layers_per_block=1, cross_attention_dim=(8, 8), class_embed_type="simple_projection",
            projection_class_embeddings_input_dim=8, class_embeddings_concat=True,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        "vae": vae(in_channels=1, out_channels=1),
        "text_encoder": ClapTextModelWithProjection(text), "vocoder": SpeechT5HifiGan(vocoder).eval(),
        "scheduler": diffusers.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False),
    }  # fmt: skip


def pipeline(kind: str) -> Any:
    """A pipeline of that class with random weights, whose text reaches what it answers with."""
    import diffusers

    torch.manual_seed(7)
    words = tokenizer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parts of diffusers that torch calls deprecated
        made = _parts(kind, words)
    made = {name: part.eval() if isinstance(part, torch.nn.Module) else part for name, part in made.items()}
    with torch.no_grad():
        for parameter in made["text_encoder"].parameters():
            parameter.mul_(4)
        for parameter in made["vocoder"].parameters() if "vocoder" in made else ():
            parameter.mul_(3)
    return getattr(diffusers, f"{kind}Pipeline")(tokenizer=words, **made)


def _parts(kind: str, words: Any) -> dict[str, Any]:
    return {
        "Wan": lambda: wan(words, image=False), "WanImageToVideo": lambda: wan(words, image=True),
        "LTX": lambda: ltx(words), "LTXImageToVideo": lambda: ltx(words), "CogVideoX": lambda: cog(words),
        "CogVideoXVideoToVideo": lambda: cog(words), "AnimateDiffVideoToVideo": lambda: animated(words),
        "AnimateDiff": lambda: animated(words), "TextToVideoZero": lambda: zero(words),
        "StableAudio": lambda: stable_audio(words), "AudioLDM": lambda: audio_ldm(words),
    }[kind]()  # fmt: skip


def musicgen() -> tuple[Any, Any]:
    """A MusicGen with random weights, which samples as the real ones do, and its tokenizer."""
    from transformers import (
        EncodecConfig,
        GenerationConfig,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        T5Config,
    )

    torch.manual_seed(0)
    words = tokenizer()
    config = MusicgenConfig(
        text_encoder=T5Config(vocab_size=len(words), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2),
        audio_encoder=EncodecConfig(
            target_bandwidths=[1.5], sampling_rate=1000, audio_channels=1, codebook_size=64, codebook_dim=8,
            hidden_size=8, num_filters=2, upsampling_ratios=[4, 2, 2, 2], num_lstm_layers=1, kernel_size=3,
            last_kernel_size=3,
        ),
        decoder=MusicgenDecoderConfig(
            vocab_size=64, hidden_size=16, ffn_dim=32, num_hidden_layers=2, num_attention_heads=2, num_codebooks=2,
            max_position_embeddings=128, pad_token_id=64, bos_token_id=64,
        ),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MusicgenForConditionalGeneration(config).eval()
    for layer in model.audio_encoder.quantizer.layers:
        layer.codebook.embed.normal_()  # a new codebook holds zeros: every sound would be one
    model.generation_config = GenerationConfig(
        max_new_tokens=20, do_sample=True, guidance_scale=3.0, bos_token_id=64, pad_token_id=64,
        decoder_start_token_id=64,
    )  # fmt: skip
    return model, words


def vits(folder: Path) -> tuple[Any, Any]:
    """A speaker with random weights that reads letters."""
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    letters = "_ abcdefghijklmnopqrstuvwxyz'-"
    (folder / "vocab.json").write_text(json.dumps({letter: place for place, letter in enumerate(letters)}))
    words = VitsTokenizer(
        str(folder / "vocab.json"), pad_token="_", unk_token="_", phonemize=False, is_uroman=False, normalize=True
    )
    torch.manual_seed(0)
    config = VitsConfig(
        vocab_size=len(letters), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, flow_size=16,
        spectrogram_bins=9, upsample_initial_channel=16, upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]], prior_encoder_num_flows=1,
        posterior_encoder_num_wavenet_layers=1, prior_encoder_num_wavenet_layers=1, duration_predictor_num_flows=1,
        duration_predictor_filter_channels=16, sampling_rate=8000, depth_separable_num_layers=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return VitsModel(config).eval(), words
