"""Builds a Trace from what the processes wrote."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spikec.ir.graph import IntegerGraph
from spikec.ir.pools import pooled_images
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
) -> Trace:
    """Join the results of all chunks, in the layout of the graph. ``unseen``: populations with unknown membranes."""

    def joined(name: str, key: str) -> Array:
        return np.concatenate([r.arrays[name][key] for r in results])

    names = [p.name for p in graph.populations]
    readout = graph.readout
    curve = joined(readout.name, "curve")
    seen = [n for n in (*names, readout.name) if n not in unseen]
    ranges = {name: joined(name, "membrane") for name in seen}
    recorded = "spikes" in results[0].arrays[names[0]] if names else False
    output = np.ascontiguousarray(curve[:, -1])
    counts = {name: lava_layout(joined(name, "counts"), leading=1).astype(np.int32) for name in names}
    events = {name: lava_layout(joined(name, "events"), leading=1).astype(np.int32) for name in names}
    return Trace(
        output=output,
        logits=(output * readout.scale).astype(np.float32),
        counts=counts,
        events=events,
        spikes={name: lava_layout(joined(name, "spikes"), leading=2) for name in names} if recorded else {},
        output_curve=curve if graph.schedule == "pipelined" else None,
        membrane={name: (int(r[:, 0].min()), int(r[:, 1].max())) for name, r in ranges.items()},
        overflows={name: int(r[:, 2].sum()) for name, r in ranges.items()},
        input_events=(integers != 0).sum(axis=0, dtype=np.int32),
        pooled_events={
            name: (pixels != 0).sum(0).to(torch.int32).numpy()
            for name, pixels in pooled_images(graph, torch.from_numpy(integers)).items()
        },
        count_totals={name: array.sum(axis=0, dtype=np.int64) for name, array in counts.items()},
        event_totals={name: array.sum(axis=0, dtype=np.int64) for name, array in events.items()},
        timesteps=graph.timesteps,
        extra_steps=graph.emission_steps - graph.timesteps,
        target="lava",
        seconds=seconds,
        info=info,
        target_steps=target_steps,
    )
