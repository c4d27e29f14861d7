"""The verb: a float spiking network in, verified integer NIR out."""

from __future__ import annotations

from collections.abc import Iterable

import nir
import numpy as np

import toolchain.ir.integer as ig
from toolchain.conversion.network import SpikingNetwork
from toolchain.conversion.neurons import Neuron
from toolchain.errors import ConversionError, RangeError
from toolchain.ir import build
from toolchain.quantization.currents import READOUT, apply_gain, float64, wiring
from toolchain.quantization.formats import DEFAULT_FORMAT, NumberFormat, load_format, require, round_bias
from toolchain.quantization.kernels import Float64, Kernel
from toolchain.quantization.maps import Current, Term, ones_source
from toolchain.quantization.ranges import Ranges, bounds
from toolchain.quantization.scales import Int8, Precision, Request, Units, choose_units
from toolchain.quantization.search import activity, search

_EXACT = 2**24


def lower(network: SpikingNetwork, precision: Precision | None = None, *, format: str = DEFAULT_FORMAT) -> nir.NIRGraph:
    """Quantise a converted network and write it as NIR of profile ``spikec.nir/1``, verified.

    ``precision`` is ``tc.Int8(per="layer")`` (default) or ``tc.Int8(per="channel")``. Weights are int8 mantissas,
    thresholds, biases and initial membranes int32, the initial membrane half the threshold (floor) unless calibrated.
    ``format`` names what the target's registers hold (``generic24``, ``loihi1``, ``loihi2``, or a .toml file).

    Raises ``DoesNotFit`` with every number the format cannot hold, ``RangeError`` where a membrane can leave its range
    and does on the network's example images, and ``ConversionError`` where operations cannot share a synapse.
    """
    if not isinstance(network, SpikingNetwork):
        raise ConversionError(f"expected a network made by tc.convert, got {type(network).__name__}")
    if precision is None:
        precision = Int8()
    if not isinstance(precision, Precision):
        raise ConversionError(f"expected a precision such as tc.Int8(per='layer'), got {precision!r}")
    if network.warm_up:
        raise ConversionError(
            "SRP's mask is one bit per neuron and image that no neuron kind holds: evaluate it in float by calling the "
            "network, or convert with another method"
        )
    form = load_format(format)
    graph = integer_graph(network, precision, form)
    ranges = bounds(graph)
    require(graph, form, ranges)
    check_range(graph, form, ranges, network)
    return build(graph)


def integer_graph(network: SpikingNetwork, precision: Precision, form: NumberFormat) -> ig.IntegerGraph:
    """The integer graph of a converted network, before anything is checked."""
    wires = wiring(network)
    neurons = network.neurons
    coding = network.input_range
    names = _Names({"input", "output", READOUT, *neurons})
    nodes: list[ig.Node] = [ig.InputNode("input", wires.input_shape, coding.dtype, coding.scale)]
    gains = {"input": np.array([coding.scale])} | {n: np.atleast_1d(float64(m.unit)) for n, m in neurons.items()}
    for shape in _ones_needed(wires.currents):
        synapse, population = _ones(shape, wires.input_shape, network, names)
        nodes += [synapse, population]
        gains[population.name] = np.ones(1)
    sources_seen = activity(network) if precision.scale == "spikes" else None
    for name, current in wires.currents.items():
        neuron = neurons.get(name)
        terms = [apply_gain(term, gains[term.source]) for term in current.terms]
        weights = [_output_weights(term) for term in terms]
        request = _request(name, weights, neuron, precision, form)
        if sources_seen is None:
            units = choose_units(request)
        else:
            levels = 0 if neuron is None else network.timesteps if neuron.spec.levels is None else 1
            units = search(request, terms, _channel_bias(current, request.channels), levels, sources_seen)
        sources, made = _synapses(name, terms, current, units, form, names)
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


def _ones_needed(currents: dict[str, Current]) -> list[ig.Shape]:
    terms = [term for current in currents.values() for term in current.terms]
    images = [term for term in terms if len(term.shape) == 3]
    return list(dict.fromkeys(term.shape for term in images if term.source == ones_source(term.shape)))


def _ones(
    shape: ig.Shape, image: ig.Shape, network: SpikingNetwork, names: _Names
) -> tuple[ig.Convolution, ig.Population]:
    """A population that emits 1 at every step: threshold 1, fed by a bias of 1 and, through weights of 0, the image."""
    name = ones_source(shape)
    (rows, stride_h, pad_h), (cols, stride_w, pad_w) = (_cover(n, m) for n, m in zip(image[1:], shape[1:], strict=True))
    one = np.ones(1, dtype=np.int64)
    synapse = ig.Convolution(
        name=names.free(f"{name}.bias"),
        sources=("input",),
        input_shape=image,
        output_shape=shape,
        weight=np.zeros((1, image[0], rows, cols), dtype=np.int64),
        bias=one,
        stride=(stride_h, stride_w),
        padding=(pad_h, pad_w),
        dilation=(1, 1),
    )
    spec = next(iter(network.neurons.values())).spec
    population = ig.Population(
        name=names.free(name),
        sources=(synapse.name,),
        shape=shape,
        kind=spec.kind,
        theta=np.ones(shape, dtype=np.int64),
        v_init=np.zeros(shape, dtype=np.int64),
        theta_neg=np.ones(shape, dtype=np.int64) if spec.kind == "signed_if" else None,
        levels=1 if spec.kind == "graded" else None,
        rho=spec.rho,
    )
    return synapse, population


def _cover(size: int, wanted: int) -> tuple[int, int, int]:
    """Kernel, stride and padding that take an axis of ``size`` to ``wanted``, with the smallest kernel there is."""
    for stride in range(1, size + 1):
        if (size - 1) // stride + 1 == wanted:
            return 1, stride, 0
    padding = max(wanted - size, 0)
    return size + 2 * padding - wanted + 1, 1, padding


