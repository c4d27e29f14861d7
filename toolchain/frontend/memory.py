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


def shared_with(tensor: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Where two tensors lie on the same memory: numbers of the elements in the one and in the other, in pairs."""
    memory = positions(source).flatten()
    if tensor.is_contiguous():
        number = torch.arange(len(memory))
        here = (memory >= tensor.storage_offset()) & (memory < tensor.storage_offset() + tensor.numel())
        return memory[here] - tensor.storage_offset(), number[here]
    places = places_in(tensor, memory).flatten()
    own = (places >= 0).nonzero().flatten()
    return own, places[own]


def rewritten(self: Tensor, source: Tensor, at: Tensor, of: Tensor) -> Tensor:
    """``self`` with elements ``of`` the source at the places ``at``."""
    flat = self.flatten().clone()
    flat[at] = source.flatten()[of].to(flat.dtype)
    return flat.reshape(self.shape)
