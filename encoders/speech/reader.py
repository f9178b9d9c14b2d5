"""Reads batches of parts with the loaded networks; what is heavy to import is imported here, not by `encoder`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from encoders.base import MediaInput, Perception
from encoders.failures import Failure, FailureCategory, MediaError, is_out_of_memory
from encoders.heartbeat import beat
from encoders.media.opened import AudioWindow
from encoders.media.opener import MediaOpener
from encoders.speech.activity import RATE, Activity, ActivityStream
from encoders.speech.assembly import assemble
from encoders.speech.config import SpeechConfig
from encoders.speech.engine import WhisperEngine
from encoders.speech.listening import Listener
from encoders.speech.transcriber import LanguageBelief, Transcriber
from encoders.speech.voices import Voices
from encoders.speech.windows import RegionCutter, Window, WindowPacker

TASK = "speech_to_text"


@dataclass(slots=True)
class _Part:
    """One part on its way through."""

    start: float
    channels: list[Listener] = field(default_factory=list)
    samples: int = 0  # so far, per channel
    failures: list[Failure] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)  # checkpoints that ran for it

    def spent(self, stage: str, since: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - since


@dataclass(frozen=True, slots=True)
class SpeechReader:
    """Parts to perceptions, streaming: an opener and the networks, all loaded."""

    config: SpeechConfig
    opener: MediaOpener
    activity: Activity
    voices: Voices | None
    engine: WhisperEngine

    def __call__(self, parts: Sequence[MediaInput]) -> list[Perception]:
        """Read the parts; windows of different parts are decoded in the same batch."""
        states = [_Part(part.start) for part in parts]
        reading = _Reading(Transcriber(self.engine, features=self.config.features), states, self.config.checkpoint)
        most = self.config.batch_windows or self.engine.batch
        batch: list[Window] = []
        for index, part in enumerate(parts):
            for window in self._windows(part, states[index], index):
                batch.append(window)
                if len(batch) >= most:
                    reading(batch)
                    batch = []
        reading(batch)
        return [self._perception(state) for state in states]

    def _windows(self, part: MediaInput, state: _Part, index: int) -> Iterator[Window]:
        """The windows of one part, until its end or until it fails; each is owned by part * 64 + channel."""
        try:
            yield from self._listen(part, state, index)
        except Exception as error:
            state.failures.append(_failure(error, "listen"))

    def _listen(self, part: MediaInput, state: _Part, index: int) -> Iterator[Window]:
        since = time.perf_counter()
        for opened in self.opener.audio(part):
            state.spent("open", since)
            if isinstance(opened, Failure):
                state.failures.append(opened.at(task=TASK))
            else:
                yield from self._hear(opened, state, index)
            since = time.perf_counter()
        for channel in state.channels:
            yield from _timed(channel.finish(), state)

    def _hear(self, opened: AudioWindow, state: _Part, index: int) -> Iterator[Window]:
        for number in range(len(state.channels), len(opened.samples)):
            state.channels.append(self._listener(index * 64 + number))
        missing = round((opened.start - state.start) * RATE) - state.samples
        for gap in _silence(missing):  # stretches that could not be decoded: later times must not move
            for channel in state.channels:
                yield from _timed(channel.push(gap), state)
        state.networks.add(self.config.activity_checkpoint)
        for channel, samples in zip(state.channels, opened.samples):
            yield from _timed(channel.push(samples), state)
        state.samples += max(0, missing) + opened.samples.shape[1]

    def _listener(self, owner: int) -> Listener:
        belief = LanguageBelief(self.config.language)
        return Listener(RegionCutter(ActivityStream(self.activity)), WindowPacker(owner), belief, self.voices)

    def _perception(self, state: _Part) -> Perception:
        if not state.channels and not state.failures:
            state.failures.append(Failure(FailureCategory.EMPTY, "open", "no audio in this part", TASK))
        if not state.channels:
            return Perception(None, failures=tuple(state.failures), seconds=state.seconds)
        since = time.perf_counter()
        speakers = self.config.speaker if self.config.speakers else None
        made = assemble(state.channels, state.start, state.samples / RATE, speakers)
        state.spent("assemble", since)
        if any(len(heard.spans) for channel in state.channels for heard in channel.heard):
            state.networks.add(self.config.speaker_checkpoint)
        networks = frozenset(state.networks)
        return Perception(
            made.speech, made.features, made.spans, tuple(state.failures), state.seconds, networks=networks
        )


@dataclass(slots=True)
class _Reading:
    """Reads batches of windows and gives each transcript to its channel."""

    transcriber: Transcriber
    states: Sequence[_Part]
    checkpoint: str

    def __call__(self, batch: Sequence[Window]) -> None:
        if not batch:
            return
        since = time.perf_counter()
        seconds = [window.seconds for window in batch]
        owners = [window.owner // 64 for window in batch]
        self._read_some(batch)
        spent = time.perf_counter() - since
        for owner, own in zip(owners, seconds):
            self.states[owner].networks.add(self.checkpoint)
            stages = self.states[owner].seconds
            stages["recognise"] = stages.get("recognise", 0.0) + spent * own / max(sum(seconds), 1e-9)

    def _read_some(self, batch: Sequence[Window]) -> None:
        """A batch, in halves when memory ran out over it, and this way for all that come; else when it fails window by
        window, because one must not cost the others of its batch theirs."""
        most = self.transcriber.fits or len(batch)
        if len(batch) > most:
            for at in range(0, len(batch), most):
                self._read_some(batch[at : at + most])
            return
        try:
            self._read(batch)
            return
        except Exception as error:
            memory = is_out_of_memory(error)
        # Outside the handler: the error's traceback holds on to what filled the memory.
        if memory and len(batch) > 1:
            self.transcriber.shrink(len(batch))
            self._read_some(batch)
            return
        for window in batch:
            self._read_alone(window)

    def _read(self, batch: Sequence[Window]) -> None:
        channels = [self.states[window.owner // 64].channels[window.owner % 64] for window in batch]
        transcripts = self.transcriber(batch, [channel.belief for channel in channels])
        beat()
        for channel, window, transcript in zip(channels, batch, transcripts):
            channel.keep(window, transcript)

    def _read_alone(self, window: Window) -> None:
        try:
            self._read([window])
        except Exception as error:
            state = self.states[window.owner // 64]
            at = state.start + window.pieces[0].part_start
            state.failures.append(_failure(error, "recognise", f"the speech from {at:.0f} s on was not read: "))


def _timed(windows: Iterator[Window], state: _Part) -> Iterator[Window]:
    """The same windows; what it took to find them is listening, what is done with them is not."""
    since = time.perf_counter()
    for window in windows:
        state.spent("listen", since)
        yield window
        since = time.perf_counter()
    state.spent("listen", since)


def _failure(error: Exception, stage: str, before: str = "") -> Failure:
    """An error of a network as a value."""
    if isinstance(error, MediaError):
        return Failure(error.category, stage, f"{before}{error}", TASK)
    category = FailureCategory.OUT_OF_MEMORY if is_out_of_memory(error) else FailureCategory.MODEL_FAILED
    return Failure(category, stage, f"{before}{type(error).__name__}: {error}", TASK)


def _silence(samples: int) -> Iterator[NDArray[np.int16]]:
    """That many samples of nothing, in blocks of 30 s."""
    for at in range(0, max(0, samples), 30 * RATE):
        yield np.zeros(min(30 * RATE, samples - at), np.int16)
