"""The two networks on ONNX Runtime or OpenVINO, CPU."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.ocr.cropper import Cropper, HostCropper
from encoders.ocr.networks import ALL, Maps, Steps
from encoders.ocr.onnx_graphs import detector_graph, recogniser_graphs

Run = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]

_NO_MEMORY = ("bad allocation", "bad_alloc", "failed to allocate", "out of memory")


class OnnxNetworks:
    """The graphs as they ship. A batch of one page and one line: batching buys a CPU nothing, padding costs."""

    pages_at_once = 1
    pages_per_batch = 1
    line_batches: tuple[int, ...] = (1,)

    def __init__(self, detector: Path, recogniser: Path, *, engine: str, features: str, threads: int) -> None:
        compile_graph = {"onnxruntime": _onnxruntime, "openvino": _openvino}[engine]
        detector_bytes, detector_size = detector_graph(detector)
        graphs = recogniser_graphs(recogniser, features)
        self.characters = {alphabet: graph.characters for alphabet, graph in graphs.items()}
        self._detect = compile_graph(detector_bytes, threads)
        self._recognise = {alphabet: compile_graph(graph.graph, threads) for alphabet, graph in graphs.items()}
        self.cropper: Cropper = HostCropper()
        self._sizes = {"ocr_detection": detector_size, "ocr_recognition": graphs[ALL].parameters}

    def detect(self, pages: Sequence[NDArray[np.float32]]) -> Callable[[], Maps]:
        """See `OcrNetworks`."""
        found = _guarded(self._detect, np.concatenate(pages))[0][:, 0]
        return lambda: found

    def recognise(self, lines: NDArray[np.float32], alphabet: str = ALL) -> Callable[[], Steps]:
        """See `OcrNetworks`."""
        outputs = _guarded(self._recognise[alphabet], lines)
        features = None
        if len(outputs) > 1:
            each = outputs[1]
            features = (each[:, :, 0].swapaxes(1, 2) if each.ndim == 4 else each).astype(np.float16)
        steps = Steps(outputs[0].argmax(axis=2), outputs[0].max(axis=2), features)
        return lambda: steps

    def parameters(self) -> dict[str, int]:
        """See `OcrNetworks`."""
        return dict(self._sizes)


def _guarded(run: Run, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Run, with the engines' own allocation errors as `MemoryError`."""
    try:
        return run(batch)
    except RuntimeError as error:
        if any(text in str(error).lower() for text in _NO_MEMORY):
            raise MemoryError(str(error)) from error
        raise


def _onnxruntime(graph: bytes, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = True  # 25 % faster than without on the recogniser
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle actors must not burn a core
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})  # type: ignore[no-any-return]


@functools.cache
def _openvino_core() -> Any:
    """The one core of this process, never let go of: each sets a signal stack for the thread that makes it and frees it
    when it ends, so that of two that end in the order of their making the second puts back the stack that the first has
    freed, and the next signal ends the process."""
    import openvino

    return openvino.Core()


def _openvino(graph: bytes, threads: int) -> Run:
    core = _openvino_core()
    settings: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # several actors share a machine; pinned ones would share a core
    }
    request = core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()

    def run(batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        request.infer({0: batch}, share_inputs=True)
        return [np.array(output.data, np.float32) for output in request.output_tensors]

    return run
