"""One execution of a placed network as files for SANA-FE, and what spikec counts in it.

A folder holds ``network.json`` (layers, edges, steps, tiles), ``network.npz`` (per layer ``spikes/NAME`` bool
[steps, neurons] and ``cores/NAME`` int64 [neurons]; per edge ``edges/NUMBER`` int64 [connections, 2]) and
``loihi.yaml``. An event is an emission that is not zero, whatever it stands for.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.energy.counts import count
from spikec.errors import DataError, DoesNotFit
from spikec.ir import IntegerGraph, Population, Readout, Synapse
from spikec.simulation.trace import Trace
from spikec.targets.loihi import Placement
from spikec.targets.sanafe.architecture import (
    COLUMNS,
    CONVOLUTION,
    CORES_PER_TILE,
    DENSE,
    ROWS,
    architecture,
    yaml,
)
from spikec.targets.sanafe.connections import PAIRS, joined, source_cells


def export(graph: IntegerGraph, placement: Placement, trace: Trace, folder: Path) -> None:
    """Write a placed network with the spikes of one image.

    ``trace`` holds one image and its rasters (``record="spikes"``), else ``DataError``. Raises ``DoesNotFit`` for what
    SANA-FE's one chip cannot replay: several chips, neurons entered by anything but synapses, synapses in a row, and
    steps that rasters leave out.
    """
    if graph.sequences or graph.delayed:
        raise DoesNotFit("SANA-FE replays one image that stays the same, without delays; this network reads sequences")
    if (placement.mesh, placement.chips) != ((COLUMNS, ROWS, CORES_PER_TILE), 1):
        raise DoesNotFit(
            f"SANA-FE's Loihi is one chip of {COLUMNS} x {ROWS} tiles with {CORES_PER_TILE} cores; this placement "
            f"takes {placement.chips} of {placement.target}: use a network that fits one chip and place it on loihi1"
        )
    arrays: dict[str, Any] = {}
    edges: list[dict[str, str]] = []
    for layer in graph.layers:
        arrays[f"spikes/{layer.name}"] = _raster(graph, layer, trace) != 0
        arrays[f"cores/{layer.name}"] = placement.core_of[layer.name].reshape(-1)
        for source in layer.sources:
            for origin, unit, connections in _edges(graph, source):
                arrays[f"edges/{len(edges)}"] = connections
                edges.append({"source": origin, "target": layer.name, "synapse": unit})
    plan = {
        "layers": [layer.name for layer in graph.layers],
        "edges": edges,
        "steps": graph.emission_steps,
        # Cores fill tile after tile, in the order of the snake along the rows.
        "tiles": placement.places[::CORES_PER_TILE, 1:].tolist(),
        "cores_per_tile": CORES_PER_TILE,
        "rows": ROWS,
    }
    np.savez(folder / "network.npz", **arrays)
    (folder / "network.json").write_text(json.dumps(plan))
    (folder / "loihi.yaml").write_text(yaml(architecture()) + "\n")


def _raster(graph: IntegerGraph, layer: Population | Readout, trace: Trace) -> npt.NDArray[Any]:
    """[steps, neurons]: what a layer emits; a readout emits nothing."""
    steps, size = graph.emission_steps, math.prod(layer.shape)
    if isinstance(layer, Readout):
        return np.zeros((steps, size))
    raster = trace.spikes.get(layer.name)
    if raster is None or len(raster) != 1:
        raise DataError(f"{layer.name}: SANA-FE replays one image: simulate it alone, with record='spikes'")
    if raster.shape[1] != steps:
        raise DoesNotFit(f"{layer.name}: {raster.shape[1]} of its {steps} steps are recorded, SANA-FE replays them all")
    spikes: npt.NDArray[Any] = raster[0].reshape(steps, size)
    return spikes


def _edges(graph: IntegerGraph, source: str) -> list[tuple[str, str, npt.NDArray[np.int64]]]:
    """(origin, synapse unit, connections int64 [n, 2]) of all that a layer receives from one of its sources."""
    node = graph.nodes[source]
    if isinstance(node, Population):
        raise DoesNotFit(f"{source} reaches neurons without a synapse; SANA-FE needs a synapse before every neuron")
    cells = [entry for before in node.sources for entry in source_cells(graph, before)]
    if not cells:
        return []
    pairs = PAIRS(node)(node)
    unit = CONVOLUTION if isinstance(node, Synapse) and node.shares_weights else DENSE
    return [(origin, unit, joined(cell, pairs)) for origin, cell in cells]


def counted(graph: IntegerGraph, placement: Placement, trace: Trace) -> dict[str, int]:
    """Events of every kind that spikec counts in this execution on this placement, under the names of the table."""
    counts = count(graph, trace)
    found = {"spikes": counts.spikes}
    found["synaptic events"] = sum(s.synops - s.input_synops for s in counts.synapses.values())
    found["messages"] = found["hops"] = 0
    for layer in graph.populations:
        events, hops = counts.events[layer.name], placement.hops(layer.name)
        found["messages"] += int((events * placement.messages(layer.name)).sum())
        found["hops"] += int((events * (hops.east_west + hops.north_south)).sum())
    return found
