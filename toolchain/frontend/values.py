"""Tensors of the user's network, in terms of canonical nodes: which element of which node each of theirs is.

Everything that only moves values (views, slices, permutations, concatenations, padding, repetition) and every constant
factor or summand is kept here and composed, until an operation needs a node: then :mod:`spikec.frontend.placing` finds
the shortest way to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

#: Runs an operation on tensors that stand for its operands; the second argument says what they hold.
Run = Callable[[list[Tensor], str], Any]


@dataclass(frozen=True, eq=False)
class Value:
    """One tensor. ``shape``: as the user's code sees it, with the batch axis. ``scale`` and ``shift``: what elements
    are multiplied with, and what is added then, float64, of that shape.

    ``index``: int64 of that shape; 0 where an element is none of a node's, else 1 + its number among the elements of
    ``sources``, counted source after source, image after image. None: all elements of the one source, in order.
    """

    shape: tuple[int, ...]
    sources: tuple[fx.Node, ...]
    index: Tensor | None = None
    scale: Tensor | None = None
    shift: Tensor | None = None
    #: The call that gave its shape, after which nodes are named that only bring elements to their places.
    call: Any = None

    @property
    def plain(self) -> bool:
        """Whether it is just the elements of one node, in order."""
        return self.index is None and self.scale is None and self.shift is None

    def places(self) -> Tensor:
        """``index``, written out."""
        if self.index is not None:
            return self.index
        return torch.arange(1, math.prod(self.shape) + 1).reshape(self.shape)


def elements(node: fx.Node, batch: int) -> int:
    """How many numbers a node gives for a batch."""
    return int(batch * math.prod(node.meta["shape"]))


def reshaped(value: Value, shape: Sequence[int]) -> Value:
    """The same elements in the same order under another shape."""
    new = tuple(shape)
    return Value(
        new,
        value.sources,
        None if value.index is None else value.index.reshape(new),
        None if value.scale is None else value.scale.reshape(new),
        None if value.shift is None else value.shift.reshape(new),
    )


def moved(operands: Sequence[Value | Tensor], run: Run, batch: int) -> list[Value]:
    """What an operation gives that only moves elements of ``operands``; ``run`` runs it on what stands for them.

    ``run`` gets float64 tensors: the elements' numbers ("index"), factors ("scale") or summands ("shift"). Places that
    the operation fills by itself must become 0, 1 or what it fills with.
    """
    sources = list(dict.fromkeys(s for v in operands if isinstance(v, Value) for s in v.sources))
    starts, total = {}, 0
    for source in sources:
        starts[source] = total
        total += elements(source, batch)
    whole = [_numbers(v, starts, batch) if isinstance(v, Value) else torch.zeros(v.shape).double() for v in operands]
    index = _listed(run(whole, "index"))
    scaled = any(isinstance(v, Value) and v.scale is not None for v in operands)
    shifted = any(not isinstance(v, Value) or v.shift is not None for v in operands)
    scale = _listed(run([_scale(v) for v in operands], "scale")) if scaled else [None] * len(index)
    shift = _listed(run([_shift(v) for v in operands], "shift")) if shifted else [None] * len(index)
    return [
        _simple(Value(tuple(i.shape), tuple(sources), i.round().long(), s, t), batch)
        for i, s, t in zip(index, scale, shift, strict=True)
    ]


def _listed(result: Any) -> list[Tensor]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _numbers(value: Value, starts: dict[fx.Node, int], batch: int) -> Tensor:
    index = value.places()
    if len(value.sources) == 1:
        start = starts[value.sources[0]]
        return torch.where(index > 0, index + start, 0).double() if start else index.double()
    own, moved_to = 0, torch.zeros_like(index)
    for source in value.sources:
        size = elements(source, batch)
        here = (index > own) & (index <= own + size)
        moved_to[here] = index[here] - own + starts[source]
        own += size
    return moved_to.double()


def _scale(value: Value | Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return torch.ones(value.shape, dtype=torch.float64)
    return torch.ones(value.shape, dtype=torch.float64) if value.scale is None else value.scale


def _shift(value: Value | Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value.double()
    return torch.zeros(value.shape, dtype=torch.float64) if value.shift is None else value.shift


def _simple(value: Value, batch: int) -> Value:
    """Without sources that nothing comes from, and without an index where elements are in order."""
    index = value.index
    assert index is not None
    used, own, kept, start = [], 0, index, 0
    if len(value.sources) > 1:
        kept = torch.zeros_like(index)
        for source in value.sources:
            size = elements(source, batch)
            here = (index > own) & (index <= own + size)
            if bool(here.any()):
                kept[here] = index[here] - own + start
                used.append(source)
                start += size
            own += size
    else:
        used = list(value.sources)
    if len(used) == 1 and kept.numel() == elements(used[0], batch):
        flat = kept.flatten()
        if bool((flat == torch.arange(1, len(flat) + 1)).all()):
            return Value(value.shape, tuple(used), None, value.scale, value.shift)
    return Value(value.shape, tuple(used), kept, value.scale, value.shift)


def affine(value: Value, scale: Tensor | None, shift: Tensor | None) -> Value:
    """``value * scale + shift`` with constants that broadcast against it and do not widen it."""
    old_scale, old_shift = value.scale, value.shift
    if scale is not None:
        factor = scale.double().expand(value.shape)
        old_scale = factor if old_scale is None else old_scale * factor
        old_shift = None if old_shift is None else old_shift * factor
    if shift is not None:
        summand = shift.double().expand(value.shape)
        old_shift = summand if old_shift is None else old_shift + summand
    return Value(value.shape, value.sources, value.index, old_scale, old_shift)
