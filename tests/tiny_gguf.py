"""A tiny Llama as a GGUF file, written as llama.cpp's converter writes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFWriter, TokenType

import tiny_models

HEADS = 2
TEMPLATE = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}[assistant]"
_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight", "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight", "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight", "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight", "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight", "mlp.down_proj.weight": "ffn_down.weight",
}  # fmt: skip


def write(
    file: Path, network: Any, *, architecture: str = "llama", words: Any = None, template: str = "", parts: int = 1
) -> Path:
    """Write a Llama in single precision.

    Args:
        file: where to.
        network: a `LlamaForCausalLM` with `HEADS` heads.
        architecture: what the file says it is.
        words: the tokenizer; None: the file carries none.
        template: of a chat.
        parts: files that the model is said to be split into.
    """
    config = network.config
    writer = GGUFWriter(file, architecture)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // HEADS)
    writer.add_vocab_size(config.vocab_size)
    if parts > 1:
        writer.add_uint16("split.count", parts)
    if words is not None:
        _add_tokenizer(writer, words)
        if template:
            writer.add_chat_template(template)
    for name, weight in network.state_dict().items():
        writer.add_tensor(_named(name), _laid_out(name, weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def llama() -> Any:
    """The network, its weights spread so that no two next tokens are nearly as likely."""
    torch.manual_seed(3)
    made: Any = tiny_models.network("llama", len(tiny_models.tokenizer()))
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6)
    return made.eval()


def _named(name: str) -> str:
    parts = name.split(".")
    if "layers" in parts:
        return f"blk.{parts[2]}.{_NAMES['.'.join(parts[3:])]}"
    return _NAMES[name]


def _laid_out(name: str, weight: torch.Tensor) -> np.ndarray:
    """Rows of queries and keys as llama.cpp's rotation wants them: halves of a head interleaved."""
    values = weight.detach().numpy().astype(np.float32)
    if "q_proj" in name or "k_proj" in name:
        values = values.reshape(HEADS, 2, values.shape[0] // HEADS // 2, -1).swapaxes(1, 2).reshape(values.shape)
    return np.ascontiguousarray(values)


def _add_tokenizer(writer: GGUFWriter, words: Any) -> None:
    core = json.loads(words.backend_tokenizer.to_str())["model"]
    tokens = sorted(core["vocab"], key=core["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.NORMAL if place else TokenType.CONTROL for place in range(len(tokens))])
    writer.add_token_merges([" ".join(pair) for pair in core["merges"]])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
        add(0)
