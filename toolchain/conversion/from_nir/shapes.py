"""Shapes along the edges of a NIR graph, cycles included."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import nir
import numpy as np
import numpy.typing as npt

from spikec.conversion.from_nir import REFUSED
from spikec.errors import GraphError
from spikec.frontend.pads import convolution_pads
from spikec.ir.operations.windows import output_size
from spikec.ir.types import Shape, lifted

#: Fields of nodes without weights that hold a number for each neuron.
PARAMETERS = ("r", "tau", "tau_syn", "tau_mem", "v_leak", "v_threshold", "v_reset", "w_in", "threshold", "scale")

#: What a graph may hold between neurons.
LINEAR = (nir.Affine, nir.Linear, nir.Scale, nir.Conv1d, nir.Conv2d, nir.SumPool2d, nir.AvgPool2d, nir.Flatten)

#: Most axes of an input: channels, rows and columns.
_AXES = 3

#: The smallest number that a field of a window may hold.
_LEAST = {"kernel_size": 1, "stride": 1, "dilation": 1, "groups": 1, "padding": 0}


def pair(value: object) -> tuple[int, int]:
    """One number for both axes, or two."""
    first, second = np.broadcast_to(np.asarray(value), 2)
    return int(first), int(second)


def pads_of(node: nir.Conv1d | nir.Conv2d) -> tuple[int, int, int, int]:
    """Top, bottom, left and right padding of a convolution."""
    _, _, height, width = kernel_of(node)[0].shape
    stride, dilation = strides_of(node)
    padding: object = node.padding
    if isinstance(node, nir.Conv1d) and not isinstance(padding, str):
        padding = (0, int(np.asarray(padding).reshape(-1)[0]))
    padding = padding if isinstance(padding, str) else pair(padding)
    return convolution_pads(padding, (height, width), dilation, stride)


def kernel_of(node: nir.Conv1d | nir.Conv2d) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weights [O, I / groups, kH, kW] and biases [O] of a convolution."""
    weight = np.asarray(node.weight, dtype=np.float64)
    bias = np.broadcast_to(np.asarray(node.bias, dtype=np.float64).reshape(-1), weight.shape[:1])
    return (weight[:, :, None, :] if isinstance(node, nir.Conv1d) else weight), bias


def strides_of(node: nir.Conv1d | nir.Conv2d) -> tuple[tuple[int, int], tuple[int, int]]:
    """Stride and dilation of a convolution, rows and columns."""
    if isinstance(node, nir.Conv1d):
        stride, dilation = (int(np.asarray(value).reshape(-1)[0]) for value in (node.stride, node.dilation))
        return (1, stride), (1, dilation)
    return pair(node.stride), pair(node.dilation)


def output_shapes(nodes: Mapping[str, nir.NIRNode], sources: Mapping[str, tuple[str, ...]]) -> dict[str, Shape]:
    """Output shape of every node, from that of the input on; signals (C, L) as (C, 1, L).

    The leading axis of an input of shape (1, ...) is left out as that of a batch, which NIR does not have, where the
    nodes fit together without it and not with it. Raises :class:`GraphError` where sources disagree, and where a node
    does not fit what feeds it.
    """
    (start,) = (name for name, node in nodes.items() if isinstance(node, nir.Input))
    stated = _stated(nodes[start])
    bare = stated[1:]
    if not stated:
        raise _error(start, "the file does not say which shape the input has")
    if stated[:1] != (1,) or not bare:
        return _shapes(nodes, sources, lifted(stated))
    if len(stated) > _AXES:
        return _shapes(nodes, sources, lifted(bare))
    try:
        return _shapes(nodes, sources, lifted(stated))
    except GraphError:
        with suppress(GraphError):
            return _shapes(nodes, sources, lifted(bare))
        raise


def stated_shape(node: nir.Input, shape: Shape) -> Shape:
    """The input's ``shape``, of :func:`output_shapes`, as the file has it: a signal is (C, L) there."""
    return (shape[0], shape[2]) if len(shape) == 3 and _stated(node) in _signals(shape) else shape


def _stated(node: nir.Input | nir.Flatten) -> Shape:
    """The shape that a node says enters it; empty where it says none."""
    held = node.input_type.get("input") if isinstance(node.input_type, Mapping) else None
    numbers = np.asarray(held).reshape(-1)
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        return ()
    return tuple(int(n) for n in numbers)


