"""Gathers the chunks of a run into one trace."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikec.errors import RangeError
from spikec.ir.graph import IntegerGraph, Readout
from spikec.ir.input_statistics import CodedInput, joined
from spikec.ir.pools import image_pools, pooled_images
from spikec.simulation.emission import Result, separate_events
from spikec.simulation.registers import Watch
from spikec.simulation.trace import Trace

_LARGEST_COUNT = 2**31 - 1


def check_counts(graph: IntegerGraph) -> None:
    """Raises ``RangeError`` where a spike count could leave the int32 that a trace holds it in."""
    for node in graph.populations:
        largest = graph.emission_steps * max(abs(number) for number in node.neuron.emission)
        if largest > _LARGEST_COUNT:
            raise RangeError(
                f"{node.name}: a count may reach {largest}, beyond {_LARGEST_COUNT}; use fewer steps, or fewer "
                "spikes in each"
            )


class Rows:
    """An array that grows along its first axis; allocated once where the final length is known."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._length = 0
        self._parts: list[npt.NDArray[Any]] = []

    def add(self, part: Tensor, dtype: npt.DTypeLike) -> None:
        """Append ``part`` [N, ...] as ``dtype``."""
        if len(part) == 1 == self._total:  # one call where calls cost more than copying
            self._parts.append(part.cpu().numpy().astype(dtype, order="C"))
            return
        if self._total is None or not self._parts:
            rows = len(part) if self._total is None else self._total
            self._parts.append(_empty_like(part, rows, dtype))
            self._length = 0
        torch.from_numpy(self._parts[-1])[self._length : self._length + len(part)].copy_(part)
        self._length += len(part)

    def array(self) -> npt.NDArray[Any]:
        """Everything appended, as one array."""
        return self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)


