"""Generated speech for training the hybrid model: calls, pairs, splits, and windows cut from synthesised audio."""

from __future__ import annotations

import gzip
import json
import random
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.hybrid.agreement import same_text
from pipelines.train.hybrid.samples import REFUSAL
from pipelines.train.hybrid.speech.calls import call
from pipelines.train.hybrid.speech.evaluation import FIRST_SEED, evaluation_calls
from pipelines.train.hybrid.speech.fillers import kept_back
from pipelines.train.hybrid.speech.pages import HEIGHT, WIDTH
from pipelines.train.hybrid.speech.pairs import pair, pair_call
from pipelines.train.hybrid.speech.recordings import WINDOW, Recordings, sample_of
from pipelines.train.hybrid.speech.spellings import Spelling
from pipelines.train.hybrid.speech.synthesise import Shard, read_index
from pipelines.train.hybrid.speech.texts import has_held_word, reading
from pipelines.train.hybrid.speech.utterances import TRAINING, Item, Utterance, cast, plan
from pipelines.train.hybrid.speech.voices import GROUPS, RATE, group_of
from pipelines.train.script.render import Face


def test_calls_are_seeded_and_answers_stand_in_what_is_said():
    for seed in range(80):
        sample = call(seed, held_out=seed % 2 == 1)
        assert sample == call(seed, held_out=seed % 2 == 1)
        turns = sample.recordings[0]
        said = " ".join(turn.text for turn in turns)
        assert turns[0].speaker == "SPEAKER_00"
        assert all(a.speaker != b.speaker for a, b in pairwise(turns))
        for task in sample.tasks:
            if task.kind == "unanswerable":
                assert task.answer == REFUSAL
            elif task.schema is not None:
                written = json.loads(task.answer)
                assert list(written) == list(json.loads(task.schema)["properties"])
                assert all(value in said for value in written.values() if value)
            elif task.kind not in ("count", "compare") and not task.answer.startswith("SPEAKER_"):
                assert task.answer in said


def test_held_out_calls_name_people_and_goods_that_training_never_hears():
    for seed in range(100):
        first, last = call(seed).notes["caller"].split()
        assert not kept_back(first) and not kept_back(last)
        held_first, held_last = call(seed, held_out=True).notes["caller"].split()
        assert kept_back(held_first) and kept_back(held_last)


def test_a_pair_agrees_with_its_call_and_its_page():
    faces = [Face(next(Path("/usr/share/fonts").rglob("NotoSans-Regular.ttf")))]
    answers = set()
    for seed in range(60):
        sample = pair(seed, faces)
        assert sample.tasks == pair_call(seed).tasks and sample.recordings == pair_call(seed).recordings
        (page,) = sample.documents[0]
        printed = [line.text for line in page.lines]
        assert all(
            0 <= x0 < x1 <= WIDTH and 0 <= y0 < y1 <= page.height
            for x0, y0, x1, y1 in (line.box for line in page.lines)
        )
        assert page.height >= HEIGHT and any(sample.notes["page total"] in text for text in printed)
        amounts = [
            task.answer
            for task in sample.tasks
            if task.question and "total" in task.question and task.answer in ("yes", "no")
        ]
        same = sample.notes["amount"] == sample.notes["page total"]
        assert all(answer == ("yes" if same else "no") for answer in amounts)
        answers.update(amounts)
    assert answers == {"yes", "no"}


def test_sentences_of_the_evaluation_have_words_that_training_never_reads(tmp_path: Path):
    glosses = [f"to move {word} across a river in winter" for word in words(400)]
    for kind in ("noun", "verb", "adj", "adv"):
        lines = glosses if kind == "noun" else []
        (tmp_path / f"data.{kind}").write_text("".join(f"0 0 n 1 x 0 0 | {gloss}\n" for gloss in lines))
    training = [sentence.text for sentence in reading(0, False, tmp_path)]
    evaluation = list(reading(0, True, tmp_path))
    assert training == [sentence.text for sentence in reading(0, False, tmp_path)]
    assert not any(has_held_word(text) for text in training)
    assert evaluation and all(sentence.held_out for sentence in evaluation)
    known = {word for text in training for word in re.findall("[a-z]+", text)}
    moved = [s.text for s in evaluation if "across a river" in s.text]
    assert moved and all(not set(re.findall("[a-z]+", text)) <= known for text in moved)


def words(count: int) -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(list("abdegiklmnoprstuv"), 8)) for _ in range(count)]


def test_a_call_is_spoken_by_two_voices_of_one_group():
    turns = tuple(Utterance("call/0", place, f"SPEAKER_0{place % 2}", "text", ("x",)) for place in range(4))
    for number in range(60):
        voices = cast(random.Random(number), number, turns)
        assert voices[0] == voices[2] != voices[1] == voices[3]
        assert len({group_of(name) for voice in voices for name in voice.split("+")}) == 1
        assert not set(voices[0].split("+")) & set(voices[1].split("+"))


def test_the_plan_keeps_its_shares_wherever_the_clock_stops_it(tmp_path: Path):
    lines = [{"key": f"read/{n}", "turn": 0, "speaker": "", "text": "t", "phonemes": ["x"]} for n in range(400)]
    for n in range(40):
        turns = [{"turn": place, "speaker": f"SPEAKER_0{place}", "text": "t", "phonemes": ["x"]} for place in (0, 1)]
        lines += [{"key": f"call/{n}"} | turn for turn in turns]
    with gzip.open(tmp_path / TRAINING, "wt") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)
    items = plan(tmp_path, 7)
    assert items == plan(tmp_path, 7) and len(items) == 440
    beginning = items[:110]
    assert 9 <= sum(item.utterances[0].key.startswith("call") for item in beginning) <= 11
    voices = [name for item in beginning for name in item.voices[0].split("+")]
    assert all(voices.count(voice) >= 10 for voice in GROUPS["A"] + GROUPS["B"])


