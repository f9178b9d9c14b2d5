"""What a run read in a corpus, features included, with the corpus's truth: what `train --corpus` reads.

    python -m pipelines.train.hybrid.gather s3://bucket/lake s3://bucket/corpus --out FOLDER
    python -m pipelines.train.hybrid.train pipelines/train/hybrid/recipe.toml --corpus FOLDER --out RUN

The run must have kept its features (interlace run CORPUS/archive --out LAKE --keep-features). Lines are those that the
detector found and not the printed ones: answers are values and stay as they are, "where" is answered in words about the
page, and boxes only serve to tell how many printed lines were read.
"""

from __future__ import annotations

import argparse
import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from encoders.base import Perception
from encoders.failures import InterlaceError
from encoders.results import DocumentResult, Page, Speech, extent
from pipelines.rows import page_of, speech_of
from pipelines.storage import Storage
from pipelines.tables import read_batches
from pipelines.tensors import spanned_of
from pipelines.train.hybrid.corpus_block import ARCHIVE, TRUTHS
from pipelines.train.hybrid.perceived import SAMPLES, Perceived, stored
from pipelines.train.hybrid.samples import PagePlan, Sample
from pipelines.train.hybrid.truth import sample_of

_PARTS = 32  # rows of `parts` in memory at once
_COLUMNS = ["uri", "range_start", "status", "pages", "speech", "features"]


@dataclass(slots=True)
class Gathered:
    """What came of it: samples with all their pages, samples without, and printed lines: all, found, read exactly."""

    samples: int = 0
    left_out: int = 0
    lines: int = 0
    found: int = 0
    exact: int = 0

    def told(self) -> str:
        """As a sentence."""
        told = f"{self.samples} samples, {self.left_out} left out because an asset was not read"
        if self.lines:
            found, exact = 100 * self.found / self.lines, 100 * self.exact / self.lines
            told += f"; of {self.lines} printed lines {found:.1f} % were found, {exact:.1f} % read exactly"
        return told


@dataclass(slots=True)
class _Waiting:
    """A sample whose assets have not all come yet: of each its parts."""

    sample: Sample
    assets: list[list[dict[str, Any]]]


