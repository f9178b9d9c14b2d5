"""The two OCR networks on CUDA: the same weights as the `transformers` modules, computed by `encoders.ocr.kernels`.

Between kernels the recogniser's pixels are of half precision. The detector's are of single: where they were of half,
the edges of lines moved by up to a pixel. Products are of half precision in both, as exact as TF32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, pad, scaled_dot_product_attention, silu

from encoders.ocr import kernels, line_kernels, map_kernels

_TILE = (64, 32, 4, 2)
_TILES = {
    (torch.float16, 96, 192, False): (64, 64, 4, 2),
    (torch.float16, 192, 192, False): (128, 64, 8, 3),
    (torch.float16, 192, 192, True): (128, 64, 8, 3),
    (torch.float16, 384, 384, False): (64, 32, 8, 3),
    (torch.float16, 384, 384, True): (64, 32, 8, 3),
    (torch.float32, 96, 192, False): (64, 64, 4, 2),
    (torch.float32, 192, 192, False): (64, 64, 8, 3),
    (torch.float32, 192, 192, True): (64, 64, 8, 3),
    (torch.float32, 192, 384, False): (128, 64, 8, 2),
    (torch.float32, 384, 384, False): (32, 64, 8, 2),
    (torch.float32, 384, 384, True): (64, 32, 8, 3),
}
"""Pixels of a tile, hidden channels at a time, warps and stages of `kernels.block`, by what is kept, channels and if it
is gated: the quickest of those that were tried on an H100 and computed what PyTorch does. Some do not: 64 hidden
channels of 96 in one stage read beyond shared memory, as triton 3.6 compiles them."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Squeeze-and-excitation, see `kernels.gated`: what comes of two layers, times ``slope`` and 0.5 more, is kept
    within 0 and 1. Then ``more`` is added, where a channel's own share of it is added to the channel."""

    first: Tensor  # [hidden, c]
    first_bias: Tensor
    second: Tensor  # [d, hidden]
    second_bias: Tensor
    slope: float
    more: float


@dataclass(frozen=True, slots=True)
class Block:
    """See `kernels.block`."""

    inputs: int
    outputs: int
    strides: tuple[int, int]
    residual: bool
    taps: Tensor  # [9, c]
    taps_bias: Tensor
    first: Tensor  # [c, 2 c]
    first_bias: Tensor
    second: Tensor  # [2 c, d]
    second_bias: Tensor
    gate: Gate | None
    kept: torch.dtype

    @property
    def tile(self) -> tuple[int, int, int, int]:
        """See `_TILES`."""
        return _TILES.get((self.kept, self.inputs, self.outputs, self.gate is not None), _TILE)

    def __call__(self, pixels: Tensor) -> Tensor:
        """[n, h, w, c] to [n, h', w', d]."""
        if self.gate is None:
            return kernels.block(pixels, self)
        made, sums = kernels.excitable(pixels, self)
        return kernels.block(made, self, kernels.gated(sums, pixels.shape[1] * pixels.shape[2], self.gate))


@dataclass(frozen=True, slots=True)
class Convolution:
    """See `kernels.convolved`."""

    weight: Tensor  # [rows x columns, c, d], c and d filled up to a power of two
    bias: Tensor
    outputs: int
    kernel: tuple[int, int]
    stride: int
    padding: tuple[int, int, int, int]  # above, left, below, right


@dataclass(frozen=True, slots=True)
class Classes:
    """A classifier for `line_kernels.best`."""

    weight: Tensor  # [d, classes], both filled up
    bias: Tensor  # what fills up is never the best


@dataclass(frozen=True, slots=True)
class Lateral:
    """See `map_kernels.lateral`. Its gate takes means of what comes in: means of products are products of means."""

    weight: Tensor  # [c, 128]
    gate: Gate  # [n, c] to [n, 128]


@dataclass(frozen=True, slots=True)
class Spread:
    """See `map_kernels.spread`."""

    taps: Tensor  # [49, 96]
    bias: Tensor
    weight: Tensor  # [96, 32]
    gate: Gate


