"""What rows ask about: samples with what was read in them. On files, for a machine without encoders, fonts or data.

A section is SECTION.samples.xz, pickled `Perceived` without features, and SECTION.features.xz, the features in seven
bits with a scale a column. The rounding moves features by about 2 % of their spread.
"""

from __future__ import annotations

import lzma
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as saved

from benchmarks.hybrid.perceived import Input
from encoders.checkpoints.eight_bit import packed, unpacked
from encoders.results import Speech
from pipelines.train.hybrid.perceived import Perceived
from pipelines.train.hybrid.perceived import load as load_perceived
from pipelines.train.hybrid.samples import Sample
from pipelines.train.hybrid.screens.views import Detected

_NONE = np.zeros((0, 0), np.float16)


@dataclass(frozen=True, slots=True)
class Material:
    """A sample, and what the specialists read in each of its inputs, in the order in which they are asked about."""

    sample: Sample
    inputs: tuple[Input, ...]


def save(folder: Path, section: str, materials: Sequence[Material]) -> int:
    """Write a section; its size in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    bare, features = [], dict[str, torch.Tensor]()
    for number, one in enumerate(materials):
        perceptions = [item.perception for item in one.inputs]
        for place, perception in enumerate(perceptions):
            if len(perception.features):
                features[f"{number}.{place}"] = torch.from_numpy(perception.features.astype(np.float32)).T
        stripped = tuple(replace(own, features=_NONE, seconds={}, networks=frozenset()) for own in perceptions)
        bare.append(Perceived(one.sample, stripped))
    _features(folder, section).write_bytes(lzma.compress(saved(_coarser(packed(features)))))
    _samples(folder, section).write_bytes(lzma.compress(pickle.dumps(bare, protocol=5)))
    return sum(path(folder, section).stat().st_size for path in (_samples, _features))


def there(folder: Path, section: str) -> bool:
    """Whether a folder has a section."""
    return _samples(folder, section).exists()


def load(folder: Path, section: str, limit: int | None = None) -> list[Material]:
    """The first ``limit`` of a section that `save` wrote."""
    features = unpacked(load_tensors(lzma.decompress(_features(folder, section).read_bytes())))
    found = []
    for number, one in enumerate(load_perceived(_samples(folder, section))[:limit]):
        inputs = []
        for place, perception in enumerate(one.documents):
            columns = features.get(f"{number}.{place}")
            rows = perception.features if columns is None else columns.T.contiguous().half().numpy()
            name = "speech_to_text" if isinstance(perception.result, Speech) else "ocr"
            name = perception.task if isinstance(perception, Detected) else name
            inputs.append(Input(name, f"{section}-{number}-{place}", replace(perception, features=rows)))
        found.append(Material(one.sample, tuple(inputs)))
    return found


def _coarser(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Of eight bits seven: an archiver makes 5.7 of them, where of eight it leaves 6.7."""
    halved = {n: (v.float() / 2).round().to(torch.int8) for n, v in tensors.items() if v.dtype == torch.int8}
    return tensors | halved | {f"{name}.scale": 2 * tensors[f"{name}.scale"] for name in halved}


def _samples(folder: Path, section: str) -> Path:
    return folder / f"{section}.samples.xz"


def _features(folder: Path, section: str) -> Path:
    return folder / f"{section}.features.xz"
