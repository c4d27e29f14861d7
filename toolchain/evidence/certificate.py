"""The lossless certificate: is the spiking network the quantised network of the same integers?

That network has as many levels as the neurons can send. Up to the rounding of weights it is the trained network, if
that was trained with as many levels: L = T, or 2**T - 1 for ``bit_serial``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spikec.calls import named_arguments
from spikec.display import Column, Shown, Table, count, share
from spikec.errors import DataError, GraphError
from spikec.ir.graph import IntegerGraph, Node, Population, Readout
from spikec.ir.kinds import GradedIF, Maximum
from spikec.ir.operations import Synapse
from spikec.ir.profile.decode import as_integer
from spikec.ir.walks import constant_nodes, depth, weighted
from spikec.simulation.golden import simulate
from spikec.simulation.input_warning import unsaid
from spikec.simulation.sent import levels_sent

if TYPE_CHECKING:
    import nir


@dataclass(frozen=True)
class LayerCertificate:
    """Spike counts of one layer against the levels of the quantised network, over all images and neurons."""

    layer: str
    neurons: int
    differing: int
    largest: int

    @property
    def equal(self) -> bool:
        return self.differing == 0


@dataclass(frozen=True, repr=False)
class Certificate(Shown):
    """``lossless``: every count of every layer, and every output, equals the quantised network's on these images.

    ``proof`` says why it holds for every image, where theory gives it; empty where it was only measured. ``outputs`` is
    the number of images of which an output differs.
    """

    images: int
    layers: tuple[LayerCertificate, ...]
    outputs: int
    proof: str

    @property
    def lossless(self) -> bool:
        return self.outputs == 0 and all(layer.equal for layer in self.layers)

    def __str__(self) -> str:
        if self.lossless and self.proof:
            return f"lossless: proven ({self.proof})"
        if self.lossless:
            return f"lossless on these {self.images} images (measured, not proven)"
        worst = max(self.layers, key=lambda layer: layer.differing / max(layer.neurons, 1), default=None)
        share = worst.differing / worst.neurons if worst else 0.0
        where = f"; most in {worst.layer}: {100 * share:.2f} % of the counts" if worst and worst.differing else ""
        return f"not lossless: {self.outputs} of {self.images} images have other outputs{where}"

    def _headline(self) -> str:
        return str(self)

    def _table(self) -> Table:
        columns = (
            Column("layer", "layer", left=True),
            Column("counts", "spike counts", count),
            Column("differing", "other than the level", count),
            Column("differing_share", "share", share),
            Column("largest", "largest difference", count),
        )
        rows = tuple((x.layer, x.neurons, x.differing, x.differing / max(x.neurons, 1), x.largest) for x in self.layers)
        title = "Spiking network against the quantised network of the same integers"
        return Table(f"{title}: {self}", columns, rows)


@named_arguments
def certify(graph: nir.NIRGraph | IntegerGraph, images: npt.ArrayLike) -> Certificate:
    """Compare a deployment with the integer quantised network of the same weights, thresholds and initial membranes.

    The quantised network computes each neuron's level in one step: ``clip(floor((v_init + U) / theta), 0, L)``. U is
    all input of T steps, from the levels of the layer before; L is the largest number that T emissions of the kind can
    send. ``images``: float [N, *input shape]. Raises ``DataError`` for an iterator and ``GraphError`` if the quantised
    network cannot be written down.

    >>> isinstance(tc.certify(graph, images).lossless, bool)
    True
    """
    integer = as_integer(graph)
    if isinstance(images, Iterator):
        raise DataError("certify runs the images twice; give an array, not an iterator")
    levels_network = quantised_network(integer)
    spiking = simulate(integer, images, record="spikes" if integer.weighted else None)
    with unsaid():  # the run before has spoken of the images
        quantised = simulate(levels_network, images)
    layers = []
    for population in integer.populations:
        counts, levels = levels_sent(integer, population, spiking), quantised.counts[population.name]
        difference = np.abs(counts - levels)
        layers.append(
            LayerCertificate(
                population.name, difference.size, int((difference != 0).sum()), int(difference.max(initial=0))
            )
        )
    differing = np.zeros(spiking.images, dtype=np.bool_)
    for name, output in spiking.outputs.items():
        differing |= (output != quantised.outputs[name]).reshape(len(output), -1).any(axis=1)
    return Certificate(spiking.images, tuple(layers), int(differing.sum()), proof(integer))


def quantised_network(graph: IntegerGraph) -> IntegerGraph:
    """The quantised network with the integers of ``graph``: graded neurons, one step.

    If image and biases enter at every step, biases and the weights that read the image are multiplied by T.
    """
    if graph.sequences:
        raise GraphError("the input is a sequence, and a quantised network has no time")
    for population in graph.populations:
        if not population.neuron.quantises:
            raise GraphError(
                f"{population.name}: what {population.neuron.name} neurons send is no level of a quantised network"
            )
        if population.neuron.least(graph.timesteps) < 0:
            raise GraphError(
                f"{population.name}: {population.neuron.name} neurons can send numbers below 0, which no level of the "
                "quantised network is"
            )
    repeats = 1 if graph.constant_steps == 1 else graph.timesteps
    constant = constant_nodes(graph)
    for node in graph:
        unweighted = [s for s in node.sources if s in constant and not weighted(graph, s)]
        if (
            repeats > 1
            and unweighted
            and (isinstance(node, Population | Readout) or set(node.sources) != set(unweighted))
        ):
            raise GraphError(f"{node.name}: the image enters without a weight of its own, which certify cannot repeat")
    nodes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Synapse):
            # The first weights on the image's way carry the factor; further ones see it already.
            first = name in constant and not any(weighted(graph, source) for source in node.sources)
            factor = repeats if first else 1
            nodes[name] = replace(node, weight=node.weight * factor, bias=node.bias * repeats)
        elif isinstance(node, Population):
            graded = GradedIF(levels=node.neuron.reach(graph.timesteps))
            nodes[name] = replace(node, neuron=Maximum(graded) if isinstance(node.neuron, Maximum) else graded)
        else:
            nodes[name] = node
    return replace(graph, nodes=nodes, timesteps=1, schedule="layerwise", drain=0)


def proof(graph: IntegerGraph) -> str:
    """Why the spiking network is the quantised one for every image, where theory says so of each layer; else empty."""
    layers = depth(graph)
    reasons = {p.neuron.lossless(graph.timing, layers) for p in graph.populations}
    return "" if "" in reasons else "; ".join(sorted(reasons))


__all__ = ["Certificate", "LayerCertificate", "certify", "proof", "quantised_network"]
