"""``lower``: from a float spiking network to verified integer NIR."""

from __future__ import annotations

import warnings
from functools import partial

import nir
import numpy as np

import spikec.ir as ig
from spikec import defaults
from spikec.analysis.formats import NumberFormat, load_format, require
from spikec.analysis.ranges import Ranges, bounds
from spikec.conversion.network import SpikingNetwork
from spikec.conversion.neurons import Neuron
from spikec.errors import ConversionError, DoesNotFit, RangeError
from spikec.ir import build, decode
from spikec.quantization.choices import choose, source_gains
from spikec.quantization.currents import READOUT, float64, wiring
from spikec.quantization.kernels import Float64
from spikec.quantization.maps import Current
from spikec.quantization.max_pools import pool_nodes
from spikec.quantization.ones import ones_needed, ones_population
from spikec.quantization.scales import Int8, Precision, Units
from spikec.quantization.synapses import Names, synapse_nodes
from spikec.simulation import simulate


def lower(
    network: SpikingNetwork,
    precision: Precision | None = None,
    *,
    format: str = defaults.FORMAT,
    force: bool = False,
) -> nir.NIRGraph:
    """Quantise a converted network and write it as NIR of profile ``spikec.nir/1``, verified.

    ``precision`` is ``tc.Int8(per="layer")`` (default) or ``tc.Int8(per="channel")``. Weights are int8 mantissas,
    thresholds, biases and initial membranes int32, the initial membrane half the threshold (floor) unless calibrated.
    ``format`` names what the target's registers hold (``generic24``, ``loihi1``, ``loihi2``, or a .toml file).
    With ``force``, a graph that does not fit them is written all the same, with a warning that lists what does not fit.
    ``tc.simulate(graph, images, overflow="format")`` shows what then happens on the target.

    Raises ``DoesNotFit`` with every number the format cannot hold, ``RangeError`` where a membrane can leave its range
    and does on the network's example images, and ``ConversionError`` where operations cannot share a synapse.
    """
    if not isinstance(network, SpikingNetwork):
        raise ConversionError(f"expected a network made by tc.convert, got {type(network).__name__}")
    if precision is None:
        precision = Int8()
    if isinstance(precision, type) or not isinstance(precision, Precision):
        raise ConversionError(f"expected a precision such as tc.Int8(per='layer'), got {precision!r}")
    if network.warm_up:
        raise ConversionError(
            "SRP has no integer form: its mask, one bit per neuron and image, has no place in a file; evaluate it in "
            "float by calling the network, or convert with another method"
        )
    form = load_format(format)
    graph = integer_graph(network, precision, form)
    ranges = bounds(graph)
    for check in (partial(require, graph, form, ranges), partial(check_range, graph, form, ranges, network)):
        try:
            check()
        except (DoesNotFit, RangeError) as error:
            if not force:
                raise
            warnings.warn(f"written all the same: {error}", stacklevel=2)
    built = build(graph)
    decode(built)
    return built


def integer_graph(network: SpikingNetwork, precision: Precision, form: NumberFormat) -> ig.IntegerGraph:
    """The integer graph of a converted network, before anything is checked."""
    wires = wiring(network)
    coding = network.input_range
    names = Names({"input", "output", READOUT, *network.neurons, *wires.pools})
    nodes: list[ig.Node] = [ig.InputNode("input", wires.input_shape, coding.dtype, coding.scale)]
    nodes += pool_nodes(wires, nodes[0], names)
    gains = source_gains(network, wires)
    for shape in ones_needed(wires.currents):
        synapse, population = ones_population(shape, wires.input_shape, network, names)
        nodes += [synapse, population]
        gains[population.name] = np.ones(1)
    for choice in choose(network, wires, gains, precision, form):
        current, units, neuron = choice.current, choice.units, choice.neuron
        sources, made = synapse_nodes(choice.name, choice.terms, current, units, form, names)
        nodes += made
        if neuron is None:
            nodes.append(_readout(network, current, units, sources))
            continue
        population = _population(choice.name, neuron, current, units, sources)
        nodes += [population, *pool_nodes(wires, population, names)]
    return ig.IntegerGraph(
        nodes={node.name: node for node in nodes},
        timesteps=network.timesteps,
        schedule=network.schedule,
        drain=network.drain,
        source_sha256=network.provenance.source_sha256,
        info=network.provenance.settings | precision.settings(),
        format=form.name,
    )


def _spread(values: Float64 | ig.Int64, shape: ig.Shape) -> ig.Int64:
    """One value per output channel (or element) over the neurons of a population of ``shape``."""
    repeats = int(np.prod(shape)) // len(values)
    return np.repeat(np.asarray(values), repeats).reshape(shape).astype(np.int64)


def _population(name: str, neuron: Neuron, current: Current, units: Units, sources: tuple[str, ...]) -> ig.Population:
    assert units.theta is not None
    theta = _spread(units.theta, current.shape)
    unit = np.repeat(units.unit, theta.size // len(units.unit)).reshape(theta.shape)
    offset = np.rint(np.broadcast_to(float64(neuron.offset), theta.shape) / unit).astype(np.int64)
    return ig.Population(
        name=name,
        sources=sources,
        shape=current.shape,
        neuron=neuron.spec.kind.lowered(theta, neuron.spec.negative),
        theta=theta,
        v_init=theta // 2 + offset,
        scale=np.atleast_1d(float64(neuron.unit)),
    )


def _readout(network: SpikingNetwork, current: Current, units: Units, sources: tuple[str, ...]) -> ig.Readout:
    steps = max((neuron.averaged for neuron in network.neurons.values()), default=1)
    scale = float(units.unit[0]) / steps
    return ig.Readout(READOUT, sources, current.shape, np.zeros(current.shape, dtype=np.int64), scale)


def check_range(graph: ig.IntegerGraph, form: NumberFormat, ranges: Ranges, network: SpikingNetwork) -> None:
    """Raise ``RangeError``, naming every layer, where membranes may leave the format's range and do so on the example
    images."""
    limit = form.membrane_max
    loose = {name: b for name, b in ranges.membranes.items() if max(b.high, -b.low) > limit}
    if not loose:
        return
    trace = simulate(graph, network.example, counts=False, measure=True)
    seen = {name: trace.membrane[name] for name in loose}
    found = [
        f"{name}: the membrane overflows on the example images: it reaches [{low}, {high}], worst case "
        f"[{loose[name].low}, {loose[name].high}], limit {limit} ({form.title})"
        for name, (low, high) in seen.items()
        if max(high, -low) > limit
    ]
    if found:
        raise RangeError(f"{'; '.join(found)}; use fewer timesteps or weight bits")
