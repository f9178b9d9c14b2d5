"""What the loaders of the hybrid model's training make of perceived samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pipelines.train.hybrid.batches import batch_of
from pipelines.train.hybrid.cuts import cut
from pipelines.train.hybrid.perceived import Perceived
from pipelines.train.hybrid.prompts import Prompter
from pipelines.train.hybrid.samples import PagePlan, PrintedLine, Sample, Task
from pipelines.train.script.render import Face
from tests.decoder.tiny import save_tokenizer
from tests.train.test_hybrid import page


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    loaded: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(folder)
    return loaded


@pytest.mark.parametrize("mode", ["text", "soft", "both"])
def test_lines_cut_one_by_one_ask_for_what_each_says(tokenizer: PreTrainedTokenizerFast, mode: str) -> None:
    printed = ("The total amount", "of the invoice is 12.50", "Sea Ltd", "never read", "tea")
    face = Face(Path("a.ttf"))
    tops = (200, 280, 360, 400, 440)  # the page was read at half the size that it was printed in
    lines = tuple(PrintedLine(text, (200, top, 900, top + 60), face, 40) for text, top in zip(printed, tops))
    whole = Task("read", "What does it say?", None, " ".join(printed))
    sample = Sample(7, "lines", "en", "prose", ((PagePlan(2000, 2800, lines),),), (), (whole,))
    prompter = Prompter(tokenizer.name_or_path, 300, {"ocr": 2, "speech_to_text": 5})
    parts = list(cut(Perceived(sample, (page(),)), 1))
    assert [part.sample.tasks[0].answer for part in parts] == [text for text in printed if text != "never read"]
    for part, steps in zip(parts, (5, 9, 4, 6)):
        (perception,) = part.documents
        example = prompter.example([perception], part.sample.tasks, mode, 2)
        assert len(example.soft) == (0 if mode == "text" else -(-steps // 2))
        shown = tokenizer.decode([token for token in example.prefix if token >= 0])
        assert [text in shown for text in printed] == [
            mode != "soft" and text == part.sample.tasks[0].answer for text in printed
        ]
        batch = batch_of([[example]], 300, 2, prompter.rates, {})
        features = batch.items["ocr"][0].rows[0, :steps].numpy() if mode != "text" else None
        at = perception.spans[0].start
        assert features is None or np.array_equal(features, page().features[at : at + steps])
    pairs = [part.sample.tasks[0].answer for part in cut(Perceived(sample, (page(),)), 2)]
    assert pairs == ["The total amount of the invoice is 12.50", "Sea Ltd tea"]
