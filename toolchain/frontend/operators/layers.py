"""Convolutions, products with constant matrices, and batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from spikec.errors import ConversionError
from spikec.frontend.builder import Builder, Call, handles
from spikec.frontend.modules import Convolution, Dense, LinearMap
from spikec.frontend.obstacles import RefusalError
from spikec.frontend.operators.arithmetic import with_constants
from spikec.frontend.placing import flat, picked
from spikec.frontend.values import Value, moved, reshaped
from spikec.ir.types import Shape

_COMPUTED = ("a layer whose weights are computed from the image", "use fixed parameters as weights")


@handles("convolution", "_convolution", "mkldnn_convolution")
def convolution(b: Builder, call: Call) -> Any:
    weight, bias = (call.constant(name, *_COMPUTED) for name in ("weight", "bias"))
    assert weight is not None
    value = call.value("input")
    spatial = weight.ndim - 2
    if len(value.shape) != weight.ndim:
        raise RefusalError("a convolution of one image without a batch axis", "keep the batch axis first: (N, C, H, W)")
    if call["transposed"] or spatial > 2:
        return _as_map(b, call, value, weight, bias)
    stride, padding, dilation = (_two(call[name], n) for name, n in (("stride", 1), ("padding", 0), ("dilation", 1)))
    kernel = weight.unsqueeze(2) if spatial == 1 else weight
    layer = Convolution(
        kernel, bias, stride=stride, pads=(padding[0], padding[0], padding[1], padding[1]), dilation=dilation,
        groups=int(call["groups"]),
    )  # fmt: skip
    source = b.node(call, value)
    return b.whole(call, b.emit(call, layer, b.absorb(source, layer), call.shape))


def _two(value: Any, neutral: int) -> tuple[int, int]:
    """A setting for rows and columns; that of a signal is for columns."""
    numbers = [int(each) for each in value]
    return (neutral, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _as_map(b: Builder, call: Call, value: Value, weight: Tensor, bias: Tensor | None) -> Value:
    """A transposed convolution, or one of volumes: no convolution of images, so a linear map with all its entries."""
    names = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
    settings, shape = [call[name] for name in names], value.shape[1:]

    return by_matrix(
        b, call, value, lambda x: torch.convolution(x.reshape(len(x), *shape), weight.float(), bias, *settings)
    )


def by_matrix(b: Builder, call: Call, value: Value, apply: Callable[[Tensor], Tensor]) -> Value:
    """Any linear operation, by running it on unit vectors. ``apply``: float32 [n, ...] of one image's numbers."""
    if len(value.shape) > 4:
        value = reshaped(value, (b.batch, math.prod(value.shape[1:])))
    source = b.node(call, value)
    shape = call.shape if len(call.shape) in (1, 3) else (math.prod(call.shape),)
    try:
        layer = LinearMap.of(lambda x: apply(x).reshape(len(x), *shape), b.shape(source))
    except ConversionError as error:
        raise RefusalError(str(error), "make the images smaller there, or use a convolution or a pool") from error
    return b.whole(call, b.emit(call, layer, source, shape))


@handles("addmm", "mm", "addmv", "mv")
def product(b: Builder, call: Call) -> Any:
    """``x @ matrix + bias``: dense for vectors, a 1 x 1 convolution where there is a row for every place."""
    names = (
        ("mat1", "mat2")
        if call.step.name == "addmm"
        else ("self", "mat2")
        if call.step.name == "mm"
        else ("self", "vec")
    )
    first, second = call[names[0]], call[names[1]]
    bias = call.constant("self", *_COMPUTED) if call.step.name == "addmm" else None
    if isinstance(first, Value) and isinstance(second, Value):
        raise RefusalError("a matrix product of two branches", "use Linear or Conv layers with fixed weights")
    if call.step.name not in ("addmm", "mm"):
        raise RefusalError("a product with a vector", "use Linear on (N, features)")
    if call.step.name == "addmm" and bias is not None:
        bias = bias.double() * float(call.given.get("beta", 1))
    factor = float(call.given.get("alpha", 1))
    if isinstance(second, Value):  # W @ X: the transpose of X^T @ W^T
        (turned,) = moved([second], lambda given, _: given[0].t(), b.batch)
        found = rows_times(b, call, turned, first.double().t() * factor)
        (back,) = moved([found], lambda given, _: given[0].t(), b.batch)
        return back if bias is None else with_constants(b, call, back, None, bias)
    matrix = second.double() * factor
    along_rows = bias is not None and (bias.ndim < 2 or bias.shape[0] == 1)
    found = rows_times(b, call, first, matrix, bias.reshape(-1) if bias is not None and along_rows else None)
    return found if bias is None or along_rows else with_constants(b, call, found, None, bias)


