"""Corpora: what is drawn is known, what is missing is made, and what a run read in it can be trained on."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pyarrow as pa
import pytest
import torch
from deltalake import write_deltalake
from rich.console import Console

from encoders.adapters.geometry import geometry_of
from encoders.base import FeatureSpan
from encoders.failures import InterlaceError
from encoders.media.sniff import media_type
from encoders.results import Chunk, Line, Page, Speech, quad
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings
from pipelines.storage import Storage
from pipelines.tables import PARTS, as_row, read_table, rows_to_table
from pipelines.tensors import spanned_of, spanned_rows
from pipelines.train.hybrid import train
from pipelines.train.hybrid.assets import recording_file
from pipelines.train.hybrid.batches import batch_of
from pipelines.train.hybrid.corpus import missing, write_corpus
from pipelines.train.hybrid.corpus_block import CorpusPlan, Drawing, write_block
from pipelines.train.hybrid.evidence import answered
from pipelines.train.hybrid.gather import gather, perceived_of
from pipelines.train.hybrid.perceived import load, stored
from pipelines.train.hybrid.prompts import Prompter
from pipelines.train.hybrid.samples import Sample, Task, Turn
from pipelines.train.hybrid.speech.synthesise import Shard
from pipelines.train.hybrid.speech.utterances import Item, Utterance
from pipelines.train.hybrid.speech.voices import GROUPS, RATE
from pipelines.train.hybrid.truth import sample_of
from pipelines.train.script.render import Face
from tests.decoder.tiny import save_tiny
from tests.pipelines.conftest import ARCHIVE
from tests.train.test_hybrid import TASKS, hybrid, page, recipe_of

RECIPE = """
decoder = "{decoder}"
rank = 4
prompt_tokens = 300
[adapters.ocr]
task = "ocr"
d_encoder = 120
d_model = 64
embedding_scale = 0.3
strides = [2, 2, 2, 2]
widths = [24, 24, 32, 32, 32]
rates = [8, 16]
[adapters.speech_to_text]
task = "speech_to_text"
d_encoder = 512
d_model = 64
embedding_scale = 0.3
strides = [5, 5]
widths = [24, 32, 32]
rates = [25]
steps_per_token = 25
[[stages]]
name = "read"
seconds = 40
rows = 2
row_tokens = 384
adapter_rate = 3e-3
decoder_rate = 1e-2
modes = {{ soft = 1.0, both = 1.0 }}
longest_answer = 40
ctc = 0.1
"""


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("fonts")
    target = folder / "training" / "sans" / "DejaVuSans.ttf"
    target.parent.mkdir(parents=True)
    target.symlink_to("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    return (folder,)


def made(plan: CorpusPlan, first: int, last: int) -> dict[str, int]:
    [counts] = write_block(pa.table({"first": [first], "last": [last]}), plan, plan.inputs()).to_pylist()
    return dict(counts)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in (folder / "archive").rglob("*") if p.is_file()}


def bare(sample: Sample) -> Sample:
    """As the truth has it: of faces the file's name alone."""
    documents = tuple(
        tuple(
            replace(
                page,
                lines=tuple(
                    replace(line, face=Face(Path(line.face.path.name), line.face.index)) for line in page.lines
                ),
            )
            for page in pages
        )
        for pages in sample.documents
    )
    return replace(sample, documents=documents)


def spoken(folder: Path) -> Path:
    """What `synthesise` leaves, of one sentence: the memo of the demo archive."""
    folder.mkdir()
    samples, _ = librosa.load(ARCHIVE / "recordings" / "memo-0031.ogg", sr=RATE, duration=8)
    shard = Shard(folder, 0, 0)
    item = Item(0, (Utterance("read/0", 0, "", "A memo.", ("x",)),), (GROUPS["A"][0],), 0, 1.0)
    shard.add(item, [(samples * 32767).astype(np.int16)])
    shard.close()
    return folder


