"""Crops to readings: batches by width, the alphabet of each line, and a second look at doubtful ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from encoders.ocr import crops as cropping
from encoders.ocr.batching import halving, require_finite
from encoders.ocr.cropper import Crop, Sheet
from encoders.ocr.crops import Printed
from encoders.ocr.decoding import Reading, decode, unread_columns
from encoders.ocr.geometry import TALL, Corners, read_downwards, read_upwards, sizes_of
from encoders.ocr.networks import ALL, STEP, WESTERN, OcrNetworks, Steps

DOUBTFUL = 0.75
"""Lines read as Latin with less confidence, or with print left unread, are read again among all symbols: a name in
Chinese on an English form is blank to the small alphabet, and the rest of its line reads at 0.98."""

IN_FLIGHT = 2
"""Batches that a GPU has before their readings are waited for. What starts more kernels than the driver's queue holds
(1,024, three or four batches) waits in a busy loop, while waiting for a result lets the core go: beside 14 others a
process spent 0.20 s of its core on a page that takes it 0.05 s of wall clock alone."""

UNREAD = 8
"""Columns of unread print (of a 48 pixel high line) from which a line is read again."""


@dataclass(frozen=True, slots=True)
class Job:
    """A line to read: its page as the networks' cropper has it, where the line is on it, and its script (ISO 15924)."""

    sheet: Sheet
    corners: Corners
    script: str = "Latn"


@dataclass(frozen=True, slots=True)
class Read:
    """A line as recognised."""

    corners: Corners
    printed: Printed
    reading: Reading
    features: NDArray[np.float16] | None


Waiting = tuple[Sequence[int], Callable[[], Steps]]
"""Numbers of lines, and what waits for them to be read."""


class Recogniser:
    """Reads lines with the recogniser network. Raises `MediaError` when the network fails."""

    def __init__(self, networks: OcrNetworks) -> None:
        self._networks = networks

    def __call__(self, jobs: Sequence[Job]) -> list[Read]:
        """One read per job, in order. A line that runs up or down the page is read both ways, the surer one kept."""
        tall = [height >= TALL * width for width, height in sizes_of([job.corners for job in jobs])]
        both = [
            Job(job.sheet, turn(job.corners), job.script)
            for job, is_tall in zip(jobs, tall)
            for turn in ((read_upwards, read_downwards) if is_tall else (np.asarray,))
        ]
        reads = iter(self.along_first_edge(both))
        chosen = []
        for is_tall in tall:
            read = next(reads)
            if is_tall:
                read = max(read, next(reads), key=lambda r: r.reading.confidence)
            chosen.append(read)
        return chosen

    def along_first_edge(self, jobs: Sequence[Job]) -> list[Read]:
        """One read per job, in order, along the first edge of its corners."""
        pages = [list(some) for _, some in groupby(jobs, key=lambda job: id(job.sheet))]
        cut = self._networks.cropper.cut([(page[0].sheet, [job.corners for job in page]) for page in pages])()
        crops = [crop for page in cut for crop in page]
        alphabets = [WESTERN if job.script == "Latn" else ALL for job in jobs]
        reads = self._read(jobs, crops, range(len(jobs)), alphabets)
        doubtful = [i for i, read in reads.items() if alphabets[i] == WESTERN and _is_doubtful(read)]
        for i, again in self._read(jobs, crops, doubtful, [ALL] * len(jobs)).items():
            if _convinces(again.reading, reads[i].reading):
                reads[i] = again
        return [reads[i] for i in range(len(jobs))]

    def _read(
        self, jobs: Sequence[Job], crops: list[Crop], wanted: Sequence[int], alphabets: Sequence[str]
    ) -> dict[int, Read]:
        waiting: deque[Waiting] = deque()
        reads: dict[int, Read] = {}

        def finish(most: int) -> None:
            while len(waiting) > most:
                some, steps = waiting.popleft()
                read = self._reads(steps(), [jobs[i] for i in some], [crops[i] for i in some], alphabets[some[0]])
                reads.update(zip(some, read))

        for alphabet in (WESTERN, ALL):
            mine = [i for i in wanted if alphabets[i] == alphabet]

            def begin(batch: Sequence[int], name: str = alphabet) -> list[Waiting]:
                pixels = [crops[i].pixels for i in batch]
                return [(batch, self._networks.recognise(self._networks.cropper.stack(pixels), name))]

            for batch in cropping.batches_by_width([crops[i].width for i in mine], self._networks.line_batches):
                waiting.extend(halving(begin, [mine[k] for k in batch]))
                finish(IN_FLIGHT)
        finish(0)
        return reads

    def _reads(self, steps: Steps, jobs: Sequence[Job], crops: Sequence[Crop], alphabet: str) -> Iterator[Read]:
        require_finite(steps.confidences, "line recogniser")
        for row, (job, crop) in enumerate(zip(jobs, crops, strict=True)):
            count = -(-crop.width // STEP)  # steps behind the crop, without its padding
            symbols, confidences = steps.symbols[row, :count], steps.confidences[row, :count]
            reading = decode(symbols, confidences, self._networks.characters[alphabet])
            features = None if steps.features is None else steps.features[row, :count]
            yield Read(job.corners, crop.printed, reading, features)


def _is_doubtful(read: Read) -> bool:
    """Whether a line may hold symbols outside the small alphabet."""
    return read.reading.confidence < DOUBTFUL or unread_columns(read.reading, read.printed) >= UNREAD


def _convinces(again: Reading, first: Reading) -> bool:
    """Whether the reading among all symbols replaces the first: it filled in what was blank, or is much surer."""
    east_asian = any(ord(character[0]) >= 0x2E80 for character in again.characters)
    if east_asian and len(again.characters) > len(first.characters):
        return again.confidence >= max(0.7, first.confidence - 0.15)
    return again.confidence >= first.confidence + 0.1
