"""Soft tokens from an adapter of random weights: made beside the encoder, kept in the tables, read by `ask`."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from decoder.fusion import Fusion
from decoder.sequence import SoftSegment
from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.checkpoint import load_adapter, save_adapter
from encoders.adapters.geometry import geometry_of
from encoders.base import FeatureSpan, Perception
from encoders.checkpoints import CheckpointError
from encoders.results import Chunk, Detection, DocumentResult, Line, Page, Speech, quad
from pipelines.adapting import read_adapters
from pipelines.answers import precontext_of, whole_assets
from pipelines.ask import Ask
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import Settings, UsageError, load_settings
from pipelines.soft_tokens import soft_of
from pipelines.storage import Storage
from pipelines.tables import read_table
from tests.decoder.tiny import save_tiny

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
WIDTH = 64  # of the tiny decoder


def saved(folder: Path, d_encoder: int = 120, d_model: int = WIDTH, words: str = "") -> str:
    torch.manual_seed(0)
    slots = {"slots": 2, "words": words} if words else {}
    config = AdapterConfig(task="ocr", d_encoder=d_encoder, d_model=d_model, embedding_scale=0.02, **slots)  # type: ignore[arg-type]
    save_adapter(Adapter(config), folder)
    return str(folder)


def settings(**given: Any) -> Any:
    return load_settings(None, {name.replace("__", "."): value for name, value in given.items()}, {}).settings


def test_an_adapter_comes_back_from_its_folder(tmp_path: Path) -> None:
    name = saved(tmp_path / "adapter")
    adapter, again = load_adapter(name), load_adapter(name)
    assert adapter.config.d_encoder == 120 and not adapter.training
    features, lengths, place = torch.ones(1, 20, 120), torch.tensor([20]), torch.ones(1, 6)
    assert torch.equal(adapter(features, lengths, place), again(features, lengths, place))
    (tmp_path / "adapter" / "weights.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_adapter(name)
    with pytest.raises(CheckpointError, match="holds no adapter"):
        load_adapter(str(tmp_path))


def test_items_have_their_places() -> None:
    line = Line("a", quad(10, 20, 50, 40), 0.5)
    page = Page(2, 100, 200, "ocr", "a", (line, line))
    found = geometry_of(Perception(DocumentResult((page,)), spans=(FeatureSpan(1, 0, 3, 2),)))
    np.testing.assert_allclose(found, [[math.log(2), 0.1, 0.1, 0.5, 0.2, 0.5]], rtol=1e-6)
    speech = Speech("a", "en", 1.0, 90.0, (Chunk("a", 30.0, 45.0, 0.8, "A", ()),))
    heard = geometry_of(Perception(speech, spans=(FeatureSpan(0, 0, 3),)))
    np.testing.assert_allclose(heard, [[0, 0.5, 0, 0.75, 0, 0.8]], rtol=1e-6)
    things = tuple(Detection("cup", quad(0, 0, 50, 100), share, number) for number, share in ((1, 0.9), (2, 0.8)))
    pages = (Page(1, 100, 100, "image"), Page(2, 100, 200, "image"))
    seen = Perception(things, spans=(FeatureSpan(0, 1, 2, 2), FeatureSpan(0, 0, 1, 1)), pages=pages)
    np.testing.assert_allclose(geometry_of(seen)[:, [0, 4, 5]], [[math.log(2), 0.5, 0.8], [0, 1, 0.9]], rtol=1e-6)
    assert geometry_of(Perception(None)).shape == (0, 6)


def test_what_does_not_fit_is_said_before_anything_is_read(tmp_path: Path) -> None:
    def made(**given: Any) -> Run:
        return Run(settings(**given), [str(tmp_path)], str(tmp_path / "out"), Progress(Console(quiet=True)))

    name = saved(tmp_path / "fits")
    none = {"ocr": "", "speech_to_text": ""}
    with pytest.raises(UsageError, match="no adapter makes any"):
        made(adapters=none, run__keep_soft_tokens=True)
    with pytest.raises(UsageError, match=r"say --set adapters\.ocr or adapters\.speech_to_text=CHECKPOINT"):
        made(adapters=none | {"gui_detection": name}, run__keep_soft_tokens=True)
    with pytest.raises(UsageError, match="no task orc"):
        made(adapters={"orc": name})
    with pytest.raises(UsageError, match="120 or 384 numbers, not of 121"):
        made(adapters={"ocr": saved(tmp_path / "wide", 121)}, run__keep_soft_tokens=True)
    with pytest.raises(UsageError, match="features of 390 numbers, not of 120"):
        made(adapters={"gui_detection": name}, run__tasks=["gui_detection"], run__keep_soft_tokens=True)
    kept = made(adapters=none | {"ocr": name}, run__keep_soft_tokens=True)
    assert kept.configs["ocr"].features == "neck"
    plain = made()
    assert kept.fingerprints()["image"] != plain.fingerprints()["image"]
    assert kept.fingerprints()["audio"] == plain.fingerprints()["audio"]  # no other task is read again
    features = made(run__keep_features=True)
    assert (features.configs["ocr"].features, features.configs["speech_to_text"].features) == ("neck", True)
    assert all(features.fingerprints()[kind] != digest for kind, digest in plain.fingerprints().items())
    asked = {"adapters": {"ocr": name}, "run__prompt": "Total?"}
    asked["decoder__checkpoint"] = tiny = str(save_tiny(tmp_path / "decoder", "llama"))
    with pytest.raises(UsageError, match=r"vectors of 32 numbers, and the decoder .*decoder reads 64"):
        made(**asked | {"adapters": {"ocr": saved(tmp_path / "thin", 120, 32)}}, decoder__mode="both")
    text, both = made(**asked), made(**asked, decoder__mode={"ocr": "both"})
    assert not text.adapters and text.configs["ocr"].features == "none"  # nobody reads them, so nobody makes them
    assert both.adapters == {"ocr": name} and both.configs["ocr"].features == "neck"
    assert both.fingerprints() == plain.fingerprints()  # another way to ask reads no page again
    wide = {"adapters": {"ocr": saved(tmp_path / "other", 384)}, "run__prompt": "Total?"}
    other = made(**wide, decoder__checkpoint=tiny, decoder__mode="both")
    questions = [run.question.fingerprint for run in (text, both, other) if run.question is not None]
    assert len(set(questions)) == 3


def test_which_adapter_fits_is_known_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pipelines.adapting import encoder_configs; from pipelines.settings import load_settings; "
        "from encoders.registry import ENCODERS; s = load_settings(None, {}, {}).settings; "
        f"made = encoder_configs(s, ENCODERS, {{'ocr': {saved(tmp_path)!r}}}); "
        "sys.exit(made['ocr'].features != 'neck' or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_default_adapters_are_for_the_default_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings.model_fields["adapters"], "default", {"ocr": "a", "speech_to_text": "b"})
    both = {"decoder__mode": "both"}
    own = settings(adapters__speech_to_text="", **both)
    assert read_adapters(own) == {"ocr": "a"}  # one of them turned off, the other stays
    assert read_adapters(settings(adapters__ocr="c", decoder__checkpoint="d", **both)) == {"ocr": "c"}
    assert read_adapters(settings()) == {}
    monkeypatch.setattr(Settings.model_fields["adapters"], "default", {"gui_detection": "a", "object_detection": "a"})
    foreign = settings(gui_detection__checkpoint="owlv2", adapters__ocr="", **both)
    assert read_adapters(foreign) == {"object_detection": "a"}  # it reads what our own detector has seen


def page(text: str) -> Image.Image:
    image = Image.new("RGB", (500, 160), "white")
    ImageDraw.Draw(image).text((30, 40), text, fill="black", font=ImageFont.truetype(FONT, 28))
    return image


@pytest.mark.full
@pytest.mark.usefixtures("ray_cluster")
def test_ask_reads_what_a_run_would_have_read(tmp_path: Path) -> None:
    archive, quiet = tmp_path / "in", Progress(Console(file=(tmp_path / "progress").open("a"), width=200))
    archive.mkdir()
    page("The total is 12.50").save(archive / "photo.png")
    page("The ship left").save(archive / "scan.pdf", save_all=True, append_images=[page("at noon")])
    (archive / "plain.txt").write_text("nothing was drawn here\n")
    tiny = str(save_tiny(tmp_path / "decoder", "llama"))
    adapter = {"adapters": {"ocr": saved(tmp_path / "adapter", words=tiny)}, "run__pages_per_part": 1}
    kept = {**adapter, "run__keep_soft_tokens": True}
    decoder = {"decoder__checkpoint": tiny, "decoder__dtype": "float32"}
    decoder |= {"decoder__max_new_tokens": 12, "decoder__prompt_tokens": 300, "cluster__num_cpus": 2}
    asked = {"run__prompt": "What is the total?", **decoder}

    def answers(out: str) -> dict[str, tuple[str, float]]:
        rows = read_table(out, "answers").to_table().to_pylist()
        assert all(row["failures"] == [] for row in rows), rows
        return {Path(row["uri"]).name: (row["answer"], row["confidence"]) for row in rows}

    lake, at_once = str(tmp_path / "lake"), str(tmp_path / "at-once")
    assert Run(settings(**kept, **decoder), [str(archive)], lake, quiet).execute().ledger.balanced
    parts = read_table(lake, "parts").to_table().to_pylist()
    stored = {(Path(row["uri"]).name, row["range_start"]): soft_of(row["soft_tokens"], "ocr") for row in parts}
    plain = stored["plain.txt", 0.0]
    assert plain is not None and not len(plain.vectors)  # its text was not recognised
    for name, number in (("photo.png", 1), ("scan.pdf", 1), ("scan.pdf", 2)):
        soft = stored[name, number - 1.0]
        assert soft is not None and soft.vectors.dtype == np.float16
        assert soft.vectors.shape == (soft.spans[-1].stop, WIDTH) and soft.spans[0].page == number
    Ask(settings(**asked, **adapter, decoder__mode="both"), lake, quiet).execute()
    both = answers(lake)
    Run(settings(**adapter, **asked, decoder__mode="both"), [str(archive)], at_once, quiet).execute()
    assert both == answers(at_once) and len(both) == 3
    rows = read_table(at_once, "parts").to_table(columns=["uri", "soft_tokens"]).to_pylist()
    there = {Path(row["uri"]).name for row in rows if row["soft_tokens"]}
    assert there == {"scan.pdf"}  # of two parts, so it was answered from the tables; the others were not kept
    other = {**asked, "run__prompt": "Who left?"}
    Ask(settings(**other, **adapter, decoder__mode="both"), at_once, quiet).execute()
    assert "2 assets were answered from their text alone" in (tmp_path / "progress").read_text()
    fusion = Fusion(settings(**asked, decoder__mode="both").decoder)
    for name in ("photo.png", "scan.pdf", "plain.txt"):
        [asset] = whole_assets(Storage(lake), {str(archive / name)}, soft=True)
        segments = fusion.prompt("What is the total?", None, precontext_of(asset)).segments
        drawn = sum(len(segment) for segment in segments if isinstance(segment, SoftSegment))
        assert drawn == sum(len(soft.vectors) for (own, _), soft in stored.items() if own == name and soft is not None)
