"""The lossless certificate: is the spiking network the quantised network of the same integers?

That network has as many levels as the neurons can send. It is the one that was trained, up to the rounding of weights,
where training had that number: L = T, or 2**T - 1 for ``bit_serial``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import toolchain.ir.integer as ig
from toolchain.errors import DataError, GraphError
from toolchain.ir.decode import as_integer
from toolchain.simulation.golden import simulate
from toolchain.simulation.trace import Trace

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


@dataclass(frozen=True)
class Certificate:
    """``lossless``: every count of every layer, and every output, equals the quantised network's on these images.

    ``proof`` says why it holds for every image, where theory gives it; empty where it was only measured. ``outputs`` is
    the number of images whose outputs differ.
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


def certify(graph: nir.NIRGraph | ig.IntegerGraph, images: npt.ArrayLike) -> Certificate:
    """Compare a deployment with the integer quantised network of the same weights, thresholds and initial membranes.

    The quantised network computes each neuron's level in one step,
    ``clip(floor((v_init + U) / theta), 0, T)`` with U all input of T steps (levels up to 2**T - 1 for ``bit_serial``),
    from the levels of the layer before. ``images``: float [N, *input shape].
    """
    integer = as_integer(graph)
    if isinstance(images, Iterator):
        raise DataError("certify runs the images twice; give an array, not an iterator")
    spiking = simulate(integer, images, record="spikes" if _serial(integer) else None)
    quantised = simulate(quantised_network(integer), images)
    layers = []
    for population in integer.populations:
        counts, levels = _counts(spiking, population), quantised.counts[population.name]
        difference = np.abs(counts.astype(np.int64) - levels)
        layers.append(
            LayerCertificate(
                population.name, difference.size, int((difference != 0).sum()), int(difference.max(initial=0))
            )
        )
    outputs = int((spiking.output != quantised.output).any(axis=1).sum())
    return Certificate(spiking.images, tuple(layers), outputs, _proof(integer))


def quantised_network(graph: ig.IntegerGraph) -> ig.IntegerGraph:
    """The quantised network with the integers of ``graph``: graded neurons, one step.

    Rate-coded neurons gather T steps, so biases and the weights that read the image count T times.
    """
    serial = _serial(graph)
    repeats = 1 if serial or graph.timesteps == 1 else graph.timesteps
    levels = 2**graph.timesteps - 1 if serial else graph.timesteps
    constant = _constant_nodes(graph)
    for node in graph:
        unweighted = [s for s in node.sources if s in constant and not _weighted(graph, s)]
        if (
            repeats > 1
            and unweighted
            and (isinstance(node, ig.Population | ig.Readout) or set(node.sources) != set(unweighted))
        ):
            raise GraphError(f"{node.name}: the image enters without a weight of its own, which certify cannot repeat")
    nodes: dict[str, ig.Node] = {}
    for name, node in graph.nodes.items():
        match node:
            case ig.Convolution() | ig.Affine():
                # The first weights on the image's way carry the factor; further ones see it already.
                first = name in constant and not any(_weighted(graph, source) for source in node.sources)
                factor = repeats if first else 1
                nodes[name] = replace(node, weight=node.weight * factor, bias=node.bias * repeats)
            case ig.Population():
                most = node.levels if node.kind == "graded" else levels
                nodes[name] = replace(node, kind="graded", levels=most, rho=None, theta_neg=None)
            case _:
                nodes[name] = node
    return replace(graph, nodes=nodes, timesteps=1, schedule="layerwise", drain=0)


def _serial(graph: ig.IntegerGraph) -> bool:
    return any(p.kind == "bit_serial" for p in graph.populations)


def _constant_nodes(graph: ig.IntegerGraph) -> set[str]:
    """Nodes that the image reaches without passing a population."""
    found: set[str] = set()
    for node in graph:
        if isinstance(node, ig.InputNode) or (
            not isinstance(node, ig.Population) and any(source in found for source in node.sources)
        ):
            found.add(node.name)
    return found


def _weighted(graph: ig.IntegerGraph, name: str) -> bool:
    """Whether a synapse lies at or before ``name`` on the way from the image."""
    node = graph.nodes[name]
    if isinstance(node, ig.Convolution | ig.Affine):
        return True
    return not isinstance(node, ig.Population | ig.InputNode) and any(_weighted(graph, s) for s in node.sources)


def _counts(trace: Trace, population: ig.Population) -> npt.NDArray[np.int64]:
    """Levels sent, int64 [N, *shape]: net spikes, or the number that the bits of a ``bit_serial`` neuron write."""
    if population.kind != "bit_serial":
        return trace.counts[population.name].astype(np.int64)
    bits = np.moveaxis(trace.spikes[population.name].astype(np.int64), 1, 0)
    return reduce(lambda value, bit: 2 * value + bit, bits[1:], bits[0])


def _proof(graph: ig.IntegerGraph) -> str:
    kinds = {p.kind for p in graph.populations}
    if kinds == {"graded"}:
        return "graded spikes are the quantised levels"
    if kinds == {"bit_serial"}:
        return "bit-serial emission is exact"
    if graph.schedule == "layerwise" and kinds <= {"if", "signed_if"}:
        return "layer-synchronous neurons fire their level exactly"
    if graph.timesteps == 1 and graph.drain == 0 and kinds <= {"if", "signed_if"}:
        return "in a single step neurons fire their level"
    one_unit = all(p.theta_neg is None or bool((p.theta_neg == 1).all()) for p in graph.populations)
    if kinds == {"signed_if"} and one_unit and graph.drain >= graph.timesteps * depth(graph):
        return "dual-threshold neurons with T drain steps per layer reach their level exactly"
    return ""


def depth(graph: ig.IntegerGraph) -> int:
    """Populations on the longest path."""
    found: dict[str, int] = {}
    for node in graph:
        found[node.name] = max((found[s] for s in node.sources), default=0) + isinstance(node, ig.Population)
    return max(found.values())


__all__ = ["Certificate", "LayerCertificate", "certify", "depth", "quantised_network"]
