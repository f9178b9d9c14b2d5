"""What the encoders read, once: perceptions with their features, kept under bench-out by perception fingerprint."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from encoders.base import Encoder, FeatureSpan, MediaInput, Perception
from encoders.results import DocumentResult, Speech

_RESULT: TypeAdapter[DocumentResult | Speech] = TypeAdapter(DocumentResult | Speech)
_SPANS: TypeAdapter[tuple[FeatureSpan, ...]] = TypeAdapter(tuple[FeatureSpan, ...])


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that is asked about: what a specialist of that name read in it."""

    name: str  # ocr, speech_to_text, gui_detection, object_detection
    key: str
    perception: Perception = field(compare=False)


class Reader:
    """Reads media with one encoder, and never the same twice. The encoder loads when the first is not known yet."""

    def __init__(self, encoder: Encoder, folder: Path, device: str = "cpu") -> None:
        self._encoder, self._device, self._loaded = encoder, device, False
        self._folder = folder / f"{encoder.name}-{encoder.fingerprint()[:16]}"
        self._folder.mkdir(parents=True, exist_ok=True)

    def read(self, media: Iterable[tuple[str, bytes]], what: str) -> list[Input]:
        """Media (media type, bytes) as inputs, in order; of one that cannot be read nothing is known."""
        found, fresh = [], 0
        for index, (media_type, data) in enumerate(media, 1):
            key = hashlib.sha256(data).hexdigest()[:24]
            file = self._folder / f"{key}.npz"
            if not file.exists():
                _save(file, self._perceive(media_type, data, key))
                fresh += 1
                if fresh % 10 == 1:
                    print(f"  {what}: reading number {index}", file=sys.stderr, flush=True)
            found.append(Input(self._encoder.name, key, _load(file)))
        return found

    def _perceive(self, media_type: str, data: bytes, key: str) -> Perception:
        if not self._loaded:
            self._encoder.load(self._device)
            self._loaded = True
        (perception,) = self._encoder([MediaInput(key, key, media_type, data=data)])
        if perception.failures:  # what was not read is answered without, as in a run
            print(f"  {key} was not read as a whole: {perception.failures[0].message}", file=sys.stderr, flush=True)
        if perception.result is None:
            perception.result = DocumentResult(())
        return perception

    def close(self) -> None:
        """Free the encoder if it was needed."""
        if self._loaded:
            self._encoder.close()
            self._loaded = False


def _save(file: Path, perception: Perception) -> None:
    part = file.with_name(f".{file.name}")
    with part.open("wb") as out:
        np.savez_compressed(
            out,
            features=perception.features,
            result=_json(perception.result),
            spans=_json([asdict(span) for span in perception.spans]),
        )
    part.replace(file)  # a reader never meets half a file


def _json(value: Any) -> NDArray[np.uint8]:
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    # boxes may hold numbers of NumPy
    return np.frombuffer(json.dumps(plain, default=lambda number: number.item()).encode(), np.uint8)


def _load(file: Path) -> Perception:
    with np.load(file) as kept:
        result = _RESULT.validate_json(kept["result"].tobytes())
        return Perception(result, kept["features"], _SPANS.validate_json(kept["spans"].tobytes()))


def keys(inputs: Sequence[Input]) -> str:
    """One name for several inputs that are asked about together."""
    return "+".join(item.key for item in inputs)