@handles("bmm", "baddbmm")
def batched_product(b: Builder, call: Call) -> Any:
    """A product of stacks of matrices, of which one stack is constant and the same for all."""
    if call.step.name == "baddbmm":
        raise RefusalError("a matrix product of two branches", "use Linear or Conv layers with fixed weights")
    first, second = call["self"], call["mat2"]
    if isinstance(first, Value) and isinstance(second, Value):
        raise RefusalError("a matrix product of two branches", "use Linear or Conv layers with fixed weights")
    fixed = second if isinstance(first, Value) else first
    if not bool((fixed == fixed[:1]).all()):
        raise RefusalError("a stack of different matrices", "use Linear or Conv layers with fixed weights")
    if isinstance(first, Value):
        stack, rows, inner = first.shape
        found = rows_times(b, call, reshaped(first, (stack * rows, inner)), fixed[0].double())
        return reshaped(found, call.full_shape)
    (turned,) = moved([second], lambda given, _: given[0].transpose(1, 2), b.batch)
    stack, rows, inner = turned.shape
    found = reshaped(
        rows_times(b, call, reshaped(turned, (stack * rows, inner)), fixed[0].double().t()), (stack, rows, -1)
    )
    (back,) = moved([found], lambda given, _: given[0].transpose(1, 2), b.batch)
    return back


def rows_times(b: Builder, call: Call, value: Value, matrix: Tensor, bias: Tensor | None = None) -> Value:
    """``value`` [M, K] times ``matrix`` [K, O], float64, where M is the batch or several rows for each image."""
    count, width = value.shape
    if count == b.batch:
        return _vectors(b, call, value, matrix, bias)
    if count % b.batch:
        raise RefusalError("a matrix product over the images of a batch", "keep the batch axis first and whole")
    places = count // b.batch
    (turned,) = moved([value], lambda given, _: given[0].reshape(b.batch, places, width).transpose(1, 2), b.batch)
    source, shape = _channels_first(b, call, turned)
    layer = Convolution(matrix.t().reshape(-1, width, 1, 1).float(), None if bias is None else bias.float())
    after = (matrix.shape[1], *shape[1:])
    node = b.emit(call, layer, b.absorb(source, layer), after)
    made = Value((b.batch, matrix.shape[1], places), (node,))
    (back,) = moved([made], lambda given, _: given[0].transpose(1, 2).reshape(count, -1), b.batch)
    return back


def _channels_first(b: Builder, call: Call, value: Value) -> tuple[fx.Node, Shape]:
    """A node of [K, height, width] with the elements of ``value`` [N, K, places], whatever its rows and columns are."""
    if value.index is None and value.scale is None and value.shift is None:
        (source,) = value.sources
        if b.shape(source)[0] == value.shape[1] and len(b.shape(source)) == 3:
            return source, b.shape(source)
    source = b.node(call, value)
    return source, b.shape(source)


def _vectors(b: Builder, call: Call, value: Value, matrix: Tensor, bias: Tensor | None) -> Value:
    """One vector an image: what is picked from the source, and with which factors, goes into the weights."""
    got = picked(b, call, value)
    if got.scale is None and got.shift is None and got.element is None:
        source = flat(b, value.call or call, got.source)
        weight = matrix.t()
    else:
        source = flat(b, value.call or call, got.source)
        scaled = matrix.t() if got.scale is None else matrix.t() * got.scale
        if got.shift is not None:
            bias = (torch.zeros(matrix.shape[1]).double() if bias is None else bias) + matrix.t() @ got.shift
        weight = torch.zeros(matrix.shape[1], b.shape(source)[0], dtype=torch.float64)
        order = torch.arange(matrix.shape[0]) if got.element is None else got.element
        weight.index_add_(1, order[order >= 0], scaled[:, order >= 0])
    layer = Dense(weight.float(), None if bias is None else bias.expand(matrix.shape[1]).float())
    node = b.emit(call, layer, b.absorb(source, layer), (matrix.shape[1],))
    return Value((b.batch, matrix.shape[1]), (node,))


@handles("native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "cudnn_batch_norm",
         "miopen_batch_norm", "batch_norm", "_batch_norm_with_update")  # fmt: skip
def batch_norm(b: Builder, call: Call) -> Any:
    """``y = gamma * (x - mean) / sqrt(var + eps) + beta`` with the running statistics."""
    value, names = call.value("input"), call.given
    mean, variance = (names.get(key) for key in ("running_mean", "running_var"))
    training = names.get("training", names.get("train", False))
    if training or mean is None or variance is None:
        raise RefusalError(
            "batch normalisation without running statistics", "use track_running_stats=True and train it"
        )
    if isinstance(mean, Value) or isinstance(variance, Value):
        raise RefusalError("batch normalisation with statistics computed from the image", "use running statistics")
    # In float64: the folded weights are rounded once, not three times.
    epsilon = float(names.get("eps", names.get("epsilon", 1e-5)))
    scale = 1.0 / torch.sqrt(variance.double() + epsilon)
    if names.get("weight") is not None:
        scale = call.constant("weight", *_COMPUTED).double() * scale  # type: ignore[union-attr]
    shift = -mean.double() * scale
    if names.get("bias") is not None:
        shift = shift + call.constant("bias", *_COMPUTED).double()  # type: ignore[union-attr]
    wide = (1, -1, *[1] * (len(value.shape) - 2))
    found = with_constants(b, call, value, scale.reshape(wide), shift.reshape(wide))
    return [found, None, None, None, None][: max(len(call.step.results), 1)]


@handles("_weight_norm_interface", "_weight_norm")
def weight_norm(b: Builder, call: Call) -> Any:
    raise RefusalError(*_COMPUTED)
