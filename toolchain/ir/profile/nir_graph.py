"""The NIR graph that this package returns."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from spikec.display import Shown
from spikec.ir.metadata import metadata_of


class NIRGraph(Shown, nir.NIRGraph):  # type: ignore[misc]
    """A ``nir.NIRGraph`` that does not print its weights.

    It is one for all who read NIR: ``nir.write``, ``isinstance``, pickles, copies. Its own name is that of its base,
    since NIR writes the name of the class into files.
    """

    @classmethod
    def of(cls, graph: nir.NIRGraph) -> NIRGraph:
        """The same graph; nodes, edges and metadata are shared."""
        made = cls.__new__(cls)
        made.__dict__.update(vars(graph))
        return made

    def _headline(self) -> str:
        nodes = list(self.nodes.values())
        weights = sum(int(np.size(getattr(node, "weight", ()))) for node in nodes)
        firing = [node for node in nodes if hasattr(node, "v_threshold")]
        neurons = sum(int(np.size(node.v_threshold)) for node in firing)
        told = f"{len(nodes)} nodes, {len(firing)} layers, {neurons:,} neurons, {weights:,} weights"
        about: Any = metadata_of(self) if isinstance(self.metadata, dict) else {}
        if "timesteps" in about and "schedule" in about:
            told += f", T {about['timesteps']}, {about['schedule']}"
        return told
