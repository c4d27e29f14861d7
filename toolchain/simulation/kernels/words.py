"""Bytes eight at a time, as words of 64 bits."""

from __future__ import annotations

import torch
from torch import Tensor

_WORD = 8
_BLOCK = 2**18  # words that stay in cache over several passes
_PAIRS, _FOURS, _BYTES = 0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F


def ones(x: Tensor) -> Tensor:
    """How many bits are set in each number of ``x``, u8 without gaps in memory, in the same layout.

    Neighbouring bits are added, then pairs, then groups of four, in all bytes of a word at once: none of these sums
    leaves its byte (Warren, Hacker's Delight, section 5-1).
    """
    found = torch.empty_like(x)
    memory, out = (torch.as_strided(tensor, (tensor.numel(),), (1,)) for tensor in (x, found))
    whole = len(memory) // _WORD * _WORD
    words, sums = memory[:whole].view(torch.int64), out[:whole].view(torch.int64)
    for block, put in zip(torch.split(words, _BLOCK), torch.split(sums, _BLOCK), strict=True):
        _ones(block, put)
    last = torch.zeros(_WORD, dtype=torch.uint8, device=x.device)
    last[: len(memory) - whole] = memory[whole:]
    out[whole:] = _ones(last.view(torch.int64), torch.empty(1, dtype=torch.int64)).view(torch.uint8)[
        : len(memory) - whole
    ]
    return found


def _ones(x: Tensor, out: Tensor) -> Tensor:
    pairs = x - (x >> 1).bitwise_and_(_PAIRS)
    fours = (pairs >> 2).bitwise_and_(_FOURS).add_(pairs.bitwise_and_(_FOURS))
    return torch.bitwise_and((fours >> 4).add_(fours), _BYTES, out=out)