def test_recordings_that_say_something_else_by_now_are_not_evaluated_on(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no recordings to evaluate on"):
        evaluation_calls(tmp_path)
    for seed in (FIRST_SEED, FIRST_SEED + 1):
        turns = call(seed, held_out=True).recordings[0]
        written = [{"speaker": t.speaker, "text": t.text, "start": n, "end": n + 0.5} for n, t in enumerate(turns)]
        if seed == FIRST_SEED:
            written[0]["text"] = "An older wording."
        (tmp_path / f"call-{seed}.json").write_text(json.dumps({"voices": [], "turns": written}))
    ((sample, paths),) = evaluation_calls(tmp_path)
    assert sample.seed == FIRST_SEED + 1 and sample.held_out and sample.recordings[0][1].start == 1
    assert paths == [tmp_path / f"call-{FIRST_SEED + 1}.wav"]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones instead of voices: 24 sentences and 6 calls, four of each group."""
    folder = tmp_path_factory.mktemp("spoken")
    shard, rng = Shard(folder, 0, 0), np.random.default_rng(1)
    groups = [(Utterance(f"read/{n}", 0, "", f"Sentence {n}.", ("x",)),) for n in range(24)]
    for seed in range(6):
        turns = enumerate(call(seed).recordings[0])
        groups.append(tuple(Utterance(f"call/{seed}", n, turn.speaker, turn.text, ("x",)) for n, turn in turns))
    for number, group in enumerate(groups):
        voices = GROUPS["AB"[number % 2]]
        speakers = sorted({utterance.speaker for utterance in group})
        item = Item(number, group, tuple(voices[speakers.index(u.speaker)] for u in group), 0, 1.0)
        tones = [np.sin(np.arange(int(rng.uniform(2, 6) * RATE)) * 0.05) * 9000 for _ in group]
        shard.add(item, [tone.astype(np.int16) for tone in tones])
    shard.close()
    return folder


def test_a_pair_is_compared_value_by_value_in_training_alone():
    answers = {"yes": 0, "no": 0}
    for seed in range(60):
        sample, held = pair_call(seed), pair_call(seed, held_out=True)
        assert not {task.kind for task in held.tasks} & {"count", "list"}
        (goods,) = [task.answer.split("; ") for task in sample.tasks if task.kind == "list"]
        assert [task.answer for task in sample.tasks if task.kind == "count"] == [str(len(goods))]
        for task in sample.tasks:
            if task.kind == "compare" and task.answer in answers:
                answers[task.answer] += 1
            elif task.kind == "compare" and "amount: " in task.answer:
                same = sample.notes["amount"] == sample.notes["page total"]
                assert any(
                    f"amount: {word}" in task.answer for word in (("the same", "yes") if same else ("different", "no"))
                )
    assert 0.7 < answers["yes"] / answers["no"] < 1.4, "neither is the better guess"


def test_a_call_is_spelled_as_whisper_does_and_so_are_its_answers():
    changed = set()
    for seed in range(60):
        sample, spelling = call(seed), Spelling(random.Random(seed))
        said = " ".join(turn.text for turn in spelling.printed(sample.recordings[0]))
        for task, own in zip(sample.tasks, spelling.answered(sample.tasks), strict=True):
            if task.kind in ("field", "when"):
                assert own.answer in said
            changed |= {(task.answer, own.answer)} if own.answer != task.answer and task.schema is None else set()
    assert any(after.endswith(" dollars") for _, after in changed)
    assert all(same_text(after, before) for before, after in changed), "and the measure takes them for the same"


def test_windows_hold_their_turns(spoken: Path):
    recordings = Recordings(spoken)
    for seed in range(8):
        window = recordings.reading(seed)
        assert window.samples.shape == (WINDOW,) and window.samples.dtype == np.float32
        assert np.array_equal(window.samples, recordings.reading(seed).samples)
        assert 0 < np.abs(window.samples).max() <= 0.96
        assert not window.samples[round(window.seconds * RATE) :].any()
        ends = [0.0] + [turn.end for turn in window.turns]
        assert all(
            end <= turn.start < turn.end <= window.seconds for end, turn in zip(ends, window.turns, strict=False)
        )


def test_a_long_call_goes_on_in_the_next_window(spoken: Path):
    recordings = Recordings(spoken)
    several = 0
    for key in recordings.calls:
        heard = recordings.call(key, 3, sample_of(key), augmented=False)
        (whole,) = heard.sample.recordings
        assert [turn.text for turn in whole] == [turn.text for window in heard.windows for turn in window.turns]
        flat = [
            (start, turn, window)
            for start, window in zip(heard.starts, heard.windows, strict=True)
            for turn in window.turns
        ]
        for turn, (start, inside, window) in zip(whole, flat, strict=True):
            assert turn.start == pytest.approx(start + inside.start, abs=1e-3)
            tone = window.samples[round(inside.start * RATE) : round(inside.end * RATE)]
            before = window.samples[max(0, round(inside.start * RATE) - 1000) : round(inside.start * RATE)]
            assert np.abs(tone).mean() > 0.05 and not before.any()
        several += len(heard.windows) > 1
    assert several


def test_folds_leave_out_disjoint_voices(spoken: Path):
    everything = {entry["voice"] for entry in read_index(spoken)}
    a, b = Recordings(spoken, fold="A").voices, Recordings(spoken, fold="B").voices
    assert a and b and not a & b and a | b == everything
    assert all(group_of(voice) == "B" for voice in a)
