"""What a network in float and its integers are worth on the same sequences, by any measure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spikec.conversion.from_nir.running import run_float
from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.evidence.accuracy import golden_trace, parts
from spikec.evidence.loss import Progress, measured_by
from spikec.evidence.measures.base import Float64
from spikec.evidence.measures.choosing import Wanted
from spikec.evidence.quality import Tally, outputs_of
from spikec.ir.graph import IntegerGraph
from spikec.ir.measured import Measured, digests

if TYPE_CHECKING:
    from spikec.models.data import Sequences

#: The outputs of a trained network for some of the sequences, float64 [n, *shape], by name.
Run = Callable[[slice], Mapping[str, Float64]]

_BATCH = 32
#: Multiplications in float64 that measuring may take, and the fewest sequences that are worth it.
_WORK, _FEWEST = 2 * 10**10, 20


def sequence_count(graph: IntegerGraph, most: int) -> int:
    """How many sequences to measure on: ``most``, or as many as some seconds allow, at least 20."""
    places = {s.name: math.prod(s.output_shape[1:]) for s in graph.synapses}
    products = graph.timesteps * sum(s.weight_count * places[s.name] for s in graph.synapses)
    return min(most, max(_FEWEST, _WORK // max(products, 1)))


def equations(network: SequenceNetwork, data: Sequences) -> Run:
    """NIR's equations in float, whose input is not rounded, on ``data``."""
    frames, last = data.padded(), np.full(len(data), data.steps) - 1 if data.lengths is None else data.lengths - 1

    def run(part: slice) -> dict[str, Float64]:
        curves = run_float(network, frames[part].astype(np.float64), coded=False).outputs
        return {name: curve[np.arange(len(curve)), last[part]] for name, curve in curves.items()}

    return run


def measure_sequences(
    run: Run,
    graph: IntegerGraph,
    data: Sequences,
    name: str,
    progress: Progress,
    wanted: Sequence[Wanted],
) -> Measured | None:
    """Measure on all of ``data``, called ``name``, what the trained network, which ``run`` runs, and ``graph`` are
    worth; None where no measure has numbers of each sequence."""
    graph = graph.lasting(data.steps)
    exact = [Tally(each) for each in wanted]
    for part in parts(len(data), _BATCH):
        outputs = run(part)
        for tally in exact:
            tally.add_of(outputs, data.labels[part])
        progress("network", part.stop, len(data))
    found = outputs_of(graph, golden_trace(data, graph, counts=False, progress=_told(progress, len(data))))
    spiking = [Tally(each) for each in wanted]
    for tally in spiking:
        tally.add_of(found, data.labels)
    images = [each for part in parts(len(data), _BATCH) for each in digests(data.images(part), data.labels[part])]
    correct, quality = measured_by(wanted, {"network": exact, "spiking": spiking})
    if not correct and not quality:
        return None
    about = graph.content_sha256, graph.timesteps, quality, graph.deployment_sha256
    return Measured(name, tuple(images), correct, *about)


def _told(progress: Progress, total: int) -> Callable[[int], None]:
    return lambda done: progress("spiking", done, total)


__all__ = ["Run", "equations", "measure_sequences", "sequence_count"]
