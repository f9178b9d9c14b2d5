"""The engines agree: ONNX Runtime is the reference."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest
import torch

from benchmarks.ocr_pages import dense_pages
from benchmarks.ocr_parity import compare
from benchmarks.ocr_readers import page_reader
from encoders.ocr.config import OcrConfig
from encoders.ocr.engines import choose_engine
from encoders.ocr.torch_cropper import TorchCropper
from encoders.results import Line


@cache
def lines_of(engine: str) -> list[list[Line]]:
    """The upper parts of a clean and of a scanned page, as this engine reads them."""
    images = [dense_pages(1)[0].image[:335], dense_pages(2, seed=1, scanned=True)[1].image[:261]]
    reader = page_reader(OcrConfig.model_validate({"engine": engine.split()[0]}))
    if engine.endswith("as on a GPU"):
        networks = reader._networks
        networks.line_batches = (1, 2, 4)
        networks.cropper = TorchCropper(torch.device("cpu"), torch.float32, networks.line_batches)
    return [page.lines for page in reader.read(images)]


@pytest.mark.parametrize("engine", ["torch as on a GPU", "openvino"])
def test_engines_read_alike(engine: str) -> None:
    parity = compare(lines_of("onnxruntime"), lines_of(engine))
    assert parity.lines >= 20
    assert parity.equal >= 0.995, parity.example
    # The detector's outline moves by a map pixel in bfloat16, which is a tenth of a small word's height.
    assert parity.low_overlaps <= (0.01 * parity.words if engine == "openvino" else 0)
    assert parity.worst_overlap >= 0.85


def test_text_is_right() -> None:
    truth = [text for text, box in dense_pages(1)[0].lines if box[3] < 335]
    assert [line.text for line in sorted(lines_of("onnxruntime")[0], key=lambda line: line.quad[1])][
        : len(truth)
    ] == truth


def test_the_engine_follows_the_device() -> None:
    assert choose_engine("auto", "cuda:1") == choose_engine("onnxruntime", "cuda") == "torch"
    assert choose_engine("onnxruntime", "cpu") == "onnxruntime"
    assert choose_engine("auto", "cpu") in ("onnxruntime", "openvino")


_ENGINES_THAT_GO = """
import gc, os, signal
from onnx import TensorProto, helper
from encoders.ocr.networks_onnx import _openvino
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
first, second = _openvino(model, 1), _openvino(model, 1)
del first; gc.collect()
del second; gc.collect()
signal.signal(signal.SIGINT, lambda number, frame: print("the signal arrived"))
os.kill(os.getpid(), signal.SIGINT)
"""


def test_a_signal_arrives_after_engines_have_gone() -> None:
    ended = subprocess.run([sys.executable, "-c", _ENGINES_THAT_GO], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "the signal arrived\n"), ended.stderr
