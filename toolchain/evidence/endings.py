"""Measures that tell a deployment from its trained network because that ends in a softmax or sigmoid."""

from __future__ import annotations

from collections.abc import Sequence

from spikec.evidence.measures.choosing import Wanted
from spikec.ir.graph import IntegerGraph
from spikec.ir.outputs import left_out


def before_the_end(graph: IntegerGraph, wanted: Sequence[Wanted]) -> dict[Wanted, str]:
    """Those of ``wanted`` for which the outputs of ``graph`` do not stand for the trained network's, and what that
    computes last: it is left out of the deployment, which keeps the order of outputs alone."""
    outputs = {readout.output: readout for readout in graph.readouts}
    found = {}
    for one in wanted:
        readout = one.of(outputs)
        said = left_out(graph, readout.output)
        if said and not one.measure.by_order(readout.returned):
            found[one] = said
    return found


__all__ = ["before_the_end"]
