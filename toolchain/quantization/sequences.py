"""Lowering of networks that run on sequences: weights, thresholds and biases on one scale, decays in 4096ths."""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np

import spikec.ir as ig
from spikec.analysis.formats import NumberFormat
from spikec.conversion.from_nir.dynamics import Dynamics
from spikec.conversion.from_nir.running import FloatRun, run_float
from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.conversion.from_nir.shapes import pads_of, pair
from spikec.errors import ConversionError, RangeError
from spikec.ir.graph import Decode
from spikec.ir.kinds import CubaLIF
from spikec.ir.leak import CURRENT_MAX, UNIT, UNITY, Leak
from spikec.ir.types import MEMBRANE_MAX
from spikec.quantization import maps
from spikec.quantization.currents import READOUT, apply_gain
from spikec.quantization.kernels import Float64, Kernel, NotComposableError
from spikec.quantization.maps import Current
from spikec.quantization.scales import Precision, Request, Units, choose_units
from spikec.quantization.synapses import Names, channel_bias, output_weights, synapse_nodes

#: Currents of the example sequences may take this part of their register: beyond it they wrap. A membrane that is too
#: high has fired anyway, and one that is too low stays at the edge.
_ROOM = 0.5
#: How much larger than need be a unit may be, for weights that round well.
_TRIED = np.linspace(1.0, 1.25, 51)
#: Units become at most 2**6 times finer than one weight.
_FINEST = 6
#: Largest threshold of Loihi's neuron, in units of 64.
_THRESHOLD_MAX = 2**17 - 1
#: Its bias: a mantissa of 13 bits with sign, times a power of two.
_BIAS_MANTISSA, _BIAS_EXPONENT = 4095, 7
_DECODES: dict[str, Decode] = {"last": "membrane", "sum": "sum", "maximum": "maximum"}


def rounded(neurons: Dynamics) -> Dynamics:
    """The same neurons with decays in whole 4096ths. Gains and drive change with the decay, so that what a steady input
    leads to stays the same; of the time constant, 1 / 8192 of a step at most is lost or gained."""
    keep_u = np.where(neurons.keep_u == 0, 0, UNITY - 1 - _du(neurons)) / UNITY
    keep_v = 1 - _dv(neurons) / UNITY

    def scaled(before: Float64, after: Float64) -> Float64:
        found: Float64 = np.where(before < 1, (1 - after) / np.where(before < 1, 1 - before, 1), 1)
        return found

    membrane = scaled(neurons.keep_v, keep_v)
    return replace(
        neurons,
        keep_u=keep_u,
        gain_u=neurons.gain_u * scaled(neurons.keep_u, keep_u),
        keep_v=keep_v,
        gain_v=neurons.gain_v * membrane,
        drive=neurons.drive * membrane,
    )


def _du(neurons: Dynamics) -> Float64:
    found: Float64 = np.clip(np.rint(UNITY * (1 - neurons.keep_u)) - 1, 0, UNITY - 1)
    return found


def _dv(neurons: Dynamics) -> Float64:
    """At least 1 where the membrane leaks at all."""
    least = np.where(neurons.keep_v < 1, 1, 0)
    found: Float64 = np.clip(np.rint(UNITY * (1 - neurons.keep_v)), least, UNITY)
    return found


def sequence_graph(network: SequenceNetwork, precision: Precision, form: NumberFormat) -> ig.IntegerGraph:
    """The integer graph of a network that runs on sequences.

    Weights take in the gains of current and membrane; a membrane is counted from the value it is reset to. The unit of
    a layer follows from its weights, as for other networks. It is made coarser where currents of the example sequences
    would take more than half of their 24 bits, or membranes below zero all of them. Raises ``ConversionError`` where
    operations cannot share a synapse, and where neurons of one channel differ in their gain; ``RangeError`` where a
    bias or a threshold does not fit its register.
    """
    seen = run_float(network, network.example)
    network = replace(network, neurons={name: rounded(neurons) for name, neurons in network.neurons.items()})
    names = Names({"input", "output", READOUT, *network.neurons})
    nodes: list[ig.Node] = [
        ig.InputNode(
            "input", network.shapes[network.input], network.coding.dtype, network.coding.scale, encoding="sequence"
        )
    ]
    gains = {"input": np.array([network.coding.scale])}
    for name, current in _currents(network).items():
        neurons = network.neurons.get(network.readout or "") if name == READOUT else network.neurons[name]
        layer = _Layer(name, neurons, current, gains, precision, form, seen, network.readout or READOUT)
        for of in sorted({a for a, _ in network.feedback}):
            feedback = ig.Feedback.named(of, network.shapes[of])
            if any(term.source == feedback.name for term in current.terms):
                nodes.append(feedback)
        sources, made = layer.synapses(names)
        nodes += [
            *made,
            layer.readout(sources, _DECODES[network.reading]) if name == READOUT else layer.population(sources),
        ]
    return ig.IntegerGraph(
        nodes={node.name: node for node in nodes},
        timesteps=network.example.shape[1],
        schedule="pipelined",
        source_sha256=network.provenance.source_sha256,
        info=network.provenance.settings | precision.settings(),
        format=form.name,
    )


