"""What travels to another machine, and the table's rows over several processes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.hybrid import __main__ as command
from benchmarks.hybrid import losses, material, reading
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.perceived import Input
from benchmarks.hybrid.spread import _seeing, jobs
from benchmarks.hybrid.table import Report
from decoder.config import DecoderConfig
from decoder.sequence import SoftSegment, TextSegment
from encoders.base import FeatureSpan, Perception
from encoders.results import Speech
from pipelines.train.hybrid.samples import Sample, Task
from tests.decoder.pages import document
from tests.decoder.tiny import save_tiny

RNG = np.random.default_rng(0)


def materials() -> list[Material]:
    features = RNG.normal(size=(40, 120)).astype(np.float16)
    seen = Input("ocr", "a", Perception(document(["total 4.20"]), features, (FeatureSpan(0, 0, 40),)))
    heard = Input("speech_to_text", "b", Perception(Speech("hello", "en", 1.0, 2.0)))
    task = Task("field", "How much?", None, "4.20")
    return [
        Material(Sample(7, "pair", "en", "x", tasks=(task,)), (seen, heard)),
        Material(Sample(8, "y", "en", "z"), ()),
    ]


def test_a_kit_gives_back_what_was_read(tmp_path: Path) -> None:
    made = materials()
    assert not material.there(tmp_path, "pairs")
    assert material.save(tmp_path, "pairs", made) == sum(path.stat().st_size for path in tmp_path.iterdir())
    first, second = material.load(tmp_path, "pairs")
    assert (first.sample, second.sample) == (made[0].sample, made[1].sample)
    (seen, heard), (was, _) = first.inputs, made[0].inputs
    assert (seen.name, heard.name) == ("ocr", "speech_to_text")
    assert seen.perception.result == was.perception.result and seen.perception.spans == was.perception.spans
    gap = np.abs(seen.perception.features.astype(np.float32) - was.perception.features.astype(np.float32))
    assert gap.max() < 0.05 and not len(heard.perception.features)
    assert len(material.load(tmp_path, "pairs", 1)) == 1


def test_rows_are_spread_by_column_and_long_ones_come_first() -> None:
    rows = ("receipts", "reading", "documents", "calibration")
    found = [(job.row, job.columns) for job in jobs(rows, ("text", "soft@8"), "soft@8")]
    assert [job.columns for job in jobs(["chats"], ("zero-shot", "text", "soft"), None)] == [("zero-shot", "text")]
    assert found == [
        ("documents", ("text",)),
        ("documents", ("soft@8",)),
        ("reading", ("soft@8",)),
        ("receipts", ("text",)),
        ("receipts", ("soft@8",)),
    ]


def test_a_process_sees_its_card_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    with _seeing("cuda:1") as name:
        assert (name, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "5")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with _seeing("cuda:3"):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_reports_of_processes_become_one() -> None:
    whole, part = Report(lines=["said"]), Report(lines=["said", "more"], extras={"speed": 1})
    part.add("soft", [Outcome("reading: loss", Measure.LOSS, 6.0, "a", of=2), Outcome("b: c", Measure.RATE, 1, "a")])
    whole.join(part)
    assert whole.lines == ["said", "more"] and whole.extras == {"speed": 1}
    assert whole.rows()["reading: loss"]["soft"].value == 3 and "3.00 (3.00-3.00)" in whole.text()


def test_losses_do_not_depend_on_what_runs_beside(tmp_path: Path) -> None:
    told = losses.AnswerLosses(DecoderConfig(checkpoint=str(save_tiny(tmp_path, "llama"))), "cpu")
    soft = SoftSegment(RNG.normal(size=(3, 64)).astype(np.float16))
    prompts = [[TextSegment.of([1, 2]), soft], [TextSegment.of([3, 4, 5, 6, 7, 8, 9])]]
    both = told.of(prompts, [[4, 5, 6], [7]])
    alone = [told.of([prompt], [answer])[0] for prompt, answer in zip(prompts, [[4, 5, 6], [7]], strict=True)]
    assert both == pytest.approx(alone, rel=1e-2)


def test_features_of_others_keep_their_place() -> None:
    inputs = [materials()[0].inputs[0] for _ in range(2)]
    found = reading._variants(inputs)
    assert [own[0].perception.features.shape for own in found.values()] == [(40, 120)] * 3
    assert (found["features of others"][0].perception.features == inputs[1].perception.features).all()
    assert not found["no features"][0].perception.features.any()
    assert len({own[0].key for own in found.values()}) == 3


@pytest.mark.full
def test_the_table_from_two_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decoder = save_tiny(tmp_path / "tiny", "llama")
    config = json.loads((decoder / "config.json").read_text())
    (decoder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 2048}))
    fields = {"total": "4.20", "date": "12/02/2018", "company": "NORTH", "address": "7 ROAD"}
    receipts = [
        Material(Sample(n, "receipt", "en", "other half", notes=fields), materials()[0].inputs[:1]) for n in (0, 1)
    ]
    material.save(tmp_path / "kit", "receipts", receipts)
    models = ["--baseline", str(decoder), "--checkpoint", str(decoder), "--adapters", "", "--modes", "text"]
    where = ["--kit", str(tmp_path / "kit"), "--out", str(tmp_path), "--rows", "receipts", "--limit", "1"]
    monkeypatch.setattr("sys.argv", ["hybrid", *models, *where, "--devices", "cpu", "cpu"])
    command.main()
    row = json.loads((tmp_path / "table.json").read_text())["rows"]["receipts: total, question"]
    assert row["zero-shot"]["count"] == row["text"]["count"] == 1
    assert "receipts text" in capsys.readouterr().err
