"""What a population sent during one chunk of images, in the form the trace keeps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spikec.ir.graph import IntegerGraph, Population


@dataclass(frozen=True)
class Emission:
    """``counts`` [N, *shape]: net emissions over the counted steps; ``events`` [N, *shape]: non-zero emissions over all
    steps, None where they equal the counts or were not asked for; ``raster`` [N, T + drain, *shape], where asked for.
    """

    counts: Tensor
    events: Tensor | None = None
    raster: Tensor | None = None

    def until(self, steps: Tensor, *, spikes: bool) -> Emission:
        """The same, had each image stopped after ``steps`` [N]. ``spikes``: whether the raster is kept."""
        assert self.raster is not None  # the caller asked for rasters
        running = torch.arange(self.raster.shape[1], device=self.raster.device) < steps[:, None]
        raster = self.raster * running.view(*running.shape, *[1] * (self.raster.dim() - 2))
        events = None if self.events is None else torch.count_nonzero(raster, dim=1)
        return Emission(raster.sum(1), events, raster if spikes else None)


@dataclass
class Result:
    """One chunk: emissions by population; the membrane of each readout [S, N, *shape] per step (layerwise: S = 1);
    ``steps`` int64 [N] that each image ran, where some may have stopped early."""

    emissions: dict[str, Emission]
    readouts: dict[str, Tensor]
    steps: Tensor | None = None

    def until(self, steps: Tensor, *, spikes: bool) -> Result:
        """The same, had each image stopped after ``steps`` int64 [N]: its output stays what it was then."""
        images = torch.arange(len(steps), device=steps.device)
        readouts = {}
        for name, curve in self.readouts.items():
            kept = torch.minimum(torch.arange(len(curve), device=steps.device)[:, None], steps - 1)
            readouts[name] = curve[kept, images]
        emissions = {name: emission.until(steps, spikes=spikes) for name, emission in self.emissions.items()}
        return Result(emissions, readouts, steps)


def separate_events(graph: IntegerGraph, node: Population) -> bool:
    """Whether the number of non-zero emissions can differ from the net count."""
    return not node.neuron.binary or graph.emission_steps > graph.timesteps