class _Names:
    """Hands out node names, each once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)

    def free(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name


def _output_weights(term: Term) -> Float64:
    if term.dense is not None:
        return term.dense
    assert term.kernel is not None  # apply_gain gives every term weights
    return term.kernel.weight


def _request(
    name: str, weights: list[Float64], neuron: Neuron | None, precision: Precision, form: NumberFormat
) -> Request:
    bits = min(precision.bits_of(name), form.weight_bits)
    return Request(
        branches=weights,
        threshold=None if neuron is None else np.broadcast_to(float64(neuron.unit), (weights[0].shape[0],)),
        weight_max=2 ** (bits - 1) - 1,
        threshold_max=form.threshold_max,
        exponent_max=form.weight_exponent_max,
        per=precision.per,
        scale=precision.scale,
    )


def _integers(real: Float64, what: str) -> ig.Int64:
    rounded = np.rint(real)
    if np.abs(rounded).max(initial=0) > _EXACT:
        raise RangeError(
            f"{what} reaches {np.abs(rounded).max():.3g} units, beyond the exact range of NIR's float32 (2^24); "
            "the weights of this layer are tiny against its bias: retrain it or use per='layer'"
        )
    return rounded.astype(np.int64)


def _synapses(
    population: str, terms: list[Term], current: Current, units: Units, form: NumberFormat, names: _Names
) -> tuple[tuple[str, ...], list[ig.Node]]:
    """Synapse nodes of a population (pool, convolution or flatten and affine per term) and the names that feed it."""
    nodes: list[ig.Node] = []
    ends = []
    channels = len(units.unit)
    bias = round_bias(_integers(_channel_bias(current, channels) / units.unit, f"{population}: a bias"), form)
    for branch, (term, exponent) in enumerate(zip(terms, units.exponents, strict=True)):
        base = term.name if term.name and term.name != population else f"{population}.synapse"
        source, shape = term.source, term.shape
        if term.pool is not None:
            pool = ig.SumPool(names.free(f"{base}.pool"), (source,), shape, term.pooled_shape, term.pool, term.pool)
            nodes.append(pool)
            source, shape = pool.name, pool.output_shape
        weight = units.weights(branch, _output_weights(term))
        if term.dense is not None:
            if len(shape) > 1:
                flat = ig.Flatten(names.free(f"{base}.flatten"), (source,), shape, (int(np.prod(shape)),))
                nodes.append(flat)
                source, shape = flat.name, flat.output_shape
            end: ig.Node = ig.Affine(names.free(base), (source,), shape, (channels,), weight, bias, exponent)
        else:
            assert term.kernel is not None
            end = _convolution(names.free(base), source, shape, term.kernel, weight, bias, exponent)
        nodes.append(end)
        if term.dense is None and term.flat:
            end = ig.Flatten(names.free(f"{base}.flatten"), (end.name,), end.output_shape, term.output_shape)
            nodes.append(end)
        ends.append(end.name)
        bias = np.zeros_like(bias)  # the first branch carries it
    return tuple(ends), nodes


def _channel_bias(current: Current, channels: int) -> Float64:
    """One bias per output channel of the synapses; a flattened convolution repeats each channel's."""
    bias = np.asarray(current.bias, dtype=np.float64)
    return bias if len(bias) == channels else bias.reshape(channels, -1)[:, 0]


def _convolution(
    name: str, source: str, shape: ig.Shape, kernel: Kernel, weight: ig.Int64, bias: ig.Int64, exponent: int
) -> ig.Convolution:
    """An IR convolution: four-sided padding becomes symmetric padding and zero kernel rows or columns (``margin``)."""
    weight, margin, padding, dilation = _symmetric(kernel, weight)
    node = ig.Convolution(
        name=name,
        sources=(source,),
        input_shape=shape,
        output_shape=kernel.output_shape(shape),
        weight=weight,
        bias=bias,
        stride=kernel.stride,
        padding=padding,
        dilation=dilation,
        groups=kernel.groups,
        margin=margin,
        weight_exp=exponent,
    )
    return node


def _symmetric(
    kernel: Kernel, weight: ig.Int64
) -> tuple[ig.Int64, tuple[int, int, int, int], tuple[int, int], tuple[int, int]]:
    """Pads (a, b) of an axis become max(a, b) on both sides; the kernel grows by the difference where less was asked.

    Growing by one row moves the taps by one dilation: a difference that the dilation does not divide turns the
    dilated kernel into a dense one first.
    """
    top, bottom, left, right = kernel.pads
    dilation = list(kernel.dilation)
    for axis, (before, after) in enumerate(((top, bottom), (left, right))):
        if (before - after) % dilation[axis]:
            weight = _undilate(weight, axis + 2, dilation[axis])
            dilation[axis] = 1
    tall, wide = max(top, bottom), max(left, right)
    grow = (
        (tall - top) // dilation[0],
        (tall - bottom) // dilation[0],
        (wide - left) // dilation[1],
        (wide - right) // dilation[1],
    )
    grown = np.pad(weight, ((0, 0), (0, 0), grow[:2], grow[2:]))
    return grown, grow, (tall, wide), (dilation[0], dilation[1])


def _undilate(weight: ig.Int64, axis: int, dilation: int) -> ig.Int64:
    shape = list(weight.shape)
    shape[axis] = (shape[axis] - 1) * dilation + 1
    dense = np.zeros(shape, dtype=np.int64)
    index = [slice(None)] * 4
    index[axis] = slice(None, None, dilation)
    dense[tuple(index)] = weight
    return dense


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
