"""The choice among the engines that run the OCR networks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from encoders.checkpoints.pull import Progress
from encoders.checkpoints.resolve import resolve
from encoders.ocr.config import OcrConfig
from encoders.ocr.networks import OcrNetworks


def load_networks(config: OcrConfig, device: str) -> OcrNetworks:
    """The two networks on ``device``; fetches checkpoints that are not on this machine yet."""
    import cv2

    cv2.setNumThreads(config.threads)  # its own pool of a thread per core, in every actor, is no help on single lines
    engine, detector, recogniser = locate_networks(config, device)
    if engine == "torch" and config.shares_process(device):
        from encoders.card.service import ServiceSpec
        from encoders.ocr.networks_card import CardNetworks

        arguments: dict[str, Any] = {"detector": str(detector), "recogniser": str(recogniser)}
        arguments |= {"features": config.features, "threads": config.threads, "block_waits": config.block_waits}
        return CardNetworks(
            ServiceSpec("encoders.ocr.card_service:OcrCardService", device, arguments, clients=config.card_clients)
        )
    if engine == "torch":
        from encoders.ocr.networks_torch import TorchNetworks

        return TorchNetworks(detector, recogniser, device=device, features=config.features, threads=config.threads)
    from encoders.ocr.networks_onnx import OnnxNetworks

    return OnnxNetworks(detector, recogniser, engine=engine, features=config.features, threads=config.threads)


def locate_networks(config: OcrConfig, device: str, progress: Progress | None = None) -> tuple[str, Path, Path]:
    """The engine, and where the detector's and the recogniser's checkpoints lie; fetches what is not here yet. Raises
    `CheckpointError`."""
    engine = choose_engine(config.engine, device)
    variant = "torch" if engine == "torch" else "onnx"
    detector = resolve(config.detector, variant=variant, progress=progress)
    recogniser = resolve(config.recogniser, variant=variant, progress=progress)
    if engine != "torch" and not (_has_onnx(detector) and _has_onnx(recogniser)):
        engine = "torch"  # a checkpoint of one's own that comes as a transformers folder
    return engine, detector, recogniser


def choose_engine(engine: str, device: str) -> str:
    """torch on CUDA; on CPU OpenVINO where the processor multiplies bfloat16 matrices, else ONNX Runtime."""
    if device.partition(":")[0] != "cpu":
        return "torch"
    if engine != "auto":
        return engine
    if importlib.util.find_spec("openvino") is not None and _has_bfloat16():
        return "openvino"
    return "onnxruntime"


def _has_onnx(folder: Path) -> bool:
    return any(folder.rglob("*.onnx"))


def _has_bfloat16() -> bool:
    """Whether OpenVINO would compute in bfloat16 here: in float32 it is no faster than ONNX Runtime."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
