"""The openings encoder."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace

import torch

from encoders.base import MediaInput, Perception
from encoders.failures import Failure
from encoders.layout import arrange
from encoders.media.opened import OpenedPage
from encoders.media.opener import MediaOpener
from encoders.results import DocumentResult, Page, Speech
from tests.faults.openings.config import OpeningsConfig


class OpeningsEncoder:
    """Pages with their text layer, recordings with their length.

    A key that ends in ``crash-FAULT@UNIT`` crashes the opening process there. A page that says ``die`` kills this
    process; ``stall`` stops it, ``hold`` stops it with the interpreter's lock in hand.
    """

    name = "ocr"

    def __init__(self, config: OpeningsConfig) -> None:
        self.config = config

    def fetch(self, device: str = "cpu", progress: object = None) -> None:
        pass

    def load(self, device: str = "cpu", *, lazily: bool = False) -> None:
        hostile = "tests.encoders.media_hostile_child"
        self._opener = MediaOpener(self.config.opening, self.config.limits, _child_module=hostile)
        self._opener.probe(MediaInput("warm", "warm.txt", "", data=b"warm"))  # its start is no part's fault

    def __call__(self, parts: Sequence[MediaInput]) -> list[Perception]:
        if self.config.most is not None and len(parts) > self.config.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is")
        return [self._hear(part) if _is_sound(part) else self._read(part) for part in parts]

    def _read(self, part: MediaInput) -> Perception:
        pages: list[Page] = []
        failures: list[Failure] = []
        for value in self._opener.pages(replace(part, uri=part.uri.rpartition("crash-")[2])):
            if isinstance(value, OpenedPage):
                page = arrange(value, value.lines or [], source="text_layer")
                _behave(page.text)
                pages.append(replace(page, text=page.text + "." * self.config.padding))
            else:
                failures.append(value)
        return Perception(DocumentResult(tuple(pages)) if pages else None, failures=tuple(failures))

    def _hear(self, part: MediaInput) -> Perception:
        seconds = 0.0
        failures: list[Failure] = []
        for value in self._opener.audio(part):
            if isinstance(value, Failure):
                failures.append(value)
            else:
                seconds += value.samples.shape[1] / 16_000
        heard = Speech("", "en", 1.0, seconds, (), ()) if seconds else None
        return Perception(heard, failures=tuple(failures))

    def fingerprint(self) -> str:
        return "openings-1"

    def parameters(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        self._opener.close()


def _behave(text: str) -> None:
    if text == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "stall":
        threading.Event().wait()
    if text == "hold":
        re.match(r"(a+)+$", "a" * 60 + "b")


def _is_sound(part: MediaInput) -> bool:
    return part.media_type.startswith(("audio/", "video/"))
