"""Networks compiled for a device, once for a node: one process makes the package, all others load it.

    python -m encoders.ocr.compiling detector FOLDER cuda network.pt2

PyTorch exports the network with the batch's length and the picture's sides left open, and AOTInductor writes what it
does between its products and convolutions as kernels of its own, with a library that starts them all. A process that
loads that traces nothing and compiles nothing. Making it needs a C++ compiler and CUDA's headers; nothing is tuned by
trying. Whatever fails, at the making, at the loading or on a batch: the network then runs as it is.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from encoders.checkpoints.home import exclusive, interlace_home, publish
from encoders.ocr.modules import DetectionModule, RecognitionModule

_log = logging.getLogger(__name__)

_SECONDS = 600.0
"""After which a making is given up."""

_TRY_AGAIN = 3600.0
"""Seconds for which one that failed is not begun again: each actor of a node would, one after another."""

_OPTIONS: dict[str, Any] = {"max_autotune": False, "force_layout_optimization": True}  # channels last throughout


@dataclass(frozen=True, slots=True)
class Shape:
    """Batches that a network is compiled for: which sides are open, in steps of so many pixels, 2 to ``most`` steps."""

    module: type[nn.Module]
    example: tuple[int, int, int, int]
    steps: dict[int, int]  # by dimension
    most: dict[int, int]

    def holds(self, batch: Tensor) -> bool:
        """Whether the compiled network takes it; PyTorch compiles for two or more of whatever is open."""
        return all(
            batch.shape[dim] % step == 0 and 2 * step <= batch.shape[dim] <= self.most[dim] * step
            for dim, step in self.steps.items()
        )


SHAPES = {
    "detector": Shape(DetectionModule, (4, 3, 1600, 1120), {0: 1, 2: 32, 3: 32}, {0: 64, 2: 200, 3: 200}),
    "recogniser": Shape(RecognitionModule, (64, 3, 48, 1280), {0: 1, 3: 32}, {0: 512, 3: 100}),
}


class CompiledNetwork:
    """A network as its package runs it; a batch that the package does not take, or fails on, runs uncompiled. So does
    one that does not fit, which then raises PyTorch's own out-of-memory error."""

    def __init__(self, name: str, plain: nn.Module, package: Callable[[Tensor], Any]) -> None:
        self._name, self._plain, self._package = name, plain, package
        self._failed = False

    def __call__(self, batch: Tensor) -> Any:
        """What the module returns."""
        if SHAPES[self._name].holds(batch):
            try:
                return self._package(batch)
            except RuntimeError as error:
                if not self._failed:
                    shape = tuple(batch.shape)
                    _log.warning("the compiled %s failed on %s, which ran uncompiled: %s", self._name, shape, error)
                self._failed = True
        return self._plain(batch)


def compiled(name: str, plain: nn.Module, checkpoint: Path, device: torch.device) -> Callable[[Tensor], Any]:
    """``plain``, the module of that name in `SHAPES` of this checkpoint and device, compiled; or as it is where that
    fails, which is logged."""
    as_it_is: Callable[[Tensor], Any] = plain
    folder = interlace_home() / "compiled" / f"{name}-{_key(plain, device)}"
    try:
        with exclusive(None, f"compiled-{folder.name}"):
            if not folder.is_dir() or _is_to_be_tried_again(folder):
                publish(folder, lambda partial: _make_apart(name, checkpoint, device, partial))
        package = folder / "network.pt2"
        if not package.is_file():
            raise RuntimeError((folder / "failed.txt").read_text(encoding="utf-8"))
        from torch._inductor import aoti_load_package

        # Single-threaded: otherwise a call waits, with a busy core, until the card has done with the one before.
        index = -1 if device.index is None else device.index
        run = aoti_load_package(str(package), run_single_threaded=True, device_index=index)
        return CompiledNetwork(name, plain, run)
    except Exception as error:  # compilers, files, drivers: none of them may cost the reading
        _log.warning("the %s of %s runs uncompiled: %s", name, checkpoint.name, error)
        return as_it_is


def _is_to_be_tried_again(folder: Path) -> bool:
    failed = folder / "failed.txt"
    return failed.is_file() and time.time() - failed.stat().st_mtime > _TRY_AGAIN


def _key(plain: nn.Module, device: torch.device) -> str:
    """What a package depends on: the weights, PyTorch, the card, and how it is made."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    sources = [Path(__file__), Path(__file__).with_name("modules.py"), Path(__file__).with_name("fusing.py")]
    content = hashlib.sha256(f"{torch.__version__} {card}".encode())
    for source in sources:
        content.update(source.read_bytes())
    for weight in plain.state_dict().values():
        content.update(weight.contiguous().cpu().numpy().tobytes())
    return content.hexdigest()[:16]


def _make_apart(name: str, checkpoint: Path, device: torch.device, folder: Path) -> None:
    """Into ``folder`` in a process of its own, which takes compilers' workers, memory and crashes with it."""
    made, began = folder / "network.pt2", time.monotonic()
    with tempfile.TemporaryDirectory(prefix="interlace-compiling-") as scratch:
        child_env = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": scratch, "PYTHONPATH": os.pathsep.join(sys.path)}
        words = [sys.executable, "-m", "encoders.ocr.compiling", name, str(checkpoint), str(device), str(made)]
        try:
            done = subprocess.run(words, env=child_env, capture_output=True, text=True, timeout=_SECONDS, check=False)
            said = done.stderr[-2000:] if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
    if said or not made.is_file():
        made.unlink(missing_ok=True)
        (folder / "failed.txt").write_text(said or "nothing was made", encoding="utf-8")
    else:
        _log.info("compiled the %s for %s in %.0f s", name, device, time.monotonic() - began)


@torch.no_grad()
def make(name: str, checkpoint: Path, device: torch.device, package: Path) -> None:
    """Write the package. Raises whatever PyTorch, Triton and the C++ compiler raise."""
    from torch._inductor import aoti_compile_and_package
    from torch.export import Dim, export

    shape = SHAPES[name]
    module: Any = shape.module(checkpoint, device)
    example = torch.zeros(shape.example, device=device, dtype=module.model.dtype)
    example = example.contiguous(memory_format=torch.channels_last)
    open_sides = {
        dim: step * Dim(f"side{dim}", min=2, max=shape.most[dim]) for dim, step in shape.steps.items() if step > 1
    } | {0: Dim("count", min=2, max=shape.most[0])}
    program = export(module, (example,), dynamic_shapes=(open_sides,), strict=False)
    aoti_compile_and_package(program, package_path=str(package), inductor_configs=_OPTIONS)


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]), torch.device(sys.argv[3]), Path(sys.argv[4]))
