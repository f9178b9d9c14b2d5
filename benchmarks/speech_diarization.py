"""Who speaks when, on the development conversations: diarization error with and without overlap, speaker counts.

    python -m benchmarks.speech_diarization [--folder ../shared/data/dev/conversations]

Pooled over the clips, pyannote.metrics with collar 0.5 s (half-width 0.25 s). ``chunks`` is what a table holds. The
one-speaker row gives every chunk to one speaker. Read the speaker count with care: on nine clips, some of whose
speakers say less than half a second, moving the regions by a twentieth of a second moves it by one or two.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from benchmarks.figures import judge
from encoders.base import MediaInput
from encoders.results import Speech
from encoders.speech.config import SpeechConfig
from encoders.speech.encoder import SpeechEncoder

Spans = list[tuple[float, float, str]]


def annotation(spans: Spans) -> Annotation:
    made = Annotation()
    for index, (start, end, label) in enumerate(spans):
        if end > start:
            made[Segment(start, end), index] = label
    return made


def pooled(truths: Sequence[Spans], guesses: Sequence[Spans], seconds: Sequence[float]) -> dict[str, float]:
    """Diarization error with and without overlap, and its parts."""
    full = DiarizationErrorRate(collar=0.5)
    alone = DiarizationErrorRate(collar=0.5, skip_overlap=True)
    for truth, guess, length in zip(truths, guesses, seconds):
        whole = Timeline([Segment(0, length)])
        full(annotation(truth), annotation(guess), uem=whole)
        alone(annotation(truth), annotation(guess), uem=whole)
    parts = {
        name: full.accumulated_[name] / full.accumulated_["total"]
        for name in ("missed detection", "false alarm", "confusion")
    }
    return {"with overlap": abs(full), "without": abs(alone), **parts}


def spans_of(speech: Speech, one: bool = False) -> Spans:
    return [(chunk.start, chunk.end, "one" if one else str(chunk.speaker)) for chunk in speech.chunks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("../shared/data/dev/conversations"))
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    rows = [json.loads(line) for line in (options.folder / "labels.jsonl").read_text().splitlines()]
    encoder = SpeechEncoder(SpeechConfig())
    encoder.load(options.device)
    parts = [MediaInput(row["id"], row["file"], "audio/flac", path=options.folder / row["file"]) for row in rows]
    speeches = [perception.result for perception in encoder(parts)]
    encoder.close()
    assert all(isinstance(speech, Speech) for speech in speeches)
    truths = [[(s["start"], s["end"], s["speaker"]) for s in row["truth"]["segments"]] for row in rows]
    seconds = [speech.duration for speech in speeches]
    results = {}
    for name, one in (("chunks", False), ("one speaker", True)):
        results[name] = pooled(truths, [spans_of(speech, one) for speech in speeches], seconds)
        print(f"{name:12}", "  ".join(f"{key} {value:.3f}" for key, value in results[name].items()))
    counts = [(len({label for *_, label in truth}), len(speech.speakers)) for truth, speech in zip(truths, speeches)]
    right = sum(true == found for true, found in counts)
    print(f"speaker count right on {right} of {len(counts)} (true, found): {counts}")
    judge("diarization error with overlap", results["chunks"]["with overlap"], at_most=0.35)
    judge("diarization error without overlap", results["chunks"]["without"], at_most=0.25)
    judge("clips with the right number of speakers", right, at_least=6)


if __name__ == "__main__":
    main()
