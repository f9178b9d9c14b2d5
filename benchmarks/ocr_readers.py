"""The readers that the OCR benchmarks put side by side: ours without the pipeline, and `RapidOCR` in a plain loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ocr_metrics import ReadLine
from encoders.ocr.config import OcrConfig

Reader = Callable[[NDArray[np.uint8]], list[ReadLine]]
"""A page [h, w, 3] RGB to its lines."""


def page_reader(config: OcrConfig | None = None, device: str = "cpu") -> Any:
    """The OCR encoder's own page reader: no opening, no layout, no pipeline."""
    from encoders.ocr.page_reader import PageReader

    return PageReader.load(config or OcrConfig(), device)


def interlace(config: OcrConfig | None = None, device: str = "cpu") -> Reader:
    """Our reader, one page a call."""
    reader = page_reader(config, device)

    def read(image: NDArray[np.uint8]) -> list[ReadLine]:
        return [(line.text, np.array(line.quad).reshape(4, 2)) for line in reader.read([image])[0].lines]

    return read


def rapidocr(*, line_classifier: bool = True, threads: int | None = None) -> Reader:
    """`RapidOCR()` as shipped, or with its line classifier off; ``threads`` None leaves its default (all cores)."""
    from rapidocr import RapidOCR

    params: dict[str, Any] = {"Global.log_level": "error", "Global.use_cls": line_classifier}
    if threads is not None:
        params["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
        params["EngineConfig.onnxruntime.inter_op_num_threads"] = threads
    engine = RapidOCR(params=params)

    def read(image: NDArray[np.uint8]) -> list[ReadLine]:
        result = engine(np.ascontiguousarray(image[:, :, ::-1]))
        if result.boxes is None:
            return []
        return [(text, np.array(box, float)) for text, box in zip(result.txts, result.boxes)]

    return read
