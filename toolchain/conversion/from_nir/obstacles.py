"""What stands in the way of importing a plain NIR graph, everything at once."""

from __future__ import annotations

import nir

from spikec.conversion.from_nir import REFUSED
from spikec.conversion.from_nir.connections import opened
from spikec.conversion.from_nir.importing import image_obstacles
from spikec.conversion.from_nir.sequences import needs_sequences, sequence_obstacles
from spikec.errors import GraphError


def obstacles(graph: nir.NIRGraph, dt: float | None, *, whole: bool = True) -> list[str]:
    """What keeps a plain graph from being imported, one phrase each; empty where nothing is known to.

    It is the import for images or that for sequences, whichever the graph needs. ``whole``: look at shapes too where
    nothing else is in the way; the import for images copies the weights for that.
    """
    try:
        opened(graph)
        found = sequence_obstacles if needs_sequences(graph) else image_obstacles
        return found(graph, dt, whole=whole)
    except GraphError as error:
        return [str(error).removeprefix(REFUSED)]
