"""Gathers the chunks of a run into one trace."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from toolchain.ir.integer import IntegerGraph, Population
from toolchain.simulation.engine import Emission, Result
from toolchain.simulation.neurons import Watch
from toolchain.simulation.trace import Trace


class Rows:
    """An array that grows along its first axis; allocated once where the final length is known."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._length = 0
        self._parts: list[npt.NDArray[Any]] = []

    def add(self, part: Tensor, dtype: torch.dtype) -> None:
        """Append ``part`` [N, ...] as ``dtype``."""
        if self._total is None:
            self._parts.append(part.to(dtype).contiguous().numpy())
            return
        if not self._parts:
            self._parts.append(torch.empty((self._total, *part.shape[1:]), dtype=dtype).numpy())
        torch.from_numpy(self._parts[0])[self._length : self._length + len(part)].copy_(part)
        self._length += len(part)

    def array(self) -> npt.NDArray[Any]:
        """Everything appended, as one array."""
        return self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)


class Collector:
    """Adds up chunks; :meth:`trace` joins them. ``total`` is the number of images, where known."""

    def __init__(
        self, graph: IntegerGraph, total: int | None, *, spikes: bool, counts: bool | Literal["totals"]
    ) -> None:
        self._graph = graph
        self._keep = counts
        names = [p.name for p in graph.populations]
        signed = [p.name for p in graph.populations if separate_events(graph, p)]
        self._spikes = {name: Rows(total) for name in (names if spikes else ())}
        self._counts = {name: Rows(total) for name in (names if counts is True else ())}
        self._events = {name: Rows(total) for name in (signed if counts is True else ())}
        shapes = {p.name: p.shape for p in graph.populations}
        self._count_totals = {name: np.zeros(shapes[name], np.int64) for name in (names if counts else ())}
        self._event_totals = {name: np.zeros(shapes[name], np.int64) for name in (signed if counts else ())}
        self._output, self._curve = Rows(total), Rows(total)
        self._input_events = np.zeros(graph.input.shape, np.int32)

    def add(self, result: Result, integers: Tensor) -> None:
        """Append one chunk; ``integers`` [N, *input shape] are the images it ran."""
        self._input_events += torch.count_nonzero(integers, dim=0).numpy().astype(np.int32)
        self._output.add(result.readout[-1], torch.int64)
        if self._graph.schedule == "pipelined":
            self._curve.add(result.readout.transpose(0, 1), torch.int64)
        for node in self._graph.populations:
            emission = result.emissions[node.name]
            if self._keep:
                self._add_counts(node, emission)
            if node.name in self._spikes:
                raster = raster_of(self._graph, node, emission)
                self._spikes[node.name].add(raster, torch.int8 if (node.levels or 1) <= 127 else torch.int16)

    def _add_counts(self, node: Population, emission: Emission) -> None:
        self._keep_counts(node.name, counts_of(self._graph, node, emission), self._count_totals, self._counts)
        if node.name in self._event_totals:
            self._keep_counts(node.name, events_of(node, emission), self._event_totals, self._events)

    def _keep_counts(
        self, name: str, counts: Tensor, totals: dict[str, npt.NDArray[np.int64]], rows: dict[str, Rows]
    ) -> None:
        plain = counts.to(torch.int32, memory_format=torch.contiguous_format)
        totals[name] += plain.sum(0, dtype=torch.int32).numpy()  # one chunk stays far below 2**31
        if name in rows:
            rows[name].add(plain, torch.int32)

    def trace(self, watches: dict[str, Watch], seconds: float) -> Trace:
        """The whole run as a trace; counts serve as events where every emission is one counted spike."""
        output = self._output.array()
        counts = {name: rows.array() for name, rows in self._counts.items()}
        return Trace(
            output=output,
            logits=(output * self._graph.readout.scale).astype(np.float32),
            counts=counts,
            events={**counts, **{name: rows.array() for name, rows in self._events.items()}},
            spikes={name: rows.array() for name, rows in self._spikes.items()},
            output_curve=self._curve.array() if self._graph.schedule == "pipelined" else None,
            membrane={n: (w.low, w.high) for n, w in watches.items() if w.low is not None and w.high is not None},
            overflows={name: watch.overflows for name, watch in watches.items()},
            input_events=self._input_events,
            count_totals=self._count_totals,
            event_totals={**self._count_totals, **self._event_totals},
            timesteps=self._graph.timesteps,
            extra_steps=self._graph.emission_steps - self._graph.timesteps,
            seconds=seconds,
        )


def separate_events(graph: IntegerGraph, node: Population) -> bool:
    """Whether the number of non-zero emissions can differ from the net count."""
    return node.kind in ("signed_if", "graded") or graph.emission_steps > graph.timesteps


def counts_of(graph: IntegerGraph, node: Population, emission: Emission) -> Tensor:
    """Net emissions over the counted steps [N, *shape]."""
    if emission.raster is not None:
        return emission.raster[: graph.timesteps + graph.drain].sum(0)
    if emission.levels is not None:
        return emission.levels[-1]
    assert emission.value is not None  # an emission has one of three forms
    if node.kind != "bit_serial":
        return emission.value
    number = emission.value.to(torch.int32)
    return torch.stack([(number >> bit) & 1 for bit in range(graph.timesteps)]).sum(0)


def events_of(node: Population, emission: Emission) -> Tensor:
    """Number of non-zero emissions over all steps [N, *shape]."""
    if emission.raster is not None:
        return torch.count_nonzero(emission.raster, dim=0)
    if emission.levels is None:
        assert emission.value is not None  # an emission has one of three forms
        return emission.value.clamp(max=1) if node.kind == "graded" else emission.value
    # Booleans are added as u8 where that cannot wrap: several times faster than summing a stack.
    dtype = torch.uint8 if len(emission.levels) <= 255 else torch.int32
    events = (emission.levels[0] != 0).to(dtype)
    for before, after in zip(emission.levels, emission.levels[1:], strict=False):
        events += (after != before).view(torch.uint8)
    return events


def raster_of(graph: IntegerGraph, node: Population, emission: Emission) -> Tensor:
    """Emissions of the counted steps [N, T + drain, *shape]."""
    if emission.raster is not None:
        return emission.raster[: graph.timesteps + graph.drain].transpose(0, 1)
    if emission.levels is not None:
        levels = torch.stack(list(emission.levels), dim=1).to(torch.int16)
        return torch.diff(levels, dim=1, prepend=torch.zeros_like(levels[:, :1]))
    assert emission.value is not None  # an emission has one of three forms
    value = emission.value.to(torch.int64)[:, None]
    if node.kind == "graded":
        return value
    steps = torch.arange(graph.timesteps).reshape(1, -1, *[1] * len(node.shape))
    return (value >> (graph.timesteps - 1 - steps)) & 1 if node.kind == "bit_serial" else value > steps
