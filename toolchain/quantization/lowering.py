"""The verb: a float spiking network in, verified integer NIR out."""

from __future__ import annotations

import warnings
from functools import partial

import nir
import numpy as np

import toolchain.ir.integer as ig
from toolchain.conversion.network import SpikingNetwork
from toolchain.conversion.neurons import Neuron
from toolchain.errors import ConversionError, DoesNotFit, RangeError
from toolchain.ir import build, decode
from toolchain.quantization.currents import READOUT, apply_gain, float64, wiring
from toolchain.quantization.formats import DEFAULT_FORMAT, NumberFormat, load_format, require
from toolchain.quantization.kernels import Float64
from toolchain.quantization.maps import Current
from toolchain.quantization.ones import ones_needed, ones_population
from toolchain.quantization.ranges import Ranges, bounds
from toolchain.quantization.scales import Int8, Precision, Request, Units, choose_units
from toolchain.quantization.search import activity, search
from toolchain.quantization.synapses import Names, channel_bias, output_weights, synapse_nodes


def lower(
    network: SpikingNetwork,
    precision: Precision | None = None,
    *,
    format: str = DEFAULT_FORMAT,
    force: bool = False,
) -> nir.NIRGraph:
    """Quantise a converted network and write it as NIR of profile ``spikec.nir/1``, verified.

    ``precision`` is ``tc.Int8(per="layer")`` (default) or ``tc.Int8(per="channel")``. Weights are int8 mantissas,
    thresholds, biases and initial membranes int32, the initial membrane half the threshold (floor) unless calibrated.
    ``format`` names what the target's registers hold (``generic24``, ``loihi1``, ``loihi2``, or a .toml file).
    With ``force`` what does not fit them is written all the same, with a warning that lists it:
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
            "SRP's mask is one bit per neuron and image that no neuron kind holds: evaluate it in float by calling the "
            "network, or convert with another method"
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
    neurons = network.neurons
    coding = network.input_range
    if isinstance(precision, Int8):
        precision.check_names(list(dict.fromkeys(n for name, c in wires.currents.items() for n in _layers(name, c))))
    names = Names({"input", "output", READOUT, *neurons})
    nodes: list[ig.Node] = [ig.InputNode("input", wires.input_shape, coding.dtype, coding.scale)]
    gains = {"input": np.array([coding.scale])} | {n: np.atleast_1d(float64(m.unit)) for n, m in neurons.items()}
    for shape in ones_needed(wires.currents):
        synapse, population = ones_population(shape, wires.input_shape, network, names)
        nodes += [synapse, population]
        gains[population.name] = np.ones(1)
    sources_seen = activity(network) if precision.scale == "spikes" else None
    for name, current in wires.currents.items():
        neuron = neurons.get(name)
        terms = [apply_gain(term, gains[term.source]) for term in current.terms]
        weights = [output_weights(term) for term in terms]
        bias = channel_bias(current, weights[0].shape[0])
        request = _request(_layers(name, current), weights, bias, neuron, precision, form)
        if sources_seen is None:
            units = choose_units(request)
        else:
            levels = 0 if neuron is None else network.timesteps if neuron.spec.levels is None else 1
            units = search(request, terms, bias, levels, sources_seen)
        sources, made = synapse_nodes(name, terms, current, units, form, names)
        nodes += made
        nodes.append(
            _population(name, neuron, current, units, sources) if neuron else _readout(network, current, units, sources)
        )
    return ig.IntegerGraph(
        nodes={node.name: node for node in nodes},
        timesteps=network.timesteps,
        schedule=network.schedule,
        drain=network.drain,
        source_sha256=network.provenance.source_sha256,
        info=network.provenance.settings | precision.settings() | {"format": form.name},
    )


def _layers(name: str, current: Current) -> list[str]:
    """The layers whose weights lead into a population, and the population."""
    return [*dict.fromkeys(term.name for term in current.terms if term.name), name]


def _request(
    names: list[str],
    weights: list[Float64],
    bias: Float64,
    neuron: Neuron | None,
    precision: Precision,
    form: NumberFormat,
) -> Request:
    bits = min(precision.bits_of(*names), form.weight_bits)
    # Half of what the format holds is left to the weights. Where a bias is that large, fine weights are lost on it.
    bias_reach = min(form.bias_max << form.bias_exponent_max, form.accumulator_max) / 2
    return Request(
        branches=weights,
        threshold=None if neuron is None else np.broadcast_to(float64(neuron.unit), (weights[0].shape[0],)),
        bias_floor=np.abs(bias) / bias_reach,
        weight_max=2 ** (bits - 1) - 1,
        threshold_max=form.threshold_max,
        exponent_max=form.weight_exponent_max,
        per=precision.per,
        scale=precision.scale,
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
    spec = neuron.spec
    negative = None
    if spec.kind == "signed_if":
        negative = np.maximum(np.rint(spec.negative * theta), 1).astype(np.int64)
    return ig.Population(
        name=name,
        sources=sources,
        shape=current.shape,
        kind=spec.kind,
        theta=theta,
        v_init=theta // 2 + offset,
        theta_neg=negative,
        levels=spec.levels if spec.kind == "graded" else None,
        rho=spec.rho,
        scale=np.atleast_1d(float64(neuron.unit)),
    )


def _readout(network: SpikingNetwork, current: Current, units: Units, sources: tuple[str, ...]) -> ig.Readout:
    summed = any(neuron.spec.levels is None for neuron in network.neurons.values())
    scale = float(units.unit[0]) / (network.timesteps if summed else 1)
    return ig.Readout(READOUT, sources, current.shape, np.zeros(current.shape, dtype=np.int64), scale)


def check_range(graph: ig.IntegerGraph, form: NumberFormat, ranges: Ranges, network: SpikingNetwork) -> None:
    """Raise ``RangeError`` where a membrane may leave the format's range and does so on the example images."""
    from toolchain.simulation import simulate

    limit = form.membrane_max
    loose = {name: b for name, b in ranges.membranes.items() if max(b.high, -b.low) > limit}
    if not loose:
        return
    trace = simulate(graph, network.example, counts=False, measure=True)
    for name, bound in loose.items():
        low, high = trace.membrane[name]
        if max(high, -low) > limit:
            raise RangeError(
                f"{name}: the membrane overflows on the example images: it reaches [{low}, {high}], worst case "
                f"[{bound.low}, {bound.high}], limit {limit} ({form.title}); use fewer timesteps or weight bits"
            )
