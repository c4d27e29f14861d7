"""Gathers the chunks of a run into one trace."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from toolchain.ir.integer import IntegerGraph, Population
from toolchain.simulation.network import Emission, Result
from toolchain.simulation.neurons import Watch
from toolchain.simulation.trace import Array, Trace

Int32 = npt.NDArray[np.int32]


class Collector:
    """Adds up chunks; ``trace`` joins them."""

    def __init__(self, graph: IntegerGraph, *, spikes: bool, counts: bool | Literal["totals"]) -> None:
        self._graph = graph
        self._keep_spikes = spikes
        self._keep_counts = counts
        names = [p.name for p in graph.populations]
        self._spikes: dict[str, list[Array]] = {name: [] for name in names} if spikes else {}
        self._counts: dict[str, list[Int32]] = {name: [] for name in names} if counts is True else {}
        self._events: dict[str, list[Int32]] = {name: [] for name in names} if counts is True else {}
        self._count_totals: dict[str, npt.NDArray[np.int64]] = {}
        self._event_totals: dict[str, npt.NDArray[np.int64]] = {}
        self._outputs: list[npt.NDArray[np.int64]] = []
        self._curves: list[npt.NDArray[np.int64]] = []
        self._input_events = np.zeros(graph.input.shape, np.int32)

    def add(self, result: Result, integers: Tensor) -> None:
        """Append one chunk; ``integers`` [N, *input shape] are the images it ran."""
        self._input_events += torch.count_nonzero(integers, dim=0).numpy().astype(np.int32)
        self._outputs.append(result.readout[-1].to(torch.int64).numpy())
        if self._graph.schedule == "pipelined":
            self._curves.append(result.readout.transpose(0, 1).to(torch.int64).numpy())
        for node in self._graph.populations:
            emission = result.emissions[node.name]
            if self._keep_counts:
                self._add_counts(node, emission)
            if self._keep_spikes:
                self._spikes[node.name].append(raster_of(self._graph, node, emission))

    def _add_counts(self, node: Population, emission: Emission) -> None:
        counts, events = counts_of(self._graph, node, emission)
        for totals, part in ((self._count_totals, counts), (self._event_totals, events)):
            summed = part.sum(0, dtype=torch.int64).numpy()
            totals[node.name] = totals[node.name] + summed if node.name in totals else summed
        if self._keep_counts is True:
            kept = counts.numpy()
            self._counts[node.name].append(kept)
            self._events[node.name].append(kept if events is counts else events.numpy())

    def trace(self, watches: dict[str, Watch], seconds: float) -> Trace:
        """The whole run as a trace."""
        output = np.concatenate(self._outputs)
        counts = {name: np.concatenate(parts) for name, parts in self._counts.items()}
        events = {
            name: counts[name] if parts[0] is self._counts[name][0] else np.concatenate(parts)
            for name, parts in self._events.items()
        }
        return Trace(
            output=output,
            logits=(output * self._graph.readout.scale).astype(np.float32),
            counts=counts,
            events=events,
            spikes={name: np.concatenate(parts) for name, parts in self._spikes.items()},
            output_curve=np.concatenate(self._curves) if self._curves else None,
            membrane={n: (w.low, w.high) for n, w in watches.items() if w.low is not None and w.high is not None},
            overflows={name: watch.overflows for name, watch in watches.items()},
            input_events=self._input_events,
            count_totals=self._count_totals,
            event_totals=self._event_totals,
            timesteps=self._graph.timesteps,
            extra_steps=self._graph.emission_steps - self._graph.timesteps,
            seconds=seconds,
        )


def counts_of(graph: IntegerGraph, node: Population, emission: Emission) -> tuple[Tensor, Tensor]:
    """Net emissions and number of non-zero emissions, int32 [N, *shape]; one tensor where they agree."""
    if emission.raster is None:
        assert emission.counts is not None  # an emission has a raster or counts
        counts = emission.counts.to(torch.int32)
        return counts, counts.clamp(max=1) if node.kind == "graded" else counts
    counted = graph.timesteps + graph.drain
    counts = emission.raster[:counted].sum(0).to(torch.int32)
    if node.kind != "signed_if" and counted == len(emission.raster):
        return counts, counts
    return counts, torch.count_nonzero(emission.raster, dim=0).to(torch.int32)


def raster_of(graph: IntegerGraph, node: Population, emission: Emission) -> Array:
    """Emissions of the counted steps, int8 (int16 for payloads) [N, T + drain, *shape]."""
    if emission.raster is not None:
        raster = emission.raster[: graph.timesteps + graph.drain].transpose(0, 1)
        return to_numpy(raster, torch.int8)
    assert emission.value is not None  # an emission has a raster or a value
    value = emission.value.to(torch.int64)[:, None]
    if node.kind == "graded":
        return to_numpy(value, torch.int16)
    steps = torch.arange(graph.timesteps).reshape(1, -1, *[1] * len(node.shape))
    if node.kind == "bit_serial":
        return to_numpy((value >> (graph.timesteps - 1 - steps)) & 1, torch.int8)
    return to_numpy(value > steps, torch.int8)


def to_numpy(tensor: Tensor, dtype: torch.dtype) -> npt.NDArray[Any]:
    """A contiguous array of ``dtype``."""
    array: npt.NDArray[Any] = tensor.to(dtype).contiguous().numpy()
    return array
