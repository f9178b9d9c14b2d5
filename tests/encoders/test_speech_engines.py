"""The torch engine against CTranslate2 on one recording: the same states, and the same words at the same times. The
checkpoint of the one was converted from that of the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from encoders.base import MediaInput
from encoders.card.client import CardLost
from encoders.card.service import ServiceSpec
from encoders.checkpoints import resolve
from encoders.media.opened import AudioWindow
from encoders.media.opener import MediaOpener
from encoders.speech.activity import ActivityNetwork
from encoders.speech.card_engine import CardEngine
from encoders.speech.ctranslate2_engine import CTranslate2Engine
from encoders.speech.decoders import Asked, Rows, WindowDecoders
from encoders.speech.engine import Hypothesis
from encoders.speech.languages import LanguageStep
from encoders.speech.torch_decoder import DecodingRules, StaticDecoder
from encoders.speech.torch_encoder import Uploaded, WindowEncoder
from encoders.speech.torch_engine import TorchEngine
from encoders.speech.transcriber import LanguageBelief, Transcriber
from encoders.speech.voices import VoiceEncoder
from encoders.speech.warping import token_starts
from encoders.speech.windows import Piece, Window

MEMO = Path(__file__).parents[2] / "examples" / "archive" / "recordings" / "memo-0031.ogg"


@pytest.fixture(scope="module")
def torch_engine() -> TorchEngine:
    return TorchEngine(resolve("speech", variant="torch"), device="cpu")


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    with MediaOpener() as opener:
        opened = list(opener.audio(MediaInput("memo", "memo", "audio/ogg", path=MEMO, stop=11.0)))
    assert all(isinstance(window, AudioWindow) for window in opened)
    return np.concatenate([window.samples[0] for window in opened]).astype(np.float32) / 32768  # type: ignore[union-attr]


def test_both_engines_write_the_same_words_at_the_same_times(torch_engine: TorchEngine, samples: np.ndarray) -> None:
    bare = CTranslate2Engine(resolve("speech"), compute_type="float32", beam_size=1, threads=1)
    clips = [samples, samples[: 7 * 16_000]]
    read = []
    for engine in (bare, torch_engine):
        windows = [Window(clip, (Piece(0, 0, len(clip) / 16_000),)) for clip in clips]
        read.append(Transcriber(engine, features=True)(windows, [LanguageBelief() for _ in windows]))
    for one, two in zip(*read):
        assert one.language == two.language == "en"
        assert [word.text for word in one.words] == [word.text for word in two.words]
        apart = [abs(a.start - b.start) for a, b in zip(one.words, two.words)]
        assert np.quantile(apart, 0.9) <= 0.06
        assert one.features is not None and two.features is not None and np.abs(one.features).max() > 20
        states = one.features.astype(np.float32), two.features.astype(np.float32)  # kept in half precision
        np.testing.assert_allclose(*states, rtol=1e-3, atol=5e-3)
        assert np.allclose([w.confidence for w in one.words], [w.confidence for w in two.words], atol=0.05)
    assert "calm" in " ".join(word.text for word in read[1][0].words)
    assert torch_engine.parameters() == 72_593_920


def test_careful_decoding_repeats_no_four_tokens(torch_engine: TorchEngine, samples: np.ndarray) -> None:
    # The same two seconds over and over make whisper loop.
    looped = np.tile(samples[: 2 * 16_000], 6)
    encoded = torch_engine.encode([looped])
    (hypothesis,) = torch_engine.generate(encoded, ["en"], careful=True)
    runs = [hypothesis.tokens[at : at + 4] for at in range(len(hypothesis.tokens) - 3)]
    assert len(runs) == len(set(runs))


def tiny_decoder() -> StaticDecoder:
    config = WhisperConfig(
        vocab_size=64, d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_source_positions=10,
        max_target_positions=24, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
    )  # fmt: skip
    rules = DecodingRules(start=3, end=2, no_speech=4, suppressed=(2,), suppressed_first=())
    return StaticDecoder(WhisperForConditionalGeneration(config).eval(), rules, 2)


def test_a_text_that_never_ends_leaves_a_place_for_its_end() -> None:
    # Alignment reads prompt, text and end together; one token more would have no position.
    decoder = tiny_decoder()
    decoder.start(torch.randn(1, 10, 16))
    ((text, _, _),) = decoder.decode(torch.tensor([[3, 5, 6, 7]])).windows(0, 1)
    assert 4 + len(text) + 1 == 24


def test_numbers_that_are_not_finite_are_nobody_elses() -> None:
    decoder = tiny_decoder()
    prompts, good, bad = torch.tensor([[3, 5, 6, 7]] * 2), torch.randn(1, 10, 16), torch.full((1, 10, 16), torch.nan)

    def read(*windows: torch.Tensor) -> list[tuple[list[int], float, float]]:
        for row, window in enumerate(windows):
            decoder.start(window, row)
        return decoder.decode(prompts[: len(windows)]).windows(0, len(windows))

    alone = read(good, good)
    beside = read(bad, good)
    assert np.isnan(beside[0][1]) and beside[1] == alone[1]
    assert read(good, good) == alone  # in the place of the other, too


def test_windows_are_read_as_here_by_the_process_on_a_card_though_it_ends_in_between(
    torch_engine: TorchEngine, samples: np.ndarray
) -> None:
    folder = resolve("speech", variant="torch")
    silero = resolve("speech_activity") / "model.onnx"
    files = {"checkpoint": str(folder), "speaker": str(resolve("speaker")), "activity": str(silero)}
    arguments = {**files, "threads": 1, "rows": (4, 2), "window": 1.6, "hop": 0.4}
    spec = ServiceSpec("tests.encoders.card_services:SpeechEnding", "cpu", arguments, linger=1.0)
    engine = CardEngine(spec, folder)
    voices = VoiceEncoder(resolve("speaker"), window=1.6, hop=0.4)
    regions = [(samples[: 3 * 16_000], 1.0), (samples[:9000], 7.0)]
    assert engine.voices is not None and engine.voices.seconds == voices.seconds
    for here, there in zip(voices(regions), engine.voices(regions), strict=True):
        assert np.array_equal(here.spans, there.spans) and np.array_equal(here.embeddings, there.embeddings)

    assert engine.activity is not None and engine.activity.together > 1000
    told = (samples[: 64 + 30 * 512] * 32768).astype(np.int16), np.full((2, 128), 0.1, np.float32)
    for samples_told in (told[0], told[0][: 64 + 512]):
        some = samples_told, told[1]
        for here, there in zip(ActivityNetwork(silero).hear(*some), engine.activity.hear(*some), strict=True):
            assert here.shape == there.shape and np.abs(here - there).max() < 1e-4
    assert engine.activity._own is not None  # type: ignore[attr-defined]

    class EndingBetween(Transcriber):
        def _decode(self, encoded: Any, *arguments: Any) -> list[Hypothesis]:
            if isinstance(self._engine, CardEngine):
                with pytest.raises(CardLost):
                    self._engine._client.ask("end", None)()
            return super()._decode(encoded, *arguments)

    clips = [samples[: 7 * 16_000], samples[:8000]]
    windows = [Window(clip, (Piece(0, 0, len(clip) / 16_000),)) for clip in clips]
    read = [
        EndingBetween(one, features=True)(windows, [LanguageBelief() for _ in windows])
        for one in (torch_engine, engine)
    ]
    for here, there in zip(*read, strict=True):
        assert here.words == there.words and here.language == there.language == "en"
        assert np.array_equal(here.features, there.features)  # type: ignore[arg-type]
    assert len(read[0][0].words) > 5
    with pytest.raises(MemoryError, match="four windows"):
        engine.encode(clips * 2)
    engine.shrink(4)
    assert engine.fits == 2
    with ThreadPoolExecutor(3) as pool:  # several clients at once, whose windows are decoded together as they come
        clients = [engine, CardEngine(spec, folder), CardEngine(spec, folder)]
        reading = [pool.submit(Transcriber(one), windows, [LanguageBelief() for _ in windows]) for one in clients]
        for one in reading:
            assert [transcript.words for transcript in one.result()] == [here.words for here in read[0]]


@pytest.fixture(scope="module")
def encoded(torch_engine: TorchEngine, samples: np.ndarray) -> list[torch.Tensor]:
    """Windows of three clients."""
    clips = [[samples[:48_000]], [samples[48_000:112_000], samples[:8000]], [samples[80_000:], samples[32_000:72_000]]]
    return [torch_engine.encode(some) for some in clips]


def test_windows_of_several_clients_are_decoded_as_each_clients_alone(
    torch_engine: TorchEngine, encoded: list[torch.Tensor]
) -> None:
    asked = [Asked(windows, ["en", "de"][: len(windows)]) for windows in encoded]
    fixed = decoders(torch_engine, Rows(4, 2))  # too few for all plain ones, and for any two careful ones
    for careful in (False, True):
        joint = [finish() for finish in fixed.begin(asked, careful)]
        alone = [fixed.begin([one], careful)[0]() for one in asked]
        assert joint == alone and all(len(some) == len(one.encoded) for some, one in zip(joint, asked))
    small = decoders(torch_engine, Rows(1, 1))  # a client that has more than there are rows
    assert [len(finish()) for finish in small.begin(asked[1:2])] == [2]
    assert len(small._made) == 1
    whole = [torch_engine.generate(one.encoded, one.languages) for one in asked]
    texts = [[hypothesis.tokens for hypothesis in finish()] for finish in fixed.begin(asked)]
    assert texts == [[hypothesis.tokens for hypothesis in some] for some in whole] and all(map(any, texts))


def test_windows_are_encoded_alike_in_passes_of_one_size(torch_engine: TorchEngine, samples: np.ndarray) -> None:
    uploaded = torch_engine.upload([samples[:48_000], samples[:8000]])
    frames = torch.tensor([length // 160 + 1 for length in uploaded.lengths])
    with torch.inference_mode():
        mels = torch_engine._encoder._mels(uploaded.samples, frames)
        whole = torch_engine._network.model.encoder(mels).last_hidden_state
    step = LanguageStep(torch_engine._network, torch_engine.tokenizer("en").sot, [*torch_engine._languages.values()])
    by_twos = WindowEncoder(torch_engine._network, step, at_once=2)
    encoded = by_twos(uploaded)
    torch.testing.assert_close(encoded, whole, rtol=1e-3, atol=1e-3)
    assert torch.equal(by_twos(Uploaded(uploaded.samples[:1], uploaded.lengths[:1])), encoded[:1])  # beside another one
    heard = by_twos.hear(encoded)
    assert heard is not None
    torch.testing.assert_close(heard, step(whole), rtol=1e-3, atol=1e-5)


def decoders(engine: TorchEngine, rows: Rows) -> WindowDecoders:
    return WindowDecoders(engine._network, engine.tokenizer, torch.device("cpu"), rows)


def test_where_memory_runs_out_all_decode_fewer_windows_at_once(
    torch_engine: TorchEngine, encoded: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Large(StaticDecoder):
        def __init__(self, network: Any, rules: DecodingRules, batch: int, **more: Any) -> None:
            if batch > 16:
                raise MemoryError(f"{batch} windows")
            super().__init__(network, rules, batch, **more)

    monkeypatch.setattr("encoders.speech.decoders.StaticDecoder", Large)
    fixed = decoders(torch_engine, Rows(64, 32))
    fixed.prepare()
    assert fixed.rows == Rows(16, 16)
    for _ in range(3):  # as often as clients say so
        fixed.shrink(3)
    assert fixed.rows == Rows(4, 4) and {size for size, _ in fixed._made} == {4}
    fixed.shrink(16)
    assert fixed.rows == Rows(4, 4)
    (finish,) = fixed.begin([Asked(encoded[1], ["en", "en"])])
    kept = finish()
    fixed.begin([Asked(encoded[0], ["en"])])
    assert finish() == kept  # whatever is decoded after it


def test_a_language_is_known_without_keys_and_values_of_all_frames(
    torch_engine: TorchEngine, encoded: list[torch.Tensor]
) -> None:
    windows = torch.cat(encoded)
    start, ids = torch_engine.tokenizer("en").sot, [*torch_engine.tokenizer.languages.values()]
    with torch.inference_mode():
        _, states = torch_engine._forced(windows, torch.full((len(windows), 1), start))
        wanted = torch_engine._network.proj_out(states)[:, 0, ids].softmax(-1)
    found = np.array([[*row.values()] for row in torch_engine.languages(windows)])
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


def test_windows_are_aligned_together_as_each_alone(
    torch_engine: TorchEngine, encoded: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = torch.cat(encoded)
    said = [list(one.tokens) for one in torch_engine.generate(windows, ["en"] * 5)]
    tokens = [said[0] + said[4] + said[3], said[1][:1], said[3], said[4], said[0]]
    seconds = [30.0, 0.05, 2.0, 2.5, 0.13]  # 0.05: too short to be reflected; 0.13: shorter than a median is wide
    wanted = [aligned_alone(torch_engine, *one) for one in zip(windows, tokens, seconds)]
    assert len(tokens[0]) > 20 and max(chances.max() for _, chances in wanted) > 0.9
    for forced, smoothed in ((4096, 1536), (100, 20), (1, 1)):
        monkeypatch.setattr("encoders.speech.torch_engine._FORCED_TOGETHER", forced)
        monkeypatch.setattr("encoders.speech.torch_engine._SMOOTHED_TOGETHER", smoothed)
        found = torch_engine.align(windows, "en", tokens, seconds)
        for one, (starts, chances) in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one.starts, starts)
            np.testing.assert_allclose(one.probabilities, chances, atol=1e-5)
    assert torch_engine.align(windows[:0], "en", [], []) == []


@torch.inference_mode()
def aligned_alone(
    engine: TorchEngine, window: torch.Tensor, text: list[int], seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and chances of one window's tokens, as openai/whisper finds them."""
    prompt, end = engine.decoders.prompt("en"), engine.tokenizer("en").eot
    scores, states = engine._forced(window[None], torch.tensor([[*prompt, *text, end]]))
    weights = scores[:, 0, :, : max(1, round(seconds * 100) // 2)].softmax(-1)
    deviation, mean = torch.std_mean(weights, dim=1, keepdim=True, unbiased=False)
    weights = (weights - mean) / deviation.clamp_min(1e-10)
    if weights.shape[2] > 3:
        weights = torch.nn.functional.pad(weights, (3, 3), mode="reflect").unfold(2, 7, 1).median(-1).values
    likeness = weights.mean(0)[len(prompt) - 1 : -1].contiguous()
    chances = engine._network.proj_out(states)[0, len(prompt) - 1 : -2, :end].softmax(-1)
    return token_starts(likeness.numpy()) / 50, chances[range(len(text)), text].numpy()
