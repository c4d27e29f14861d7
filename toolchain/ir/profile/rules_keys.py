"""Rule of the profile about the names of metadata: a key that nothing reads is a damaged name, or a typing mistake."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

import nir

from spikec.ir.kinds import MAX_SPIKES, CubaLIF, kinds
from spikec.ir.metadata import CALIBRATED, DELAYS, MEASURED, SCHEMA, WRITTEN, metadata_of, shown, text_of
from spikec.ir.operations import operation_of
from spikec.ir.profile.hashes import CONTENT_KEY, HASH_KEY

_GRAPH = (
    *("schema", "producer", "timesteps", "schedule", "drain", "dt", "numeric", "node_order", "requires", "info"),
    *(DELAYS, MEASURED, CALIBRATED, "source_sha256", CONTENT_KEY, HASH_KEY),
)
_NEURONS = ("kind", "v_threshold_int", "v_init_int", "reset", "spike_cmp", "scale", MAX_SPIKES)
#: Of the nodes that are no operations. Neurons have the keys of their kinds as well.
_NODES: dict[type, tuple[str, ...]] = {
    nir.Input: ("encoding", "dtype", "scale", "limit"),
    nir.Output: ("decode", "name", "signal"),
    nir.IF: _NEURONS,
    nir.CubaLIF: _NEURONS,
    nir.Threshold: ("kind", "scale"),
    nir.I: ("kind", "v_init_int", "scale"),
    nir.CubaLI: ("kind", "v_init_int", "scale"),
}


def keys_of(node: nir.NIRNode) -> set[str]:
    """The keys that the metadata of a node may have."""
    operation = operation_of(node)
    if operation is not None:
        return {"op", *operation.keys}
    found = set(_NODES.get(type(node), ()))
    if isinstance(node, nir.IF | nir.CubaLIF):  # a file may state fields of other kinds; they mean nothing
        found |= {about.key for kind in kinds().values() for about in kind.stored_fields().values()}
    if isinstance(node, nir.CubaLI):
        found |= {about.key for about in CubaLIF.stored_fields().values() if about.per == "neuron"}
    return found


def known_keys(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Every key is one that the profile has. A later minor version of it may have more."""
    if text_of(metadata_of(graph), "schema") not in (SCHEMA, WRITTEN):
        return
    yield from _unknown("", metadata_of(graph), set(_GRAPH))
    known: dict[tuple[type, str], set[str]] = {}
    for name, node in graph.nodes.items():
        if found := metadata_of(node):
            which = type(node), text_of(found, "op")
            if which not in known:
                known[which] = keys_of(node)
            yield from _unknown(name, found, known[which])


def _unknown(name: str, found: dict[str, object], known: set[str]) -> Iterator[tuple[str, str]]:
    for key in sorted(map(str, found.keys() - known)):
        near = get_close_matches(key, sorted(known), 1)
        yield name, f"metadata {shown(key)} is not part of the profile" + (f"; is it {near[0]}?" if near else "")
