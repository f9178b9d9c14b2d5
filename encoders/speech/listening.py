"""What is gathered about one channel of one part while its audio streams by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from encoders.speech.transcriber import LanguageBelief, Transcript
from encoders.speech.voices import Voices, VoiceWindows
from encoders.speech.windows import Region, RegionCutter, Window, WindowPacker


@dataclass(slots=True)
class Listener:
    """Audio in, windows for the recogniser out. Keeps regions, voices and transcripts, of audio minutes at most."""

    cutter: RegionCutter
    packer: WindowPacker
    belief: LanguageBelief
    voices: Voices | None
    regions: list[tuple[float, float]] = field(default_factory=list)
    heard: list[VoiceWindows] = field(default_factory=list)
    transcripts: list[tuple[Window, Transcript]] = field(default_factory=list)
    _unheard: list[Region] = field(default_factory=list)  # until there are enough of them for a batch of the voices

    def push(self, samples: NDArray[np.int16]) -> Iterator[Window]:
        """Windows that are full."""
        for region in self.cutter.push(samples):
            yield from self._take(region)

    def finish(self) -> Iterator[Window]:
        """The windows that are left when the audio ends."""
        for region in self.cutter.finish():
            yield from self._take(region)
        self._hear()
        yield from self.packer.finish()

    def keep(self, window: Window, transcript: Transcript) -> None:
        """Remember what was read in a window, but not its samples."""
        window.samples = window.samples[:0]
        self.transcripts.append((window, transcript))

    def _take(self, region: Region) -> Iterator[Window]:
        self.regions.append((region.start, region.stop))
        if self.voices is not None:
            self._unheard.append(region)
            if sum(one.stop - one.start for one in self._unheard) >= self.voices.seconds:
                self._hear()
        yield from self.packer.push(region)

    def _hear(self) -> None:
        if self.voices is not None and self._unheard:
            self.heard += self.voices([(region.voiced, region.start) for region in self._unheard])
        self._unheard = []
