"""What a population sent during one chunk of images, in the form the trace keeps."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass
class Result:
    """One chunk: emissions by population; the readout's membrane [S, N, classes] per step (layerwise: S = 1);
    ``steps`` int64 [N] that each image ran, where some may have stopped early."""

    emissions: dict[str, Emission]
    readout: Tensor
    steps: Tensor | None = None


def separate_events(graph: IntegerGraph, node: Population) -> bool:
    """Whether the number of non-zero emissions can differ from the net count."""
    return not node.neuron.binary or graph.emission_steps > graph.timesteps
