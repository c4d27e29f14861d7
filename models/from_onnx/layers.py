"""ONNX operators that are layers: convolutions, matrices, batch norm and pools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikec.models.from_onnx.module import Fixed, WithConstant
from spikec.models.from_onnx.node import Node, Refused
from spikec.models.from_onnx.registry import Built, builds

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_MAXIMUM = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_PAD: dict[int, Any] = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}


def _of_rank(table: dict[int, Any], node: Node) -> Any:
    if node.rank - 2 not in table:
        raise Refused(f"its input has {node.rank} dimensions")
    return table[node.rank - 2]


class _Window:
    """Kernel, strides, dilations and padding of a convolution or a pool; ``begin`` and ``end`` by dimension."""

    def __init__(self, node: Node, kernel: Sequence[int]) -> None:
        ones = [1] * len(kernel)
        self.kernel = list(kernel)
        self.strides = node.attribute("strides", ones)
        self.dilations = node.attribute("dilations", ones)
        automatic = node.attribute("auto_pad", "NOTSET")
        pads = node.attribute("pads")
        if automatic == "NOTSET":
            pads = pads or [0] * (2 * len(kernel))
            self.begin, self.end = pads[: len(kernel)], pads[len(kernel) :]
        elif automatic == "VALID":
            self.begin = self.end = [0] * len(kernel)
        else:
            totals = [self._same(size, axis) for axis, size in enumerate(node.shape[2:])]
            small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
            self.begin, self.end = (small, large) if automatic == "SAME_UPPER" else (large, small)

    def _same(self, size: int, axis: int) -> int:
        stride, reach = int(self.strides[axis]), (self.kernel[axis] - 1) * int(self.dilations[axis]) + 1
        return max((math.ceil(size / stride) - 1) * stride + reach - size, 0)

    @property
    def even(self) -> bool:
        return self.begin == self.end

    def outside(self, value: float) -> nn.Module:
        """The padding as a module of its own."""
        sides = [side for both in zip(reversed(self.begin), reversed(self.end), strict=True) for side in both]
        made: nn.Module = _PAD[len(self.kernel)](tuple(sides), value)
        return made


def _filled(layer: nn.Module, **values: Tensor | None) -> nn.Module:
    with torch.no_grad():
        for name, value in values.items():
            if value is not None:
                getattr(layer, name).copy_(value)
    return layer


@builds("Conv")
def conv(node: Node) -> Built:
    weight = node.tensor(1, "weight")
    node.alone()
    bias = None if node.optional(2) is None else node.tensor(2, "bias")
    groups = node.attribute("group", 1)
    node.ignore("kernel_shape")
    window = _Window(node, weight.shape[2:])
    layer = _of_rank(_CONV, node)(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(window.kernel),
        tuple(window.strides),
        tuple(window.begin) if window.even else 0,
        tuple(window.dilations),
        groups,
        bias is not None,
    )
    layer = _filled(layer, weight=weight, bias=bias)
    return layer if window.even else (window.outside(0.0), layer)


@builds("ConvTranspose")
def conv_transpose(node: Node) -> Built:
    node.alone()
    weight = node.tensor(1, "weight")
    bias = None if node.optional(2) is None else node.tensor(2, "bias")
    groups, further = node.attribute("group", 1), node.attribute("output_padding", [0] * (weight.ndim - 2))
    node.ignore("kernel_shape")
    if node.attribute("output_shape") is not None or node.attribute("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise Refused("its padding follows from the size of its output; export it with pads")
    window = _Window(node, weight.shape[2:])
    # More cut off at the beginning than at the end is a longer output: PyTorch's output_padding.
    longer = [f + b - e for f, b, e in zip(further, window.begin, window.end, strict=True)]
    if min(longer) < 0:
        raise Refused("its padding is larger at the end than at the beginning")
    layer = _of_rank(_TRANSPOSED, node)(
        weight.shape[0],
        weight.shape[1] * groups,
        tuple(window.kernel),
        tuple(window.strides),
        tuple(window.begin),
        tuple(longer),
        groups,
        bias is not None,
        tuple(window.dilations),
    )
    return _filled(layer, weight=weight, bias=bias)


@builds("Gemm")
def gemm(node: Node) -> Built:
    node.alone()
    weight = node.tensor(1, "matrix") * node.attribute("alpha", 1.0)
    if node.attribute("transA", 0):
        raise Refused("it transposes the image's values")
    weight = weight if node.attribute("transB", 0) else weight.T
    beta, bias = node.attribute("beta", 1.0), None
    if node.optional(2) is not None:
        bias = node.tensor(2, "bias") * beta
        if bias.numel() not in (1, weight.shape[0]):
            raise Refused("its bias differs between images")
        bias = bias.reshape(-1).expand(weight.shape[0])
    return _linear(weight, bias)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Module:
    return _filled(nn.Linear(weight.shape[1], weight.shape[0], bias is not None), weight=weight, bias=bias)


@builds("MatMul")
def matmul(node: Node) -> Built:
    if len(node.examples) == 2:
        return Fixed(torch.matmul)
    left = 0 in node.constants
    value = node.tensor(0 if left else 1, "matrix")
    if not left and value.ndim == 2:
        return _linear(value.T, None)
    return WithConstant(torch.matmul, value, left)


@builds("BatchNormalization")
def batch_norm(node: Node) -> Built:
    node.alone()
    if node.attribute("training_mode", 0) or len([name for name in node.proto.output if name]) > 1:
        raise Refused("it is in training mode; export the network after model.eval()")
    if node.attribute("spatial", 1) != 1:
        raise Refused("it has statistics for each place (spatial=0)")
    node.ignore("momentum", "is_test", "consumed_inputs")
    scale, shift, mean, variance = (
        node.tensor(place, what) for place, what in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    layer = _of_rank(_NORM, node)(len(scale), eps=node.attribute("epsilon", 1e-5))
    return _filled(layer, weight=scale, bias=shift, running_mean=mean, running_var=variance).eval()


@builds("MaxPool")
def max_pool(node: Node) -> Built:
    if len([name for name in node.proto.output if name]) > 1:
        raise Refused("its places are used; only its values are possible")
    node.ignore("storage_order")
    window, ceil = _Window(node, node.attribute("kernel_shape")), bool(node.attribute("ceil_mode", 0))
    kernel, strides, dilations = tuple(window.kernel), tuple(window.strides), tuple(window.dilations)
    even = window.even and all(2 * b <= k for b, k in zip(window.begin, kernel, strict=True))
    padding = tuple(window.begin) if even else 0
    pool = _of_rank(_MAXIMUM, node)(kernel, strides, padding, dilations, ceil_mode=ceil)
    # After a ReLU, zeros beside the image change no maximum.
    return pool if even else (window.outside(0.0 if node.nonnegative else -math.inf), pool)


@builds("AveragePool")
def average_pool(node: Node) -> Built:
    window, ceil = _Window(node, node.attribute("kernel_shape")), bool(node.attribute("ceil_mode", 0))
    counted = bool(node.attribute("count_include_pad", 0))
    if any(step != 1 for step in window.dilations):
        raise Refused("it has dilations")
    kernel, strides = tuple(window.kernel), tuple(window.strides)
    if window.even:
        padding = tuple(window.begin)
        return _built(_of_rank(_AVERAGE, node)(kernel, strides, padding, ceil, counted))
    if not counted or ceil:
        raise Refused("its padding is uneven and not counted; pad with the image's border instead, or by even numbers")
    return window.outside(0.0), _built(_of_rank(_AVERAGE, node)(kernel, strides, 0))


def _built(module: nn.Module) -> nn.Module:
    return module


@builds("GlobalAveragePool")
def global_average(node: Node) -> Built:
    return _built(_of_rank({1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}, node)(1))


@builds("GlobalMaxPool")
def global_maximum(node: Node) -> Built:
    return _built(_of_rank({1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}, node)(1))
