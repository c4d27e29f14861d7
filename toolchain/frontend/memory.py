"""Tensors that share memory: which elements of one are which of another, after one of them was written into."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def storage(tensor: Tensor) -> int:
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # sparse tensors have none
        return -id(tensor)


def geometry(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride())


def positions(tensor: Tensor) -> Tensor:
    """For every element of a strided tensor: its number in the storage."""
    found = torch.full(tuple(tensor.shape), tensor.storage_offset(), dtype=torch.int64)
    for axis, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        found += (torch.arange(size) * stride).reshape([size if a == axis else 1 for a in range(tensor.ndim)])
    return found


def places_in(tensor: Tensor, memory: Tensor) -> Tensor:
    """For every element of ``tensor``: the number of the element of another tensor on the same memory, -1 where there
    is none. ``memory``: the :func:`positions` of that."""
    theirs, order = memory.flatten().sort()
    mine = positions(tensor)
    found = torch.searchsorted(theirs, mine).clamp(max=max(len(theirs) - 1, 0))
    return torch.where(theirs[found] == mine, order[found], -1)


def taken(self: Tensor, places: Tensor) -> Tensor:
    """The elements of ``self`` of these numbers."""
    return self.flatten()[places.flatten()].reshape(places.shape)


def rewritten(self: Tensor, source: Tensor, places: Tensor) -> Tensor:
    """``self`` with the elements of ``source`` where ``places`` names one."""
    taken = source.flatten()[places.clamp(min=0).flatten()].reshape(places.shape)
    return torch.where(places >= 0, taken, self)
