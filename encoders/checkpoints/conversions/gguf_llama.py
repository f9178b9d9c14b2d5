"""A llama-family language model in GGUF (any quantization) to a transformers folder in bfloat16.

The weights are bit for bit those of transformers' own GGUF loader. It is not used, because it needs another dependency
(accelerate), and because the configs and tokenizers that it saves change with the library's version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.checkpoints.conversions.files import write_json, write_weights
from encoders.checkpoints.errors import CheckpointError

_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_CONTROL_TOKEN = 3  # gguf's TokenType.CONTROL

# How text is cut before byte pairs are merged, by the name in ``tokenizer.ggml.pre``. "smollm" reads digits one by one.
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_PRE_TOKENIZERS: dict[str, dict[str, Any]] = {
    "gpt-2": _BYTES,
    "smollm": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, _BYTES]},
}


def llama_to_torch(sources: Path, target: Path) -> None:
    """The one ``*.gguf`` in ``sources`` to weights, configs and tokenizer that `AutoModelForCausalLM` loads."""
    import gguf
    import torch

    (path,) = sources.glob("*.gguf")
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields["general.architecture"] != "llama" or fields["tokenizer.ggml.model"] != "gpt2":
        raise CheckpointError(f"{path.name} is not a llama-family network with a byte-level tokenizer.")
    config = _model_config(fields, tied=all(tensor.name != "output.weight" for tensor in reader.tensors))
    weights = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        values = _rotary_order(tensor.name, values, config)
        weights[_name(tensor.name)] = torch.from_numpy(np.ascontiguousarray(values)).to(torch.bfloat16)
    write_weights(weights, target)
    write_json(config, target / "config.json")
    special = {key: fields[f"tokenizer.ggml.{key}_token_id"] for key in ("bos", "eos", "unknown", "padding")}
    ends = {"bos_token_id": special["bos"], "eos_token_id": special["eos"], "pad_token_id": special["padding"]}
    write_json(ends, target / "generation_config.json")
    _write_tokenizer(fields, special, target)


def _name(name: str) -> str:
    """A GGUF tensor's name in transformers: ``blk.3.attn_q.weight`` is ``model.layers.3.self_attn.q_proj.weight``."""
    pieces = name.split(".")
    if pieces[0] == "blk":
        return f"model.layers.{pieces[1]}.{_LAYER_NAMES[pieces[2]]}.{pieces[3]}"
    return f"{_TOP_NAMES[pieces[0]]}.{pieces[1]}"


def _rotary_order(name: str, values: NDArray[np.float32], config: dict[str, Any]) -> NDArray[np.float32]:
    """llama.cpp interleaves the two halves of each rotary pair in query and key rows; transformers keeps halves."""
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    count = heads.get(name.split(".")[-2])
    if count is None:
        return values
    rows, columns = values.shape
    return values.reshape(count, rows // count // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _model_config(fields: dict[str, Any], *, tied: bool) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": fields["llama.vocab_size"],
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": fields["llama.rope.dimension_count"],
        "max_position_embeddings": fields["llama.context_length"],
        "rope_parameters": {"rope_type": "default", "rope_theta": float(fields["llama.rope.freq_base"])},
        # Stored as float32: 9.9999997e-06 is 1e-05 with the digits that it has.
        "rms_norm_eps": float(np.format_float_positional(np.float32(fields["llama.attention.layer_norm_rms_epsilon"]))),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": tied,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


def _write_tokenizer(fields: dict[str, Any], special: dict[str, int], target: Path) -> None:
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    kinds: list[int] = fields["tokenizer.ggml.token_type"]
    pre = fields["tokenizer.ggml.pre"]
    if pre not in _PRE_TOKENIZERS:
        raise CheckpointError(f"The pre-tokenizer {pre!r} is not known here; known are {', '.join(_PRE_TOKENIZERS)}.")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    control = [index for index, kind in enumerate(kinds) if kind == _CONTROL_TOKEN]
    backend = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, "content": tokens[index], **flags} for index in control],
        "normalizer": None,
        "pre_tokenizer": _PRE_TOKENIZERS[pre],
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in fields["tokenizer.ggml.merges"]],
        },
    }
    (target / "tokenizer.json").write_text(json.dumps(backend, ensure_ascii=False), encoding="utf-8")
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # takes tokenizer.json as it is
        **{name: tokens[special[key]] for name, key in names.items()},
        "clean_up_tokenization_spaces": False,
        "model_max_length": fields["llama.context_length"],
    }
    write_json(config, target / "tokenizer_config.json")
    (target / "chat_template.jinja").write_text(fields["tokenizer.chat_template"], encoding="utf-8")
