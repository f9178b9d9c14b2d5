"""Tiny zero-shot detectors of `transformers` with random weights, as folders that `resolve` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertTokenizerFast,
    CLIPTextConfig,
    CLIPTokenizerFast,
    DetrImageProcessorPil,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    OmDetTurboConfig,
    OmDetTurboForObjectDetection,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    SwinConfig,
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "red", "car", "stamp", "button", "search", "the", "a"]


def bert(folder: Path) -> BertTokenizerFast:
    """A tokenizer of a dozen words."""
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))


def swin() -> SwinConfig:
    return SwinConfig(
        image_size=64,
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[2, 2, 2, 2],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )


def grounding_dino(folder: Path, mm: bool = False) -> None:
    text = BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=len(WORDS)
    )
    kind = MMGroundingDinoConfig if mm else GroundingDinoConfig
    config = kind(
        backbone_config=swin(),
        text_config=text,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=12,
    )
    network = MMGroundingDinoForObjectDetection if mm else GroundingDinoForObjectDetection
    network(config).save_pretrained(folder)
    images = GroundingDinoImageProcessor(size={"shortest_edge": 160, "longest_edge": 320})
    GroundingDinoProcessor(images, bert(folder)).save_pretrained(folder)


def clip(folder: Path) -> CLIPTokenizerFast:
    letters = [chr(code) for code in range(97, 123)]
    vocabulary = {
        word: n for n, word in enumerate([*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"])
    }
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", vocabulary["<|endoftext|>"]), ("<|startoftext|>", vocabulary["<|startoftext|>"])
    )
    inner.save(str(folder / "tokenizer.json"))
    return CLIPTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        model_max_length=16,
    )


def owl(folder: Path) -> None:
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = size | {
        "vocab_size": 54,
        "max_position_embeddings": 16,
        "bos_token_id": 52,
        "eos_token_id": 53,
        "pad_token_id": 53,
    }
    config = Owlv2Config(text_config=text, vision_config=size | {"image_size": 64, "patch_size": 16}, projection_dim=32)
    network = Owlv2ForObjectDetection(config)
    with torch.no_grad():  # torch's own start is so wide here that every box and score saturates
        for part in (network.box_head, network.class_head.logit_scale, network.class_head.logit_shift):
            for weight in part.parameters():
                weight.mul_(0.1)
    network.save_pretrained(folder)
    Owlv2Processor(Owlv2ImageProcessor(size={"height": 64, "width": 64}), clip(folder)).save_pretrained(folder)


def omdet(folder: Path) -> None:
    text = CLIPTextConfig(
        hidden_size=48,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        vocab_size=54,
        max_position_embeddings=16,
        bos_token_id=52,
        eos_token_id=53,
        pad_token_id=53,
        projection_dim=48,
    )
    config = OmDetTurboConfig(
        backbone_config=SwinConfig(
            image_size=64,
            embed_dim=16,
            depths=[1, 1, 1, 1],
            num_heads=[2, 2, 2, 2],
            window_size=4,
            out_indices=[2, 3, 4],
        ),
        text_config=text,
        apply_layernorm_after_vision_backbone=False,  # for the layout of timm
        image_size=64,
        encoder_hidden_dim=32,
        decoder_hidden_dim=32,
        vision_features_channels=[32, 32, 32],
        encoder_in_channels=[32, 64, 128],
        text_projection_in_dim=48,
        text_projection_out_dim=48,
        task_encoder_hidden_dim=32,
        class_embed_dim=48,
        class_distance_type="cosine",
        num_queries=12,
        decoder_num_heads=2,
        encoder_attention_heads=2,
        decoder_dim_feedforward=32,
        encoder_dim_feedforward=32,
        decoder_num_layers=1,
        encoder_layers=1,
        csp_activation="silu",
        use_timm_backbone=False,
        disable_custom_kernels=True,
    )
    network = OmDetTurboForObjectDetection(config)
    torch.nn.init.normal_(network.language_backbone.text_projection)  # it starts as zero: all classes the same
    network.save_pretrained(folder)
    DetrImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    clip(folder).save_pretrained(folder)


MAKERS: dict[str, Callable[[Path], Any]] = {
    "grounding-dino": grounding_dino,
    "mm-grounding-dino": lambda folder: grounding_dino(folder, mm=True),
    "owlv2": owl,
    "omdet-turbo": omdet,
}


def make(name: str, folder: Path) -> str:
    """A folder with the checkpoint."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    MAKERS[name](folder)
    return str(folder)
