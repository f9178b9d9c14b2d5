"""The two ONNX graphs as they ship, made ready in memory: characters read out, feature outputs added."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from encoders.ocr.networks import ALL, WESTERN, western_symbols

FEATURES = {"neck": "p2o.pd_op.transpose.8.0", "backbone": "p2o.pd_op.pool2d.1.0"}
"""Tensors [n, T, 120] before the classifier and [n, 384, 1, T] before the neck."""


def graph_file(folder: Path) -> Path:
    """The one .onnx file of a checkpoint folder; raises `FileNotFoundError` when there is not exactly one."""
    files = sorted(folder.rglob("*.onnx"))
    if len(files) != 1:
        raise FileNotFoundError(f"{folder} should hold one .onnx file and holds {len(files)}")
    return files[0]


def detector_graph(folder: Path) -> tuple[bytes, int]:
    """The detector and its parameter count."""
    model = onnx.load(graph_file(folder))
    return model.SerializeToString(), _parameters(model)


@dataclass(frozen=True, slots=True)
class RecogniserGraph:
    """The recogniser with one alphabet."""

    graph: bytes
    parameters: int
    characters: list[str]


def recogniser_graphs(folder: Path, features: str) -> dict[str, RecogniserGraph]:
    """The recogniser by alphabet, see `networks.ALL` and `networks.WESTERN`.

    The softmax over the alphabet stays the output: best symbol and confidence are found in numpy (0.4 ms for a
    line of 960 pixels); ArgMax and ReduceMax inside the graph cost 4-8 ms more in both engines.
    """
    model = onnx.load(graph_file(folder))
    characters = ["", *next(p.value for p in model.metadata_props if p.key == "character").splitlines(), " "]
    if features != "none":
        name = FEATURES[features]
        if not any(name in node.output for node in model.graph.node):
            raise ValueError(f"{folder} has no tensor {name}: its features cannot be returned")
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    whole = RecogniserGraph(model.SerializeToString(), _parameters(model), characters)
    kept = western_symbols(characters)
    _cut_classifier(model.graph, np.array(kept), len(characters))
    western = RecogniserGraph(model.SerializeToString(), _parameters(model), [characters[i] for i in kept])
    return {ALL: whole, WESTERN: western}


def _cut_classifier(graph: onnx.GraphProto, kept: NDArray[np.int64], symbols: int) -> None:
    """Leave only the kept columns of every weight that has one per symbol: the classifier's matrix and its bias."""
    for weight in graph.initializer:
        if weight.dims and weight.dims[-1] == symbols:
            columns = onnx.numpy_helper.to_array(weight)[..., kept]
            weight.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(columns), weight.name))
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")  # the shipped one names the old number of symbols


def _parameters(model: onnx.ModelProto) -> int:
    """Numbers in the weights; constants of the graph's arithmetic are few enough not to matter."""
    return int(sum(np.prod(weight.dims) for weight in model.graph.initializer))
