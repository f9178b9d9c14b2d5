"""Checkpoints of a few hundred thousand random parameters, with a small tokenizer trained on the spot."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

END = "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEXT = [
    "The total amount of the invoice is 12.50 and the date is 2024-03-01.",
    'A receipt as JSON: {"company": "Sea Ltd", "total": 3.5, "items": [{"name": "tea", "price": 2}], "paid": true}',
    "What is the name of the company? Speaker one said that the ship left the harbour at noon.",
]


def save_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|endoftext|>", "<|im_start|>", END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT * 3, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END, chat_template=TEMPLATE)
    fast.save_pretrained(folder)
    return fast


def save_tiny(folder: Path, kind: str, seed: int = 0) -> Path:
    """A checkpoint folder of that architecture, d_model 64, 2 layers, weights from the seed."""
    tokenizer = save_tokenizer(folder)
    shape = {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "eos_token_id": tokenizer.eos_token_id,
        "initializer_range": 0.3,  # large, so that the next token depends on all of the prompt
    }
    torch.manual_seed(seed)
    grouped = {**shape, "num_key_value_heads": 2, "head_dim": 16}
    model = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**grouped, tie_word_embeddings=True)),
        "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**grouped)),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**grouped, sliding_window=24)),
        "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**shape)),
    }[kind]()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    return folder
