"""The OCR networks and the cropper made of our own kernels, where they compute what the modules do.

    python -m encoders.ocr.fused_networks DETECTOR RECOGNISER cuda

What triton makes of a kernel depends on its version, the card and the driver, and a kernel that is made wrong may read
beyond its memory, after which a process can do nothing more on its card. So the first process of a node has a child try
them, which also compiles them for all others, and writes down what came of it: 80 s on an H100, once. Where they do not
compute the same, or cannot be compiled (triton needs a C compiler), the modules do the work, at a third of the speed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from encoders.checkpoints.home import exclusive, interlace_home, publish
from encoders.ocr.crop_trial import compare_croppers
from encoders.ocr.modules import DetectionModule, RecognitionModule
from encoders.ocr.networks import WESTERN
from encoders.ocr.torch_cropper import TorchCropper
from encoders.redaction import without_secrets

_log = logging.getLogger(__name__)

_SECONDS = 600.0
"""After which a trial is given up."""

_TRY_AGAIN = 3600.0
"""Seconds for which one that failed is not begun again: each actor of a node would, one after another."""

_MOST, _MEAN = 0.3, 0.005
"""By how much of the largest number results may differ: at edges of lines the map does by 0.06, on average 0.0006."""

_RIGHT = "right"

_SOURCES = (
    "fused.py", "kernels.py", "line_kernels.py", "map_kernels.py", "modules.py",
    "crop_kernels.py", "crop_trial.py", "ink_kernels.py", "kernel_cropper.py", "print_kernels.py",
    "torch_cropper.py", Path(__file__).name,
)  # fmt: skip
"""Whose content a verdict depends on."""


class Fused(NamedTuple):
    """The networks, and what makes their inputs. ``best`` finds the best symbols of an alphabet in the recogniser's
    hidden output."""

    find: Callable[[Tensor], Tensor]
    read: Callable[[Tensor], tuple[Tensor, Tensor]]
    best: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]]
    cropper: type[TorchCropper] = TorchCropper


def fused_or_none(
    detector: DetectionModule, recogniser: RecognitionModule, checkpoints: tuple[Path, Path], device: torch.device
) -> Fused | None:
    """The networks of the two modules by our own kernels; None where those are not to be had, which is logged."""
    try:
        compiled = interlace_home() / "compiled"
        os.environ.setdefault("TRITON_CACHE_DIR", str(compiled / "triton"))
        folder = compiled / f"ocr-{_key(checkpoints, device)}"
        with exclusive(None, f"compiled-{folder.name}"):
            if not folder.is_dir() or _is_to_be_tried_again(folder):
                publish(folder, partial(_try_apart, checkpoints, device))
        verdict = (folder / "verdict.txt").read_text(encoding="utf-8")
        if verdict != _RIGHT:
            raise RuntimeError(verdict)
        return fused(detector, recogniser, device)
    except Exception as error:  # compilers, files, drivers: none of them may cost the reading
        _log.warning("the OCR networks run as plain modules, which is slower: %s: %s", type(error).__name__, error)
        return None


def fused(detector: DetectionModule, recogniser: RecognitionModule, device: torch.device) -> Fused:
    """The networks of the two modules by our own kernels, whether those are right or not."""
    from encoders.ocr import line_kernels
    from encoders.ocr.fused import FusedDetector, FusedRecogniser, classes_of
    from encoders.ocr.kernel_cropper import KernelCropper

    best: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
        alphabet: partial(line_kernels.best, classes=classes_of(*of)) for alphabet, of in recogniser.classes.items()
    }
    find, read = FusedDetector(detector.model, device), FusedRecogniser(recogniser.model, device)
    return Fused(find, read, best, KernelCropper)


def _is_to_be_tried_again(folder: Path) -> bool:
    verdict = folder / "verdict.txt"
    return verdict.read_text(encoding="utf-8") != _RIGHT and time.time() - verdict.stat().st_mtime > _TRY_AGAIN


def _key(checkpoints: tuple[Path, Path], device: torch.device) -> str:
    """What a verdict depends on."""
    import triton

    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    named = [torch.__version__, triton.__version__, card, *map(str, checkpoints)]
    content = hashlib.sha256("\n".join(named).encode())
    for source in _SOURCES:
        content.update(Path(__file__).with_name(source).read_bytes())
    return content.hexdigest()[:16]


def _try_apart(checkpoints: tuple[Path, Path], device: torch.device, folder: Path) -> None:
    """In a process of its own, which takes a card that it has spoilt with it."""
    environment = without_secrets(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, "-m", "encoders.ocr.fused_networks", *map(str, checkpoints), str(device)]
    try:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
        said = (done.stderr.strip()[-2000:] or f"ended with {done.returncode}") if done.returncode else _RIGHT
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    (folder / "verdict.txt").write_text(said, encoding="utf-8")


@torch.inference_mode()
def compare(checkpoints: tuple[Path, Path], device: torch.device) -> None:
    """Raise RuntimeError where our kernels and the modules differ."""
    find, read = DetectionModule(checkpoints[0], device), RecognitionModule(checkpoints[1], device)
    ours = fused(find, read, device)
    noise = torch.Generator().manual_seed(0)
    pages = _picture(2, 640, 448, noise).to(device, find.model.dtype, memory_format=torch.channels_last)
    lines = _picture(16, 48, 640, noise).to(device, read.model.dtype, memory_format=torch.channels_last)
    hidden, pooled = read(lines)
    our_hidden, our_pooled = ours.read(lines)
    _require_alike("the map", ours.find(pages), find(pages))
    _require_alike("pooled", our_pooled, pooled)
    _require_alike("hidden", our_hidden, hidden)
    for alphabet, among in ours.best.items():
        weight, bias = read.classes[alphabet]
        wanted = torch.nn.functional.linear(hidden, weight, bias).float().softmax(-1)
        symbols, confidences = among(hidden)
        _require_alike(f"confidences of {alphabet}", confidences, wanted.amax(-1))
        if alphabet == WESTERN and bool((symbols != wanted.argmax(-1)).float().mean() > 0.01):
            raise RuntimeError("symbols differ")
    compare_croppers(ours.cropper, device)


def _picture(count: int, height: int, width: int, noise: torch.Generator) -> Tensor:
    """Something like print: rows of dark bars of random heights on white [n, 3, h, w], in -1..1."""
    bars = (torch.rand(count, 1, height // 8, width // 4, generator=noise) > 0.5).float()
    rows = torch.arange(height // 8) % 4 < 2
    ink = (bars * rows[:, None]).repeat_interleave(8, 2).repeat_interleave(4, 3)
    return 1.0 - 2.0 * ink.expand(-1, 3, -1, -1)


def _require_alike(name: str, ours: Tensor, wanted: Tensor) -> None:
    apart, scale = (ours.float() - wanted.float()).abs(), max(1.0, float(wanted.float().abs().max()))
    most, mean = float(apart.max()) / scale, float(apart.mean()) / scale
    if not (most <= _MOST and mean <= _MEAN):
        raise RuntimeError(f"{name} differs by up to {most:.3g} of {scale:.3g}, {mean:.3g} on average")


def _main(words: Any) -> None:
    compare((Path(words[0]), Path(words[1])), torch.device(words[2]))
    if words[2].startswith("cuda"):
        torch.cuda.synchronize()


if __name__ == "__main__":
    _main(sys.argv[1:])
