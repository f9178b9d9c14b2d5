"""`interlace report`: one self-contained HTML page about what a lake holds. No network, no server."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field

from encoders.results import Page
from pipelines.figures import NetworkFigures
from pipelines.ledger import TERMS, read_ledger
from pipelines.records import AssetRecord, read_records
from pipelines.report_figures import read_throughput, read_work
from pipelines.report_sources import SourceReader
from pipelines.report_views import UNSURE, AssetView, asset_view, wanted_pages
from pipelines.runfiles import list_runs
from pipelines.search_output import clock
from pipelines.storage import Storage
from pipelines.tables import read_rows
from pipelines.view import newest_figures, run_names

WAVE_POINTS = 400


class ReportLimits(BaseModel):
    """How much of a lake one page shows; whatever is left out is said on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assets: int = Field(40, ge=1, description="assets shown with what was read in them")
    pages: int = Field(3, ge=1, description="pages shown of one asset; those with evidence come first")
    width: int = Field(1000, ge=200, description="pixels of a page picture's width")
    picture_bytes: int = Field(12_000_000, ge=0, description="page pictures in all; later pages are drawn without")
    sound_bytes: int = Field(500_000, ge=0, description="the largest recording that is carried along")
    wave_seconds: float = Field(1800.0, ge=0, description="the longest recording whose wave form is drawn")


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What was written."""

    path: Path
    size: int
    assets: int
    left_out: int


def write_report(
    out: str | Storage,
    html: str | Path,
    limits: ReportLimits | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> ReportSummary:
    """Write the report of OUT to the file ``html``, whole or not at all. Raises InterlaceError without tables."""
    storage = out if isinstance(out, Storage) else Storage(out)
    limits = limits or ReportLimits()
    overview, chosen = _choose(storage, limits.assets)
    assets = list(_views(storage, chosen, limits, progress or (lambda _: None)))
    left_out = overview["count"] - len(assets)
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            out=storage.out,
            written=datetime.now(UTC),
            overview=overview,
            ledger=read_ledger(storage) if list_runs(storage) else None,
            terms=TERMS,
            work=read_work(storage),
            throughput=read_throughput(storage),
            networks=_networks(storage),
            assets=assets,
            left_out=left_out,
            limits=limits,
            unsure=UNSURE,
        )
    )
    data = page.encode("utf-8", "replace")
    target = Path(html).expanduser().absolute()
    Storage(str(target.parent)).write_bytes(str(target), data)
    return ReportSummary(target, len(data), len(assets), left_out)


def _networks(storage: Storage) -> list[tuple[str, str, NetworkFigures]]:
    """Network, pool and figures of the newest run."""
    figures = newest_figures(storage, run_names(storage))
    by_task = figures.networks.items() if figures is not None else ()
    return [(name, task, network) for task, networks in by_task for name, network in networks.items()]


def _choose(storage: Storage, most: int) -> tuple[dict[str, Any], list[str]]:
    """Counts over all assets, and the uris to show: everything when it fits, else some of every kind, in turn."""
    columns = ["uri", "modality", "media_type", "status", "pages", "seconds", "size"]
    rows = read_rows(storage, "assets", columns=columns).sort_by("uri")
    kinds: dict[tuple[str, str], list[str]] = {}
    for kind in rows.group_by(["status", "media_type"]).aggregate([]).to_pylist():
        same = pc.field("status") == kind["status"]
        name = pc.field("media_type")
        of_kind = rows.filter(same & (name.is_null() if kind["media_type"] is None else name == kind["media_type"]))
        kinds[kind["status"], kind["media_type"] or ""] = of_kind["uri"].slice(0, most).to_pylist()
    queues = [iter(uris) for _, uris in sorted(kinds.items())]
    chosen: list[str] = []
    while queues and len(chosen) < most:
        for queue in list(queues):
            uri = next(queue, None)
            if uri is None:
                queues.remove(queue)
            elif len(chosen) < most:
                chosen.append(uri)
    overview = {
        "count": rows.num_rows,
        "status": Counter(rows["status"].to_pylist()),
        "modality": Counter(name or "unknown" for name in rows["modality"].to_pylist()),
        "pages": pc.sum(rows["pages"]).as_py() or 0,
        "seconds": pc.sum(rows["seconds"]).as_py() or 0.0,
        "bytes": pc.sum(rows["size"]).as_py() or 0,
    }
    return overview, chosen


def _views(
    storage: Storage, chosen: list[str], limits: ReportLimits, progress: Callable[[str], None]
) -> Iterator[AssetView]:
    """The chosen assets in order of uri; pictures until their budget is spent."""
    budget = limits.picture_bytes
    records = sorted(read_records(storage, uris=chosen, first_pages=limits.pages), key=_order)
    with SourceReader(limits.width) as sources:
        for number, record in enumerate(records):
            progress(record.uri)
            pages: list[Page] = wanted_pages(record, limits.pages)
            pictures = sources.pictures(record, pages) if pages and budget > 0 else {}
            budget -= sum(picture.size for picture in pictures.values())
            sound, wave = None, []
            if record.speech is not None:
                sound = sources.sound(record, limits.sound_bytes)
                wave = sources.wave(record, WAVE_POINTS, limits.wave_seconds)
            yield asset_view(number, record, pages, pictures, sound, wave)


def _order(record: AssetRecord) -> tuple[bool, str]:
    return record.status == "failed", record.uri


# -- the template -----------------------------------------------------------------------------------------------------
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "script_json": script_json,
        "clock": clock,
        "number": number,
        "duration": duration,
        "bytes": size,
        "tone": tone,
    }
    environment.globals["resource"] = resource
    return environment


def resource(name: str) -> Markup:
    """The text of a style sheet or script that lies beside this module."""
    return Markup((Path(__file__).parent / name).read_text("utf-8"))


def script_json(value: Any) -> Markup:
    """JSON that cannot end its script element or begin a comment in it, whatever a file says."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def number(value: float) -> str:
    """A count with thin spaces between thousands; small fractions keep one or two places."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Seconds in the two units that matter."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole // 60 % 60} min"


def size(count: float) -> str:
    """Bytes in the unit that fits."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def tone(confidence: float) -> str:
    """The colour of a confidence as CSS: the same scale as in report.js."""
    share = min(max((confidence - 0.5) / 0.5, 0.0), 1.0)  # cubed: most of what is read lies above 0.9
    return f"hsl({8 + 164 * share**3:.0f} {72 - 12 * share:.0f}% var(--tone))"
