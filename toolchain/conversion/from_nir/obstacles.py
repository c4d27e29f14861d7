"""What stands in the way of importing a plain NIR graph, everything at once."""

from __future__ import annotations

import nir
import numpy as np

from spikec.conversion.from_nir import REFUSED
from spikec.conversion.from_nir.importing import image_obstacles, translated
from spikec.conversion.from_nir.sequences import import_sequences, needs_sequences, sequence_obstacles
from spikec.conversion.from_nir.translating import Translator
from spikec.errors import GraphError


def obstacles(graph: nir.NIRGraph, dt: float | None, *, whole: bool = True) -> list[str]:
    """What keeps a plain graph from being imported, one phrase each; empty where nothing is known to.

    It is the import for images or that for sequences, whichever the graph needs. ``whole``: try the import too where
    nothing else is in the way, which finds shapes that do not fit; it copies the weights.
    """
    sequences = needs_sequences(graph)
    try:
        found = sequence_obstacles(graph, dt) if sequences else image_obstacles(graph, dt)
        if not found and whole:
            _try(graph, dt, sequences)
    except GraphError as error:
        return [str(error).removeprefix(REFUSED)]
    return found


def _try(graph: nir.NIRGraph, dt: float | None, sequences: bool) -> None:
    if sequences:
        (start,) = (node for node in graph.nodes.values() if isinstance(node, nir.Input))
        shape = np.asarray(start.input_type["input"]).reshape(-1).tolist()
        import_sequences(graph, example=np.zeros((1, 1, *shape)), dt=dt)
    else:
        translated(graph, Translator(timesteps=1, half=False, dt=dt))
