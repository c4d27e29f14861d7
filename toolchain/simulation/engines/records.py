"""How counts are followed step by step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spikec.simulation.emission import Emission
from spikec.simulation.engines.codes import fall, raster_dtype, rise
from spikec.simulation.kernels.blocks import in_blocks, u8_like
from spikec.simulation.kernels.int8 import U8_MAX, channels_last

_PASSES = 2  # bytes that a count and its quotient take


class LevelRecord:
    """Follows the net count of a population step by step.

    ``last``: the count so far, u8 [n, *shape], of the images that still run, from the first step on; the caller may
    read it but not keep it. ``shape``: [N, *shape] of all images. ``most``: the largest change of a count in one step.
    """

    last: Tensor

    def __init__(self, shape: Sequence[int], steps: int, *, events: bool, spikes: bool, most: int = 1) -> None:
        self._shape, self._most = tuple(shape), most
        self._counts: Tensor | None = None
        self._rows: Tensor | None = None  # images that still run; None: all
        # Booleans add up as u8 where that cannot wrap: several times faster than summing a stack.
        dtype = torch.uint8 if steps <= U8_MAX else torch.int32
        self._events = self._all_events = u8_like(shape).zero_().to(dtype) if events else None
        images, *neurons = self._shape
        self._raster = torch.zeros((images, steps, *neurons), dtype=raster_dtype(most)) if spikes else None

    def see(self, step: int, upper: Tensor, lower: Tensor | None = None) -> None:
        """Move counts below ``upper`` up towards it, and counts above ``lower`` down towards ``upper``, by at most
        ``most``. ``lower`` is at least ``upper``."""
        if step == 0:  # from a count of 0
            self.take(0, upper.clamp_(max=self._most))
            return
        upper = upper.expand_as(self.last)  # one for all images, where nothing of them arrives
        lower = None if lower is None else lower.expand_as(self.last)
        if self._most > 1:
            up = rise(upper, self.last, self._most)
            down = None if lower is None else fall(upper, lower, self.last, self._most)
            self._change(step, up, down)
            return
        for rows in in_blocks(len(self.last), _PASSES * self.last[0].numel()):
            self._see(step, rows, upper, lower)

    def _see(self, step: int, rows: slice, upper: Tensor, lower: Tensor | None) -> None:
        """The same for some of the images, where a count changes by one."""
        last = self.last[rows]
        up = torch.gt(upper[rows], last).view(torch.uint8)
        if lower is None:
            last += up
        else:
            down = torch.lt(lower[rows], last).view(torch.uint8)
            last += up
            last -= down
        if self._events is not None:
            self._events[rows] += up
            if lower is not None:
                self._events[rows] += down
        if self._raster is not None:
            spikes = up.view(torch.int8)
            self._write(step, rows, spikes if lower is None else spikes - down.view(torch.int8))

    def take(self, step: int, counts: Tensor) -> None:
        """Take ``counts`` u8 [n or 1, *shape], none of which is below the one before; the record keeps them."""
        images = self._shape[0] if self._rows is None else len(self._rows)
        if len(counts) != images:
            counts = u8_like((images, *counts.shape[1:])).copy_(counts)
        change = counts if step == 0 else counts - self.last if self._watched else None
        if change is not None and self._events is not None:
            self._events += change != 0
        if change is not None and self._raster is not None:
            self._write(step, slice(None), change.to(self._raster.dtype))
        if self._rows is None:
            self._counts = counts
        self.last = counts

    @property
    def _watched(self) -> bool:
        """Whether single steps matter."""
        return self._events is not None or self._raster is not None

    def _change(self, step: int, up: Tensor, down: Tensor | None) -> None:
        """Add ``up`` and take ``down``, both u8, one of them 0 everywhere."""
        self.last += up
        change = up.to(torch.int16)
        if down is not None:
            self.last -= down
            change -= down
        if self._events is not None:
            self._events += change != 0
        if self._raster is not None:
            self._write(step, slice(None), change.to(self._raster.dtype))

    def _write(self, step: int, rows: slice, spikes: Tensor) -> None:
        assert self._raster is not None
        if self._rows is None:
            self._raster[rows, step] = spikes
        else:
            self._raster[self._rows[rows], step] = spikes

    def keep(self, running: Tensor) -> None:
        """Stop the images of ``last`` where ``running`` [n] is false."""
        self._write_back()
        rows = torch.arange(len(running)) if self._rows is None else self._rows
        self._rows = rows[running]
        assert self._counts is not None  # images stop after a step
        self.last = channels_last(self._counts[self._rows])
        if self._all_events is not None:
            self._events = channels_last(self._all_events[self._rows])

    def _write_back(self) -> None:
        if self._rows is not None and self._counts is not None:
            self._counts[self._rows] = self.last
            if self._all_events is not None and self._events is not None:
                self._all_events[self._rows] = self._events

    @property
    def emission(self) -> Emission:
        """Everything seen, of all images."""
        self._write_back()
        assert self._counts is not None  # a run has steps
        return Emission(self._counts, self._all_events, self._raster)
