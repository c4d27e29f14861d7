"""Whether two graphs compute the same."""

from __future__ import annotations

import hashlib
from dataclasses import fields

import numpy as np

from spikec.ir.graph import IntegerGraph, Population
from spikec.ir.kinds import Kind
from spikec.ir.leak import Leak
from spikec.ir.operations import Synapse

#: The field of a synapse that is widened where it is read, and what is kept of it.
_KEPT_AS = {(True, "weight"): "narrow_weight"}


def fingerprint(graph: IntegerGraph) -> bytes:
    """A hash of everything that decides what a graph computes, metadata and node order included."""
    digest = hashlib.blake2b(repr((graph.timesteps, graph.schedule, graph.drain, graph.calibrated)).encode())
    for node in graph:
        for part in (node, node.neuron) if isinstance(node, Population) else (node,):
            digest.update(repr(type(part)).encode())
            for item in fields(part):
                value = getattr(part, _KEPT_AS.get((isinstance(part, Synapse), item.name), item.name))
                if isinstance(value, np.ndarray):
                    digest.update(repr((item.name, value.shape, value.dtype)).encode())
                    digest.update(np.ascontiguousarray(value).data)
                elif isinstance(value, Leak):
                    for array in (value.du, value.dv, value.bias):
                        digest.update(np.ascontiguousarray(array).data)
                elif not isinstance(value, Kind):
                    digest.update(repr((type(part), item.name, value)).encode())
    return digest.digest()
