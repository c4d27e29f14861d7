"""Flattening, means, slices, concatenation: operations that move values or average whole maps."""

from __future__ import annotations

import operator
from typing import Any, cast

import torch
from torch import fx, nn

from spikec.frontend.builder import Builder, Call, RefusalError, handles
from spikec.frontend.modules import AveragePool, Convolution, FlattenAll
from spikec.ir.operations.windows import output_size


def _flatten(b: Builder, call: Call, x: Any) -> Any:
    before, after = b.shape(x), call.shape
    if after == before:
        return x
    size = 1
    for n in before:
        size *= n
    if after != (size,):
        old, new = (node.meta["shape"] for node in (call.node.all_input_nodes[0], call.node))
        shown = f"(N, {', '.join(map(str, old))}) to (N, {', '.join(map(str, new))})"
        raise RefusalError(f"reshaping {shown}", "only flattening everything but the batch axis is supported")
    return b.emit(call, FlattenAll(), x)


@handles(nn.Flatten, torch.flatten, torch.reshape, torch.squeeze, "flatten", "view", "reshape", "squeeze")
def flatten(b: Builder, call: Call) -> Any:
    if call.node.meta.get("full_shape", (None,))[0] != call.node.all_input_nodes[0].meta.get("full_shape", (None,))[0]:
        raise RefusalError("a reshape that changes the batch axis", "keep the batch axis: x.flatten(1)")
    return _flatten(b, call, call.args[0])


@handles(torch.mean, "mean")
def mean(b: Builder, call: Call) -> Any:
    x, axes, keep = call.bind("input", "dim", "keepdim", dim=None, keepdim=False)
    rank = 3 if call.signal else 4
    chosen = {a % rank for a in ([axes] if isinstance(axes, int) else axes or [])}
    if len(b.shape(x)) != 3 or chosen != set(range(2, rank)):
        raise RefusalError("a mean over these axes", "take the mean over both image axes: x.mean([2, 3])")
    channels, *window = b.shape(x)
    pooled = x if tuple(window) == (1, 1) else b.emit(call, AveragePool(window), x, (channels, 1, 1))
    return pooled if keep else b.emit(call, FlattenAll(), pooled, (channels,))


@handles(torch.cat, torch.concat, torch.concatenate)
def concatenate(b: Builder, call: Call) -> fx.Node:
    parts, axis = call.bind("tensors", "dim", dim=0)
    if not all(b.is_node(part) for part in parts):
        raise RefusalError("concatenation with a constant", "pad channels of zeros with F.pad")
    rank = len(b.shape(parts[0])) + (0 if call.signal else 1)
    if axis % rank != 1:
        raise RefusalError(f"concatenation along axis {axis}", "concatenate along the channels (dim=1)")
    return b.function(call, torch.cat, (list(parts), 1))


@handles(operator.getitem)
def getitem(b: Builder, call: Call) -> Any:
    x, index = call.args
    if not b.is_node(x):
        return x[index]  # an element of a shape or tuple
    return _slice(b, call, x, index if isinstance(index, tuple) else (index,))


def _slice(b: Builder, call: Call, x: fx.Node, index: tuple[Any, ...]) -> Any:
    shape = b.shape(x)
    if any(i is Ellipsis for i in index):
        axes = len(call.node.all_input_nodes[0].meta["full_shape"])
        where = next(k for k, i in enumerate(index) if i is Ellipsis)
        index = (*index[:where], *[slice(None)] * (axes - len(index) + 1), *index[where + 1 :])
    both = index[:2] == (slice(None), slice(None)) and all(isinstance(i, int) for i in index[2:])
    if both and shape[1:] == (1, 1) and len(call.shape) == 1:  # x[:, :, 0, 0] behind a global pool
        return b.emit(call, FlattenAll(), x)
    if not all(isinstance(i, slice) for i in index) or len(shape) != 3:
        raise RefusalError(
            "indexing other than slices of an image", "slice channels, rows and columns: x[:, a:b, ::2, ::2]"
        )
    if call.signal:  # a signal is an image of height one
        index = (*index[:2], slice(None), *index[2:])
    full = [*index, *[slice(None)] * (4 - len(index))]
    if full[0] != slice(None):
        raise RefusalError("slicing the batch axis", "leave the first axis whole")
    ranges = [range(*s.indices(n)) for s, n in zip(full[1:], shape, strict=True)]
    if any(len(r) == 0 or r.step < 1 for r in ranges):
        raise RefusalError("an empty or backward slice", "use positive steps")
    channels, rows, cols = ranges
    select = torch.zeros(len(channels), shape[0], 1, 1)
    select[range(len(channels)), list(channels)] = 1.0
    if (rows, cols) == (range(shape[1]), range(shape[2])):
        return b.emit(call, Convolution(select), x)
    # A strided 1x1 convolution reads from row 0 to the end: offsets and early ends need a crop it cannot express.
    for taken, size in ((rows, shape[1]), (cols, shape[2])):
        if taken.start != 0 or len(taken) != output_size(size, 1, taken.step):
            raise RefusalError(
                "cropping an image by slicing", "use a convolution or pooling that gives the smaller size"
            )
    return b.emit(call, Convolution(select, stride=(rows.step, cols.step)), x)


@handles("float", "double", "half", "bfloat16", "int", "long", "bool", "to", "type", "type_as")
def cast_to(b: Builder, call: Call) -> Any:
    """A change of dtype or device; the result must be float32."""
    if call.node.meta.get("dtype") is not torch.float32:
        raise RefusalError(f"computing in {call.node.meta.get('dtype')}", "convert a float32 network")
    return call.args[0]


@handles("size", "dim", getattr)
def shape_value(b: Builder, call: Call) -> Any:
    """Sizes are known numbers once the example has run."""
    if "value" not in call.node.meta:
        raise RefusalError("an attribute of a tensor", "use only .shape and .size() to reshape")
    return call.node.meta["value"]


@handles(operator.floordiv, "numel")
def number(b: Builder, call: Call) -> Any:
    if "value" not in call.node.meta:
        raise RefusalError("integer division of a tensor", "multiply by a constant instead")
    return call.node.meta["value"]


@handles(nn.Unflatten)
def unflatten(b: Builder, call: Call) -> Any:
    raise RefusalError(f"Unflatten to {cast(nn.Unflatten, call.module).unflattened_size}", "keep images as images")