def read_rows(corpus: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `parts` as a run would have written them: every printed line but the first of each page was found."""
    found = []
    for row in rows:
        for name, pages in zip(row["assets"], row["documents"]):
            read, spans, at = [], [], 0
            for number, plan in enumerate(pages, 1):
                lines = tuple(Line(line["text"], quad(*line["box"]), 0.9) for line in plan["lines"][1:])
                read.append(Page(number, plan["width"], plan["height"], "ocr", lines=lines))
                for item in range(len(lines)):
                    spans.append(FeatureSpan(item, at, at := at + 3, number))
            features = np.arange(at * 4, dtype=np.float16).reshape(-1, 4)
            given = {"features": spanned_rows("ocr", features, spans), "pages": [as_row(page) for page in read]}
            found.append({"uri": f"{corpus}/archive/{name}", "range_start": 0.0, "status": "ok", **given})
    return found


def test_what_is_missing_is_made_and_the_truth_tells_what_was_drawn(tmp_path: Path, fonts: tuple[Path, ...]) -> None:
    plan = CorpusPlan(str(tmp_path), fonts, kinds=("letter", "receipt", "pair", "report"))
    storage = Storage(plan.out)
    assert missing(storage, 20) == [(0, 15), (16, 19)]
    assert made(plan, 0, 2)["samples"] == 3
    assert missing(storage, 20) == [(3, 15), (16, 19)] and missing(storage, 3) == []
    before, drawing = files(tmp_path), Drawing(plan)
    assert {media_type(data[:64], b"", name) for name, data in before.items()} <= {
        "application/pdf",
        "image/png",
        "image/jpeg",
    }
    rows = storage.read_parquet(storage.path("truth", "0000000-0000002.parquet")).to_pylist()
    assert [sample_of(row) for row in rows] == [bare(drawing(number)[0]) for number in range(3)]
    assert {f"archive/{name}" for row in rows for name in row["assets"]} == before.keys()
    (tmp_path / sorted(before)[0]).unlink()
    assert missing(storage, 3) == [(0, 2)]  # its truth went with it
    made(plan, 0, 2)
    assert files(tmp_path) == before  # the same bytes again
    with pytest.raises(InterlaceError, match="other fonts"):
        write_block(pa.table({"first": [0], "last": [0]}), plan, "others")


def test_what_a_run_kept_comes_back_as_samples(tmp_path: Path, fonts: tuple[Path, ...]) -> None:
    plan = CorpusPlan(str(tmp_path / "corpus"), fonts, kinds=("letter", "pair"))
    made(plan, 0, 2)
    truth = Storage(plan.out).read_parquet(f"{plan.out}/truth/0000000-0000002.parquet").to_pylist()
    rows = read_rows(tmp_path / "corpus", truth)
    rows[0]["status"] = "failed"
    lake = str(tmp_path / "lake")
    for row in rows:  # a file each, as several batches leave them
        write_deltalake(f"{lake}/parts", rows_to_table([row], PARTS), mode="append")
    told = gather(lake, plan.out, tmp_path / "samples")
    assert (told.samples, told.left_out) == (2, 1)
    assert 0 < told.exact == told.found < told.lines  # a line of each page was not found
    samples = [one for path in stored(tmp_path / "samples") for one in load(path)]
    assert {one.sample.seed for one in samples} == {row["seed"] for row in truth[1:]}
    for one in samples:
        plans = next(sample_of(row).documents for row in truth if row["seed"] == one.sample.seed)
        assert one.sample.documents == plans and one.sample.tasks
        for pages, perception in zip(plans, one.documents, strict=True):
            assert perception.features.shape == (3 * sum(len(page.lines) - 1 for page in pages), 4)
            assert perception.features.dtype == np.float16 and perception.spans[-1].page == len(pages)
    with pytest.raises(InterlaceError, match="name another --out"):
        gather(lake, plan.out, tmp_path / "samples")
    for row in rows:
        row["features"] = None
    write_deltalake(f"{lake}/parts", rows_to_table(rows, PARTS), mode="overwrite")
    with pytest.raises(InterlaceError, match="--keep-features"):
        gather(lake, plan.out, tmp_path / "none")


def test_what_a_run_kept_of_a_recording_is_what_its_adapter_reads(tmp_path: Path) -> None:
    recipe = recipe_of(save_tiny(tmp_path, "llama"))
    model, prompter = hybrid(recipe), Prompter(recipe.decoder, 300, recipe.speech_rates)
    chunks = tuple(Chunk(text, at, at + 0.5, 0.9, "SPEAKER_00") for text, at in (("at noon", 0.2), ("the ship", 1.0)))
    speech, spans = Speech("at noon the ship", "en", 1.0, 2.0, chunks), [FeatureSpan(0, 0, 22), FeatureSpan(1, 22, 50)]
    features = np.random.default_rng(3).normal(size=(50, 10)).astype(np.float16)
    row = {"range_start": 0.0, "status": "ok", "pages": None, "speech": as_row(speech)}
    row["features"] = spanned_rows("speech_to_text", features, spans)
    said = tuple(Turn(chunk.speaker or "", chunk.text) for chunk in chunks)
    asked = tuple(Task(kind, kind, None, answer) for kind, answer in (("field", "noon"), ("who", "SPEAKER_00")))
    call, parts = Sample(0, "call", "en", "", recordings=(said,), tasks=asked), rows_to_table([row], PARTS).to_pylist()
    made = perceived_of(call, [parts])
    assert made is not None and made.sample == call
    (heard,) = made.documents
    assert [task.answer for task in answered((*asked, Task("field", "f", None, "nine")), [heard])] == [
        "noon",
        "SPEAKER_00",
    ]
    two = replace(call, recordings=((said[0], replace(said[1], speaker="SPEAKER_01")),))
    alike = perceived_of(two, [parts])
    assert alike is not None and [task.kind for task in alike.sample.tasks] == ["field"]  # one voice was heard
    batch = batch_of([[prompter.example([page(), heard], TASKS[:1], "both", 2)]], 480, 2, recipe.speech_rates, {})
    with torch.no_grad():
        given = torch.cat(model.given(batch, train._heard(batch, None))["speech_to_text"])
        wanted = model.adapters["speech_to_text"].adapt(features, tuple(spans), geometry_of(heard))
    found = given[batch.soft_from["speech_to_text"]]
    torch.testing.assert_close(found, torch.tensor(wanted.vectors).float(), rtol=2e-3, atol=2e-3)
    assert len(found) == 11 and [len(group.letters) for group in batch.items["speech_to_text"]] == [2]


def test_recordings_are_the_same_file_every_time() -> None:
    samples = np.sin(np.arange(8000, dtype=np.float32) / 9)
    kinds = {recording_file(samples, random.Random(seed)) for seed in range(8)}
    assert {media_type(data[:64]) for _, data in kinds} == {"audio/flac", "audio/wav"}
    assert len(kinds) == 2


@pytest.mark.full
@pytest.mark.usefixtures("ray_cluster")
def test_from_a_corpus_in_object_storage_to_a_training(
    s3: str, tmp_path: Path, fonts: tuple[Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way: generated with Ray Data, read by the encoder pools, features in Parquet, a training on these."""
    kinds = ("lines", "receipt", "letter", "pair", "read")
    plan = CorpusPlan(f"{s3}/corpus", fonts, speech=spoken(tmp_path / "speech"), kinds=kinds)
    assert write_corpus(plan, 12)["samples"] == 12
    assert write_corpus(plan, 20)["samples"] == 8 and write_corpus(plan, 20)["samples"] == 0
    with pytest.raises(InterlaceError, match="another --out"):
        write_corpus(replace(plan, first_seed=1), 20)
    settings = load_settings(None, {"run.keep_features": True, "cluster.num_cpus": 2}, {}).settings
    quiet, lake = Progress(Console(file=(tmp_path / "progress").open("w"))), f"{s3}/lake"
    assert Run(settings, [f"{plan.out}/archive"], lake, quiet).execute().ledger.balanced
    rows = read_table(lake, "parts").to_table(columns=["modality", "features"]).to_pylist()
    widths = {"ocr": 120, "speech_to_text": 512}
    for row in rows:
        task = "speech_to_text" if row["modality"] == "audio" else "ocr"
        kept = spanned_of(row["features"], task)
        assert kept is not None and kept[0].dtype == np.float16 and kept[0].shape == (kept[1][-1].stop, widths[task])
    assert {row["modality"] for row in rows} == {"document", "image", "audio"}
    told = gather(lake, plan.out, tmp_path / "samples")
    assert told.samples == 20 and told.exact > 0.85 * told.lines, told.told()
    (tmp_path / "recipe.toml").write_text(RECIPE.format(decoder=save_tiny(tmp_path / "tiny", "llama")))
    command = [sys.executable, "-m", "pipelines.train.hybrid.train", str(tmp_path / "recipe.toml"), "--loaders", "0"]
    command += ["--corpus", str(tmp_path / "samples"), "--out", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [sum(line["loss"].values()) / len(line["loss"]) for line in log if "loss" in line]
    assert len(losses) >= 2 and np.isfinite(losses).all() and losses[-1] < 0.9 * losses[0], losses
    assert any("hear" in line["loss"] and "ctc" in line["loss"] for line in log if "loss" in line)
    assert (tmp_path / "state.pt").exists()
    with capsys.disabled():
        print(f"{told.told()}; losses {losses}")
