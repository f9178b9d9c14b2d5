"""Answers by the default decoder, whole: prompt, generation, confidence, evidence."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator

import pytest

from decoder.answer import Answer, Answerer, AnswerTask
from decoder.calibration import Grounds, Signals, calibration_of
from decoder.confidence import leaves, token_ends
from decoder.config import DecoderConfig
from decoder.fingerprint import answer_fingerprint, decoder_fingerprint
from decoder.precontext import Precontext
from decoder.sequence import Finish, Generation
from encoders.failures import FailureCategory
from tests.decoder.pages import document

LETTER = document(
    ["Harbour Office", "Invoice number 7731", "Date: 14 March 2021", "The total amount is 48.20 dollars.", "Thank you."]
)
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"total": {"type": "number"}, "date": {"type": "string", "maxLength": 20}},
        "required": ["total", "date"],
        "additionalProperties": False,
    }
)


@pytest.fixture(scope="module")
def answerer() -> Iterator[Answerer]:
    config = DecoderConfig(dtype="float32", prompt_tokens=256, max_new_tokens=40)
    answerer = Answerer(config)
    answerer.load()
    yield answerer
    answerer.close()


@pytest.fixture(scope="module")
def answers(answerer: Answerer) -> list[Answer]:
    read = (Precontext("ocr", LETTER, "part-1"),)
    return answerer.answer(
        [
            AnswerTask("letter.pdf", "What is the total amount?", None, read),
            AnswerTask("letter.pdf", None, SCHEMA, read),
            AnswerTask("letter.pdf", "Why?", '{"type": "string", "pattern": "["}', read),
            AnswerTask("letter.pdf", None, None, read),
        ]
    )


def test_a_question_is_answered_with_its_evidence(answers: list[Answer]) -> None:
    answer = answers[0]
    assert "48.20" in answer.text and 0.2 < answer.confidence <= 1 and not answer.failures
    assert any("48.20" in e.value and e.page == 1 and e.quad and e.part_id == "part-1" for e in answer.evidence)
    assert answer.precontext == ("ocr",) and not answer.truncated


def test_a_schema_is_answered_leaf_by_leaf(answers: list[Answer]) -> None:
    answer = answers[1]
    value = json.loads(answer.text)
    assert value["total"] == 48.2
    assert [leaf.path for leaf in answer.leaves] == ["/total", "/date"]
    total = answer.leaves[0]
    assert total.seen and total.value == 48.2 and 0.05 < total.confidence < 1
    assert [(e.value, e.page) for e in answer.evidence if e.path == "/total"] == [("48.20", 1)]


def test_what_cannot_be_asked_is_a_failure_of_its_own(answers: list[Answer]) -> None:
    for answer in answers[2:]:
        assert answer.text == "" and answer.confidence == 0
        assert [failure.category for failure in answer.failures] == [FailureCategory.UNSUPPORTED]
        assert answer.failures[0].stage == "answer"


def test_a_cut_document_says_so(answerer: Answerer) -> None:
    long = document(
        [f"Paragraph {i} is about ropes and tides." for i in range(80)] + ["The harbour master is Ann Lee."]
    )
    task = AnswerTask("long.pdf", "Who is the harbour master?", None, (Precontext("ocr", long, "p"),))
    prepared = pickle.loads(pickle.dumps(answerer.prepare(task)))
    assert prepared.truncated and len(prepared.request) <= 256
    said = Generation("Ann Lee.", (5, 6), (-0.1, -0.2), Finish.STOP, 200, -0.3)
    answer = answerer.finish(prepared, said)
    assert answer.truncated and answer.note.startswith("read ") and "of 81 passages" in answer.note
    assert answer.evidence[0].value == "Ann Lee."
    signals = Signals(-0.6, Grounds.QUOTED, read=0.9)
    assert answer.confidence == pytest.approx(calibration_of("decoder").confidence(signals), abs=1e-6)
    assert not answerer.finish(prepared, Generation("", (), (), Finish.CANCELLED, 9)).text


def test_leaves_know_their_characters_and_tokens(answerer: Answerer) -> None:
    text = '{"a": {"b/c": [1, -2.5e3, true, null]}, "d": "caf\\u00e9 \\"x\\"", "e": {}, "f": [], "g": "日本語"}'
    found = leaves(text)
    assert [(leaf.path, leaf.value) for leaf in found] == [
        ("/a/b~1c/0", 1),
        ("/a/b~1c/1", -2500.0),
        ("/a/b~1c/2", True),
        ("/a/b~1c/3", None),
        ("/d", 'café "x"'),
        ("/g", "日本語"),
    ]
    assert [json.loads(text[leaf.start : leaf.stop]) for leaf in found] == [leaf.value for leaf in found]
    tokenizer = answerer.fusion.tokenizer
    tokens = tokenizer.encode(text)
    ends = token_ends(tokenizer, tokens)
    assert ends[-1] == len(text) and ends == sorted(ends) and len(ends) == len(tokens)


def test_fingerprints_follow_what_shapes_an_answer() -> None:
    config = DecoderConfig()
    one = answer_fingerprint(config, "Total?", SCHEMA)
    assert one == answer_fingerprint(config, "Total?", json.dumps(json.loads(SCHEMA), indent=2))
    assert one == answer_fingerprint(config.model_copy(update={"threads": 4, "max_sequences": 2}), "Total?", SCHEMA)
    others = [
        answer_fingerprint(config, "Sum?", SCHEMA),
        answer_fingerprint(config, "Total?", None),
        answer_fingerprint(config.model_copy(update={"max_new_tokens": 7}), "Total?", SCHEMA),
        answer_fingerprint(DecoderConfig(mode="both"), "Total?", SCHEMA),
        answer_fingerprint(DecoderConfig(mode={"ocr": "both"}), "Total?", SCHEMA),
        decoder_fingerprint(config),
    ]
    assert len({one, *others}) == 7
    assert one == answer_fingerprint(DecoderConfig(mode={"ocr": "text"}), "Total?", SCHEMA)


def test_confidence_follows_the_grounds_of_a_value() -> None:
    for calibration in (calibration_of("decoder"), calibration_of("some/other")):
        likely, unlikely = (calibration.confidence(Signals(p, Grounds.SEEN)) for p in (-0.05, -3.0))
        assert 0 < unlikely < likely < 1
        assert calibration.confidence(Signals(-0.05, Grounds.UNSEEN)) < likely
        assert calibration.confidence(Signals(-0.05, Grounds.SEEN, read=0.5)) == pytest.approx(likely / 2)
        assert 0 < calibration.confidence(Signals(float("-inf"), Grounds.CONCLUSION)) < 0.2


def test_a_value_that_the_input_lacks_is_marked_and_has_no_evidence(answerer: Answerer) -> None:
    task = AnswerTask("letter.pdf", None, SCHEMA, (Precontext("ocr", LETTER, "part-1"),))
    text = '{"total": 99.5, "date": "2021-03-14"}'
    tokens = tuple(answerer.fusion.tokenizer.encode(text))
    written = Generation(text, tokens, (-0.05,) * len(tokens), Finish.STOP, 50)
    answer = answerer.finish(answerer.prepare(task), written)
    total, day = answer.leaves
    assert not total.seen and day.seen and total.confidence < day.confidence
    assert answer.confidence == total.confidence  # the whole is as sure as its least sure value
    assert [(e.path, e.value, e.page) for e in answer.evidence] == [("/date", "14 March 2021", 1)]
