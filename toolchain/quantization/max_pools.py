"""The nodes of max pools: the window, and behind neurons those that send what it gains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import spikec.ir as ig
from spikec.ir.kinds import Maximum
from spikec.ir.names import Names
from spikec.quantization.currents import Wiring


def pool_nodes(wires: Wiring, source: ig.Node, names: Names) -> list[ig.Node]:
    """Nodes of the max pools that read ``source``, a population or the input, and of those that read these pools.

    A pool of a population is called as in the network, its window ``NAME.window``; a pool of the image is a window.
    """
    nodes: list[ig.Node] = []
    for name, (read, window) in wires.pools.items():
        if read != source.name:
            continue
        if isinstance(source, ig.Population):
            placed = replace(window, name=names.free(f"{name}.window"), sources=(read,))
            one = np.ones(window.output_shape, dtype=np.int64)
            made: ig.Node = ig.Population(
                name, (placed.name,), window.output_shape, Maximum(source.neuron), one, 0 * one, source.scale
            )
            nodes += [placed, made]
        else:
            made = replace(window, name=name, sources=(read,))
            nodes.append(made)
        nodes += pool_nodes(wires, made, names)
    return nodes
