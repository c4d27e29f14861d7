"""``lower``: from a float spiking network to verified integer NIR."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import nir
import numpy as np

import spikec.ir as ig
from spikec import defaults
from spikec.analysis.formats import NumberFormat, load_format, require
from spikec.analysis.ranges import Ranges, bounds
from spikec.calls import named_arguments, outside
from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.conversion.network import SpikingNetwork
from spikec.errors import ConversionError, DoesNotFit, RangeError
from spikec.ir import build
from spikec.ir.coding import Encoding
from spikec.ir.names import Names
from spikec.ir.profile.decode import decoded
from spikec.memory import give_back
from spikec.quantization.changes import lost
from spikec.quantization.choices import choose, source_gains
from spikec.quantization.currents import READOUT, wiring
from spikec.quantization.frames import on_frames
from spikec.quantization.max_pools import pool_nodes
from spikec.quantization.neurons import population_of, readout
from spikec.quantization.ones import ones_needed, ones_population
from spikec.quantization.rounding import on_data, to_nearest
from spikec.quantization.scales import Int8, Precision
from spikec.quantization.search import activity
from spikec.quantization.sequences import sequence_graph
from spikec.quantization.synapses import synapse_nodes
from spikec.simulation.golden import GoldenModel
from spikec.simulation.input_warning import unsaid
from spikec.stages import stage
from spikec.words import option

#: Units are made coarser at most this often, and this many times: beyond, weights would have no bits left.
_ATTEMPTS, _COARSEST = 6, 64.0
#: Bytes that the integer graph may take while it runs on example images, beside what is as large as the network.
_WORKING_SET = 2**26
#: Entries of a matrix from which on the user is told of it.
_LARGE_MATRIX = 2**20
_FEWER = "use fewer timesteps: coarser weights would have no bits left"
_SHORTER = "use shorter sequences, of fewer frames: coarser weights would have no bits left"
_ROUNDED_ANEW = (
    "the weights keep the units they were trained with: round them anew, with {bits}, or use fewer timesteps"
)


@named_arguments
def lower(
    network: SpikingNetwork | SequenceNetwork,
    precision: Precision | None = None,
    *,
    frames: Any = None,
    format: str = defaults.FORMAT,
    force: bool = False,
) -> nir.NIRGraph:
    """Quantise a converted network and write it as NIR of profile ``spikec.nir/1``, verified.

    ``precision`` is ``tc.Int8(per="layer")`` (default) or ``tc.Int8(per="channel")``. Weights are int8 mantissas,
    thresholds, biases and initial membranes int32, the initial membrane half the threshold (floor) unless calibrated.
    ``format`` names what the target's registers hold (``generic24``, ``loihi1``, ``loihi2``, or a .toml file).
    With ``force``, a graph that does not fit them is written all the same, with a warning that lists what does not fit.
    ``tc.simulate(graph, images, overflow="format")`` shows what then happens on the target.

    ``frames``: training sequences, numbers [N, steps, *input shape] or a list of sequences of different lengths. The
    graph then reads sequences, one frame for each step, with as many steps as they have; ``network`` should have been
    calibrated on the mean frame of each. Whole numbers that fit 8 bits stay as they are.

    Raises ``DoesNotFit`` with every number the format cannot hold, ``RangeError`` where a membrane can leave its range
    and does on the network's example images, even with coarser units, which are tried, with a warning; and
    ``ConversionError`` where operations cannot share a synapse.

    >>> tc.lower(network, tc.Int8(per="channel"))
    <NIRGraph: ... 2 layers, 56 neurons, 435 weights, T 4, pipelined>
    """
    if not isinstance(network, SpikingNetwork | SequenceNetwork):
        raise ConversionError(f"expected a network made by tc.convert, got {type(network).__name__}")
    if precision is None:
        precision = Int8()
    if isinstance(precision, type) or not isinstance(precision, Precision):
        raise ConversionError(f"expected a precision such as tc.Int8(per='layer'), got {precision!r}")
    if isinstance(network, SequenceNetwork):
        if frames is not None:
            raise ConversionError("frames are for networks of images; this one, of a NIR file, reads sequences already")
        return _lower_sequences(network, precision, load_format(format), force)
    if network.warm_up:
        raise ConversionError(
            "SRP has no integer form: its mask, one bit per neuron and image, has no place in a file; evaluate it in "
            "float by calling the network, or convert with another method"
        )
    if frames is not None:
        if isinstance(precision, Int8) and precision.units:
            raise ConversionError(
                "weights that were trained in integers keep the units they had with images, and frames have another "
                f"unit: round them anew, with {option('bits', 8)}"
            )
        network = on_frames(network, frames)
    form = load_format(format)
    found = _within_range(network, precision, form)
    for error in _misfits(found, form, isinstance(precision, Int8) and bool(precision.units)):
        if not force:
            raise error
        warnings.warn(f"written all the same: {error}", stacklevel=outside())
    graph, coarser = found.graph, found.coarser
    del found  # its ranges are numbers for every neuron
    if coarser:
        listed = ", ".join(f"{name} {factor:g} times" for name, factor in coarser.items())
        warnings.warn(
            f"T = {network.timesteps}: numbers would overflow with units as fine as the weights allow, so units are "
            f"coarser ({listed}) and weights there have fewer bits",
            stacklevel=outside(),
        )
    for name, weights, synapses in _large_matrices(graph):
        warnings.warn(
            f"{name} is no convolution: it is written as a matrix of {weights} weights, {synapses} of them not zero",
            stacklevel=outside(),
        )
    give_back()
    built = build(graph)
    del graph  # it is decoded again to be checked
    decoded(built, copied=False)
    return built


def _misfits(made: _Ranged, form: NumberFormat, trained: bool) -> Iterator[DoesNotFit | RangeError]:
    """What the format cannot hold: numbers of the graph, then membranes on the example images."""
    for check in (partial(require, made.graph, form, made.ranges), partial(_check_range, made, form, trained)):
        try:
            check()
        except (DoesNotFit, RangeError) as error:
            yield error


def _large_matrices(graph: ig.IntegerGraph) -> list[tuple[str, int, int]]:
    """Large matrices that are mostly zero: name, entries, and entries that are not zero."""
    sparse = [node for node in graph.synapses if isinstance(node, ig.Affine) and node.sparse]
    return [(n.name, n.weight_count, n.padded_macs) for n in sparse if n.weight_count >= _LARGE_MATRIX]


def _lower_sequences(network: SequenceNetwork, precision: Precision, form: NumberFormat, force: bool) -> nir.NIRGraph:
    graph = sequence_graph(network, precision, form)
    for sentence in lost(network, graph):
        warnings.warn(sentence, stacklevel=outside())
    try:
        require(graph, form, bounds(graph))
    except DoesNotFit as error:
        if not force:
            raise
        warnings.warn(f"written all the same: {error}", stacklevel=outside())
    built = build(graph)
    decoded(built, copied=False)
    return built


@dataclass(frozen=True)
class _Ranged:
    """An integer graph and its ranges. ``coarser``: how many times coarser units had to become, by population;
    ``overflows``: membranes, lowest and highest, that leave the format's range on the example images all the same."""

    graph: ig.IntegerGraph
    ranges: Ranges
    coarser: dict[str, float]
    overflows: dict[str, tuple[int, int]]


