"""An execution as seen by a tool with hooks on the layers of a torch or Keras network: tensors entering layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.energy.arrivals import passed
from spikec.energy.counts import Counts, SynapseCounts
from spikec.errors import DataError
from spikec.ir.delays import by_delay
from spikec.ir.graph import Delayed, IntegerGraph, Population
from spikec.ir.operations import Operation, Synapse
from spikec.ir.types import Int64
from spikec.ir.walks import operations_before
from spikec.simulation.trace import Trace


@dataclass(frozen=True)
class Layer:
    """One synapse node. ``window``: neurons that an average pool before it averages, 1 without a pool; ``density``:
    events per source neuron, image and step; ``binary``: only zeros and ones can enter; ``chained``: another synapse
    node lies between it and the neurons."""

    node: Synapse
    counts: SynapseCounts
    origins: tuple[str, ...]
    from_input: bool
    window: int
    signed: bool
    multiplied: bool
    chained: bool
    binary: bool
    density: float
    steps: int

    @property
    def bias(self) -> int:
        """Outputs with a bias, as a layer of the float network has it: all or none."""
        return self.counts.outputs if self.node.bias.any() else 0


@dataclass(frozen=True)
class Seen:
    """``pixels``: integers [N, *input shape]; None if the images are not given."""

    net: IntegerGraph
    trace: Trace
    counts: Counts
    pixels: Int64 | None = None
    layers: tuple[Layer, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(_layer(self, node) for node in self.net.synapses))

    @property
    def missing(self) -> str:
        """A phrase that says which rasters the trace lacks; empty if it has those of every step that runs."""
        if not self.trace.spikes:
            return "without rasters (record='spikes')"
        # A raster ends at T + drain; calibrated neurons run until rho if that is later.
        whole = all(raster.shape[1] == self.counts.steps for raster in self.trace.spikes.values())
        return "" if whole else "without rasters of the steps that calibrated neurons run beyond T"

    def calls(self, layer: Layer) -> Iterator[npt.NDArray[np.float64]] | None:
        """What enters the layer at every step, [N, *input shape] in the units of the float network (a spike is 1, a
        pixel real, pools average); behind another layer, in those of the integers. None where the trace has no rasters
        or the images are not at hand."""
        return self.entering(layer.node, layer.origins, 1 if layer.chained else layer.window)

    def entering(
        self, node: Operation, origins: tuple[str, ...], window: int = 1
    ) -> Iterator[npt.NDArray[np.float64]] | None:
        """The same for any node that is fed by ``origins`` alone."""
        if origins == (self.net.input.name,):
            if self.pixels is None:
                return None
            image = self._enters(node, {self.net.input.name: self.pixels}) * (self.net.input.scale / window)
            return (image for _ in range(self.counts.input_steps))
        if self.missing or any(origin not in self.trace.spikes for origin in origins):
            return None
        rasters = {origin: self.trace.spikes[origin] for origin in origins}
        rasters |= {node.name: _late(rasters[node.of], node) for node in self.net.delayed if node.of in rasters}
        return (
            self._enters(node, {origin: raster[:, step] for origin, raster in rasters.items()}) / window
            for step in range(self.counts.steps)
        )

    def _enters(self, node: Operation, emitted: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = np.asarray(sum(self._leaves(source, emitted) for source in node.sources))
        return found

    def _leaves(self, name: str, emitted: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        if name in emitted:
            return np.asarray(emitted[name], dtype=np.float64)
        node = self.net.nodes[name]
        assert isinstance(node, Operation)  # only operations lie between the origins and a layer
        values = passed(node, self._enters(node, emitted))
        if isinstance(node, Synapse):
            values = values + node.bias.reshape(-1, *(1,) * (values.ndim - 2))
        return values

    def net_counts(self, name: str) -> Int64:
        """Sum of the emissions of every neuron over images and steps, signs and payloads included."""
        node = self.net.nodes[name]
        if isinstance(node, Population) and node.neuron.binary:
            return self.counts.events[name]  # counts end at T, where calibrated neurons may run on
        if name not in self.trace.count_totals and name not in self.trace.counts:
            raise DataError("the trace holds no spike counts; simulate with counts=True or counts='totals'")
        found = self.trace.count_totals.get(name)
        totals: Int64 = self.trace.counts[name].sum(axis=0, dtype=np.int64) if found is None else found
        return totals

    def real_pixels(self) -> npt.NDArray[np.float64] | None:
        """Sum of the images over images and steps, in the units of the float network."""
        if self.pixels is None:
            return None
        total: npt.NDArray[np.float64] = self.pixels.sum(axis=0) * (self.net.input.scale * self.counts.input_steps)
        return total


def _late(raster: npt.NDArray[Any], node: Delayed) -> npt.NDArray[Any]:
    """A raster [N, steps, *shape] as it arrives behind a delay."""
    found = np.zeros_like(raster)
    for delay, senders in by_delay(node.steps, node.shape):
        found[:, delay:, senders] = raster[:, : max(raster.shape[1] - delay, 0), senders]
    return found


def _layer(seen: Seen, node: Synapse) -> Layer:
    net, counts = seen.net, seen.counts
    reaching = [origin for origin, reached in counts.fan_out.items() if node.name in reached]
    events = sum(int(counts.events[origin].sum()) for origin in reaching)
    neurons = sum(counts.events[origin].size for origin in reaching)
    pixels = (origin if isinstance(net.nodes[origin], Population) else net.input.name for origin in reaching)
    origins = tuple(dict.fromkeys(pixels))  # a pooled image is seen from its pixels on
    spiking = [origin for origin in map(net.nodes.__getitem__, origins) if isinstance(origin, Population)]
    between = [net.nodes[name] for name in operations_before(net, node.name)]
    window = math.prod(x.window for x in between if isinstance(x, Operation) and not isinstance(x, Synapse))
    chained = any(isinstance(other, Synapse) for other in between)
    alone = len(node.sources) == 1 and len(origins) == 1 and not chained and window == 1
    return Layer(
        node=node,
        counts=counts.synapses[node.name],
        origins=origins,
        from_input=counts.synapses[node.name].input_fed,
        window=window,
        signed=any(p.neuron.signed for p in spiking),
        multiplied=any(p.neuron.multiplied for p in spiking),
        chained=chained,
        binary=alone and bool(spiking) and all(p.neuron.binary for p in spiking),
        density=events / (neurons * counts.images * counts.steps),
        steps=counts.input_steps if origins == (net.input.name,) else counts.steps,
    )
