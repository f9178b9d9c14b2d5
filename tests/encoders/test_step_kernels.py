"""Whisper's decoding step by our own kernels against PyTorch, on CPU tensors: triton's interpreter runs them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from encoders.speech import step_kernels
from encoders.speech.torch_decoder import DecodingRules, StaticDecoder
from tests.encoders.interpreter import quicken

CPU = torch.device("cpu")

quicken()


def decoder(kernels: bool, careful: bool = False) -> StaticDecoder:
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=61, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_source_positions=150,
        max_target_positions=11, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
        init_std=0.6,
    )  # fmt: skip
    rules = DecodingRules(start=3, end=2, no_speech=4, suppressed=(5, 6), suppressed_first=(2, 7))
    made = StaticDecoder(WhisperForConditionalGeneration(config).eval(), rules, 3, careful=careful)
    if kernels:
        made._attend, made._choose = step_kernels.attend, step_kernels.choose
    return made


def read(made: StaticDecoder, *windows: torch.Tensor) -> list[tuple[list[int], float, float]]:
    for row, window in enumerate(windows):
        made.start(window, row)
    return made.decode(torch.tensor([[3, 8, 9]] * len(windows))).windows(0, len(windows))


@pytest.mark.parametrize("careful", [False, True])
def test_texts_are_those_of_plain_steps(careful: bool) -> None:
    plain, ours = decoder(False, careful), decoder(True, careful)
    windows = [torch.randn(1, 150, 32, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    read_before = []
    for some in (windows, windows[:1], windows[::-1])[: 2 if careful else 3]:
        wanted, found = read(plain, *some), read(ours, *some)
        read_before.append(found)
        assert [text for text, _, _ in found] == [text for text, _, _ in wanted] and all(text for text, _, _ in found)
        np.testing.assert_allclose([row[1:] for row in found], [row[1:] for row in wanted], rtol=1e-4, atol=1e-6)
    beside, alone, *_ = read_before
    assert beside[0] == alone[0]


def test_numbers_that_are_not_finite_are_nobody_elses() -> None:
    ours = decoder(True)
    good, bad = torch.randn(1, 150, 32), torch.full((1, 150, 32), torch.nan)
    alone = read(ours, good, good)
    beside = read(ours, bad, good)
    assert np.isnan(beside[0][1]) and beside[1] == alone[1]
    assert read(ours, good, good) == alone  # in the place of the other, too


def test_kernels_that_compute_something_else_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    step_kernels.compare(CPU, torch.float32, 2, 16, 1000)
    choose = step_kernels.choose
    monkeypatch.setattr(step_kernels, "choose", lambda *arguments: (choose(*arguments)[0] * 0, *choose(*arguments)[1:]))
    with pytest.raises(RuntimeError, match="another symbol"):
        step_kernels.compare(CPU, torch.float32, 2, 16, 1000)
    assert not step_kernels.are_right(CPU, torch.float32, 2, 16, 1000)
    monkeypatch.setattr(step_kernels, "choose", choose)
    attend = step_kernels.attend
    monkeypatch.setattr(step_kernels, "attend", lambda *arguments: attend(*arguments[:4]))  # whatever the position
    with pytest.raises(RuntimeError, match="attention to 1 of 90"):
        step_kernels.compare(CPU, torch.float32, 2, 16, 1000)