def _currents(network: SequenceNetwork) -> dict[str, Current]:
    """What enters each layer of neurons, and the readout, as sums of linear maps of what sources send."""
    values: dict[str, Current] = {}
    found: dict[str, Current] = {}
    for name, node in network.nodes.items():
        shape = network.shapes[name]
        if isinstance(node, nir.Input):
            values[name] = maps.from_source("input", shape)
            continue
        parts = [
            maps.from_source(ig.Feedback.named(a, ()).name, network.shapes[a])
            if (a, name) in network.feedback
            else values[a]
            for a in network.sources[name]
        ]
        total = parts[0]
        for part in parts[1:]:
            total = maps.add(total, part)
        try:
            if isinstance(node, nir.Output):
                if network.readout is None:
                    found[READOUT] = maps.settled(maps.flatten(total))
            elif name == network.readout:
                found[READOUT] = _charged(name, maps.flatten(total), _flat(network.neurons[name]))
                values[name] = total  # what the output reads
            elif name in network.neurons:
                found[name] = _charged(name, total, network.neurons[name])
                values[name] = maps.from_source(name, shape)
            else:
                values[name] = _mapped(name, node, total)
        except NotComposableError as error:
            raise ConversionError(f"NIR node {name}: {error}") from error
    return found


def _mapped(name: str, node: nir.NIRNode, current: Current) -> Current:
    match node:
        case nir.Affine() | nir.Linear():
            weight = np.asarray(node.weight, dtype=np.float64)
            bias = np.broadcast_to(np.asarray(getattr(node, "bias", 0.0), dtype=np.float64).reshape(-1), (len(weight),))
            return maps.dense(current, weight, bias, name)
        case nir.Conv2d():
            weight = np.asarray(node.weight, dtype=np.float64)
            groups = int(np.asarray(node.groups))
            kernel = Kernel(weight, pair(node.stride), pads_of(node), pair(node.dilation), groups)
            bias = np.broadcast_to(np.asarray(node.bias, dtype=np.float64).reshape(-1), (len(weight),))
            return maps.convolve(current, kernel, bias, name)
        case nir.Scale():
            return maps.scale(current, *_per_channel(name, node.scale, current.shape), name)
        case nir.SumPool2d() | nir.AvgPool2d():
            return _pooled(name, node, current)
        case nir.Flatten():
            rank = len(current.shape)
            start, end = int(np.asarray(node.start_dim)) % rank, int(np.asarray(node.end_dim)) % rank
            return current if start >= end else maps.flatten(current)
    raise ConversionError(f"NIR node {name}: {type(node).__name__} cannot be lowered")


def _pooled(name: str, node: nir.SumPool2d | nir.AvgPool2d, current: Current) -> Current:
    kernel, stride, padding = pair(node.kernel_size), pair(node.stride), pair(node.padding)
    channels, area = current.shape[0], kernel[0] * kernel[1]
    summing = isinstance(node, nir.SumPool2d)
    if kernel == stride and not any(padding):
        pooled = maps.average(current, kernel)
        return maps.scale(pooled, np.full(channels, float(area)), np.zeros(channels), name) if summing else pooled
    weight = np.full((channels, 1, *kernel), 1.0 if summing else 1.0 / area)
    pads = (padding[0], padding[0], padding[1], padding[1])
    return maps.convolve(current, Kernel(weight, stride, pads, groups=channels), np.zeros(channels), name)


def _charged(name: str, current: Current, neurons: Dynamics) -> Current:
    """What enters, times the gains of current and membrane."""
    factor, shift = _per_channel(name, neurons.gain_u * neurons.gain_v, current.shape)
    return maps.settled(maps.scale(current, factor, shift, ""))


