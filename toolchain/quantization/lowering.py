"""``lower``: from a float spiking network to verified integer NIR."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
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
from spikec.quantization.ones import ones_needed, ones_population
from spikec.quantization.scales import Int8, Precision, Units
from spikec.quantization.synapses import Names, synapse_nodes
from spikec.simulation import simulate

#: Units are made coarser at most this often, and this many times: beyond, weights would have no bits left.
_ATTEMPTS, _COARSEST = 6, 64.0
_WAY_OUT = "use fewer timesteps (-T), or --bits (fewer) for weights that keep the units they were trained with"


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
    and does on the network's example images, even with coarser units, which are tried, with a warning; and
    ``ConversionError`` where operations cannot share a synapse.
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
    graph, ranges, coarser = _within_range(network, precision, form)
    for check in (partial(require, graph, form, ranges), partial(check_range, graph, form, ranges, network)):
        try:
            check()
        except (DoesNotFit, RangeError) as error:
            if not force:
                raise
            warnings.warn(f"written all the same: {error}", stacklevel=2)
    if coarser:
        listed = ", ".join(f"{name} {factor:g} times" for name, factor in coarser.items())
        warnings.warn(
            f"T = {network.timesteps}: numbers would overflow with units as fine as the weights allow, so units are "
            f"coarser ({listed}) and weights there have fewer bits",
            stacklevel=2,
        )
    built = build(graph)
    decode(built)
    return built


def _within_range(
    network: SpikingNetwork, precision: Precision, form: NumberFormat
) -> tuple[ig.IntegerGraph, Ranges, dict[str, float]]:
    """The integer graph, its ranges, and how many times coarser units had to become: where membranes left the format's
    range on the example images, or, with several spikes per step, where the input of one step may leave it. The finest
    graph, and no factor, where coarser units do not help."""
    finest = integer_graph(network, precision, form)
    ranges = bounds(finest)
    if isinstance(precision, Int8) and precision.units:
        return finest, ranges, {}  # the weights were trained with these units
    graph, seen = finest, ranges
    coarser: dict[str, float] = {}
    for _ in range(_ATTEMPTS):
        beyond = _excess(graph, form, seen, network)
        if not beyond:
            return graph, seen, coarser
        for name, times in beyond.items():
            coarser[name] = coarser.get(name, 1.0) * 2.0 ** max(math.ceil(math.log2(times)), 1)
        if max(coarser.values()) > _COARSEST:
            break
        graph = integer_graph(network, precision, form, coarser)
        seen = bounds(graph)
    return finest, ranges, {}


def integer_graph(
    network: SpikingNetwork, precision: Precision, form: NumberFormat, coarser: Mapping[str, float] | None = None
) -> ig.IntegerGraph:
    """The integer graph of a converted network, before anything is checked. ``coarser``: factors, by population, by
    which units are larger than they would be."""
    wires = wiring(network)
    coding = network.input_range
    names = Names({"input", "output", READOUT, *network.neurons})
    nodes: list[ig.Node] = [ig.InputNode("input", wires.input_shape, coding.dtype, coding.scale)]
    gains = source_gains(network)
    for shape in ones_needed(wires.currents):
        synapse, population = ones_population(shape, wires.input_shape, network, names)
        nodes += [synapse, population]
        gains[population.name] = np.ones(1)
    for choice in choose(network, wires, gains, precision, form, coarser):
        current, units, neuron = choice.current, choice.units, choice.neuron
        sources, made = synapse_nodes(choice.name, choice.terms, current, units, form, names)
        nodes += made
        nodes.append(
            _population(choice.name, neuron, current, units, sources)
            if neuron
            else _readout(network, current, units, sources)
        )
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
    found = [
        f"{name}: the membrane overflows on the example images: it reaches [{low}, {high}], worst case "
        f"[{ranges.membranes[name].low}, {ranges.membranes[name].high}], limit {limit} ({form.title})"
        for name, (low, high) in _overflows(graph, form, ranges, network).items()
    ]
    if found:
        raise RangeError(f"{'; '.join(found)}; {_WAY_OUT}")


def _excess(graph: ig.IntegerGraph, form: NumberFormat, ranges: Ranges, network: SpikingNetwork) -> dict[str, float]:
    """How many times too large numbers of populations and readout are, by name."""
    found: dict[str, float] = {}
    if any(population.neuron.emission[1] > 1 for population in graph.populations):
        reach = {name: max(bound.high, -bound.low) for name, bound in ranges.accumulators.items()}
        found = {name: most / form.accumulator_max for name, most in reach.items() if most > form.accumulator_max}
    for name, (low, high) in _overflows(graph, form, ranges, network).items():
        found[name] = max(found.get(name, 0.0), max(high, -low) / form.membrane_max)
    return found


def _overflows(
    graph: ig.IntegerGraph, form: NumberFormat, ranges: Ranges, network: SpikingNetwork
) -> dict[str, tuple[int, int]]:
    """Membranes, lowest and highest, that leave the format's range on the example images."""
    limit = form.membrane_max
    loose = [name for name, b in ranges.membranes.items() if max(b.high, -b.low) > limit]
    if not loose:
        return {}
    trace = simulate(graph, network.example, counts=False, measure=True)
    return {
        name: trace.membrane[name] for name in loose if max(trace.membrane[name][1], -trace.membrane[name][0]) > limit
    }
