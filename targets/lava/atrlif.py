"""Which populations can run as Lava's own ``ATRLIF``: a cross-check that needs no neuron process of ours.

``ATRLIF`` (lava-nc 0.10.0, ``proc/atrlif``) fires when ``v - r >= theta`` and then adds ``2 * theta`` to ``r``. Without
decays and with half the threshold that is a soft reset: with ``v = v_init - theta / 2`` at the start, ``v - r`` is the
deployment's membrane less half its threshold. It fires on equality, once per step, and has one threshold per process.
``v`` is the running sum of all input and saturates at 24 bits, in units of 1 / 64 of a weight.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import spikec.ir as ig
from spikec.analysis.intervals import Interval, constant
from spikec.analysis.ranges import bounds
from spikec.errors import DoesNotFit
from spikec.implementations import Implementations
from spikec.ir.integers import magnitude
from spikec.ir.kinds import IF, Kind
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.operations import Part
from spikec.targets.lava.paths import ATRLIF

#: |running sum| in units of weights: 24 bits with sign, 6 of them behind the point.
SUM_MAX = 2**17 - 1
#: The base threshold is a uint16.
HALF_THETA_MAX = 2**16 - 1

#: It holds a weight of 1 as 64.
_UNIT = 64

#: Why ``ATRLIF`` cannot replace a population that receives ``lowest`` to ``highest`` in a step; empty if it can.
ATRLIF_FITS: Implementations[Callable[[ig.IntegerGraph, ig.Population, ig.Int64, ig.Int64], str]] = Implementations(
    "check of what ATRLIF can be",
    "spikec.targets.lava.atrlif.ATRLIF_FITS",
    of=Kind,
    otherwise=lambda name: DoesNotFit(f"its neurons are of kind {name}"),
)


def unfit(graph: ig.IntegerGraph, *, pace: int) -> dict[str, str]:
    """Populations that ``ATRLIF`` cannot replace, each with the first reason. ``pace``: Lava steps of a step."""
    if pace > 1:
        reason = f"a step takes {pace} Lava steps, since a cycle passes as many synapses, and ATRLIF may fire at each"
        return {p.name: reason for p in graph.populations}
    ranges = bounds(graph).accumulators
    found = {p.name: _reason(graph, p, ranges[p.name].lowest, ranges[p.name].highest) for p in graph.populations}
    return {name: reason for name, reason in found.items() if reason}


def part(node: ig.Population) -> Part:
    """The process of a population that fits."""
    half = int(node.theta.flat[0]) // 2
    return Part(ATRLIF, {"half_theta": half}, {"v": (lava_layout(node.v_init) - half) * _UNIT})


def _reason(graph: ig.IntegerGraph, node: ig.Population, lowest: ig.Int64, highest: ig.Int64) -> str:
    if node.neuron not in ATRLIF_FITS:
        return str(ATRLIF_FITS.refusal(node.neuron))
    return ATRLIF_FITS(node.neuron)(graph, node, lowest, highest)


@ATRLIF_FITS.register(IF)
def _plain(graph: ig.IntegerGraph, node: ig.Population, lowest: ig.Int64, highest: ig.Int64) -> str:
    if node.neuron.multiplied:
        return f"its neurons fire up to {node.neuron.emission[1]} times in a step"
    if graph.schedule != "pipelined":
        return f"the schedule is {graph.schedule}"
    if np.ptp(node.theta):
        return "its thresholds differ"
    theta = int(node.theta.flat[0])
    if theta % 2:
        return f"its threshold {theta} is odd"
    if theta // 2 > HALF_THETA_MAX:
        return f"half its threshold {theta} exceeds {HALF_THETA_MAX}"
    if (node.v_init >= theta).any():
        return "an initial membrane reaches the threshold: it would fire before the image is there"
    start = node.v_init - theta // 2
    steps = graph.emission_steps
    gathered = constant(start) + Interval(lowest, highest).scaled(steps)
    worst = max(magnitude(start), gathered.magnitude)
    return f"its input can add up to {worst}, ATRLIF holds {SUM_MAX}" if worst > SUM_MAX else ""
