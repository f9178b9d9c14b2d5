"""The pieces of the speech encoder that need no whisper network."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from encoders.checkpoints import CheckpointError, resolve
from encoders.results import Chunk, Speaker, Speech, SpokenWord
from encoders.speech.activity import FRAME_SECONDS, ActivityNetwork, ActivityStream, RegionFinder
from encoders.speech.assembly import assemble
from encoders.speech.chunks import chunks_of, contiguous
from encoders.speech.clustering import cluster_voices
from encoders.speech.config import SpeakerConfig
from encoders.speech.diarization import Turn, find_turns, speaker_of
from encoders.speech.engine import Hypothesis
from encoders.speech.guards import compression, is_silence, without_loops
from encoders.speech.listening import Listener
from encoders.speech.matching import match_speakers
from encoders.speech.transcriber import LanguageBelief, Transcript
from encoders.speech.voices import SpeakerNetwork, VoiceEncoder, VoiceWindows, centred, voice_mean
from encoders.speech.warping import running_median, token_starts
from encoders.speech.windows import Piece, RegionCutter, Window, WindowPacker
from encoders.speech.words import TimedWord

MEMO = Path(__file__).parents[2] / "examples" / "archive" / "recordings" / "memo-0031.ogg"


def test_activity_does_not_depend_on_how_audio_is_cut() -> None:
    network = ActivityNetwork(resolve("speech_activity") / "model.onnx")
    samples = (np.random.default_rng(0).standard_normal(40_000) * 3000).astype(np.int16)
    ((_, whole),) = ActivityStream(network).push(samples, last=True)
    for together in (1, 30):
        network.together = together
        stream = ActivityStream(network)
        some = [
            stream.push(samples[:7_001]),
            stream.push(samples[7_001:7_005]),
            stream.push(samples[7_005:], last=True),
        ]
        assert [len(heard) for heard in some] == ([1, 0, 2] if together == 1 else [0, 0, 3])
        pieces, probabilities = zip(*itertools.chain(*some))
        assert [len(own) for own in probabilities] == [13, 0, 66]
        assert np.array_equal(np.concatenate(pieces), samples)
        assert np.allclose(np.concatenate(probabilities), whole, atol=1e-5)


def test_regions_are_the_same_however_much_is_heard_at_once() -> None:
    network = ActivityNetwork(resolve("speech_activity") / "model.onnx")
    samples = soundfile.read(MEMO, dtype="int16", frames=20 * 16_000)[0]
    found = []
    for together in (1, 300):
        network.together = together
        cutter = RegionCutter(ActivityStream(network))
        pushed = [region for at in range(0, len(samples), 48_000) for region in cutter.push(samples[at : at + 48_000])]
        found.append([*pushed, *cutter.finish()])
    assert len(found[0]) > 3
    for one, other in zip(*found, strict=True):
        assert (one.start, one.stop, one.padded_start) == (other.start, other.stop, other.padded_start)
        assert np.array_equal(one.samples, other.samples)


def test_activity_is_what_onnx_runtime_computes() -> None:
    path = resolve("speech_activity") / "model.onnx"
    samples = soundfile.read(MEMO, dtype="int16", frames=15 * 16_000)[0]
    frames = samples[: len(samples) // 512 * 512].reshape(-1, 512).astype(np.float32) / 32768
    contexts = np.concatenate([np.zeros((1, 64), np.float32), frames[:-1, -64:]])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    still = np.zeros((1, 1, 128), np.float32)
    wanted = session.run(None, {"input": np.concatenate([contexts, frames], 1), "h": still, "c": still})[0].reshape(-1)
    ((_, heard),) = ActivityStream(ActivityNetwork(path)).push(samples)
    assert heard.max() > 0.9 and heard.min() < 0.1
    assert np.allclose(heard, wanted, atol=1e-4)


def test_the_file_of_another_network_is_named(tmp_path: Path) -> None:
    node = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=2)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    onnx.save(helper.make_model(helper.make_graph([node], "other", values[:1], values[1:])), tmp_path / "other.onnx")
    with pytest.raises(CheckpointError, match=r"other\.onnx is not silero's network"):
        ActivityNetwork(tmp_path / "other.onnx")


def test_regions_close_after_silence_and_are_cut_at_pauses() -> None:
    finder = RegionFinder(silence=5, longest=40)
    speech = [0.9] * 20 + [0.1] * 4 + [0.9] * 30 + [0.1] * 10 + [0.9] * 2 + [0.0] * 10
    assert [*finder.push(np.array(speech, np.float32)), *finder.finish()] == [(0, 20), (24, 54)]


def test_audio_that_no_region_needs_is_dropped() -> None:
    cutter = RegionCutter(ActivityStream(ActivityNetwork(resolve("speech_activity") / "model.onnx")))
    for _ in range(20):
        assert list(cutter.push(np.zeros(30 * 16_000, np.int16))) == []
    assert len(cutter._buffer) <= 16_000
    assert cutter.seconds == 600
    assert sum(map(len, cutter.probabilities)) == int(600 / FRAME_SECONDS)


def test_window_times_become_part_times() -> None:
    window = Window(np.zeros(0, np.float32), (Piece(0, 10, 2), Piece(2, 50, 3)))
    assert window.to_part(0.5, 1.0) == (10.5, 11.0)
    assert window.to_part(2.5, 3.0) == (50.5, 51.0)
    assert window.to_part(1.9, 2.5) == (50, 50.5)  # held to the piece of its middle


def test_loops_and_silence_are_recognised() -> None:
    words = [TimedWord(f" {text}", i, i + 1, 0.9) for i, text in enumerate(["well", *["so", "it", "is"] * 5])]
    assert "".join(word.text for word in without_loops(words)) == " well so it is"
    said = [TimedWord(f" {text}", i, i + 1, 0.9) for i, text in enumerate(["no", "no", "no", "that", "is", "not"])]
    assert len(without_loops(said)) == len(said)
    assert compression("thank you " * 40) > 2.4 > compression("The handrail on the left side is loose.")
    assert is_silence(Hypothesis((1,), -0.4, 0.95))
    assert not is_silence(Hypothesis(tuple(range(20)), -0.4, 0.95))


def test_chunks_end_with_sentences_breaths_and_speakers() -> None:
    rows = [("I", 0.0, "a"), ("see.", 0.3, "a"), ("Then", 0.7, "a"), ("what?", 1.0, "b"), ("nothing", 4.0, "b")]
    words = [SpokenWord(text, at, at + 0.2, 0.8, who) for text, at, who in rows]
    chunks = chunks_of(words, [True] * len(words))
    assert [chunk.text for chunk in chunks] == ["I see.", "Then", "what?", "nothing"]
    touching = contiguous(chunks)
    assert touching[0].end == touching[1].start
    assert all(one.end <= two.start for one, two in itertools.pairwise(touching))


def test_speakers_are_counted_and_odd_windows_are_not_people() -> None:
    random = np.random.default_rng(0)
    centres = np.eye(8, dtype=np.float32)[:3]
    rows = np.repeat(centres, (40, 30, 30), axis=0) + 0.12 * random.standard_normal((100, 8)).astype(np.float32)
    rows = np.concatenate([rows, -np.eye(8, dtype=np.float32)[5:6]])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = cluster_voices(rows, np.full(101, 0.4), count=None, most=10)
    assert len(set(labels)) == 3
    assert len(set(labels[:40])) == len(set(labels[40:70])) == len(set(labels[70:100])) == 1
    assert set(cluster_voices(rows, np.full(101, 0.4), count=2, most=10)) == {0, 1}


def test_short_windows_do_not_become_speakers() -> None:
    """Two voices turn by turn, then a region too short to know: it is given to one of the two."""
    random = np.random.default_rng(0)
    centre = voice_mean() / np.linalg.norm(voice_mean())
    own = random.standard_normal((3, 256)).astype(np.float32) * 0.1

    def region(voice: int, start: float, length: float, hop: float = 0.4) -> tuple[tuple[float, float], VoiceWindows]:
        starts = np.arange(start, start + max(hop, 4 * hop * (length >= 1)) - 1e-6, hop)
        rows = centre + own[voice] + 0.02 * random.standard_normal((len(starts), 256))
        rows = np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
        span = np.stack([starts, starts + length], axis=1)
        return (start, float(span[-1, 1])), VoiceWindows(span, rows)

    heard = [region(0, 0.0, 1.6), region(1, 4.0, 1.6), region(0, 8.0, 1.6), region(2, 12.0, 0.3)]
    found = find_turns([span for span, _ in heard], [voices for _, voices in heard], SpeakerConfig())
    assert found.voices.shape == (2, 256)
    assert [turn.speaker for turn in found.turns[:3]] == [0, 1, 0]
    assert len(found.turns) == 4
    dense = [region(0, 0.0, 1.6, 0.1), region(1, 4.0, 1.6, 0.1), region(0, 8.0, 1.6, 0.1)]
    assert len(find_turns([span for span, _ in dense], [voices for _, voices in dense], SpeakerConfig()).voices) == 2
    alone = find_turns([heard[3][0]], [heard[3][1]], SpeakerConfig())
    assert alone.voices.shape == (1, 256)


def test_a_short_region_is_heard_at_the_length_that_the_network_knows() -> None:
    encoder = VoiceEncoder(resolve("speaker"), window=1.6, hop=0.4)
    samples = np.random.default_rng(0).standard_normal(8_000).astype(np.float32) * 0.1
    short, long = encoder([(samples, 2.0), (np.tile(samples, 4), 2.0)])
    assert short.spans[0].tolist() == [2.0, 2.51]
    assert len(short.embeddings) == 1
    assert float(short.embeddings[0] @ long.embeddings[0]) > 0.95
    assert np.allclose(np.linalg.norm(centred(long.embeddings), axis=1), 1, atol=1e-5)


def test_voices_do_not_depend_on_the_company_of_a_region() -> None:
    encoder = VoiceEncoder(resolve("speaker"), window=1.6, hop=0.4)
    random = np.random.default_rng(0)
    sizes = (4_000, 16_000 * 2 + 77, 25_600, 100, 16_000 * 15)
    regions = [(random.standard_normal(size).astype(np.float32) * 0.1, float(at)) for at, size in enumerate(sizes)]
    for together, region in zip(encoder(regions), regions):
        (alone,) = encoder([region])
        assert np.array_equal(together.spans, alone.spans)
        assert np.allclose(together.embeddings, alone.embeddings, atol=1e-5)
        assert together.spans[-1, 1] <= region[1] + len(region[0]) / 16_000 + 0.02


def test_voices_are_heard_in_smaller_batches_when_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = VoiceEncoder(resolve("speaker"), window=1.6, hop=0.4)
    region = (np.random.default_rng(0).standard_normal(16_000 * 8).astype(np.float32) * 0.1, 0.0)
    (wanted,) = encoder([region])
    whole = SpeakerNetwork.forward

    def small(network: SpeakerNetwork, mels: torch.Tensor) -> torch.Tensor:
        if len(mels) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(network, mels)

    monkeypatch.setattr(SpeakerNetwork, "forward", small)
    (heard,) = encoder([region])
    assert np.allclose(heard.embeddings, wanted.embeddings, atol=1e-5)


def test_words_without_voices_belong_to_nobody() -> None:
    """An error may come when windows were read already and no batch of voices was heard."""
    activity = ActivityNetwork(resolve("speech_activity") / "model.onnx")
    channel = Listener(RegionCutter(ActivityStream(activity)), WindowPacker(), LanguageBelief("en"), None, [(0.0, 1.0)])
    channel.keep(Window(np.zeros(16_000, np.float32), (Piece(0, 0, 1),)), Transcript([TimedWord(" so", 0, 1, 1)], "en"))
    speech = assemble([channel], 0.0, 1.0, SpeakerConfig()).speech
    assert [(chunk.text, chunk.speaker) for chunk in speech.chunks] == [("so", None)]
    assert speech.speakers == ()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 8), st.integers(0, 2)), min_size=1, max_size=9),
    st.integers(-2, 90),
    st.integers(0, 12),
)
def test_a_word_is_whoevers_turns_it_overlaps_most(drawn: list[tuple[int, int, int]], start: int, length: int) -> None:
    turns, at = [], 0
    for gap, size, speaker in drawn:
        turns.append(Turn(at + gap, at + gap + size, speaker))
        at += gap + size
    shared = {turn.speaker: 0 for turn in turns}
    for turn in turns:
        shared[turn.speaker] += max(0, min(start + length, turn.stop) - max(start, turn.start))
    found, middle = speaker_of(start, start + length, turns), start + length / 2
    if any(shared.values()):
        assert shared[found] == max(shared.values())
    else:
        away = [(max(turn.start - middle, middle - turn.stop), turn.speaker) for turn in turns]
        assert found == min(away, key=lambda one: one[0])[1]


def test_speakers_are_matched_across_parts() -> None:
    one, other = np.eye(4)[0], np.eye(4)[1]

    def part(*voices: tuple[str, np.ndarray]) -> Speech:
        words = [SpokenWord("x", i, i + 1, 1.0, name) for i, (name, _) in enumerate(voices)]
        chunks = tuple(Chunk("x", word.start, word.end, 1.0, word.speaker, (word,)) for word in words)
        return Speech("x", "en", 1.0, 9.0, chunks, tuple(Speaker(name, 1.0, tuple(voice)) for name, voice in voices))

    first = part(("SPEAKER_00", one), ("SPEAKER_01", other))
    second = part(("SPEAKER_00", other * 0.99 + one * 0.1), ("SPEAKER_01", np.eye(4)[2]))
    matched = match_speakers([first, second])
    assert matched[0] == first
    assert [chunk.speaker for chunk in matched[1].chunks] == ["SPEAKER_01", "SPEAKER_02"]
    assert [chunk.words[0].speaker for chunk in matched[1].chunks] == ["SPEAKER_01", "SPEAKER_02"]


def test_warping_finds_the_steps_of_a_staircase() -> None:
    likeness = np.full((4, 40), -1.0, np.float32)
    for token, (start, stop) in enumerate(((0, 10), (10, 13), (13, 30), (30, 40))):
        likeness[token, start:stop] = 1.0
    assert token_starts(likeness).tolist() == [0, 10, 13, 30]


def test_running_median_is_the_median() -> None:
    values = torch.randn(2, 3, 5, 50, generator=torch.Generator().manual_seed(0))
    values[0] = values[0].round()  # many are equal
    assert torch.equal(running_median(values), values.unfold(-1, 7, 1).median(-1).values)
