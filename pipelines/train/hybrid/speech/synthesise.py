"""Synthesise the training speech on a machine with many cores and no network.

    python -m pipelines.train.hybrid.speech.synthesise --folder speech-carry --out speech --seconds 480 --processes 60

Needs numpy, scipy and onnxruntime. Each process speaks every so-many-th item of a seeded plan, stops by the clock and
leaves whole items: shard-PP-NNN.npy (16 kHz, int16) with index-PP.jsonl beside them, one line for each utterance.
First come the sentences of the voice that is a hundred times as fast as the others (a sixth of all sentences, hours of
audio in seconds of each process); of the rest shares of sentences, calls and voices hold wherever the clock stops it.
Run again, it goes on with other items.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.train.hybrid.speech.utterances import TRAINING, Item, plan
from pipelines.train.hybrid.speech.voices import FAST, RATE, VOICES, Speaker, unpack

SHARD_SECONDS = 24.0


def main(arguments: list[str] | None = None) -> None:
    """Speak until the clock says stop."""
    parser = argparse.ArgumentParser(prog="pipelines.train.hybrid.speech.synthesise", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--folder", type=Path, required=True, help="what `prepare` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for the audio and its index")
    parser.add_argument("--seconds", type=float, default=480, help="wall clock, start included (default 480)")
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--voices", nargs="*", choices=VOICES, help="only items that these speak alone (to measure)")
    options = parser.parse_args(arguments)
    until = time.monotonic() + options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    unpack(options.folder)
    shutil.copyfile(options.folder / TRAINING, options.out / TRAINING)  # training reads more of them than are spoken
    items = plan(options.folder, options.seed)
    if options.voices:
        items = [item for item in items if set(item.voices) <= set(options.voices)]
    done = {key for entry in read_index(options.out) for key in [entry["item"]]}
    items = [item for item in items if item.number not in done]
    items.sort(key=lambda item: set(item.voices) != {FAST})
    context = multiprocessing.get_context("spawn")
    workers = []
    for number in range(options.processes):
        share = items[number :: options.processes]
        workers.append(context.Process(target=work, args=(options.folder, options.out, share, number, until)))
        workers[-1].start()
    for worker in workers:
        worker.join()
    failed = sum(worker.exitcode != 0 for worker in workers)
    print(
        summary(options.out, options.seconds * options.processes) + (f", {failed} processes failed" if failed else "")
    )
    if failed == len(workers):
        raise SystemExit(1)


def work(folder: Path, out: Path, items: Sequence[Item], number: int, until: float) -> None:
    """Speak items until the clock says stop, shard by shard."""
    speaker = Speaker(folder)
    before = len(list(out.glob(f"shard-{number:02d}-*.npy")))
    shard = Shard(out, number, before)
    longest = 0.0
    for item in items:
        began = time.monotonic()
        if began + longest > until:
            break
        shard.add(item, [_say(speaker, item, place) for place in range(len(item.utterances))])
        longest = max(longest, time.monotonic() - began)
    shard.close()


def _say(speaker: Speaker, item: Item, place: int) -> NDArray[np.int16]:
    return speaker.say(item.utterances[place].phonemes, item.voices[place], item.seed, item.speed)


class Shard:
    """Audio and index of one process. What the index names is on disk."""

    def __init__(self, out: Path, process: int, number: int) -> None:
        self._out, self._process, self._number = out, process, number
        self._parts: list[NDArray[np.int16]] = []
        self._lines: list[dict[str, Any]] = []
        self._length = 0

    def add(self, item: Item, spoken: Sequence[NDArray[np.int16]]) -> None:
        """One whole item."""
        for utterance, voice, samples in zip(item.utterances, item.voices, spoken, strict=True):
            start, self._length = self._length, self._length + len(samples)
            self._parts.append(samples)
            self._lines.append(
                {"item": item.number, "key": utterance.key, "turn": utterance.turn, "speaker": utterance.speaker,
                 "voice": voice, "text": utterance.text, "shard": self._name, "start": start, "stop": self._length}
            )  # fmt: skip
        if self._length >= SHARD_SECONDS * RATE:
            self.close()

    @property
    def _name(self) -> str:
        return f"shard-{self._process:02d}-{self._number:03d}.npy"

    def close(self) -> None:
        """Write what was collected, audio first."""
        if not self._parts:
            return
        fresh = self._out / f"fresh-{self._process:02d}.npy"
        np.save(fresh, np.concatenate(self._parts))
        fresh.replace(self._out / self._name)
        with (self._out / f"index-{self._process:02d}.jsonl").open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in self._lines)
        self._parts, self._lines, self._length, self._number = [], [], 0, self._number + 1


def read_index(out: Path) -> list[dict[str, Any]]:
    """Every utterance that is on disk: item, key, turn, speaker, voice, text, shard, start, stop (samples)."""
    entries = []
    for path in sorted(out.glob("index-*.jsonl")):
        with path.open(encoding="utf-8") as stream:
            entries += [json.loads(line) for line in stream]
    return entries


def summary(out: Path, core_seconds: float) -> str:
    """Hours by voice, and audio per core and second."""
    seconds: dict[str, float] = {}
    keys = set()
    for entry in read_index(out):
        seconds[entry["voice"]] = seconds.get(entry["voice"], 0) + (entry["stop"] - entry["start"]) / RATE
        keys.add(entry["key"])
    total = sum(seconds.values())
    voices = ", ".join(f"{voice} {value / 3600:.2f} h" for voice, value in sorted(seconds.items()))
    calls = sum(not key.startswith("read/") for key in keys)
    return (
        f"{total / 3600:.2f} h in {len(keys) - calls} sentences and {calls} calls: {voices}; "
        f"{total / core_seconds:.2f} x real time a core"
    )


if __name__ == "__main__":
    main()
