"""Builds a Trace from what the processes wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spikec.ir.graph import IntegerGraph
from spikec.ir.pools import pooled_images
from spikec.ir.types import Int64
from spikec.simulation.collect import returned
from spikec.simulation.emission import Emission, Result
from spikec.simulation.trace import TargetSteps, Trace
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.job import Results

Array = npt.NDArray[Any]


def assemble(
    graph: IntegerGraph,
    integers: npt.NDArray[np.int64],
    results: list[Results],
    seconds: float,
    info: dict[str, str],
    target_steps: TargetSteps,
    unseen: frozenset[str] = frozenset(),
    *,
    lengths: Int64 | None = None,
    spikes: bool = True,
) -> Trace:
    """Join the results of all chunks, in the layout of the graph.

    ``integers``: the images, or sequences with steps after N. ``unseen``: populations with unknown membranes.
    ``lengths`` [N]: where sequences end early; they need rasters, which are kept if ``spikes``.
    """

    def joined(name: str, key: str) -> Array:
        return np.concatenate([r.arrays[name][key] for r in results])

    names = [p.name for p in graph.populations]
    readouts = graph.readouts
    emissions = {name: _emission(joined, name, rasters="spikes" in results[0].arrays[name]) for name in names}
    found = Result(emissions, {r.name: _curve(joined(r.name, "curve")) for r in readouts})
    if lengths is not None:
        found = found.until(torch.from_numpy(lengths), spikes=spikes)
    whole = {r.output: np.ascontiguousarray(found.readouts[r.name].transpose(0, 1).numpy()) for r in readouts}
    curves = {r.output: returned(whole[r.output], r) for r in readouts}
    seen = [n for n in (*names, *(r.name for r in readouts)) if n not in unseen]
    ranges = {name: joined(name, "membrane") for name in seen}
    counts = {name: e.counts.numpy().astype(np.int32) for name, e in found.emissions.items()}
    events = {name: e.events.numpy().astype(np.int32) for name, e in found.emissions.items() if e.events is not None}
    frames = integers.reshape(-1, *integers.shape[2:]) if graph.sequences else integers
    return Trace(
        outputs={name: np.ascontiguousarray(curve[:, -1]) for name, curve in curves.items()},
        scales={r.output: r.scale for r in readouts},
        counts=counts,
        events=events,
        spikes={name: e.raster.numpy() for name, e in found.emissions.items() if e.raster is not None},
        output_curves=curves if graph.schedule == "pipelined" else {},
        membrane={name: (int(r[:, 0].min()), int(r[:, 1].max())) for name, r in ranges.items()},
        overflows={name: int(r[:, 2].sum()) for name, r in ranges.items()},
        input_events=(frames != 0).sum(axis=0, dtype=np.int32),
        pooled_events={
            name: (sent != 0).sum((0, 1) if graph.sequences else 0).to(torch.int32).numpy()
            for name, sent in pooled_images(graph, torch.from_numpy(integers)).items()
        },
        count_totals={name: array.sum(axis=0, dtype=np.int64) for name, array in counts.items()},
        event_totals={name: array.sum(axis=0, dtype=np.int64) for name, array in events.items()},
        timesteps=graph.timesteps,
        extra_steps=graph.emission_steps - graph.timesteps,
        steps=lengths,
        target="lava",
        seconds=seconds,
        info=info,
        target_steps=target_steps,
    )


def _curve(written: Array) -> torch.Tensor:
    """What a readout put out after each step, [S, N, *shape] in the layout of the graph."""
    return torch.from_numpy(lava_layout(written, leading=2)).transpose(0, 1)


def _emission(joined: Callable[[str, str], Array], name: str, *, rasters: bool) -> Emission:
    """What a population sent, in the layout of the graph."""

    def found(key: str, leading: int) -> torch.Tensor:
        return torch.from_numpy(lava_layout(joined(name, key), leading=leading))

    return Emission(found("counts", 1), found("events", 1), found("spikes", 2) if rasters else None)
