"""Passes over parts of a batch that stay in cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

_BLOCK = 2**21  # bytes that a thread passes over at once


def clip_into(out: Tensor, x: Tensor, top: int) -> None:
    """:func:`clipped` into ``out``, u8 of the same shape; ``x`` is consumed."""
    x.clamp_(0, top)
    if top < 128:
        out.view(torch.int8).copy_(x)
    else:
        out.copy_(x.to(torch.int16))


def u8_like(shape: Sequence[int]) -> Tensor:
    """Memory for u8 [N, *shape], images channels last."""
    layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    return torch.empty(tuple(shape), dtype=torch.uint8, memory_format=layout)


def in_blocks(images: int, bytes_per_image: int) -> Iterator[slice]:
    """The rows of ``images``, so many at a time that several passes over a block find it in cache. Blocks are also
    small enough that the memory which one frees serves the next: pages of larger ones are new every time."""
    size = max(1, _BLOCK * torch.get_num_threads() // max(1, bytes_per_image))
    for first in range(0, images, size):
        yield slice(first, first + size)
