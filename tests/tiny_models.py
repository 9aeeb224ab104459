"""Tiny random transformers with spread logits, saved to a folder: real adapters need real files."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

TEXT = "Paris is the capital of France and it lies on the river Seine, where boats pass all day. Naïve café 東京!"
KINDS = ("gpt2", "llama", "t5", "bart")
"""Learned absolute positions; rotary ones; relative ones with an encoder; absolute ones with an encoder."""


def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    core.train_from_iterator([TEXT] * 8, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|end|>", eos_token="<|end|>", pad_token="<|end|>", model_max_length=64
    )


def network(kind: str, size: int) -> torch.nn.Module:
    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    if kind == "gpt2":
        return GPT2LMHeadModel(GPT2Config(vocab_size=size, n_positions=64, n_embd=32, n_layer=2, n_head=2, **ids))
    if kind == "llama":
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=2, max_position_embeddings=64, **ids,
            )
        )  # fmt: skip
    if kind == "bart":
        return BartForConditionalGeneration(
            BartConfig(
                vocab_size=size, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64,
                decoder_start_token_id=0, forced_eos_token_id=None, **ids,
            )
        )  # fmt: skip
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=size, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=0,
            eos_token_id=0, pad_token_id=0,
        )
    )  # fmt: skip


def save(kind: str, folder: Path, *, chat: bool = False, half: bool = False) -> Path:
    """A model of that architecture with random weights, spread so that greedy decoding has no near ties."""
    torch.manual_seed(3)
    words = tokenizer()
    if chat:
        words.chat_template = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}[assistant]"
    model = network(kind, len(words))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6)
    (model.half() if half else model).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


WORDS = ("tell", "a", "story", "of", "the", "old", "castle", "fort", "dog", "cat", "and", "snow", "rain", ".", ",")


def save_masked(folder: Path, *, positions: int = 64) -> Path:
    """A fill-mask model with random weights, over whole words and their parts."""
    torch.manual_seed(5)
    letters = [chr(code) for code in range(ord("b"), ord("z") + 1)]
    listed = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{x}" for x in ["a", *letters])]
    core = Tokenizer(models.WordPiece({word: i for i, word in enumerate(listed)}, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    core.decoder = decoders.WordPiece()
    PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip
    network = BertForMaskedLM(
        BertConfig(
            vocab_size=len(listed), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=positions,
        )
    )  # fmt: skip
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6)
    network.save_pretrained(folder)
    return folder


def painter(folder: Path, *, kind: str = "InstructPix2Pix", half: bool = True) -> Path:
    """A stock pipeline of diffusers with random weights: 16 x 16 pixels, two steps take milliseconds."""
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(5)
    words = tokenizer()
    ids = {"eos_token_id": 0, "bos_token_id": 0, "pad_token_id": 0}
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=64, **ids,
        )
    )  # fmt: skip
    channels = {"InstructPix2Pix": 8, "Inpaint": 9}.get(kind, 4)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8, in_channels=channels, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16, attention_head_dim=4, norm_num_groups=4,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4, sample_size=16,
    )  # fmt: skip
    scheduler = diffusers.DDIMScheduler(
        beta_schedule="scaled_linear", prediction_type="sample", clip_sample=False,
        steps_offset=1,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in text.parameters():
            parameter.mul_(4)
    pipeline = getattr(diffusers, f"StableDiffusion{kind}Pipeline")(
        vae=vae, text_encoder=text, tokenizer=words, unet=unet, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    (pipeline.to(torch.float16) if half else pipeline).save_pretrained(folder)
    return folder


def vision(folder: Path) -> Path:
    """A DINOv2 with random weights, and its processor, that crops as the real one does."""
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    torch.manual_seed(5)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=7)
    Dinov2Model(config).save_pretrained(folder)
    BitImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}, image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    ).save_pretrained(folder)  # fmt: skip
    return folder
