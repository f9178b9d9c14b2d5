"""PP-OCRv6 small: ONNX as PaddleOCR exports it, to transformers folders with the same weights in float32.

Weighted ONNX operators in topological order are paired with the weighted modules of the transformers network in the
order in which they run, and every pair's shape must be equal. In one place the orders differ without a shape telling
so: the detector's neck, which Paddle runs from the coarsest map to the finest and transformers the other way round.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from encoders.checkpoints.conversions.files import write_json, write_weights
from encoders.checkpoints.conversions.onnx_operators import Operator, read_metadata, read_operators
from encoders.checkpoints.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import nn

# [kernel, in, out, stride, squeeze-excitation] per block of the detector's backbone; the recogniser's is the default.
_DETECTION_BLOCKS = [
    [[3, 48, 48, 1, True], [3, 48, 48, 1, False]],
    [[3, 48, 96, 2, False], [3, 96, 96, 1, True], [3, 96, 96, 1, False]],
    [[3, 96, 192, 2, False], *([3, 192, 192, 1, excite] for excite in (True, False, True, False))],
    [[3, 192, 384, 2, False], [3, 384, 384, 1, True], [3, 384, 384, 1, False]],
]
_DETECTION = {
    "architectures": ["PPOCRV6SmallDetForObjectDetection"],
    "model_type": "pp_ocrv6_small_det",
    "dtype": "float32",
    "backbone_config": {
        "model_type": "pp_lcnet_v4",
        "stem_channels": [3, 24, 48],
        "block_configs": _DETECTION_BLOCKS,
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
    "layer_list_out_channels": [48, 96, 192, 384],
}
_RECOGNITION = {
    "architectures": ["PPOCRV6SmallRecForTextRecognition"],
    "model_type": "pp_ocrv6_small_rec",
    "dtype": "float32",
}


def add_characters(sources: Path, target: Path) -> None:
    """``model.onnx`` as it is, and ``characters.json``: class index -> character, with the CTC blank as "" at 0."""
    shutil.copyfile(sources / "model.onnx", target / "model.onnx")
    characters = read_metadata(sources / "model.onnx")["character"].splitlines()
    write_json(["", *characters, " "], target / "characters.json")  # Paddle adds the space itself


def detection_to_torch(sources: Path, target: Path) -> None:
    """``model.onnx`` to a folder for `PPOCRV6SmallDetForObjectDetection`."""
    operators = read_operators(sources / "model.onnx")
    _write(operators, _DETECTION, (64, 64), target)


def recognition_to_torch(sources: Path, target: Path) -> None:
    """``model.onnx, characters.json`` to a folder for `PPOCRV6SmallRecForTextRecognition` with the characters."""
    operators = read_operators(sources / "model.onnx")
    _write(operators, _RECOGNITION | {"head_out_channels": operators[-1].weight.shape[0]}, (48, 320), target)
    shutil.copyfile(sources / "characters.json", target / "characters.json")


def _write(operators: list[Operator], config: dict[str, Any], size: tuple[int, int], target: Path) -> None:
    """Build the network from its config, fill it, and write both; ``size`` is any input (height, width) it accepts."""
    import torch
    import transformers

    write_json(config, target / "config.json")
    parsed = transformers.AutoConfig.from_pretrained(target)
    network = getattr(transformers, config["architectures"][0])(parsed).eval()
    modules = _neck_as_in_paddle(_in_running_order(network, torch.zeros(1, 3, *size)))
    if len(modules) != len(operators):
        raise CheckpointError(f"The graph has {len(operators)} weighted operators, the network {len(modules)}.")
    for (name, module), operator in zip(modules, operators, strict=True):
        _fill(name, module, network, operator)
    write_weights(network.state_dict(), target)


def _in_running_order(network: nn.Module, example: torch.Tensor) -> list[tuple[str, nn.Module]]:
    """(name, module) of all modules with weights, as a forward pass meets them."""
    import torch
    from torch import nn

    order: list[tuple[str, nn.Module]] = []
    handles = [
        module.register_forward_pre_hook(lambda module, inputs, name=name: order.append((name, module)))
        for name, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.LayerNorm))
    ]
    with torch.inference_mode():
        network(example)
    for handle in handles:
        handle.remove()
    return order


def _neck_as_in_paddle(modules: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """Reverse the order of the neck's maps within each of its two groups; the recogniser has no such neck."""
    first: dict[str, int] = {}

    def key(index: int) -> tuple[int, int, int]:
        match = re.search(r"neck\.(insert_conv|input_conv)\.(\d)", modules[index][0])
        if match is None:
            return index, 0, index
        return first.setdefault(match.group(1), index), -int(match.group(2)), index

    return [modules[index] for index in sorted(range(len(modules)), key=key)]


def _fill(name: str, module: nn.Module, network: nn.Module, operator: Operator) -> None:
    """Put one operator's weights into its module and the batch normalisation beside it."""
    kind = {"Conv2d": "Conv", "ConvTranspose2d": "ConvTranspose", "Linear": "MatMul", "LayerNorm": "LayerNorm"}
    weight: Any = module.weight
    if kind[type(module).__name__] != operator.kind or tuple(weight.shape) != operator.weight.shape:
        raise CheckpointError(f"{name} ({tuple(weight.shape)}) met a {operator.kind} of {operator.weight.shape}.")
    weight.data = _tensor(operator.weight)
    norm = _batch_norm_beside(name, network)
    bias: Any = module.bias
    if norm is None or bias is not None:
        # A transposed convolution has its own bias although a batch normalisation follows.
        _fill_bias(name, bias, operator)
        if norm is not None:
            _fill_norm(norm, operator, folded_bias=None)
    else:
        _fill_norm(norm, operator, folded_bias=operator.bias)


def _batch_norm_beside(name: str, network: nn.Module) -> Any:
    """The batch normalisation that follows a module called ``....convolution``, if there is one."""
    if not name.endswith(".convolution"):
        return None
    parent = network.get_submodule(name.rpartition(".")[0])
    return getattr(parent, "normalization", None) or getattr(parent, "norm", None)


def _fill_bias(name: str, bias: Any, operator: Operator) -> None:
    if (bias is None) != (operator.bias is None):
        raise CheckpointError(f"{name}: only one of the graph and the network has a bias.")
    if operator.bias is not None:
        bias.data = _tensor(operator.bias)


def _fill_norm(norm: Any, operator: Operator, folded_bias: NDArray[np.float32] | None) -> None:
    """As in the graph where it was kept; where it was folded into the convolution, one that only adds the bias."""
    import torch

    kept = operator.batch_norm
    if kept is not None:
        if folded_bias is not None:
            raise CheckpointError("A convolution has both a batch normalisation and a bias that nothing takes.")
        if abs(kept.epsilon - norm.eps) > 1e-9:
            raise CheckpointError(f"A batch normalisation has epsilon {kept.epsilon}, the network's {norm.eps}.")
        norm.weight.data, norm.bias.data = _tensor(kept.gamma), _tensor(kept.beta)
        norm.running_mean.data, norm.running_var.data = _tensor(kept.mean), _tensor(kept.variance)
        return
    norm.weight.data = torch.ones_like(norm.weight)
    norm.bias.data = torch.zeros_like(norm.bias) if folded_bias is None else _tensor(folded_bias)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)  # so that the root of variance + epsilon is 1


def _tensor(array: NDArray[np.float32]) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.array(array, dtype=np.float32))
