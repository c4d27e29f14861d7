"""ONNX operators that move numbers, or combine them along axes: reshapes, slices, paddings, sums, resizing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from spikec.models.from_onnx import module as parts
from spikec.models.from_onnx.module import Fixed, Joined, Reshape
from spikec.models.from_onnx.node import Node, Refused
from spikec.models.from_onnx.registry import Built, builds


@builds("Flatten")
def flatten(node: Node) -> Built:
    axis = node.attribute("axis", 1) % node.rank
    if axis != 1:
        raise Refused(f"it flattens from axis {axis} on, which joins images or leaves more than two dimensions")
    return nn.Flatten(1)


@builds("Reshape")
def reshape(node: Node) -> Built:
    zero_counts, targets = bool(node.attribute("allowzero", 0)), node.shape_given(1)
    made = [
        _reshaped(list(example.shape), target, zero_counts, node.batch)
        for example, target in zip(node.examples[0], targets, strict=True)
    ]
    shape = [a if a == b else -1 for a, b in zip(*made, strict=True)]
    if shape.count(-1) > 1:
        raise Refused("several of its sizes depend on the number of images")
    return nn.Flatten(1) if len(shape) == 2 and shape[0] == -1 else Reshape(*shape)


def _reshaped(shape: list[int], target: list[int], zero_counts: bool, batch: int | None) -> list[int]:
    """The sizes that ONNX gives for an input of ``shape``; a leading number of images in the file stands for any."""
    wanted = [shape[i] if size == 0 and not zero_counts else size for i, size in enumerate(target)]
    if batch is not None and wanted and wanted[0] == batch:
        wanted[0] = shape[0]
    known = math.prod(size for size in wanted if size != -1)
    total = math.prod(shape)
    if -1 in wanted and known:
        wanted[wanted.index(-1)] = total // known
    if math.prod(wanted) != total:
        raise Refused(f"its shape {target} holds other than the {total} numbers it gets")
    return wanted


@builds("Squeeze", "Unsqueeze")
def squeeze(node: Node) -> Built:
    axes = node.either("axes", 1)
    shape = list(node.shape)
    if node.operator == "Squeeze":
        dropped = {axis % len(shape) for axis in axes} if axes else {i for i, size in enumerate(shape) if size == 1}
        if 0 in dropped:
            raise Refused("it drops the dimension of images")
        kept = [size for i, size in enumerate(shape) if i not in dropped]
    else:
        rank = len(shape) + len(axes)
        added = {axis % rank for axis in axes}
        if 0 in added:
            raise Refused("it adds a dimension before that of images")
        rest = iter(shape)
        kept = [1 if i in added else next(rest) for i in range(rank)]
    return Reshape(-1, *kept[1:])


@builds("Transpose")
def transpose(node: Node) -> Built:
    order = node.attribute("perm", list(reversed(range(node.rank))))
    if order[0] != 0:
        raise Refused("it moves the dimension of images")
    return Fixed(torch.permute, dims=tuple(order))


@builds("Concat")
def concat(node: Node) -> Built:
    axis = node.attribute("axis") % next(iter(node.examples.values()))[0].ndim
    if axis == 0:
        raise Refused("it joins images")
    constants = {place: node.tensor(place, "part") for place in sorted(node.constants)}
    if any(value.shape[0] != 1 for value in constants.values()):
        raise Refused("its constant differs between images")
    return Joined(axis, len(node.examples) + len(constants), constants)


@builds("Split")
def split(node: Node) -> Built:
    axis, sizes = _inner(node, node.attribute("axis", 0)), node.either("split", 1)
    count = node.attribute("num_outputs", len(node.proto.output))
    if sizes is None:
        size, length = math.ceil(node.shape[axis] / count), node.shape[axis]
        sizes = [min(size, length - start) for start in range(0, length, size)]
    return Fixed(parts.pieces, sizes=tuple(sizes), axis=axis)


def _inner(node: Node, axis: int) -> int:
    """The axis, counted from the front. Raises for that of images."""
    axis %= node.rank
    if axis == 0:
        raise Refused("it works along the dimension of images")
    return axis


@builds("Slice")
def slices(node: Node) -> Built:
    starts, ends = node.either("starts", 1), node.either("ends", 2)
    if starts is None or ends is None:
        raise Refused("its places are computed from the image; only constant ones are possible")
    axes = node.either("axes", 3, list(range(len(starts))))
    steps = node.either("steps", 4, [1] * len(starts))
    found = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 1:
            raise Refused("it goes backwards")
        size = node.shape[axis % node.rank]
        start, end, _ = slice(start, end, step).indices(size)
        if (start, end, step) != (0, size, 1):
            found.append((_inner(node, axis), start, end, step))
    return Fixed(parts.cut, slices=tuple(found)) if found else nn.Identity()


@builds("Gather")
def gather(node: Node) -> Built:
    axis, indices = _inner(node, node.attribute("axis", 0)), node.constant(1, "indices")
    if indices.ndim == 0:
        return Fixed(parts.picked, index=int(indices) % node.shape[axis], axis=axis)
    if indices.ndim > 1:
        raise Refused("its indices have several dimensions")
    return Fixed(parts.picked_all, indices=tuple(int(i) % node.shape[axis] for i in indices), axis=axis)


@builds("Pad")
def pad(node: Node) -> Built:
    sides, mode = node.either("pads", 1), node.attribute("mode", "constant")
    value = node.attribute("value")
    value = node.either("constant_value", 2, 0.0) if value is None else value
    axes = node.either("axes", 3, list(range(node.rank)))
    begin, end = [0] * node.rank, [0] * node.rank
    for place, axis in enumerate(axes):
        begin[axis], end[axis] = sides[place], sides[place + len(axes)]
    if begin[0] or end[0]:
        raise Refused("it adds images")
    names = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    first = 1 if mode == "constant" else 2  # PyTorch's other modes take no channels
    if mode not in names or any(begin[:first] + end[:first]):
        raise Refused(f"its mode {mode} is not known here for these dimensions")
    around = [side for axis in reversed(range(first, node.rank)) for side in (begin[axis], end[axis])]
    if not any(around):
        return nn.Identity()
    further = {"value": float(value)} if mode == "constant" else {}
    return Fixed(functional.pad, pad=tuple(around), mode=names[mode], **further)


_REDUCE: dict[str, Callable[..., Any]] = {"ReduceMean": torch.mean, "ReduceSum": torch.sum, "ReduceMax": torch.amax}


@builds(*_REDUCE)
def reduce(node: Node) -> Built:
    axes, keep = node.either("axes", 1), bool(node.attribute("keepdims", 1))
    if node.attribute("noop_with_empty_axes", 0) and not axes:
        return nn.Identity()
    found = tuple(sorted(_inner(node, axis) for axis in (axes or range(node.rank))))
    return Fixed(_REDUCE[node.operator], dim=found, keepdim=keep)


@builds("DepthToSpace", "SpaceToDepth")
def depth_and_space(node: Node) -> Built:
    size = node.attribute("blocksize")
    if node.operator == "SpaceToDepth":
        return Fixed(parts.space_to_depth, size=size)
    mode = node.attribute("mode", "DCR")
    return nn.PixelShuffle(size) if mode == "CRD" else Fixed(parts.depth_to_space_dcr, size=size)


@builds("Expand")
def expand(node: Node) -> Built:
    target = node.shape_given(1)[0]
    if len(target) > node.rank or any(s not in (1, a) for s, a in zip(target[::-1], node.shape[::-1], strict=False)):
        raise Refused("it repeats numbers of the image")
    return nn.Identity()


@builds("Resize", "Upsample")
def resize(node: Node) -> Built:
    mode = node.attribute("mode", "nearest")
    if node.operator == "Upsample" or node.opset < 11:
        scales, sizes, places, rounding = node.either("scales", 1), None, "asymmetric", "floor"
    else:
        node.optional(1)  # the region, used by one mode that is refused below
        scales, sizes = node.either("scales", 2), node.either("sizes", 3)
        places = node.attribute("coordinate_transformation_mode", "half_pixel")
        rounding = node.attribute("nearest_mode", "round_prefer_floor")
        node.ignore("cubic_coeff_a", "exclude_outside", "extrapolation_value")
        for name, usual in (("antialias", 0), ("axes", None), ("keep_aspect_ratio_policy", "stretch")):
            if node.attribute(name, usual) != usual:
                raise Refused(f"its {name} is not known here")
    size = list(sizes or [math.floor(n * s) for n, s in zip(node.shape, scales or [], strict=False)])[2:]
    if node.rank != 4 or len(size) != 2 or (scales and list(scales[:2]) != [1, 1]):
        raise Refused("it resizes other than the height and width of images")
    whole = all(new % old == 0 for new, old in zip(size, node.shape[2:], strict=True))
    if mode == "nearest" and whole and (places, rounding) in _REPEATING:
        return nn.Upsample(size=tuple(size), mode="nearest")
    if mode == "linear" and places in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return nn.Upsample(size=tuple(size), mode="bilinear", align_corners=places == "align_corners")
    raise Refused(f"its mode {mode} with {places}, {rounding} has no counterpart in PyTorch")


#: How nearest neighbours are found where that repeats every number, if sizes are whole multiples.
_REPEATING = {
    ("asymmetric", "floor"),
    *(("half_pixel", rounding) for rounding in ("round_prefer_floor", "round_prefer_ceil")),
    *(("pytorch_half_pixel", rounding) for rounding in ("round_prefer_floor", "round_prefer_ceil")),
}


@builds("Einsum")
def einsum(node: Node) -> Built:
    equation = node.attribute("equation")
    if not node.constants:
        return Fixed(_einsum, equation=equation)
    raise Refused("one of its inputs is a constant; write it as MatMul")


def _einsum(*tensors: torch.Tensor, equation: str) -> torch.Tensor:
    return torch.einsum(equation, *tensors)
