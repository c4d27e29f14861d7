"""The numbers other tools would print for the same execution, and why they differ from ours.

One file per tool, each with the version whose source it was read from; ``benchmarks/peer_counts.py`` runs the tools
themselves on the same spikes. All values are means per image, summed over the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikec.energy.conventions.keras_spiking import keras_spiking
from spikec.energy.conventions.neurobench import neurobench, operations
from spikec.energy.conventions.seen import Seen
from spikec.energy.conventions.sinabs import sinabs
from spikec.energy.conventions.syops import syops
from spikec.energy.counts import count
from spikec.errors import DataError, ToolchainError
from spikec.ir import as_integer
from spikec.ir.graph import IntegerGraph
from spikec.simulation.encode import encode
from spikec.simulation.trace import Trace

if TYPE_CHECKING:
    import nir
    import numpy.typing as npt
    import torch

__all__ = ["TOOLS", "Convention", "Seen", "convention", "mean", "neurobench"]

TOOLS: dict[str, Callable[[Seen], tuple[dict[str, float], list[str]]]] = {
    "neurobench": operations,
    "sinabs": sinabs,
    "syops": syops,
    "keras-spiking": keras_spiking,
}


@dataclass(frozen=True)
class Convention:
    """``values`` as the tool names them, ``ours`` for comparison, and ``notes`` on every difference that applies."""

    tool: str
    values: dict[str, float]
    ours: dict[str, float]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.tool}, per image:"]
        lines += [f"  {name}: {value:.6g}" for name, value in self.values.items()]
        lines += [f"  here {name}: {value:.6g}" for name, value in self.ours.items()]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def convention(
    graph: nir.NIRGraph | IntegerGraph,
    trace: Trace,
    tool: str,
    images: npt.ArrayLike | torch.Tensor | None = None,
) -> Convention:
    """What ``tool`` (``neurobench``, ``sinabs``, ``syops`` or ``keras-spiking``) would print for this execution.

    ``trace``: best with rasters (``record="spikes"``); where they matter and are missing, a note says what stands in.
    ``images``: those of the trace, float [N, *input shape]; without them the tools that weight the first layer by its
    real pixels are given without that layer.
    """
    if tool not in TOOLS:
        raise ToolchainError(f"no convention is called {tool!r}; known: {', '.join(TOOLS)}")
    net = as_integer(graph)
    if net.sequences:
        raise ToolchainError(f"{tool} counts images that stay the same; this network reads sequences")
    counts = count(net, trace)
    pixels = None if images is None else encode(net.input, images)
    if pixels is not None and len(pixels) != counts.images:
        raise DataError(
            f"the trace holds {counts.images} images, {len(pixels)} were given; pass those it was made with"
        )
    values, notes = TOOLS[tool](Seen(net, trace, counts, pixels))
    ours = {"SynOps": counts.synops / counts.images, "SynOps, non-zero weights": counts.synops_nonzero / counts.images}
    return Convention(tool, values, ours, tuple(notes))


def mean(found: Sequence[tuple[int, Convention]]) -> Convention:
    """One convention of several batches, each with its number of images."""
    images, first = sum(number for number, _ in found), found[0][1]
    values = {key: sum(number * one.values[key] for number, one in found) / images for key in first.values}
    ours = {key: sum(number * one.ours[key] for number, one in found) / images for key in first.ours}
    return Convention(first.tool, values, ours, tuple(dict.fromkeys(note for _, one in found for note in one.notes)))