def _shapes(
    nodes: Mapping[str, nir.NIRNode], sources: Mapping[str, tuple[str, ...]], entering: Shape
) -> dict[str, Shape]:
    """Output shapes where the input has shape ``entering``."""
    found: dict[str, Shape] = {}
    left = dict(nodes)
    while left:
        known = [name for name in left if _entering(name, left[name], sources, found, entering) is not None]
        for name in known:
            arriving = _entering(name, left.pop(name), sources, found, entering)
            assert arriving is not None
            found[name] = _leaving(name, nodes[name], arriving)
        if not known:  # neurons that only feed back: the weights say how many there are
            dense = [name for name, node in left.items() if isinstance(node, nir.Affine | nir.Linear)]
            if not dense:
                raise GraphError(f"{REFUSED}{next(iter(left))}: nothing says which shape enters it")
            found[dense[0]] = _leaving(dense[0], left.pop(dense[0]), np.shape(nodes[dense[0]].weight)[1:])
    for name, names in sources.items():
        shapes = sorted({found[source] for source in names})
        if len(shapes) > 1:
            raise _error(name, f"its sources have different shapes: {', '.join(map(str, shapes))}")
        if names:
            _leaving(name, nodes[name], found[names[0]])  # where the weights alone gave the shape
    return found


def _entering(
    name: str,
    node: nir.NIRNode,
    sources: Mapping[str, tuple[str, ...]],
    found: Mapping[str, Shape],
    entering: Shape,
) -> Shape | None:
    """The shape that enters a node, from any source that has one by now."""
    if isinstance(node, nir.Input):
        return entering
    return next((found[source] for source in sources[name] if source in found), None)


def _leaving(name: str, node: nir.NIRNode, entering: Shape) -> Shape:
    check_numbers(name, node)
    match node:
        case nir.Input():
            if len(entering) not in (1, 3) or min(entering) < 1:
                raise _error(name, f"the input has shape {entering}; it must be flat, (C, L) or (C, H, W)")
            return entering
        case nir.Affine() | nir.Linear():
            weight = np.shape(node.weight)
            if len(weight) != 2 or entering != (weight[1],) or weight[0] < 1:
                raise _error(name, f"weights of shape {weight} do not fit its input {entering}; flatten it first")
            return (weight[0],)
        case nir.Conv1d() | nir.Conv2d():
            return _convolved(name, node, entering)
        case nir.SumPool2d() | nir.AvgPool2d():
            return _pooled(name, node, entering)
        case nir.Flatten():
            return _flat(name, node, entering)
        case nir.Output():
            return entering
    for field in PARAMETERS:
        own = np.shape(aligned(getattr(node, field, 0), entering))
        if np.broadcast_shapes(own, entering) != entering if broadcasts(own, entering) else True:
            raise _error(name, f"{field} has shape {own}, its source has {entering}")
    return entering


def aligned(value: object, shape: Shape) -> npt.NDArray[np.float64]:
    """Numbers of a node, without a leading axis of 1 for the batch, and with the axis that signals lack where the
    neurons are maps of height one."""
    array = np.asarray(value, dtype=np.float64)
    signal = len(shape) == 3 and shape[1] == 1
    if array.shape == (1, *shape) or (signal and array.ndim == 3 and array.shape in _signals(shape)):
        array = array[0]
    return array[:, None, :] if array.ndim == 2 and signal else array


def broadcasts(first: Shape, second: Shape) -> bool:
    """Whether numpy makes one shape of both."""
    try:
        np.broadcast_shapes(first, second)
    except ValueError:
        return False
    return True


def _convolved(name: str, node: nir.Conv1d | nir.Conv2d, entering: Shape) -> Shape:
    if np.ndim(node.weight) != (3 if isinstance(node, nir.Conv1d) else 4):
        raise _error(name, f"weights of shape {np.shape(node.weight)} are none of a {type(node).__name__}")
    weight, groups = kernel_of(node)[0].shape, int(np.asarray(node.groups))
    if (
        len(entering) != 3
        or len(weight) != 4
        or weight[1] * groups != entering[0]
        or weight[0] % groups
        or not np.prod(weight)
    ):
        raise _error(name, f"weights of shape {weight} in {groups} groups do not fit {entering}")
    top, bottom, left, right = pads_of(node)
    stride, dilation = strides_of(node)
    sizes = zip(entering[1:], weight[2:], stride, (top + bottom, left + right), dilation, strict=True)
    spatial = [output_size(*each) for each in sizes]
    if min(spatial) < 1:
        raise _error(name, f"the kernel {weight[2:]} is larger than its padded input {entering}")
    return (weight[0], *spatial)


