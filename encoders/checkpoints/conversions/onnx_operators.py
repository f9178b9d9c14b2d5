"""The operators of an ONNX graph that carry weights, in the order in which they run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """A batch normalisation that follows a convolution."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    epsilon: float


@dataclass(frozen=True, slots=True)
class Operator:
    """One weighted operator. ``weight`` has torch's layout: (out, in) for MatMul, as stored for the others."""

    kind: str  # Conv, ConvTranspose, MatMul, LayerNorm
    weight: Array
    bias: Array | None = None
    batch_norm: BatchNorm | None = None


def read_operators(path: Path) -> list[Operator]:
    """Weighted operators in topological order."""
    import onnx

    graph = _Graph(onnx.load(str(path)).graph)
    return [operator for node in graph.nodes if (operator := graph.operator(node)) is not None]


def read_metadata(path: Path) -> dict[str, str]:
    """The model's metadata properties."""
    import onnx

    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}


class _Graph:
    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self.nodes = list(graph.node)
        self.constants: dict[str, Array] = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        self.users: dict[str, list[Any]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.users[name].append(node)

    def after(self, name: str) -> list[Any]:
        """The nodes that read a tensor, looking through Identity."""
        found = []
        for node in self.users.get(name, []):
            found += self.after(node.output[0]) if node.op_type == "Identity" else [node]
        return found

    def operator(self, node: Any) -> Operator | None:
        """The node as an operator with weights, or None for all others."""
        if node.op_type in ("Conv", "ConvTranspose"):
            weight = self.constants[node.input[1]]
            channels = weight.shape[0 if node.op_type == "Conv" else 1]
            inline = self.constants[node.input[2]] if len(node.input) > 2 and node.input[2] else None
            bias = inline if inline is not None else self.added(node, channels)
            return Operator(node.op_type, weight, bias, self.batch_norm(node))
        if node.op_type == "MatMul" and node.input[1] in self.constants:
            weight = self.constants[node.input[1]]
            return Operator("MatMul", weight.T, self.added(node, weight.shape[1]))
        if node.op_type == "Mul":  # a decomposed LayerNorm: Div, Mul(gamma), Add(beta)
            for name in node.input:
                gamma = self.constants.get(name)
                if gamma is not None and gamma.ndim == 1 and gamma.size > 1:
                    return Operator("LayerNorm", gamma, self.added(node, gamma.size))
        return None

    def added(self, node: Any, size: int) -> Array | None:
        """The constant of that size which an Add behind the node adds: a bias, as a vector."""
        for user in self.after(node.output[0]):
            if user.op_type == "Add":
                constants = [self.constants[name] for name in user.input if name in self.constants]
                if constants and constants[0].size == size:
                    return constants[0].reshape(-1)
        return None

    def batch_norm(self, node: Any) -> BatchNorm | None:
        for user in self.after(node.output[0]):
            if user.op_type == "BatchNormalization":
                epsilon = next(item.f for item in user.attribute if item.name == "epsilon")
                gamma, beta, mean, variance = (self.constants[name] for name in user.input[1:5])
                return BatchNorm(gamma, beta, mean, variance, epsilon)
        return None
