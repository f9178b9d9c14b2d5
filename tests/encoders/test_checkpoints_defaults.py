"""The default checkpoints: what the lock says of them, and that conversions compute what their originals compute."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PPOCRV6SmallDetForObjectDetection,
    PPOCRV6SmallRecForTextRecognition,
    WhisperForConditionalGeneration,
)

from encoders.checkpoints import CheckpointError, checkpoint_format, pull, resolve, verify
from encoders.checkpoints.conversions import CONVERSIONS, convert
from encoders.checkpoints.home import file_sha256, files_under
from encoders.checkpoints.lock import PACKAGE, load_lock

ARCHIVE = Path(__file__).parents[2] / "examples" / "archive"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _session(folder: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])


def _line(text: str, size: tuple[int, int]) -> NDArray[np.float32]:
    """A rendered line as the OCR networks take it: (1, 3, height, width), -1 to 1."""
    _, height = size
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((8, height // 4), text, "black", ImageFont.load_default(height * 5 // 8))
    return (np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255 - 0.5) / 0.5


def _strict(architecture: Any, folder: Path) -> Any:
    """The network, after asserting that the folder has exactly its weights."""
    network, report = architecture.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    return network.eval()


# The lock


def test_the_lock_names_every_role_and_every_conversion() -> None:
    lock = load_lock()
    assert set(lock.checkpoints) >= {
        "ocr_detection",
        "ocr_recognition",
        "speech",
        "speech_activity",
        "speaker",
        "text_embedding",
        "decoder",
    }
    variants = [variant for checkpoint in lock.checkpoints.values() for variant in checkpoint.variants.values()]
    assert {variant.conversion for variant in variants} - {None} == set(CONVERSIONS)
    assert all(variant.files for variant in variants)
    sums = [sha256 for variant in variants for sha256 in variant.files.values()]
    sums += [source.sha256 for variant in variants for source in variant.sources]
    sums += [carrier.sha256 for carrier in lock.carriers.values()]
    assert all(len(sha256) == 64 and set(sha256) <= set("0123456789abcdef") for sha256 in sums)


def test_a_default_comes_from_the_configured_index_into_an_empty_home(tmp_path: Path) -> None:
    (folder,) = pull(["speech_activity"], home=tmp_path)
    assert checkpoint_format(folder) == "onnx"
    assert not (tmp_path / "downloads").exists()


def test_weights_that_are_shipped_are_as_locked_and_are_never_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = load_lock()
    shipped = [role for role, checkpoint in lock.checkpoints.items() if checkpoint.variants[checkpoint.default].shipped]
    assert {row.status for row in verify(shipped, home=tmp_path)} == {"ok"}
    named = {file for role in shipped for file in resolve(role, offline=True).glob("*.safetensors")}
    assert named == {file for file in files_under(PACKAGE).values() if file.suffix == ".safetensors"}
    assert len(pull(shipped, home=tmp_path)) == len(shipped) and not list(tmp_path.iterdir())

    shutil.copytree(PACKAGE / "ocr", tmp_path / "package" / "ocr")
    changed = tmp_path / "package" / "ocr" / "script_weights.safetensors"
    changed.write_bytes(b"other weights")
    monkeypatch.setattr(importlib.import_module("encoders.checkpoints.pull"), "PACKAGE", tmp_path / "package")
    (row,) = verify(["script_network"], home=tmp_path)
    assert (row.status, row.damaged[0].path) == ("damaged", changed.name) and "git" in row.advice
    with pytest.raises(CheckpointError, match="part of Interlace"):
        pull(["script_network"], home=tmp_path)
    assert changed.read_bytes() == b"other weights"


@pytest.mark.parametrize("role", ["ocr_detection", "ocr_recognition", "speech"])
def test_a_conversion_gives_the_locked_bytes_again(role: str, tmp_path: Path) -> None:
    variant = load_lock().checkpoints[role].variants["torch"]
    convert(variant.conversion, resolve(role, variant=variant.base), tmp_path)
    assert {path: file_sha256(file) for path, file in files_under(tmp_path).items()} == variant.files


# OCR


def test_converted_recogniser_reads_as_the_original() -> None:
    original = _session(resolve("ocr_recognition", variant="onnx"))
    network = _strict(PPOCRV6SmallRecForTextRecognition, resolve("ocr_recognition", variant="torch"))
    characters = json.loads((resolve("ocr_recognition") / "characters.json").read_text(encoding="utf-8"))
    pixels = _line("Invoice 2024-0417, total 1,234.56", (640, 48))
    (expected,) = original.run(None, {original.get_inputs()[0].name: pixels})
    with torch.inference_mode():
        found = next(iter(network(torch.from_numpy(pixels)).values())).numpy()
    assert found.shape == expected.shape == (1, 80, len(characters))
    assert np.abs(found - expected).max() < 1e-3
    assert (found.argmax(-1) == expected.argmax(-1)).all()
    best = found.argmax(-1)[0]
    kept = best[np.flatnonzero(np.diff(best, prepend=-1))]
    assert "".join(characters[index] for index in kept) == "Invoice 2024-0417, total 1,234.56"


def test_converted_detector_sees_as_the_original() -> None:
    original = _session(resolve("ocr_detection", variant="onnx"))
    network = _strict(PPOCRV6SmallDetForObjectDetection, resolve("ocr_detection", variant="torch"))
    pixels = np.concatenate([_line("Where is it", (320, 64)), _line("on this page?", (320, 96))], axis=2)
    (expected,) = original.run(None, {original.get_inputs()[0].name: pixels})
    with torch.inference_mode():
        found = network(torch.from_numpy(pixels)).last_hidden_state.numpy()
    assert found.shape == expected.shape == (1, 1, 160, 320)
    assert 0.05 < (expected > 0.3).mean() < 0.5  # it does see text
    assert np.abs(found - expected).max() < 1e-3
    assert ((found > 0.3) != (expected > 0.3)).sum() <= 2


# Speech


def test_converted_whisper_is_whole_and_knows_its_languages_tasks_and_alignment() -> None:
    """That it hears and writes as the original is in test_speech_engines.py."""
    folder = resolve("speech", variant="torch")
    _strict(WhisperForConditionalGeneration, folder)
    config = GenerationConfig.from_pretrained(folder)
    assert len(config.lang_to_id) == 99
    assert config.task_to_id == {"transcribe": 50359, "translate": 50358}
    assert config.no_timestamps_token_id == 50363
    assert len(config.alignment_heads) == 8


def test_speech_activity_tells_speech_from_silence() -> None:
    session = _session(resolve("speech_activity"))
    wave, _ = librosa.load(ARCHIVE / "recordings" / "memo-0031.ogg", sr=16000, duration=4)
    state = {name: np.zeros((1, 1, 128), np.float32) for name in ("h", "c")}
    most = []
    for samples in (wave.astype(np.float32), np.zeros(4 * 16000, np.float32)):
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (64, 0)), 576)[::512]
        probabilities, *_ = session.run(None, {"input": np.ascontiguousarray(frames), **state})
        most.append(float(probabilities.max()))
    assert most[0] > 0.9
    assert most[1] < 0.1


def test_speaker_encoder_is_1_42_million_weights_that_give_unit_vectors() -> None:
    weights = load_file(resolve("speaker") / "model.safetensors")
    assert (
        sum(tensor.numel() for tensor in weights.values()) == load_lock().checkpoints["speaker"].parameters == 1423616
    )
    lstm, linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
    network = torch.nn.ModuleDict({"lstm": lstm, "linear": linear})
    network.load_state_dict(weights)
    wave, _ = librosa.load(ARCHIVE / "recordings" / "memo-0031.ogg", sr=16000, duration=6.5)
    mel = librosa.feature.melspectrogram(y=wave, sr=16000, n_fft=400, hop_length=160, n_mels=40).T.astype(np.float32)
    windows = torch.from_numpy(np.stack([mel[:160], mel[160:320], mel[320:480]]))
    with torch.inference_mode():
        embeddings = torch.nn.functional.normalize(torch.relu(linear(lstm(windows)[1][0][-1])))
    similarity = embeddings @ embeddings.T
    assert torch.allclose(similarity.diagonal(), torch.ones(3))
    assert similarity.min() > 0.5  # one voice
    assert (embeddings.std(0) > 0).any()  # and yet not a constant


# Text


def _chat(folder: Path, question: str) -> str:
    network, tokenizer = _strict(AutoModelForCausalLM, folder), AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        tokens = network.generate(**prompt, max_new_tokens=16, do_sample=False)[0, prompt.input_ids.shape[1] :]
    return str(tokenizer.decode(tokens, skip_special_tokens=True))


def test_the_tuned_decoder_still_chats_where_there_is_no_document() -> None:
    fruits = _chat(resolve("decoder"), "Give me three fruits.").lower()
    assert "banana" in fruits and "apple" in fruits
    assert "Paris" in _chat(resolve("decoder"), "What is the capital of France?")
    assert "4" in _chat(resolve("decoder"), "What is 2+2?")


def test_decoder_answers_with_its_chat_template() -> None:
    folder = resolve("decoder:torch")
    network, tokenizer = _strict(AutoModelForCausalLM, folder), AutoTokenizer.from_pretrained(folder)
    assert network.dtype == torch.bfloat16
    assert sum(tensor.numel() for tensor in network.parameters()) == load_lock().checkpoints["decoder"].parameters
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        tokens = network.generate(**prompt, max_new_tokens=16, do_sample=False)[0, prompt.input_ids.shape[1] :]
    assert tokenizer.decode(tokens, skip_special_tokens=True) == "The capital of France is Paris."
    assert tokens[-1] == tokenizer.eos_token_id == network.generation_config.eos_token_id


def test_decoder_reads_digits_one_by_one_and_returns_any_text() -> None:
    tokenizer = AutoTokenizer.from_pretrained(resolve("decoder"))
    text = "Total: 1234.56 EUR, il 3 août — naïve 日本 don't\n\n  x=1 <|im_end|>"
    tokens = tokenizer(text).input_ids
    assert tokenizer.decode(tokens) == text
    assert tokenizer.convert_ids_to_tokens(tokenizer("1234").input_ids) == ["1", "2", "3", "4"]
    assert tokens[-1] == tokenizer.eos_token_id


def test_text_embedding_puts_like_beside_like() -> None:
    folder = resolve("text_embedding")
    network, tokenizer = _strict(AutoModel, folder), AutoTokenizer.from_pretrained(folder)
    texts = ["The invoice is due in May.", "Payment of the bill is expected next month.", "A cat sleeps on the roof."]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = network(**batch).last_hidden_state
    mask = batch.attention_mask[..., None]
    vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1))
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