def _within_range(network: SpikingNetwork, precision: Precision, form: NumberFormat) -> _Ranged:
    """The integer graph, with coarser units where membranes leave the format's range on the example images, or, with
    several spikes per step, where the input of one step may leave it. The finest graph where that does not help, or
    where the weights were trained with their units."""
    coarser: dict[str, float] = {}
    finest: _Ranged | None = None
    for _ in range(_ATTEMPTS):
        # The wiring holds all weights in float64: it is composed again where another attempt is needed, and not kept
        # beside the ranges, which are as large.
        graph = integer_graph(network, precision, form, coarser)
        ranges = bounds(graph)
        made = _Ranged(graph, ranges, dict(coarser), _overflows(graph, form, ranges, network))
        finest = finest or made
        beyond = _excess(made, form)
        if not beyond:
            return made
        for name, times in beyond.items():
            coarser[name] = coarser.get(name, 1.0) * 2.0 ** max(math.ceil(math.log2(times)), 1)
        if max(coarser.values()) > _COARSEST or (isinstance(precision, Int8) and precision.units):
            break
    assert finest is not None
    return finest


def integer_graph(
    network: SpikingNetwork, precision: Precision, form: NumberFormat, coarser: Mapping[str, float] | None = None
) -> ig.IntegerGraph:
    """The integer graph of a converted network, before anything is checked. ``coarser``: factors, by population, by
    which units are larger than they would be."""
    wires = wiring(network)
    coding = network.input_range
    names = Names({"input", "output", READOUT, *wires.readouts, *network.neurons, *wires.pools})
    encoding: Encoding = "constant" if network.frames is None else "sequence"
    nodes: list[ig.Node] = [
        ig.InputNode("input", wires.input_shape, coding.dtype, coding.scale, encoding=encoding, limit=coding.limit)
    ]
    nodes += pool_nodes(wires, nodes[0], names)
    gains = source_gains(network, wires)
    for shape in ones_needed(wires.currents):
        synapse, population = ones_population(shape, wires.input_shape, network, names)
        nodes += [synapse, population]
        gains[population.name] = np.ones(1)
    on_images = getattr(precision, "rounding", "nearest") == "gptq"  # a precision of another package may lack it
    seen = activity(network, wires) if on_images else None
    with stage("lowering to integers", len(wires.currents)) as done:
        for number, choice in enumerate(choose(network, wires, gains, precision, form, coarser), 1):
            current, units, neuron = choice.current, choice.units, choice.neuron
            rounded = to_nearest(choice) if seen is None else on_data(choice, seen)
            sources, made = synapse_nodes(choice.name, choice.terms, rounded.weights, rounded.bias, units, form, names)
            nodes += made
            if neuron is None:
                output = wires.readouts[choice.name]
                nodes.append(readout(network, choice.name, output, current, units, sources))
            else:
                population = population_of(choice.name, neuron, current, units, sources)
                nodes += [population, *pool_nodes(wires, population, names)]
            done(number)
    return ig.IntegerGraph(
        nodes={node.name: node for node in nodes},
        timesteps=network.timesteps,
        schedule=network.schedule,
        drain=network.drain,
        source_sha256=network.provenance.source_sha256,
        info=network.provenance.settings | precision.settings(),
        format=form.name,
        calibrated=network.calibrated,
    )


