"""`interlace run --tasks object_detection,gui_detection` from files to tables, alone and beside OCR's rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from pipelines.answers import precontext_of, whole_assets
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings
from pipelines.storage import Storage
from pipelines.tables import read_table

pytestmark = pytest.mark.usefixtures("ray_cluster")
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


def window() -> Image.Image:
    image = Image.new("RGB", (480, 300), "white")
    pen = ImageDraw.Draw(image)
    for x in (40, 200):
        pen.rounded_rectangle((x, 120, x + 120, 160), 6, fill="#2563eb")
        pen.text((x + 34, 130), "Save", fill="white", font=ImageFont.truetype(FONT, 16))
    return image


def test_detections_reach_the_tables_with_their_pages(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    window().save(archive / "window.png")
    window().save(archive / "two.pdf", save_all=True, append_images=[window()])
    settings = load_settings(
        None,
        {
            "run.tasks": ["object_detection", "gui_detection"],
            "cluster.num_cpus": 2,
            "object_detection.min_confidence": 0.2,
            "gui_detection.queries": ["buttons"],
        },
        {},
    ).settings
    quiet = Progress(Console(file=(tmp_path / "progress").open("a"), width=200))
    outcome = Run(settings, [str(archive)], str(tmp_path / "out"), quiet).execute()
    assert outcome.ledger.balanced
    rows = {Path(row["uri"]).name: row for row in read_table(str(tmp_path / "out"), "parts").to_table().to_pylist()}
    assert {row["status"] for row in rows.values()} == {"ok"}
    buttons = rows["window.png"]["gui_elements"]
    assert [item["label"] for item in buttons] == ["buttons", "buttons"]
    assert all(len(item["quad"]) == 8 and 0 < item["confidence"] <= 1 for item in buttons)
    assert rows["window.png"]["objects"] is not None
    assert [page["page"] for page in rows["two.pdf"]["pages"]] == [1, 2]
    assert rows["two.pdf"]["gui_elements"] is None  # interfaces are looked for in images
    [[part]] = whole_assets(Storage(str(tmp_path / "out")), {rows["window.png"]["uri"]})
    asked = {entry.name: entry.result for entry in precontext_of([part])}  # what a question about it is answered from
    assert asked.keys() == {"object_detection", "gui_detection"} and len(asked["gui_detection"]) == 2  # type: ignore[arg-type]
