"""A recording of three hours, end to end: times real time, memory of the speech actor and its child, nothing lost.

    python -m benchmarks.speech_long [--hours 3]

The recording is generated speech with a second of silence between passages, over and over, in one WAV file; it is cut
into parts of 30 minutes, of which each core reads one at a time. Peaks of resident memory are sampled twice a second.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import wave
from pathlib import Path

import numpy as np
import psutil

from benchmarks.figures import must_be_zero
from benchmarks.speech_corpus import RATE, readings
from pipelines.ledger import read_ledger
from pipelines.records import read_records
from pipelines.storage import Storage

BLOCK = 60 * RATE


class Peaks(threading.Thread):
    """Resident memory of the speech actors and of the children that open media, below one command."""

    def __init__(self, command: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self.mib = {"speech actor": 0.0, "its child": 0.0, "driver": 0.0}
        self._command = command

    def run(self) -> None:
        """Sample until the command ends."""
        while self._command.poll() is None:
            try:
                driver = psutil.Process(self._command.pid)
                self._keep("driver", driver)
                for process in driver.children(recursive=True):
                    line = " ".join(process.cmdline())
                    if "PerceiveStage" in line or "WritingStage" in line:
                        self._keep("speech actor", process)
                    elif "encoders.media.child" in line:
                        self._keep("its child", process)
            except psutil.Error:
                pass  # one of them ended
            time.sleep(0.5)

    def _keep(self, name: str, process: psutil.Process) -> None:
        self.mib[name] = max(self.mib[name], process.memory_info().rss / 2**20)


def make_recording(path: Path, clips: Path, hours: float) -> tuple[int, int]:
    """Write the WAV; returns its samples and how many words are said."""
    told = [(clip.samples, len(clip.text.split())) for clip in readings(clips)]
    samples = words = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        while samples < hours * 3600 * RATE:
            for speech, count in told:
                block = np.concatenate([speech, np.zeros(RATE, np.float32)])
                file.writeframes((block * 32767).astype(np.int16).tobytes())
                samples, words = samples + len(block), words + count
    return samples, words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--clips", type=Path, default=Path("/tmp/interlace-speech-corpus"))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="interlace-long-"))
    (folder / "in").mkdir()
    samples, words = make_recording(folder / "in" / "long.wav", options.clips, options.hours)
    started = time.monotonic()
    run = ["run", str(folder / "in"), "--out", str(folder / "out"), "--tasks", "speech_to_text"]
    command = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *run], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peaks = Peaks(command)
    peaks.start()
    if command.wait():
        raise SystemExit(f"the run ended with {command.returncode}")
    seconds = time.monotonic() - started
    peaks.join()
    (record,) = read_records(str(folder / "out"))
    ledger = read_ledger(Storage(str(folder / "out")))
    assert record.speech is not None
    heard = len(record.speech.text.split())
    length = samples / RATE
    print(f"recording of {length / 3600:.2f} h in {record.parts} parts, whole command {seconds:.0f} s")
    print(f"       times real time: {length / seconds:.1f}")
    for name, size in peaks.mib.items():
        print(f"       peak memory, {name}: {size:.0f} MiB")
    print(f"       words heard / words said: {heard} / {words}")
    print(must_be_zero("seconds of audio lost", round(abs(record.speech.duration - length), 1)))
    print(must_be_zero("failures", sum(ledger.categories.values()) + (not ledger.balanced)))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