def _check_range(made: _Ranged, form: NumberFormat, trained: bool) -> None:
    """Raise ``RangeError``, naming every layer, where membranes leave the format's range on the example images.
    ``trained``: units are those the weights were trained with."""
    limit, worst = form.membrane_max, made.ranges.membranes
    found = [
        f"{name}: the membrane overflows on the example images: it reaches [{low}, {high}], worst case "
        f"[{worst[name].low}, {worst[name].high}], limit {limit} ({form.title})"
        for name, (low, high) in made.overflows.items()
    ]
    if found:
        fewer = _SHORTER if made.graph.sequences else _FEWER
        raise RangeError.listing("", found, _ROUNDED_ANEW.format(bits=option("bits", 8)) if trained else fewer)


def _excess(made: _Ranged, form: NumberFormat) -> dict[str, float]:
    """How many times too large numbers of populations and readout are, by name."""
    found: dict[str, float] = {}
    if any(population.neuron.emission[1] > 1 for population in made.graph.populations):
        reach = {name: max(bound.high, -bound.low) for name, bound in made.ranges.accumulators.items()}
        found = {name: most / form.accumulator_max for name, most in reach.items() if most > form.accumulator_max}
    for name, (low, high) in made.overflows.items():
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
    seen = network.example if network.frames is None else network.frames.listed
    with unsaid():  # the conversion has spoken of its images
        trace = GoldenModel(graph, measure=True, ranges=ranges).run(seen, counts=False, memory=_WORKING_SET)
    return {
        name: trace.membrane[name] for name in loose if max(trace.membrane[name][1], -trace.membrane[name][0]) > limit
    }
