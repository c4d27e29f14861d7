"""From a :class:`Value` to a canonical node that holds its elements, one image after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx

from spikec.frontend.modules import Convolution, FlattenAll, LinearMap
from spikec.frontend.obstacles import RefusalError
from spikec.frontend.values import Value, elements
from spikec.ir.types import Shape, lifted

if TYPE_CHECKING:
    from spikec.frontend.builder import Builder, Call

_MIXED = RefusalError(
    "moving values between the images of a batch",
    "keep the batch axis first and whole: x.flatten(1), x.view(len(x), -1)",
)


#: Longest window of a convolution that stands for a crop.
_LONGEST = 8


@dataclass(frozen=True)
class Picked:
    """One image of a value, flat: ``element``: numbers of the elements of one image of ``source``, -1 for none, or None
    for all in order; ``scale`` and ``shift`` float64 of the same length, or None."""

    source: fx.Node
    element: Tensor | None
    scale: Tensor | None
    shift: Tensor | None


def picked(b: Builder, call: Call, value: Value) -> Picked:
    """One image of ``value`` as elements of a single node: a concatenation of its sources where it has several.

    The first axis of ``value`` must be the batch. Raises :class:`RefusalError` where images differ in what they pick.
    """
    if not value.shape or value.shape[0] != b.batch:
        raise _MIXED
    scale, shift = (_same(each, value.shape) for each in (value.scale, value.shift))
    if value.index is None:
        if math.prod(value.shape[1:]) != math.prod(value.sources[0].meta["shape"]):
            raise _MIXED
        return Picked(value.sources[0], None, scale, shift)
    rows = value.index.reshape(b.batch, -1) - 1
    order = torch.full((rows.shape[1],), -1, dtype=torch.int64)
    begin, found = 0, []
    for source in value.sources:
        size = math.prod(source.meta["shape"])
        end = begin + b.batch * size
        here = (rows >= begin) & (rows < end)
        image, element = (rows - begin) // size, (rows - begin) % size
        element = torch.where(here, element, 0)
        of_itself = bool(((image == torch.arange(b.batch)[:, None]) | ~here).all())
        if not (of_itself and bool((here == here[:1]).all()) and bool((element == element[:1]).all())):
            raise _MIXED
        if bool(here.any()):
            found.append((source, here[0], element[0]))
        begin = end
    if not found:
        raise RefusalError("a tensor that does not depend on the image", "leave it out")
    first = [int(here.nonzero()[0]) for _, here, _ in found]
    found = [each for _, each in sorted(zip(first, found, strict=True), key=lambda pair: pair[0])]
    start = 0
    for source, here, element in found:
        order[here] = element[here] + start
        start += math.prod(source.meta["shape"])
    source = found[0][0] if len(found) == 1 else _joined(b, call, [source for source, _, _ in found])
    in_order = len(order) == start and bool((order == torch.arange(start)).all())
    return Picked(source, None if in_order else order, scale, shift)


def _same(values: Tensor | None, shape: Shape) -> Tensor | None:
    """The row that all images share, flat."""
    if values is None:
        return None
    rows = values.expand(shape).reshape(shape[0], -1)
    if not bool((rows == rows[:1]).all()):
        raise RefusalError(
            "a constant that differs between the images of a batch", "use one constant for all images, of batch size 1"
        )
    return rows[0].contiguous()


def _joined(b: Builder, call: Call, sources: list[fx.Node]) -> fx.Node:
    """Sources one after the other, along the channels where all are images of one size."""
    shapes = [b.shape(source) for source in sources]
    if len({(len(shape), shape[1:]) for shape in shapes}) > 1:
        sources = [source if len(b.shape(source)) == 1 else flat(b, call, source) for source in sources]
        shapes = [b.shape(source) for source in sources]
    return b.function(call, torch.cat, (sources, 1), (sum(shape[0] for shape in shapes), *shapes[0][1:]))


def flat(b: Builder, call: Call, source: fx.Node) -> fx.Node:
    """A node as vector."""
    return source if len(b.shape(source)) == 1 else b.emit(call, FlattenAll(), source, (math.prod(b.shape(source)),))


def placed(b: Builder, call: Call, value: Value) -> fx.Node:
    """A node of the lifted shape of ``value`` that holds its elements. Raises :class:`RefusalError`."""
    call = value.call or call
    shape = lifted(value.shape[1:])
    if not shape:
        shape = (1,)
    got = picked(b, call, value)
    if got.element is None:
        return _in_order(b, call, got, shape)
    if len(shape) == 3 and len(b.shape(got.source)) == 3:
        found = _selection(b, call, got, shape)
        if found is not None:
            return found
    return _map(b, call, got, shape)


def _in_order(b: Builder, call: Call, got: Picked, shape: Shape) -> fx.Node:
    source = got.source
    before = b.shape(source)
    if got.scale is None and got.shift is None:
        if before == shape:
            return source
        return flat(b, call, source) if len(shape) == 1 else _map(b, call, got, shape)
    if len(shape) == 1 and len(before) > 1 and not _by_channel(got, before):
        return _scaled(b, call, flat(b, call, source), got)
    source = _scaled(b, call, source, got)
    return _in_order(b, call, Picked(source, None, None, None), shape)


def _by_channel(got: Picked, shape: Shape) -> bool:
    return all(each is None or _channels(each, shape) is not None for each in (got.scale, got.shift))


def _channels(values: Tensor, shape: Shape) -> Tensor | None:
    """One number per channel, where all places of a channel have the same."""
    rows = values.reshape(shape[0], -1)
    return rows[:, 0] if bool((rows == rows[:, :1]).all()) else None


def _scaled(b: Builder, call: Call, source: fx.Node, got: Picked) -> fx.Node:
    """A node times ``got.scale`` plus ``got.shift``, both in the order of its elements."""
    shape = b.shape(source)
    scale = torch.ones(math.prod(shape)).double() if got.scale is None else got.scale
    shift = torch.zeros(math.prod(shape)).double() if got.shift is None else got.shift
    by_channel, added = _channels(scale, shape), _channels(shift, shape)
    if by_channel is not None and added is not None:
        return b.affine(call, source, by_channel.float(), added.float())
    return _map(b, call, Picked(source, None, scale, shift), shape)


def _selection(b: Builder, call: Call, got: Picked, shape: Shape) -> fx.Node | None:
    """Channels, rows and columns picked apart from each other: a strided, padded 1 x 1 convolution."""
    assert got.element is not None
    channels, height, width = b.shape(got.source)
    places = got.element.reshape(shape)
    valid = places >= 0
    axes = [valid.any(2).any(1), valid.any(2).any(0), valid.any(1).any(0)]
    if not bool((valid == axes[0][:, None, None] & axes[1][:, None] & axes[2]).all()):
        return None
    c, h, w = (int(axis.nonzero()[0]) for axis in axes)
    channel = torch.where(axes[0], places[:, h, w] // (height * width), 0)
    row = torch.where(axes[1], places[c, :, w] // width % height, 0)
    column = torch.where(axes[2], places[c, h] % width, 0)
    made = channel[:, None, None] * (height * width) + row[:, None] * width + column
    if not bool((torch.where(valid, made, -1) == places).all()):
        return None
    down, across = _window(axes[1], row, height), _window(axes[2], column, width)
    if down is None or across is None:
        return None
    factor = None if got.scale is None else _per_channel(got.scale, shape, valid)
    added = None if got.shift is None else _channels(got.shift, shape)
    if (got.scale is not None and factor is None) or (got.shift is not None and added is None):
        return None
    taken = torch.where(axes[0], 1.0, 0.0).double() * (1.0 if factor is None else factor)
    own = shape[0] == channels and bool((channel == torch.arange(channels)).all()) and bool(axes[0].all())
    kernel = torch.zeros(shape[0], 1 if own else channels, down.size, across.size).double()
    kernel[torch.arange(shape[0]), 0 if own else channel, down.tap, across.tap] = taken
    layer = Convolution(
        kernel.float(),
        None if added is None else added.float(),
        stride=(down.stride, across.stride),
        pads=(down.before, down.after, across.before, across.after),
        groups=channels if own else 1,
    )
    return b.emit(call, layer, got.source, shape)


def _per_channel(scale: Tensor, shape: Shape, valid: Tensor) -> Tensor | None:
    """One factor per channel; those of places that hold nothing do not count."""
    rows, here = scale.reshape(shape[0], -1), valid.reshape(shape[0], -1)
    first = rows.gather(1, here.int().argmax(1, keepdim=True))
    return first[:, 0] if bool(((rows == first) | ~here).all()) else None


@dataclass(frozen=True)
class _Axis:
    """A window along one axis that reads one place: ``size`` places long, of which it reads number ``tap``."""

    stride: int
    before: int
    after: int
    size: int
    tap: int


def _window(valid: Tensor, taken: Tensor, inputs: int) -> _Axis | None:
    """The window with which a convolution takes exactly these places of ``inputs``; None where there is none."""
    here = valid.nonzero().flatten()
    first, last, count = int(here[0]), int(here[-1]), len(valid)
    if len(here) != last - first + 1:
        return None
    if len(here) > 1:
        steps = taken[first + 1 : last + 1] - taken[first:last]
        step = int(steps[0])
        if step < 1 or not bool((steps == step).all()):
            return None
    else:
        step = max(inputs - int(taken[first]), 1) if count == 1 else 1
    offset = int(taken[first]) - first * step
    before, tap = max(-offset, 0), max(offset, 0)
    if any(0 <= k * step + offset < inputs for k in range(count) if not first <= k <= last):
        return None  # it would read a place where nothing is wanted
    room = inputs + before - (count - 1) * step
    size = max(room, tap + 1)  # a longer window ends earlier: what lies behind it is cropped
    if size > _LONGEST:
        size = tap + 1
        if size > _LONGEST or (room - size) // step > 0:
            return None
    return _Axis(step, before, max(size - room, 0), size, tap)


def _map(b: Builder, call: Call, got: Picked, shape: Shape) -> fx.Node:
    """Any choice of elements, as a linear map with one entry a row."""
    inputs = math.prod(b.shape(got.source))
    order = torch.arange(inputs) if got.element is None else got.element
    rows = (order >= 0).nonzero().flatten()
    factors = torch.ones(len(rows)).double() if got.scale is None else got.scale[rows]
    places = torch.stack([rows, order[rows]])
    layer = LinearMap(places, factors.float(), b.shape(got.source), shape, _float(got.shift))
    return b.emit(call, layer, got.source, shape)


def _float(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.float()


def bijective(b: Builder, value: Value) -> bool:
    """Whether a value holds every element of one node exactly once."""
    if value.index is None:
        return True
    if len(value.sources) != 1 or value.index.numel() != elements(value.sources[0], b.batch):
        return False
    ordered = value.index.flatten().sort().values
    return bool((ordered == torch.arange(1, len(ordered) + 1)).all())


def settled(b: Builder, call: Call, value: Value) -> tuple[fx.Node, Value]:
    """A node with all elements of ``value``, and a value that is just elements of that node.

    The node keeps the layout of the node before it where ``value`` holds all of its elements, in whatever order:
    elementwise operations are the same in every layout. Else it has the layout of ``value``.
    """
    if bijective(b, value):
        (source,) = value.sources
        bare = Value(value.shape, value.sources, value.index)
        if value.scale is None and value.shift is None:
            return source, bare
        order = None if value.index is None else value.index.flatten().argsort()
        whole = (b.batch, *b.shape(source))
        ordered = [
            None
            if each is None
            else each.expand(value.shape).flatten()
            if order is None
            else each.expand(value.shape).flatten()[order]
            for each in (value.scale, value.shift)
        ]
        rows = Picked(source, None, *(_same(None if each is None else each.reshape(whole), whole) for each in ordered))
        node = _scaled(b, call, source, rows)
        return node, Value(value.shape, (node,), value.index)
    node = placed(b, call, value)
    return node, Value(value.shape, (node,))
