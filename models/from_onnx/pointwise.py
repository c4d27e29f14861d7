"""ONNX operators on each number alone: activations and arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from spikec.models.from_onnx.module import Fixed, WithConstant, mean_of, plus_all
from spikec.models.from_onnx.node import Node, Refused
from spikec.models.from_onnx.registry import Built, builds

_PLAIN: dict[str, Callable[[], nn.Module]] = {
    "Relu": nn.ReLU,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
    "HardSwish": nn.Hardswish,
    "Softsign": nn.Softsign,
    "Softplus": nn.Softplus,
    "Mish": nn.Mish,
    "Identity": nn.Identity,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Neg": torch.neg,
    "Abs": torch.abs,
    "Sqrt": torch.sqrt,
    "Exp": torch.exp,
    "Log": torch.log,
    "Erf": torch.erf,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Round": torch.round,
    "Sign": torch.sign,
    "Reciprocal": torch.reciprocal,
}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": operator.truediv,
    "Pow": torch.pow,
}


@builds(*_PLAIN)
def plain(node: Node) -> Built:
    node.ignore("consumed_inputs")
    return _PLAIN[node.operator]()


@builds(*_FUNCTIONS)
def function(node: Node) -> Built:
    return Fixed(_FUNCTIONS[node.operator])


@builds(*_BINARY)
def binary(node: Node) -> Built:
    act = _BINARY[node.operator]
    if len(node.examples) == 2:
        return Fixed(act)
    left = 0 in node.constants
    value = node.tensor(0 if left else 1, "constant")
    shape = next(iter(node.examples.values()))[0].shape
    if value.ndim > len(shape) or (value.ndim == len(shape) and value.shape[0] != 1 and value.ndim > 0):
        raise Refused("its constant differs between images, or adds dimensions")
    return WithConstant(act, value, left)


@builds("Sum", "Mean")
def several(node: Node) -> Built:
    if node.constants:
        raise Refused("one of its inputs is a constant; write it as Add")
    return Fixed(plus_all if node.operator == "Sum" else mean_of)


@builds("Min", "Max")
def extreme(node: Node) -> Built:
    act = torch.minimum if node.operator == "Min" else torch.maximum
    if len(node.examples) + len(node.constants) != 2:
        raise Refused("it has other than two inputs")
    if not node.constants:
        return Fixed(act)
    left = 0 in node.constants
    value = node.tensor(0 if left else 1, "constant")
    if value.numel() == 1:
        low, high = (None, value.item()) if node.operator == "Min" else (value.item(), None)
        return _clipped(low, high)
    return WithConstant(act, value, left)


@builds("Clip")
def clip(node: Node) -> Built:
    return _clipped(_number(node.either("min", 1)), _number(node.either("max", 2)))


def _number(value: Any) -> float | None:
    while isinstance(value, list):
        value = value[0]
    return None if value is None else float(value)


#: Bounds that exporters write where they mean none.
_LARGEST = 3.4e38


def _clipped(low: float | None, high: float | None) -> nn.Module:
    low = None if low is not None and low <= -_LARGEST else low
    high = None if high is not None and high >= _LARGEST else high
    if low is None and high is None:
        return nn.Identity()
    if low == 0 and high is None:
        return nn.ReLU()
    if low == 0 and high == 6:
        return nn.ReLU6()
    if low is not None and high is not None and low < high:
        return nn.Hardtanh(low, high)
    return Fixed(torch.clamp, min=low, max=high)


@builds("LeakyRelu")
def leaky(node: Node) -> Built:
    return nn.LeakyReLU(node.attribute("alpha", 0.01))


@builds("PRelu")
def prelu(node: Node) -> Built:
    slope = node.tensor(1, "slope")
    channels = node.shape[1]
    places = tuple(slope.shape[1:] if slope.ndim == node.rank else slope.shape)
    if slope.numel() not in (1, channels) or (slope.numel() > 1 and places[:1] != (channels,)):
        raise Refused("its slope differs between places of an image")
    layer = nn.PReLU(slope.numel())
    with torch.no_grad():
        layer.weight.copy_(slope.reshape(-1))
    return layer


@builds("Elu")
def elu(node: Node) -> Built:
    return nn.ELU(node.attribute("alpha", 1.0))


@builds("Celu")
def celu(node: Node) -> Built:
    return nn.CELU(node.attribute("alpha", 1.0))


@builds("Gelu")
def gelu(node: Node) -> Built:
    return nn.GELU(node.attribute("approximate", "none"))


@builds("HardSigmoid")
def hard_sigmoid(node: Node) -> Built:
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    if abs(alpha - 1 / 6) > 1e-4 or beta != 0.5:
        raise Refused(f"its slope is {alpha:g}; only PyTorch's, 1/6, is known here")
    return nn.Hardsigmoid()


@builds("Softmax", "LogSoftmax")
def softmax(node: Node) -> Built:
    kind = nn.Softmax if node.operator == "Softmax" else nn.LogSoftmax
    axis = node.attribute("axis", -1 if node.opset >= 13 else 1) % node.rank
    if node.opset < 13 and any(size != 1 for size in node.shape[axis + 1 :]):
        raise Refused(
            "in this opset it acts over all dimensions from its axis on; export with opset_version=13 or more"
        )
    return kind(axis)


@builds("Dropout")
def dropout(node: Node) -> Built:
    node.ignore("ratio", "seed", "is_test", "consumed_inputs")
    node.optional(1)
    training = node.optional(2)
    if training is not None and bool(training):
        raise Refused("it is in training mode; export the network after model.eval()")
    if len([name for name in node.proto.output if name]) > 1:
        raise Refused("its mask is used; only its values are possible")
    return nn.Identity()


@builds("Cast")
def cast(node: Node) -> Built:
    from spikec.models.from_onnx.file import FLOATS

    node.ignore("saturate", "round_mode")
    if node.attribute("to") not in FLOATS:
        raise Refused("it makes whole numbers or truth values of the image's values")
    return nn.Identity()
