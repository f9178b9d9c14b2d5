"""Voice activity as a card computes it against that of a core: probabilities, regions, and what each takes.

    python -m benchmarks.speech_activity RECORDING... [--device cuda]

Recordings are read as they are: 16 kHz, one channel. Pieces of two minutes, as actors ask for them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from encoders.checkpoints import resolve
from encoders.speech.activity import Activity, ActivityNetwork, ActivityStream, Heard, Samples
from encoders.speech.card_service import HEARD_TOGETHER
from encoders.speech.device_activity import DeviceActivity, compare
from encoders.speech.windows import Region, RegionCutter


class Alone:
    """See `Activity`: on the device, and nothing beside it."""

    together = HEARD_TOGETHER

    def __init__(self, made: DeviceActivity) -> None:
        self._made = made
        self.begun: list[float] = []  # seconds of the core to begin each full piece
        self.heard: list[float] = []  # and of clock until it was there

    def hear(self, samples: Samples, state: NDArray[np.float32]) -> Heard:
        since, own = time.perf_counter(), time.thread_time()
        finish = self._made.begin(self._made.upload(samples, state))
        begun = time.thread_time() - own
        heard = finish()
        if len(heard[0]) >= self.together:
            self.begun.append(begun)
            self.heard.append(time.perf_counter() - since)
        return heard

    def parameters(self) -> int:
        return self._made.parameters()


def regions(activity: Activity, samples: Samples) -> tuple[list[Region], NDArray[np.float32]]:
    """Of a recording that comes in blocks of 30 s, and the probabilities."""
    cutter = RegionCutter(ActivityStream(activity))
    found = [region for at in range(0, len(samples), 480_000) for region in cutter.push(samples[at : at + 480_000])]
    found += cutter.finish()
    return found, np.concatenate(cutter.probabilities)


def main() -> None:
    """A line for each recording, then the times."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.speech_activity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = ActivityNetwork(resolve("speech_activity") / "model.onnx")
    made = DeviceActivity(network, options.device)
    compare(network, made)
    device = Alone(made)
    for path in options.recordings:
        samples = soundfile.read(path, dtype="int16")[0]
        (ours, heard), (wanted, by_core) = regions(device, samples), regions(network, samples)
        same = [(one.start, one.stop, one.padded_start) for one in ours] == [
            (one.start, one.stop, one.padded_start) for one in wanted
        ]
        apart = float(np.abs(heard - by_core).max())
        print(f"{path.name}: {len(wanted)} regions {'alike' if same else 'NOT ALIKE'}, probabilities {apart:.2g} apart")
    if device.heard:
        milliseconds = [1000 * statistics.median(own) for own in (device.begun, device.heard)]
        print(
            f"a piece of two minutes: {milliseconds[0]:.2f} ms of a core to begin, heard after {milliseconds[1]:.1f} ms"
        )


if __name__ == "__main__":
    main()
