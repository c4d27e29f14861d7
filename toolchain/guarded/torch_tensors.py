"""Tensors as a file of ``torch.save`` describes them, each checked to lie within its storage."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikec.guarded.pickles import Allowed, Refused

#: A tensor that repeats the values it has, or leaves most out, has at most so many.
_MOST_VALUES = 2**31


@dataclass(frozen=True)
class Storage:
    """``values``: all of it, one axis."""

    values: Tensor


def strided(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """The tensor at this place of a storage. Raises ``ValueError`` where it reaches beyond it."""
    if not isinstance(storage, Storage):
        raise ValueError("a tensor has no storage")
    size, stride = tuple(size), tuple(stride)
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > 32 or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise ValueError("the shape of a tensor is impossible")
    count, there = math.prod(size), storage.values.numel()
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count and (last >= there or count > max(there, _MOST_VALUES)):
        raise ValueError(f"a tensor of {'x'.join(map(str, size))} reaches beyond its storage of {there}")
    return storage.values.as_strided(size, stride, offset) if count else storage.values.new_empty(size)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    return strided(storage, offset, size, stride)


def _tensor_of(storage: Any, offset: Any, size: Any, stride: Any, _: Any, __: Any, dtype: Any, *___: Any) -> Tensor:
    """Of types that have no storage of their own: the storage is one of bytes."""
    if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
        raise ValueError("a tensor has no storage or no type")
    return strided(Storage(storage.values.view(dtype)), offset, size, stride)


def _quantised(storage: Any, offset: Any, size: Any, stride: Any, how: Any, *_: Any) -> Tensor:
    values = strided(storage, offset, size, stride)
    if how[0] is torch.per_tensor_affine:
        return torch._make_per_tensor_quantized_tensor(values, float(how[1]), int(how[2]))
    if how[0] is torch.per_channel_affine:
        scales, zeros, axis = how[1], how[2], int(how[3])
        if not 0 <= axis < values.dim() or not len(scales) == len(zeros) == values.shape[axis]:
            raise ValueError("a quantised tensor has other than one scale for each channel")
        return torch._make_per_channel_quantized_tensor(values, scales, zeros, axis)
    raise Refused(f"quantises by {how[0]}")


def _sparse(layout: Any, data: Sequence[Any]) -> Tensor:
    size = data[2] if layout is torch.sparse_coo else data[3]
    if math.prod(size) > _MOST_VALUES:
        raise ValueError(f"a sparse tensor of {'x'.join(map(str, size))} is too large")
    if layout is torch.sparse_coo:
        return torch.sparse_coo_tensor(data[0], data[1], tuple(size), check_invariants=True)
    return torch.sparse_compressed_tensor(data[0], data[1], data[2], tuple(size), layout=layout, check_invariants=True)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _of_class(function: Any, kind: Any, arguments: Any, _: Any) -> Any:
    """A tensor that has attributes of its own, which are left out."""
    if kind is not Tensor or not isinstance(function, Allowed):
        raise Refused("holds tensors of a class of its own")
    return function.function(*arguments)


def _layout(name: str) -> torch.layout:
    found = getattr(torch, str(name).removeprefix("torch."), None)
    if not isinstance(found, torch.layout):
        raise ValueError(f"{name} is no layout")
    return found


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    return OrderedDict((key, value) for key, value in pairs if isinstance(key, str | int))


TENSORS: Mapping[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): Allowed(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Allowed(_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): Allowed(_tensor_of),
    ("torch._utils", "_rebuild_parameter"): Allowed(_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): Allowed(_parameter),
    ("torch._utils", "_rebuild_qtensor"): Allowed(_quantised),
    ("torch._utils", "_rebuild_sparse_tensor"): Allowed(_sparse),
    ("torch._tensor", "_rebuild_from_type_v2"): Allowed(_of_class),
    ("torch.serialization", "_get_layout"): Allowed(_layout),
    ("torch.nn.parameter", "Parameter"): Tensor,
    ("torch", "Tensor"): Tensor,
    ("torch", "Size"): Allowed(lambda sizes=(): torch.Size(sizes)),
    ("collections", "OrderedDict"): Allowed(_ordered),
}