@dataclass(frozen=True, slots=True)
class Head:
    """See `map_kernels.head`. Of a pixel become four, and of each of these four."""

    down: Tensor  # [4, 9, 32, 32], from the coarsest level to the finest
    down_bias: Tensor
    up: Tensor  # [4, 32, 32]
    up_bias: Tensor
    final: Tensor  # [4, 32, 16]
    final_bias: Tensor


class FusedRecogniser:
    """[n, 3, 48, W], channels last, to what `modules.RecognitionModule` makes of it."""

    def __init__(self, model: Any, device: torch.device) -> None:
        encoder, head = model.model.backbone.encoder, model.head.encoder
        self._stem = _Stem(encoder.convolution, device)
        self._blocks = [_block(block, device, torch.float16) for stage in encoder.blocks for block in stage.blocks]
        skip, reduce, local = (layer.convolution for layer in head.conv_block)
        self._reduce = _half(torch.cat([skip.weight, reduce.weight])[:, :, 0, 0], device)
        self._reduce_bias = _half(torch.cat([skip.bias, reduce.bias]), device)
        self._taps, self._taps_bias = _single(local.weight[:, 0, 0].t(), device), _single(local.bias, device)
        self._layers = [_Layer(layer, device) for layer in head.svtr_block]
        self._norm = _Norm(head.norm, device)
        self._width = reduce.out_channels

    def __call__(self, lines: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden [n, T, 120] and pooled [n, T, 384]."""
        pixels = self._stem(lines.permute(0, 2, 3, 1).to(torch.float16).contiguous())
        for block in self._blocks:
            pixels = block(pixels)
        pooled = line_kernels.pooled(pixels)
        steps = silu(linear(pooled, self._reduce, self._reduce_bias))
        hidden = line_kernels.mixed(steps, self._taps, self._taps_bias)
        for layer in self._layers:
            hidden = layer(hidden)
        return self._norm(hidden) + steps[..., : self._width], pooled


class FusedDetector:
    """[n, 3, H, W], channels last, to [n, H, W], the probability that a pixel belongs to the core of a line."""

    def __init__(self, model: Any, device: torch.device, kept: torch.dtype = torch.float32) -> None:
        encoder, neck, head = model.model.backbone.encoder, model.model.neck, model.head
        self._kept = kept
        self._stem = _Stem(encoder.convolution, device)
        self._stages = [[_block(block, device, kept) for block in stage.blocks] for stage in encoder.blocks]
        self._laterals = [_lateral(layer, device) for layer in neck.insert_conv]
        self._spreads = [_spread(layer, device) for layer in neck.input_conv]
        self._head = _head(head, device)

    def __call__(self, pages: Tensor) -> Tensor:
        """See the class."""
        pixels = self._stem(pages.permute(0, 2, 3, 1).to(self._kept).contiguous())
        maps = []
        for stage in self._stages:
            for block in stage:
                pixels = block(pixels)
            maps.append(pixels)
        levels, gates = [], []
        above = None
        for index in (3, 2, 1, 0):
            sums, pixels = maps[index].sum((1, 2), dtype=torch.float32), maps[index].shape[1] * maps[index].shape[2]
            one, spread = self._laterals[index], self._spreads[index]
            above = map_kernels.lateral(maps[index], one.weight, kernels.gated(sums, pixels, one.gate), above)
            level, sums = map_kernels.spread(above, spread)
            levels.append(level)
            gates.append(kernels.gated(sums, pixels, spread.gate))
        return map_kernels.head(levels[::-1], gates[::-1], self._head)


class _Stem:
    """The first convolutions: [n, h, w, 3] to [n, h / 4, w / 4, c]."""

    def __init__(self, stem: Any, device: torch.device) -> None:
        self._first, self._left, self._right, self._third, self._fourth = (
            _convolution(layer.convolution, padding, device)
            for layer, padding in (
                (stem.stem1, (1, 1, 1, 1)), (stem.stem2a, (0, 0, 1, 1)), (stem.stem2b, (0, 0, 1, 1)),
                (stem.stem3, (1, 1, 1, 1)), (stem.stem4, (0, 0, 0, 0)),
            )
        )  # fmt: skip

    def __call__(self, pixels: Tensor) -> Tensor:
        pixels = kernels.convolved(pixels, self._first)
        both = pixels.new_empty(*pixels.shape[:3], 2 * self._first.outputs)
        kernels.highest(pixels, both)
        kernels.convolved(kernels.convolved(pixels, self._left), self._right, both, self._first.outputs)
        return kernels.convolved(kernels.convolved(both, self._third), self._fourth)


class _Norm:
    """A norm over the last dimension."""

    def __init__(self, norm: nn.LayerNorm, device: torch.device) -> None:
        self._weight, self._bias, self._epsilon = _half(norm.weight, device), _half(norm.bias, device), norm.eps

    def __call__(self, hidden: Tensor) -> Tensor:
        return layer_norm(hidden, hidden.shape[-1:], self._weight, self._bias, self._epsilon)


class _Layer:
    """A transformer layer, whose heads of 15 numbers are filled up to 16: attention wants its rows aligned."""

    def __init__(self, layer: Any, device: torch.device) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._heads, self._scale = attention.num_heads, attention.scale
        width = attention.head_dim
        self._padded = -(-width // 8) * 8
        more = (0, self._padded - width)
        self._norms = [_Norm(layer.layer_norm1, device), _Norm(layer.layer_norm2, device)]
        weight = attention.qkv.weight.unflatten(0, (3, self._heads, width))
        self._queries = _half(pad(weight, (0, 0, *more)).flatten(0, 2), device)
        bias = attention.qkv.bias.unflatten(0, (3, self._heads, width))
        self._queries_bias = _half(pad(bias, more).flatten(), device)
        weight = attention.projection.weight.unflatten(1, (self._heads, width))
        self._projection = _half(pad(weight, more).flatten(1), device)
        self._projection_bias = _half(attention.projection.bias, device)
        self._wide, self._wide_bias = _half(mlp.fc1.weight, device), _half(mlp.fc1.bias, device)
        self._narrow, self._narrow_bias = _half(mlp.fc2.weight, device), _half(mlp.fc2.bias, device)
        self._activation = mlp.activation

    def __call__(self, hidden: Tensor) -> Tensor:
        """[n, t, d], the same."""
        asked = linear(self._norms[0](hidden), self._queries, self._queries_bias)
        query, keys, values = asked.unflatten(-1, (3, self._heads, self._padded)).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(query, keys, values, scale=self._scale)
        hidden = hidden + linear(seen.transpose(1, 2).flatten(2), self._projection, self._projection_bias)
        wide: Tensor = self._activation(linear(self._norms[1](hidden), self._wide, self._wide_bias))
        return hidden + linear(wide, self._narrow, self._narrow_bias)


def classes_of(weight: Tensor, bias: Tensor) -> Classes:
    """A classifier [classes, d] for `line_kernels.best`."""
    classes, width = weight.shape
    more = -classes % 128
    return Classes(
        pad(weight.t(), (0, more, 0, (1 << (width - 1).bit_length()) - width)).to(torch.float16).contiguous(),
        pad(bias.float(), (0, more), value=-1e30),
    )


def _half(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.detach().to(device, torch.float16).contiguous()


def _single(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.detach().to(device, torch.float32).contiguous()


def _padded_size(count: int) -> int:
    return max(16, 1 << (count - 1).bit_length())


def _convolution(convolution: nn.Conv2d, padding: tuple[int, int, int, int], device: torch.device) -> Convolution:
    outputs, inputs, rows, columns = convolution.weight.shape
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 1)
    more = (0, _padded_size(outputs) - outputs, 0, _padded_size(inputs) - inputs)
    bias = convolution.weight.new_zeros(outputs) if convolution.bias is None else convolution.bias
    stride = int(convolution.stride[0])
    return Convolution(
        _half(pad(weight, more), device), _single(pad(bias, more[:2]), device),
        outputs, (rows, columns), stride, padding,
    )  # fmt: skip


def _gate_of(module: Any, device: torch.device) -> Gate:
    """Of either of the two kinds of squeeze-and-excitation: the backbone's multiplies, the neck's adds."""
    of_neck = hasattr(module, "conv1")
    layers: Sequence[nn.Conv2d] = (
        [module.conv1, module.conv2] if of_neck else [module.convolutions[0], module.convolutions[2]]
    )
    weights = [_single(layer.weight[:, :, 0, 0], device) for layer in layers]
    biases = [_single(layer.bias, device) for layer in layers if layer.bias is not None]
    slope, more = (0.2, 1.0) if of_neck else (1 / 6, 0.0)
    return Gate(weights[0], biases[0], weights[1], biases[1], slope, more)


def _block(block: Any, device: torch.device, kept: torch.dtype) -> Block:
    token = getattr(block.token_conv, "convolution", block.token_conv)
    first, second = block.channel_conv1.convolution, block.channel_conv2.convolution
    squeezing = block.token_squeeze_excitation
    down, across = token.stride
    return Block(
        first.in_channels, second.out_channels, (int(down), int(across)), bool(block.has_residual),
        _single(token.weight[:, 0].flatten(1).t(), device), _single(token.bias, device),
        _half(first.weight[:, :, 0, 0].t(), device), _single(first.bias, device),
        _half(second.weight[:, :, 0, 0].t(), device), _single(second.bias, device),
        None if isinstance(squeezing, nn.Identity) else _gate_of(squeezing, device), kept,
    )  # fmt: skip


def _lateral(layer: Any, device: torch.device) -> Lateral:
    weight, gate = layer.in_conv.weight[:, :, 0, 0], _gate_of(layer.squeeze_excitation_block, device)
    more = 128 - len(weight)
    first = gate.first @ _single(_half(weight, device), device)
    return Lateral(_half(pad(weight.t(), (0, more)), device), _filled(replace(gate, first=first), more))


def _spread(layer: Any, device: torch.device) -> Spread:
    depthwise, pointwise = layer.depthwise_convolution, layer.pointwise_convolution
    more = 32 - pointwise.out_channels
    gate = _gate_of(layer.squeeze_excitation_module, device)
    return Spread(
        _single(depthwise.weight[:, 0].flatten(1).t(), device), _single(depthwise.bias, device),
        _half(pad(pointwise.weight[:, :, 0, 0].t(), (0, more)), device),
        _filled(replace(gate, first=pad(gate.first, (0, more))), more),
    )  # fmt: skip


def _filled(gate: Gate, more: int) -> Gate:
    """With so many results more, of nothing."""
    return replace(gate, second=pad(gate.second, (0, 0, 0, more)), second_bias=pad(gate.second_bias, (0, more)))


def _head(head: Any, device: torch.device) -> Head:
    down, up, final = head.conv_down.convolution, head.conv_up.convolution, head.conv_final
    channels = up.in_channels
    more = 32 - channels
    weight = down.weight.unflatten(1, (4, channels)).permute(1, 3, 4, 2, 0).flatten(1, 2)  # [4, 9, in, out]
    wide = pad(up.weight.permute(2, 3, 0, 1).flatten(0, 1), (0, more, 0, more))
    last = torch.zeros(4, 32, 4, 4)
    for quarter in range(4):
        last[quarter, :channels, quarter] = final.weight.detach()[:, 0].flatten(1).cpu()
    return Head(
        _half(pad(weight, (0, more, 0, more)), device), _single(pad(down.bias, (0, more)), device),
        _half(wide, device), _single(pad(up.bias, (0, more)), device),
        _half(last.flatten(2), device), _single(final.bias, device),
    )  # fmt: skip