def _empty_like(part: Tensor, rows: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Memory for ``rows`` rows such as those of ``part``; images in its order, since turning them round takes longer
    than copying."""
    if part.dim() == 4 and part.is_contiguous(memory_format=torch.channels_last):
        channels, height, width = part.shape[1:]
        return np.empty((rows, height, width, channels), dtype).transpose(0, 3, 1, 2)
    return np.empty((rows, *part.shape[1:]), dtype)  # huge pages, unlike torch.empty


class Collector:
    """Adds up chunks; :meth:`trace` joins them. ``total`` is the number of images, where known."""

    def __init__(
        self, graph: IntegerGraph, total: int | None, *, spikes: bool, counts: bool | Literal["totals"]
    ) -> None:
        self._graph, self._total = graph, total
        self._membranes: dict[str, Rows] = {}
        names = [p.name for p in graph.populations]
        signed = [p.name for p in graph.populations if separate_events(graph, p)]
        self._spikes = {name: Rows(total) for name in (names if spikes else ())}
        self._counts = {name: Rows(total) for name in (names if counts is True else ())}
        self._events = {name: Rows(total) for name in (signed if counts is True else ())}
        shapes = {p.name: p.shape for p in graph.populations}
        self._count_totals = {name: np.zeros(shapes[name], np.int64) for name in (names if counts else ())}
        self._event_totals = {name: np.zeros(shapes[name], np.int64) for name in (signed if counts else ())}
        self._outputs = {readout.name: Rows(total) for readout in graph.readouts}
        self._curves = {readout.name: Rows(total) for readout in graph.readouts if graph.schedule == "pipelined"}
        self._steps = Rows(total)
        self._early = False
        self._coding: list[CodedInput] = []
        self._input_events = np.zeros(graph.input.shape, np.int32)
        self._pooled_events = {pool.name: np.zeros(pool.output_shape, np.int32) for pool in image_pools(graph)}

    def add(self, result: Result, integers: Tensor, coding: CodedInput) -> None:
        """Append one chunk; ``integers`` [N, *input shape] are the images it ran, with steps after N in sequences;
        ``coding``: what was lost on the way to them."""
        self._coding.append(coding)
        frames = integers.flatten(0, 1) if self._graph.sequences else integers
        self._input_events += _nonzero(frames)
        for name, sent in pooled_images(self._graph, integers).items():
            pixels = sent.flatten(0, 1) if self._graph.sequences else sent
            self._pooled_events[name] += _nonzero(pixels)
        for name, curve in result.readouts.items():
            self._outputs[name].add(curve[-1], np.int64)
            if name in self._curves:
                self._curves[name].add(curve.transpose(0, 1), np.int64)
        if result.steps is not None:
            self._early = True
            self._steps.add(result.steps, np.int64)
        for node in self._graph.populations:
            emission = result.emissions[node.name]
            self._add_counts(node.name, emission.counts, self._count_totals, self._counts)
            if emission.events is not None:
                self._add_counts(node.name, emission.events, self._event_totals, self._events)
            if emission.raster is not None:
                self._spikes[node.name].add(emission.raster, node.neuron.emission_type)

    def add_membranes(self, membranes: dict[str, Tensor], ends: Tensor | None) -> None:
        """Append the membranes [N, S, *shape] of the layers in one chunk; 0 behind the end of a sequence."""
        for name, values in membranes.items():
            if ends is not None:
                running = torch.arange(values.shape[1]) < ends[:, None]
                values = values * running.view(*running.shape, *[1] * (values.dim() - 2))
            self._membranes.setdefault(name, Rows(self._total)).add(values, np.int64)

    @staticmethod
    def _add_counts(name: str, counts: Tensor, totals: dict[str, npt.NDArray[np.int64]], rows: dict[str, Rows]) -> None:
        if name in totals:
            totals[name] += over_images(counts)
        if name in rows:
            rows[name].add(counts, np.int32)

    def trace(self, watches: dict[str, Watch], seconds: float) -> Trace:
        """The whole run as a trace; counts serve as events where every emission is one counted spike."""
        counts = {name: rows.array() for name, rows in self._counts.items()}
        readouts = self._graph.readouts
        return Trace(
            outputs={r.output: returned(self._outputs[r.name].array(), r) for r in readouts},
            scales={r.output: r.scale for r in readouts},
            counts=counts,
            events={**counts, **{name: rows.array() for name, rows in self._events.items()}},
            spikes={name: rows.array() for name, rows in self._spikes.items()},
            membranes={name: rows.array() for name, rows in self._membranes.items()},
            output_curves={
                r.output: returned(self._curves[r.name].array(), r)
                for r in self._graph.readouts
                if r.name in self._curves
            },
            membrane=_seen(watches, "membrane"),
            accumulator=_seen(watches, "accumulator"),
            overflows={name: watch.overflows for name, watch in watches.items()},
            first_overflow={name: watch.first for name, watch in watches.items() if watch.first is not None},
            steps=self._steps.array() if self._early else None,
            input_events=self._input_events,
            pooled_events=self._pooled_events,
            count_totals=self._count_totals,
            event_totals={**self._count_totals, **self._event_totals},
            timesteps=self._graph.timesteps,
            extra_steps=self._graph.emission_steps - self._graph.timesteps,
            seconds=seconds,
            coding=joined(self._coding),
        )


def returned(values: npt.NDArray[np.int64], readout: Readout) -> npt.NDArray[np.int64]:
    """Values [..., *shape] of a readout in the shape that the network returns."""
    return values.reshape(*values.shape[: values.ndim - len(readout.shape)], *readout.returned)


def _seen(watches: dict[str, Watch], what: str) -> dict[str, tuple[int, int]]:
    """Lowest and highest number by layer."""
    return {
        watch.layer: (watch.low, watch.high)
        for watch in watches.values()
        if watch.what == what and watch.low is not None and watch.high is not None
    }


def _nonzero(images: Tensor) -> npt.NDArray[np.int32]:
    """In how many of the images [N, ...] a number is not zero, int32 [...]."""
    if len(images) == 1:
        return np.asarray(images.cpu().numpy()[0] != 0, np.int32)
    return np.asarray(torch.count_nonzero(images, dim=0).cpu().numpy(), np.int32)


def over_images(counts: Tensor) -> npt.NDArray[np.int64]:
    """Sum of counts [N, *shape] over the images, int64 [*shape]."""
    if len(counts) == 1:
        return np.asarray(counts.cpu().numpy()[0], np.int64)
    if counts.dtype != torch.uint8 or counts.dim() != 4:
        total = counts.to(torch.int32).sum(0, dtype=torch.int32)
    else:  # as many images at a time as u8 sums can hold, in memory order: ten times faster than widening first
        pixels = counts.permute(0, 2, 3, 1)
        groups = torch.split(pixels.flatten(1), max(1, 255 // max(1, int(pixels.max()))))
        sums = torch.stack([group.sum(0, dtype=torch.uint8) for group in groups]).sum(0, dtype=torch.int64)
        total = sums.view(pixels.shape[1:]).permute(2, 0, 1)
    return np.asarray(total.cpu().numpy(), np.int64)
