"""The two ONNX graphs as they ship, made ready in memory: characters read out, feature outputs added."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

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


def recogniser_graph(folder: Path, features: str) -> tuple[bytes, int, list[str]]:
    """The recogniser, its parameter count and its alphabet: blank, dictionary, space.

    The softmax over the alphabet stays the output: best symbol and confidence are found in numpy (0.4 ms for a
    line of 960 pixels); ArgMax and ReduceMax inside the graph cost 4-8 ms more in both engines.
    """
    model = onnx.load(graph_file(folder))
    alphabet = ["", *next(p.value for p in model.metadata_props if p.key == "character").splitlines(), " "]
    if features != "none":
        name = FEATURES[features]
        if not any(name in node.output for node in model.graph.node):
            raise ValueError(f"{folder} has no tensor {name}: its features cannot be returned")
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return model.SerializeToString(), _parameters(model), alphabet


def _parameters(model: onnx.ModelProto) -> int:
    """Numbers in the weights; constants of the graph's arithmetic are few enough not to matter."""
    return int(sum(np.prod(weight.dims) for weight in model.graph.initializer))