def gather(lake: str, corpus: str, out: Path) -> Gathered:
    """Write `Perceived` files into an empty folder. Raises InterlaceError when the lake holds none of the corpus's
    assets, or no features of them."""
    out.mkdir(parents=True, exist_ok=True)
    if any(stored(out)):
        raise InterlaceError(f"{out} holds samples already: name another --out")
    truth, told = _truth(Storage(corpus)), Gathered()
    pending: list[Perceived] = []
    for one in _joined(Storage(lake), truth, told):
        pending.append(one)
        if len(pending) == SAMPLES:
            _write(out, told.samples // SAMPLES, pending)
            pending = []
        told.samples += 1
    if pending:
        _write(out, told.samples // SAMPLES, pending)
    if not told.samples:
        raise InterlaceError(
            f"{lake} holds no features of {corpus}: interlace run {corpus}/{ARCHIVE} --out {lake} --keep-features"
        )
    told.left_out = len(truth) - told.samples
    return told


def _truth(corpus: Storage) -> list[tuple[Sample, list[str]]]:
    """Samples with the names of their assets, each once."""
    found: dict[int, tuple[Sample, list[str]]] = {}
    for path in corpus.files(corpus.path(TRUTHS), ".parquet"):
        for row in corpus.read_parquet(path).to_pylist():
            found[row["sample"]] = sample_of(row), row["assets"]
    return list(found.values())


def _joined(lake: Storage, truth: Sequence[tuple[Sample, list[str]]], told: Gathered) -> Iterator[Perceived]:
    """Samples as soon as all parts of all their assets have come."""
    places: dict[str, tuple[_Waiting, int]] = {}
    for sample, assets in truth:
        waiting = _Waiting(sample, [[] for _ in assets])
        places |= {name: (waiting, number) for number, name in enumerate(assets)}
    expected = Counter(
        uri for batch in read_batches(lake, "parts", columns=["uri"]) for uri in batch["uri"].to_pylist()
    )
    for batch in read_batches(lake, "parts", columns=_COLUMNS, batch_size=_PARTS):
        for row in batch.to_pylist():
            name = "/".join(row["uri"].rsplit("/", 2)[1:])
            if name not in places:
                continue
            waiting, number = places[name]
            waiting.assets[number].append(row | {"of": expected[row["uri"]]})
            if all(parts and len(parts) == parts[0]["of"] for parts in waiting.assets):
                perceived = perceived_of(waiting.sample, waiting.assets)
                waiting.assets = []
                if perceived is not None:
                    _measure(perceived, told)
                    yield perceived


def perceived_of(sample: Sample, assets: Sequence[Sequence[dict[str, Any]]]) -> Perceived | None:
    """A sample with the rows of `parts` of each of its assets; None when one was not read or kept no features."""
    found = tuple(heard_in(parts) if parts[0]["speech"] else read_in(parts) for parts in assets)
    whole = tuple(one for one in found if one is not None)
    if len(whole) < len(found):
        return None
    said = {turn.speaker for turns in sample.recordings for turn in turns}
    heard = {chunk.speaker for one in whole if isinstance(one.result, Speech) for chunk in one.result.chunks}
    if said != heard:  # voices that were not told apart cannot be asked for
        sample = replace(sample, tasks=tuple(task for task in sample.tasks if task.kind not in ("who", "count")))
    return Perceived(sample, whole)


def heard_in(parts: Sequence[dict[str, Any]]) -> Perception | None:
    """A recording of one part; generated ones are minutes long."""
    kept = spanned_of(parts[0]["features"], "speech_to_text")
    if len(parts) > 1 or parts[0]["status"] != "ok" or kept is None:
        return None
    return Perception(speech_of(parts[0]["speech"]), *kept)


def read_in(parts: Sequence[dict[str, Any]]) -> Perception | None:
    """The parts of a document as one perception."""
    pages: list[Page] = []
    rows, spans, position = [], [], 0
    for part in sorted(parts, key=lambda part: part["range_start"] or 0):
        kept = spanned_of(part["features"], "ocr")
        if part["status"] != "ok" or kept is None:
            return None
        pages += map(page_of, part["pages"])
        features, places = kept
        if len(features):
            spans += [replace(span, start=span.start + position, stop=span.stop + position) for span in places]
            rows.append(features)
            position += len(features)
    vectors = np.concatenate(rows) if rows else np.zeros((0, 0), np.float16)
    return Perception(DocumentResult(tuple(pages)), vectors, tuple(spans))


def _measure(one: Perceived, told: Gathered) -> None:
    """Count the printed lines that were found, and those that were read exactly but for white space."""
    for plans, perception in zip(one.sample.documents, one.documents):
        assert isinstance(perception.result, DocumentResult)
        for plan, page in zip(plans, perception.result.pages):
            for line in plan.lines:
                reads = list(_under(line.box, plan, page))
                told.lines += 1
                told.found += bool(reads)
                told.exact += any(_bare(line.text) in _bare(text) for text in reads)


def _under(box: tuple[float, float, float, float], plan: PagePlan, page: Page) -> Iterator[str]:
    """The texts of the lines that lie over the middle of a printed one."""
    x = (box[0] + box[2]) / 2 * page.width / plan.width
    y = (box[1] + box[3]) / 2 * page.height / plan.height
    for line in page.lines:
        left, top, right, bottom = extent(line.quad)
        if left <= x <= right and top <= y <= bottom:
            yield line.text


def _bare(text: str) -> str:
    return "".join(text.split())


def _write(out: Path, number: int, samples: Sequence[Perceived]) -> None:
    partial = out / f"{number:07d}.partial"
    partial.write_bytes(pickle.dumps(list(samples), protocol=5))
    partial.rename(out / f"{number:07d}.samples")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", help="the OUT of interlace run CORPUS/archive --keep-features")
    parser.add_argument("corpus", help="the --out of pipelines.train.hybrid.corpus")
    parser.add_argument("--out", type=Path, required=True, help="a folder for train --corpus")
    given = parser.parse_args()
    try:
        print(gather(given.lake, given.corpus, given.out).told())
    except InterlaceError as error:
        raise SystemExit(f"gather: {error}") from error


if __name__ == "__main__":
    main()