def _per_channel(name: str, values: object, shape: ig.Shape) -> tuple[Float64, Float64]:
    """One factor per channel of maps, or per element of a vector, and zeros. Raises ``ConversionError`` where neurons
    of one channel differ."""
    rows = np.broadcast_to(np.asarray(values, dtype=np.float64), shape).reshape(shape[0], -1)
    if (rows != rows[:, :1]).any():
        raise ConversionError(
            f"NIR node {name}: gains differ within a channel, and a convolution has one for each channel"
        )
    return rows[:, 0].copy(), np.zeros(shape[0])


def _flat(neurons: Dynamics) -> Dynamics:
    arrays = {
        field: getattr(neurons, field).reshape(-1)
        for field in ("keep_u", "gain_u", "keep_v", "gain_v", "drive", "reset")
    }
    return replace(neurons, **arrays)


def _as_mantissa(bias: Float64) -> ig.Int64:
    """Every bias as the nearest mantissa of 13 bits times the smallest power of two that it needs."""
    exponent = np.ceil(np.log2(np.maximum(np.abs(np.rint(bias)) / _BIAS_MANTISSA, 1)))
    found: ig.Int64 = (np.rint(bias / 2**exponent) * 2**exponent).astype(np.int64)
    return found


class _Layer:
    """A layer of neurons, or the readout, on its way to integers."""

    def __init__(
        self,
        name: str,
        neurons: Dynamics | None,
        current: Current,
        gains: dict[str, Float64],
        precision: Precision,
        form: NumberFormat,
        seen: FloatRun,
        original: str,
    ) -> None:
        self._name, self._form, self._current = name, form, current
        self._neurons = _flat(neurons) if neurons is not None and name == READOUT else neurons
        self._terms = [apply_gain(term, gains.get(term.source, np.ones(1))) for term in current.terms]
        weights = [output_weights(term) for term in self._terms]
        channels = weights[0].shape[0]
        self._bias = channel_bias(current, channels)
        label = original if name == READOUT else name
        request = self._request(weights, precision, [*(term.name for term in self._terms if term.name), label])
        self._floor = self._least_unit(seen, label)
        if self._counts_spikes:
            self._units = Units(np.ones(channels), None, (0,) * len(weights), 127)
        else:
            self._units = self._closest(replace(request, bias_floor=np.maximum(request.bias_floor, self._floor)))
            self._units = self._finer(self._units)
        self._weights = [self._units.weights(i, weight) for i, weight in enumerate(weights)]

    def _closest(self, request: Request) -> Units:
        """Of units up to a quarter larger than need be, those that change weights and threshold least: a layer with few
        weights then often has none changed."""
        found = [choose_units(replace(request, coarser=float(c))) for c in _TRIED]
        return min(found, key=lambda units: self._error(request, units))

    def _error(self, request: Request, units: Units) -> float:
        """Sum of squares of what rounding changes, in thresholds (for a readout: in its largest weight)."""
        channels = len(units.unit)
        largest = max(float(np.abs(weight).max(initial=0)) for weight in request.branches) or 1.0
        size = np.full(channels, largest) if request.threshold is None else request.threshold
        error = 0.0
        for i, weight in enumerate(request.branches):
            changed = units.weights(i, weight) * units.unit.reshape(-1, *[1] * (weight.ndim - 1)) - weight
            error += float(((changed.reshape(channels, -1) / size[:, None]) ** 2).sum())
        if units.theta is not None and request.threshold is not None:
            error += float(((units.theta * units.unit / size - 1) ** 2).sum())
        return error

    def _finer(self, units: Units) -> Units:
        """The same weights with units as small as exponent, threshold and registers allow, up to 64 times: threshold
        and bias are then rounded less."""
        finer = 0
        while (
            finer < _FINEST
            and max(units.exponents) + finer < self._form.weight_exponent_max
            and (units.theta is None or units.theta.max() << (finer + 1) <= _THRESHOLD_MAX)
            and (units.unit / 2 ** (finer + 1) >= self._floor).all()
            and np.abs(self._bias / units.unit).max(initial=0) * 2 ** (finer + 1) <= self._form.bias_max
        ):
            finer += 1
        return replace(units, unit=units.unit / 2**finer, exponents=tuple(e + finer for e in units.exponents))

    @property
    def _counts_spikes(self) -> bool:
        """Whether the readout just adds up spikes."""
        return (
            self._neurons is None
            and all(term.dense is not None and set(np.unique(term.dense)) <= {0.0, 1.0} for term in self._terms)
            and not self._bias.any()
        )

    @property
    def _leaks(self) -> bool:
        return self._neurons is not None and bool(
            (self._neurons.keep_u != 0).any() or (self._neurons.keep_v != 1).any()
        )

    def _request(self, weights: list[Float64], precision: Precision, names: list[str]) -> Request:
        bits = min(precision.bits_of(*names), self._form.weight_bits)
        threshold = None
        if self._neurons is not None and self._neurons.threshold is not None:
            rows = (self._neurons.threshold - self._neurons.reset).reshape(weights[0].shape[0], -1)
            threshold = rows.max(axis=1)
        return Request(
            branches=weights,
            threshold=threshold,
            bias_floor=np.abs(self._bias) / (MEMBRANE_MAX / UNIT / 2),
            weight_max=2 ** (bits - 1) - 1,
            threshold_max=min(self._form.threshold_max, _THRESHOLD_MAX),
            exponent_max=self._form.weight_exponent_max,
            per=precision.per,
            scale="max" if precision.scale == "spikes" else precision.scale,
        )

    def _least_unit(self, seen: FloatRun, label: str) -> float:
        """The smallest unit in which currents and membranes of the example keep to their registers."""
        if self._neurons is None:
            return 0.0
        n = self._neurons
        constant = float(np.abs(n.drive - (1 - n.keep_v) * n.reset).max()) + float(np.abs(self._bias).max(initial=0))
        bias = constant / (_BIAS_MANTISSA << _BIAS_EXPONENT)
        return max(seen.currents[label] / CURRENT_MAX / _ROOM, seen.depths[label] / MEMBRANE_MAX, bias) * UNIT

    def _neuron_units(self) -> Float64:
        """The unit of every neuron, of the neuron shape."""
        assert self._neurons is not None
        unit = self._units.unit
        return np.repeat(unit, int(np.prod(self._neurons.shape)) // len(unit)).reshape(self._neurons.shape)

    def synapses(self, names: Names) -> tuple[tuple[str, ...], list[ig.Node]]:
        """The nodes with weights, and the names of those that feed the layer. Where no current lasts, the membrane has
        the bias, in finer units."""
        bias = self._bias if self._keeps_bias else np.zeros_like(self._bias)
        return synapse_nodes(self._name, self._terms, self._weights, bias, self._units, self._form, names)

    @property
    def _keeps_bias(self) -> bool:
        return self._neurons is None or self._neurons.remembers_current or (self._name == READOUT and not self._leaks)

    def _leak(self) -> Leak:
        n = self._neurons
        assert n is not None
        unit = self._neuron_units() / UNIT
        du, dv = np.where(n.keep_u == 0, UNITY - 1, _du(n)), _dv(n)
        constant = n.drive - (1 - n.keep_v) * n.reset
        if not self._keeps_bias:
            spread = np.repeat(self._bias, int(np.prod(n.shape)) // len(self._bias)).reshape(n.shape)
            constant = constant + spread
        bias = constant / unit
        if np.abs(bias).max(initial=0) > _BIAS_MANTISSA << _BIAS_EXPONENT:
            raise RangeError(
                f"{self._name}: its bias reaches {np.abs(bias).max():.3g}, beyond what a neuron's bias holds"
            )
        return Leak(du.astype(np.int64), dv.astype(np.int64), _as_mantissa(bias))

    def population(self, sources: tuple[str, ...]) -> ig.Population:
        """Neurons that fire."""
        n = self._neurons
        assert n is not None
        assert n.threshold is not None
        leak, unit = self._leak(), self._neuron_units()
        theta = np.maximum(np.rint((n.threshold - n.reset) / unit), 1).astype(np.int64)
        if theta.max() > _THRESHOLD_MAX:
            raise RangeError(
                f"{self._name}: a threshold of {theta.max()} exceeds {_THRESHOLD_MAX}; its weights are tiny"
            )
        start = np.rint(-n.reset / unit * UNIT).astype(np.int64)
        kind = CubaLIF(leak.du, leak.dv, leak.bias, subtract=int(n.subtract))
        return ig.Population(self._name, sources, n.shape, kind, theta, start, scale=np.ones(1))

    def readout(self, sources: tuple[str, ...], decode: Decode) -> ig.Readout:
        """The integrator at the end. Without leak its membrane is in whole units, otherwise in 64ths of them."""
        size = self._current.shape
        zero, unit = np.zeros(size, np.int64), float(self._units.unit[0])
        if not self._leaks:
            return ig.Readout(READOUT, sources, size, zero, unit, decode=decode)
        return ig.Readout(READOUT, sources, size, zero, unit / UNIT, self._leak(), decode)
