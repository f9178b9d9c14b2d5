"""Answers on file: what is read of them again is what was answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hybrid import recorded
from benchmarks.hybrid.asking import Reply
from benchmarks.hybrid.confidences import values
from benchmarks.hybrid.judged import asked_of
from benchmarks.hybrid.perceived import Input
from decoder.answer import Answerer, AnswerTask, Prepared
from decoder.config import DecoderConfig
from decoder.precontext import Precontext
from decoder.sequence import Finish, Generation
from encoders.base import Perception
from pipelines.train.hybrid.samples import Task
from tests.decoder.pages import document

TASKS = (Task("field", "What is the total?", None, "12.50"), Task("field", "And the tax?", None, "1.25"))


def test_answers_on_file_say_the_same_of_their_values(tmp_path: Path) -> None:
    page = Input("ocr", "a", Perception(document(["The total is 12.50"])))
    first, second = asked_of("documents", TASKS, (page,), {})
    answerer = Answerer(DecoderConfig())
    task = AnswerTask("a", first.question, None, (Precontext("ocr", document(["The total is 12.50"]), "a"),))
    said = Generation("12.50", (1, 2), (-0.1, -0.25), Finish.STOP, 20, -0.0125)
    reply = Reply(first, Prepared(task, None), said, answerer.finish(Prepared(task, None), said))
    file = recorded.file_of(tmp_path, "documents", "text")
    recorded.save(file, [reply, Reply(second, Prepared(task, None), None, answerer.finish(Prepared(task, None), None))])
    again, nothing = recorded.load(file, [first, second], answerer)
    assert again.generation == said and again.answer == reply.answer and nothing.generation is None
    assert list(values([again, nothing], answerer)) == list(values([reply], answerer))
    with pytest.raises(ValueError, match="other questions"):
        recorded.load(file, [second, first], answerer)
