"""One tiny evaluation from pictures to the table: real OCR, a random adapter, a random decoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from benchmarks.hybrid import __main__ as command
from benchmarks.hybrid import receipts as rows
from benchmarks.hybrid.columns import Softener
from benchmarks.hybrid.perceived import Reader
from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.checkpoint import save_adapter
from encoders.base import MediaInput, Perception
from encoders.failures import Failure, FailureCategory
from encoders.results import DocumentResult
from tests.decoder.tiny import save_tiny

FIELDS = {"company": "NORTH SEA TRADERS", "date": "12/02/2018", "total": "48.20", "address": "7 HARBOUR ROAD"}


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny(tmp_path_factory.mktemp("tiny"), "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 2048}))
    return folder


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("adapter")
    config = AdapterConfig(
        task="ocr", d_encoder=120, d_model=64, embedding_scale=0.3, widths=(16, 16, 24, 24), rates=(4, 8)
    )
    save_adapter(Adapter(config), folder)
    return folder


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("receipts")
    rows = []
    for index in range(2):
        image = Image.new("RGB", (520, 420), "white")
        for line, text in enumerate(FIELDS.values()):
            ImageDraw.Draw(image).text((40, 40 + 80 * line), text, "black", ImageFont.load_default(32))
        image.save(folder / f"{index}.jpg")
        rows.append({"file": f"{index}.jpg", "truth": {"fields": FIELDS}})
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def evaluate(monkeypatch: pytest.MonkeyPatch, out: Path, *arguments: str) -> dict[str, Any]:
    monkeypatch.setattr("sys.argv", ["hybrid", "--out", str(out), *arguments])
    command.main()
    table: dict[str, Any] = json.loads((out / "table.json").read_text())
    return table


def test_evaluation_from_pictures_to_the_table(
    decoder: Path,
    adapter: Path,
    receipts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = ["--baseline", str(decoder), "--checkpoint", str(decoder), "--adapters", f"ocr={adapter}"]
    asked = ["--rows", "receipts,chats", "--receipts", str(receipts), "--limit", "1", "--modes", "soft,soft@4"]
    for questions in ("_QUESTIONS", "_ABSENT"):  # one of each: a random decoder writes long answers
        monkeypatch.setattr(rows, questions, dict(list(getattr(rows, questions).items())[:1]))
    table = evaluate(monkeypatch, tmp_path, *models, *asked)
    row = table["rows"]["receipts: total, question"]
    assert list(row) == ["zero-shot", "soft", "soft@4", "default"] and row["soft"]["count"] == 1
    tokens = [row[column]["prompt_tokens"] for column in ("soft", "soft@4", "zero-shot")]
    assert tokens == sorted(tokens) and len(set(tokens)) == 3
    assert table["rows"]["receipts: valid JSON"]["soft"]["value"] == 1
    assert table["rows"]["receipts: refused, question"]["soft"]["count"] == 1
    receipts_rows = [name for name in table["rows"] if name.startswith("receipts: ")]
    assert set(table["groups"]["half"]) == {f"{name} (looked at)" for name in receipts_rows}
    surprise = table["rows"]["chats: surprise, every day"]
    assert list(surprise) == ["zero-shot", "soft", "default"] and surprise["zero-shot"]["value"] > 0
    assert surprise["soft"]["value"] == surprise["zero-shot"]["value"]  # it is the same decoder
    assert table["rows"]["chats: as the base, generated"]["soft"]["value"] == 1
    assert {one["soft"] for one in table["chats"]} == {one["zero-shot"] for one in table["chats"]}
    printed = capsys.readouterr().out
    assert "receipts: total, question" in printed and "wanted >= 0.9" in printed

    assert len(list((tmp_path / "perceived").rglob("*.npz"))) == 1


def test_without_a_trained_checkpoint_or_receipts_it_says_so(
    decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.hybrid.trained.decoder", lambda model: None)
    table = evaluate(
        monkeypatch, tmp_path, "--rows", "receipts", "--receipts", str(tmp_path / "none"), "--baseline", str(decoder)
    )
    said = capsys.readouterr()
    assert table["rows"] == {} and "only the untrained decoder is asked" in said.err
    assert f"no receipts at {tmp_path / 'none'}" in said.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "receipts,invoices"], "there is no invoices"),
        (["--modes", "text,hard"], "hard is no mode"),
        (["--adapters", "weights"], "say TASK=CHECKPOINT"),
    ],
)
def test_what_is_unknown_is_named(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["hybrid", *arguments])
    with pytest.raises(SystemExit):
        command.main()
    assert said in capsys.readouterr().err


class Blind:
    """An encoder that reads nothing, and says why."""

    name = "ocr"
    calls = 0

    def fingerprint(self) -> str:
        return "0" * 64

    def load(self, device: str = "cpu") -> None:
        pass

    def __call__(self, parts: Sequence[MediaInput]) -> list[Perception]:
        self.calls += 1
        return [Perception(None, failures=(Failure(FailureCategory.CORRUPT, "open", "no picture"),))] * len(parts)

    def parameters(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


def test_what_cannot_be_read_is_asked_about_without_it_and_not_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = Blind()
    first, again = (Reader(encoder, tmp_path).read([("image/png", b"x")], "pages")[0] for _ in range(2))
    assert first.perception.result == again.perception.result == DocumentResult(())
    assert encoder.calls == 1 and "no picture" in capsys.readouterr().err
    (context,) = Softener({}).precontext([first], "both")
    assert context.soft is None and context.name == "ocr"