def _pooled(name: str, node: nir.SumPool2d | nir.AvgPool2d, entering: Shape) -> Shape:
    kernel, stride, padding = pair(node.kernel_size), pair(node.stride), pair(node.padding)
    if len(entering) != 3:
        raise _error(name, f"a pool of {kernel} does not fit {entering}")
    if any(padding) and isinstance(node, nir.AvgPool2d):
        raise _error(name, "NIR does not say whether an average counts its padding; use no padding or a SumPool2d")
    if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        raise _error(name, f"a padding of {padding} is more than half the pool of {kernel}")
    sizes = zip(entering[1:], kernel, stride, (2 * padding[0], 2 * padding[1]), (1, 1), strict=True)
    spatial = [output_size(*each) for each in sizes]
    if min(spatial) < 1:
        raise _error(name, f"a pool of {kernel} does not fit {entering}")
    return (entering[0], *spatial)


def check_numbers(name: str, node: nir.NIRNode) -> None:
    """Raises :class:`GraphError` for a kernel, stride, padding, dilation or groups that no window can have, and for a
    bias that does not fit its weights."""
    if isinstance(node, nir.Affine | nir.Conv1d | nir.Conv2d):
        bias, weight = np.shape(node.bias), np.shape(node.weight)
        if np.prod(bias) not in (1, *weight[:1]):
            raise _error(name, f"bias has shape {bias}, weights have {weight}")
    least = {field: low for field, low in _LEAST.items() if hasattr(node, field)}
    for field, low in least.items():
        value = getattr(node, field)
        if field == "padding" and isinstance(value, str):
            if value not in ("same", "valid"):
                raise _error(name, f"padding is {value!r}; it must be numbers, 'same' or 'valid'")
            if value == "same" and (np.asarray(node.stride) != 1).any():
                raise _error(name, "padding 'same' needs stride 1")
            continue
        numbers = np.asarray(value)
        one = field == "groups" or isinstance(node, nir.Conv1d)
        if numbers.dtype.kind not in "iuf" or numbers.size not in ((1,) if one else (1, 2)):
            raise _error(name, f"{field} must be {'one number' if one else 'one number, or two'}")
        if (numbers < low).any() or (numbers != np.rint(numbers)).any():
            raise _error(name, f"{field} is {numbers.tolist()}; it must be whole and at least {low}")


def _flat(name: str, node: nir.Flatten, entering: Shape) -> Shape:
    for field in ("start_dim", "end_dim"):
        axis = np.asarray(getattr(node, field))
        if axis.dtype.kind not in "iuf" or axis.size != 1 or axis != np.rint(axis):
            raise _error(name, f"{field} must be one whole number")
    start, end = int(np.asarray(node.start_dim).item()), int(np.asarray(node.end_dim).item())
    taken = _stated(node)
    signal = len(entering) == 3 and entering[1] == 1 and (len(taken) == 2 or taken in _signals(entering))
    rank = 2 if signal else len(entering)
    batch = len(taken) == rank + 1 and taken[0] == 1
    first, last = start % (rank + batch), end % (rank + batch)
    if first >= last:
        return entering
    if batch:
        first, last = max(first - 1, 0), last - 1
    if (first, last) != (0, rank - 1):
        raise _error(
            name,
            f"it flattens axes {start} to {end} of {entering}; only all axes, 0 to -1 (NIR counts no batch axis), "
            "leave what a weight matrix can read",
        )
    return (int(np.prod(entering)),)


def _signals(shape: Shape) -> tuple[Shape, ...]:
    """The shapes under which a file may know a map of height one as a signal."""
    bare = (shape[0], shape[2])
    return (bare, (1, *bare)) if shape[0] > 1 else (bare,)


def _error(name: str, phrase: str) -> GraphError:
    return GraphError(f"{REFUSED}{name}: {phrase}")


def read_shape(shape: Shape) -> Shape:
    """The shape in which an output of ``shape`` is read: maps as they are, maps of height one, as signals and vectors
    of many frameworks are, as one row of numbers."""
    return shape if len(shape) == 3 and shape[1] > 1 else (int(np.prod(shape)),)
