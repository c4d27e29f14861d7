"""Means, sums and maxima over axes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from spikec.frontend.builder import Builder, Call, handles
from spikec.frontend.modules import Convolution, LinearMap
from spikec.frontend.obstacles import RefusalError
from spikec.frontend.operators.arithmetic import scaled, total
from spikec.frontend.operators.pooling import largest, mean_of
from spikec.frontend.placing import Picked, bijective, picked, settled
from spikec.frontend.values import Value, moved, reshaped

#: More summands than this are added as one linear map, not branch by branch.
_FEW = 64
_MAXIMUM = "use a max or average pool, ReLU or torch.cat; for a global maximum x.amax((2, 3)), of a signal x.amax(2)"


@handles("mean", "sum")
def mean(b: Builder, call: Call) -> Any:
    """Over any axes but the batch."""
    value = call.value()
    rank = len(value.shape)
    given = call.given.get("dim")
    axes = sorted({axis % rank for axis in ([given] if isinstance(given, int) else given or range(rank))})
    count = math.prod(value.shape[axis] for axis in axes)
    factor = 1.0 if call.step.name == "sum" else 1.0 / count
    kept = [axis for axis in range(rank) if axis not in axes]
    (turned,) = moved(
        [value], lambda x, _: x[0].permute(*kept, *axes).reshape(*(value.shape[k] for k in kept), count), b.batch
    )
    if not kept or turned.shape[0] != b.batch:
        raise RefusalError(f"a {call.step.name} over the images of a batch", "sum over the other axes")
    if (turned.scale is not None or turned.shift is not None) and bijective(b, turned):
        _, turned = settled(b, call, turned)
    found = _windows(b, call, turned, factor)
    if found is None:
        found = _branches(b, call, turned, factor)
    if found is None:
        found = _matrix(b, call, turned, factor)
    return reshaped(found, call.full_shape)


def _windows(b: Builder, call: Call, value: Value, factor: float) -> Value | None:
    """A sum over rows, columns, both or the channels of an image, as a pool or a 1 x 1 convolution."""
    if len(value.sources) != 1 or value.scale is not None or value.shift is not None:
        return None
    (source,) = value.sources
    shape = b.shape(source)
    if len(shape) != 3 or (value.index is None and math.prod(shape) == 1):
        return None
    whole = torch.arange(1, b.batch * math.prod(shape) + 1).reshape(b.batch, *shape)
    if value.index is not None and value.index.numel() != whole.numel():
        return None
    index = value.places().reshape(b.batch, -1, value.shape[-1])
    for axes in ((2, 3), (3,), (2,), (1,)):
        kept = [axis for axis in range(4) if axis not in axes]
        arranged = whole.permute(*kept, *axes)
        count = math.prod(whole.shape[axis] for axis in axes)
        if index.numel() != arranged.numel() or index.shape[2] != count:
            continue
        if not bool((arranged.reshape(b.batch, -1, count) == index).all()):
            continue
        if axes == (1,):
            node = b.emit(call, Convolution(torch.full((1, shape[0], 1, 1), factor)), source, (1, *shape[1:]))
            return Value(value.shape[:-1], (node,))
        window = (shape[1] if 2 in axes else 1, shape[2] if 3 in axes else 1)
        node = mean_of(b, call, source, window)
        return scaled(b, call, Value(value.shape[:-1], (node,)), factor * count)
    return None


def _branches(b: Builder, call: Call, value: Value, factor: float) -> Value | None:
    """A sum of few tensors that are nodes already, such as that of a stack."""
    count = value.shape[-1]
    if not 1 < count <= _FEW or len(value.sources) == 1:
        return None
    parts = [moved([value], lambda x, _, k=k: x[0][..., k], b.batch)[0] for k in range(count)]  # type: ignore[misc]
    found = parts[0]
    for part in parts[1:]:
        found = total(b, call, found, part)
    return scaled(b, call, found, factor)


def _matrix(b: Builder, call: Call, value: Value, factor: float) -> Value:
    """Any other sum, as a linear map."""
    got: Picked = picked(b, call, value)
    outputs, count = math.prod(value.shape[1:-1]), value.shape[-1]
    inputs = math.prod(b.shape(got.source))
    order = torch.arange(inputs) if got.element is None else got.element
    rows = torch.arange(outputs).repeat_interleave(count)
    here = order >= 0
    entries = (torch.ones(len(order)).double() if got.scale is None else got.scale) * factor
    summed = torch.sparse_coo_tensor(
        torch.stack([rows[here], order[here]]), entries[here], (outputs, inputs), check_invariants=False
    ).coalesce()
    bias: Tensor | None = None if got.shift is None else (got.shift.reshape(outputs, count).sum(1) * factor).float()
    shape = call.shape if call.shape and math.prod(call.shape) == outputs else (outputs,)
    layer = LinearMap(summed.indices(), summed.values().float(), b.shape(got.source), shape, bias)
    node = b.emit(call, layer, got.source, shape)
    return Value(value.shape[:-1], (node,))


@handles("amax")
def global_maximum(b: Builder, call: Call) -> Any:
    return _global_maximum(b, call, call["dim"])


@handles("max")
def maximum(b: Builder, call: Call) -> Any:
    if "dim" not in call.given:
        raise RefusalError("a maximum or minimum", _MAXIMUM)
    found = _global_maximum(b, call, [call["dim"]])
    return [found, RefusalError("argmax", "let the network end in logits; take the argmax outside it")]


def _global_maximum(b: Builder, call: Call, dim: Any) -> Value:
    value = call.value()
    rank = len(value.shape)
    axes = {axis % rank for axis in ([dim] if isinstance(dim, int) else dim)} or set(range(rank))
    if rank < 3 or not axes <= set(range(2, rank)):
        way = "all places of the signal: x.amax(2)" if rank == 3 else "both image axes: x.amax((2, 3))"
        raise RefusalError("a maximum over these axes", f"take the maximum over {way}")
    source = b.node(call, value)
    channels, height, width = b.shape(source)
    rows = 1 if rank == 3 or 2 in axes else height
    columns = 1 if rank - 1 in axes else width
    if (rows, columns) != (height, width):
        source = largest(b, call, source, (channels, rows, columns))
    return Value(call.full_shape, (source,))
