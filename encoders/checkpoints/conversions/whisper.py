"""Whisper in CTranslate2's format (WhisperSpec) to a transformers folder with the same float16 weights."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from encoders.checkpoints.conversions.files import write_json, write_weights
from encoders.checkpoints.errors import CheckpointError

if TYPE_CHECKING:
    import torch

Arrays = dict[str, NDArray[Any]]
_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}  # 5, bfloat16, is not in numpy
_TOKENS = {"eos": "<|endoftext|>", "start": "<|startoftranscript|>", "previous": "<|startofprev|>"}


def whisper_to_torch(sources: Path, target: Path) -> None:
    """``model.bin, config.json, tokenizer.json`` to a folder that `WhisperForConditionalGeneration` loads strictly."""
    import torch

    arrays = read_ctranslate2(sources / "model.bin")
    weights = {name: torch.from_numpy(np.array(array)) for name, array in _rename(arrays).items()}
    write_weights(weights, target)
    spec = json.loads((sources / "config.json").read_text(encoding="utf-8"))
    ids = _special_ids(sources / "tokenizer.json")
    write_json(_model_config(arrays, weights, spec, ids), target / "config.json")
    write_json(_generation_config(spec, ids), target / "generation_config.json")
    write_json(_feature_extractor(weights), target / "preprocessor_config.json")
    write_json(_tokenizer_config(ids), target / "tokenizer_config.json")
    shutil.copyfile(sources / "tokenizer.json", target / "tokenizer.json")


def read_ctranslate2(path: Path) -> Arrays:
    """The arrays of a ``model.bin`` by name, aliases included. Little endian; strings carry a trailing NUL."""
    with path.open("rb") as stream:
        version, spec = _number(stream, "I"), _string(stream)
        _number(stream, "I")  # the specification's revision
        if version < 5 or spec != "WhisperSpec":
            raise CheckpointError(
                f"{path.name} is {spec} in binary version {version}, not a WhisperSpec of 5 or later."
            )
        arrays: Arrays = {}
        for _ in range(_number(stream, "I")):
            name = _string(stream)
            shape = [_number(stream, "I") for _ in range(_number(stream, "B"))]
            dtype, size = _number(stream, "B"), _number(stream, "I")
            arrays[name] = np.frombuffer(stream.read(size), _DTYPES[dtype]).reshape(shape)
        for _ in range(_number(stream, "I")):
            alias, name = _string(stream), _string(stream)
            arrays[alias] = arrays[name]
        if stream.read(1):
            raise CheckpointError(f"{path.name} goes on after its last array.")
    return arrays


def _number(stream: BinaryIO, code: str) -> int:
    value: int = struct.unpack(f"<{code}", stream.read(struct.calcsize(code)))[0]
    return value


def _string(stream: BinaryIO) -> str:
    return stream.read(_number(stream, "H"))[:-1].decode()


def _layers(arrays: Arrays, side: str) -> int:
    prefix = f"{side}/layer_"
    return 1 + max(
        int(piece) for name in arrays if name.startswith(prefix) and (piece := _layer_number(name)).isdigit()
    )


def _layer_number(name: str) -> str:
    return name.split("/")[1].removeprefix("layer_")  # "norm" for the final layer_norm


def _rename(arrays: Arrays) -> Arrays:
    """The arrays under transformers' names; projections that CTranslate2 stores in one matrix are taken apart."""
    named: Arrays = {}

    def dense(name: str, source: str) -> None:
        named[f"{name}.weight"], named[f"{name}.bias"] = arrays[f"{source}/weight"], arrays[f"{source}/bias"]

    def norm(name: str, source: str) -> None:
        named[f"{name}.weight"], named[f"{name}.bias"] = arrays[f"{source}/gamma"], arrays[f"{source}/beta"]

    def fused(name: str, projections: tuple[str, ...], source: str) -> None:
        weights = np.split(arrays[f"{source}/weight"], len(projections))
        biases = np.split(arrays[f"{source}/bias"], len(projections))
        for projection, weight, bias in zip(projections, weights, biases, strict=True):
            named[f"{name}.{projection}.weight"] = weight
            if projection != "k_proj":
                named[f"{name}.{projection}.bias"] = bias
            elif bias.any():  # Whisper's keys have none; CTranslate2 fills the fused bias with zeros
                raise CheckpointError(f"{source} has a bias for its keys, which Whisper does not have.")

    for side in ("encoder", "decoder"):
        named[f"model.{side}.embed_positions.weight"] = arrays[f"{side}/position_encodings/encodings"]
        norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        for index in range(_layers(arrays, side)):
            source, layer = f"{side}/layer_{index}", f"model.{side}.layers.{index}"
            norm(f"{layer}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
            fused(f"{layer}.self_attn", ("q_proj", "k_proj", "v_proj"), f"{source}/self_attention/linear_0")
            dense(f"{layer}.self_attn.out_proj", f"{source}/self_attention/linear_1")
            if side == "decoder":
                norm(f"{layer}.encoder_attn_layer_norm", f"{source}/attention/layer_norm")
                fused(f"{layer}.encoder_attn", ("q_proj",), f"{source}/attention/linear_0")
                fused(f"{layer}.encoder_attn", ("k_proj", "v_proj"), f"{source}/attention/linear_1")
                dense(f"{layer}.encoder_attn.out_proj", f"{source}/attention/linear_2")
            norm(f"{layer}.final_layer_norm", f"{source}/ffn/layer_norm")
            dense(f"{layer}.fc1", f"{source}/ffn/linear_0")
            dense(f"{layer}.fc2", f"{source}/ffn/linear_1")
    for convolution in ("conv1", "conv2"):
        dense(f"model.encoder.{convolution}", f"encoder/{convolution}")
    named["model.decoder.embed_tokens.weight"] = arrays["decoder/embeddings/weight"]  # proj_out is tied to it
    return named


def _special_ids(tokenizer: Path) -> dict[str, int]:
    """Token -> id of everything outside the byte-pair vocabulary."""
    added = json.loads(tokenizer.read_text(encoding="utf-8"))["added_tokens"]
    return {entry["content"]: entry["id"] for entry in added}


def _model_config(
    arrays: Arrays, weights: Mapping[str, torch.Tensor], spec: Mapping[str, Any], ids: Mapping[str, int]
) -> dict[str, Any]:
    vocabulary, width = weights["model.decoder.embed_tokens.weight"].shape
    config: dict[str, Any] = {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "dtype": "float16",
        "vocab_size": vocabulary,
        "d_model": width,
        "num_mel_bins": weights["model.encoder.conv1.weight"].shape[1],
        "max_source_positions": weights["model.encoder.embed_positions.weight"].shape[0],
        "max_target_positions": weights["model.decoder.embed_positions.weight"].shape[0],
    }
    for side in ("encoder", "decoder"):
        config[f"{side}_layers"] = _layers(arrays, side)
        config[f"{side}_attention_heads"] = int(arrays[f"{side}/num_heads"])
        config[f"{side}_ffn_dim"] = weights[f"model.{side}.layers.0.fc1.weight"].shape[0]
    end = ids[_TOKENS["eos"]]
    return config | {
        "activation_function": "gelu",
        "tie_word_embeddings": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": ids[_TOKENS["start"]],
        "begin_suppress_tokens": spec["suppress_ids_begin"],
    }


def _generation_config(spec: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any]:
    """Everything that word timestamps and ``language=`` need; nothing of it can be left to defaults."""
    end, languages = ids[_TOKENS["eos"]], set(spec["lang_ids"])
    return {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": ids[_TOKENS["start"]],
        "max_length": 448,
        "max_initial_timestamp_index": 50,  # the first timestamp is within the first second
        "is_multilingual": True,
        "return_timestamps": False,
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "prev_sot_token_id": ids[_TOKENS["previous"]],
        "task_to_id": {"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        "lang_to_id": {token: index for token, index in ids.items() if index in languages},
        "alignment_heads": spec["alignment_heads"],
        "suppress_tokens": spec["suppress_ids"],
        "begin_suppress_tokens": spec["suppress_ids_begin"],
    }


def _feature_extractor(weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": weights["model.encoder.conv1.weight"].shape[1],
        "sampling_rate": 16000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def _tokenizer_config(ids: Mapping[str, int]) -> dict[str, Any]:
    end = _TOKENS["eos"]
    return {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "bos_token": end,
        "eos_token": end,
        "unk_token": end,
        "pad_token": end,  # without one, batches of more than one are refused
        "errors": "replace",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1024,
    }
