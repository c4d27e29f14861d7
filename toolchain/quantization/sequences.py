"""Lowering of networks that run on sequences: weights, thresholds and biases on one scale, decays in 4096ths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import spikec.ir as ig
from spikec.analysis.formats import NumberFormat
from spikec.conversion.from_nir.dynamics import Dynamics
from spikec.conversion.from_nir.running import FloatRun, run_float
from spikec.conversion.from_nir.sequences import Reading, SequenceNetwork
from spikec.errors import ConversionError, RangeError
from spikec.ir.graph import Decode
from spikec.ir.kinds import CubaLIF
from spikec.ir.leak import CURRENT_MAX, THETA_MAX, UNIT, UNITY, Leak
from spikec.ir.names import Names
from spikec.ir.types import MEMBRANE_MAX
from spikec.quantization.changes import changed
from spikec.quantization.currents import READOUT, apply_gain
from spikec.quantization.decays import as_mantissa, du_of, dv_of, largest_bias, rounded
from spikec.quantization.kernels import Float64
from spikec.quantization.maps import Current
from spikec.quantization.nir_currents import nir_currents, sequence_readouts
from spikec.quantization.scales import Int8, Precision, Request, Units, choose_units, tighter
from spikec.quantization.synapses import channel_bias, output_weights, synapse_nodes
from spikec.words import option

#: Currents of the example sequences may take this part of their register: beyond it they wrap. A membrane that is too
#: high has fired anyway, and one that is too low stays at the edge.
_ROOM = 0.5
#: How many units are tried for each branch, and how much larger than need be one may be, for weights that round well.
_TRIED, _COARSEST = 25, 1.25
#: With the scale "spikes": parts of the largest weight that are tried as the largest mantissa.
_SHRINKS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
#: Units become at most 2**6 times finer than one weight.
_FINEST = 6
_DECODES: dict[str, Decode] = {"last": "membrane", "sum": "sum", "maximum": "maximum"}


def sequence_graph(network: SequenceNetwork, precision: Precision, form: NumberFormat) -> ig.IntegerGraph:
    """The integer graph of a network that runs on sequences: of the two ways to round decays (:func:`rounded`), and
    with the scale ``spikes`` of several clips of the largest weights, what changes fewest spikes of the example.

    Raises ``ConversionError`` for a precision that is for images alone; for further errors see :func:`rounded_graph`.
    """
    _check_precision(network, precision)
    seen = run_float(network, network.example)
    shrinks = _SHRINKS if precision.scale == "spikes" else _SHRINKS[:1]
    ways = [(shrink, steady) for shrink in shrinks for steady in (True, False)]
    made = [rounded_graph(network, precision, form, seen, steady=steady, shrink=shrink) for shrink, steady in ways]
    off = [changed(network, graph, network.example, seen) for graph in made]
    return made[off.index(min(off))]


def _check_precision(network: SequenceNetwork, precision: Precision) -> None:
    if not isinstance(precision, Int8):
        return
    if precision.units or precision.rounding != "nearest":
        left_out = option("units" if precision.units else "rounding")
        raise ConversionError(
            f"networks that run on sequences are rounded to the nearest integer: leave out {left_out}"
        )
    precision.check_names([name for name in network.nodes if name not in (network.input, *network.outputs)])


def rounded_graph(
    network: SequenceNetwork,
    precision: Precision,
    form: NumberFormat,
    seen: FloatRun,
    *,
    steady: bool,
    shrink: float = 1.0,
) -> ig.IntegerGraph:
    """The integer graph of a network that runs on sequences; ``seen``: its float run of the example sequences.
    ``shrink``: the part of the largest weight that still fits, larger ones are clipped.

    Weights take in the gains of current and membrane; a membrane is counted from the value it is reset to. The unit of
    a layer follows from its weights, as for other networks. It is made coarser where currents of the example sequences
    would take more than half of their 24 bits, or membranes below zero all of them. Raises ``ConversionError`` where
    operations cannot share a synapse, and where neurons of one channel differ in their gain; ``RangeError`` where a
    bias or a threshold does not fit its register.
    """
    neurons_of = {name: rounded(neurons, steady=steady) for name, neurons in network.neurons.items()}
    network = replace(network, neurons=neurons_of)
    outputs = {name: output for output, name in sequence_readouts(network).items()}
    names = Names({"input", "output", READOUT, *outputs, *network.neurons})
    nodes: list[ig.Node] = [
        ig.InputNode(
            "input",
            network.shapes[network.input],
            network.coding.dtype,
            network.coding.scale,
            encoding="sequence",
            limit=network.coding.limit,
        )
    ]
    gains = {"input": np.array([network.coding.scale])}
    for name, current in nir_currents(network).items():
        output = outputs.get(name)
        original = name if output is None else network.outputs[output] or name
        layer = _Layer(
            name, network.neurons.get(original), current, gains, precision, form, seen, original, shrink, output
        )
        every = {ig.Delayed.named(of, network.shapes[of], steps) for (of, _), steps in network.delays.items()}
        late = {delayed.name: delayed for delayed in every}
        nodes += [late[name] for name in sorted({term.source for term in current.terms} & late.keys())]
        sources, made = layer.synapses(names)
        nodes += [
            *made,
            layer.population(sources) if output is None else layer.readout(sources, network.reading, output),
        ]
    return ig.IntegerGraph(
        nodes={node.name: node for node in nodes},
        timesteps=network.example.shape[1],
        schedule="pipelined",
        source_sha256=network.provenance.source_sha256,
        info=network.provenance.settings | precision.settings(),
        format=form.name,
        calibrated=network.calibrated,
    )


def _sender(name: str) -> str:
    """The node that sends what a source carries, late or not."""
    return name.split(":")[0]


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
        shrink: float,
        output: str | None,
    ) -> None:
        self._reads = output is not None
        self._name, self._form, self._current, self._shrink = name, form, current, shrink
        self._neurons = neurons if neurons is None or len(current.shape) > 1 else neurons.flat()
        self._terms = [apply_gain(term, gains.get(_sender(term.source), np.ones(1))) for term in current.terms]
        weights = [output_weights(term) for term in self._terms]
        channels = weights[0].shape[0]
        self._bias = channel_bias(current, channels)
        request = self._request(weights, precision, [*(term.name for term in self._terms if term.name), original])
        self._floor = self._least_unit(seen, original)
        if self._counts_spikes:
            self._units = Units(np.ones(channels), None, (0,) * len(weights), 127)
        else:
            self._units = self._closest(replace(request, bias_floor=np.maximum(request.bias_floor, self._floor)))
            self._units = self._finer(self._units)
        self._weights = [self._units.weights(i, weight) for i, weight in enumerate(weights)]

    def _closest(self, request: Request) -> Units:
        """Of units up to a quarter larger than need be, those that change weights and threshold least: a layer with few
        weights then often has none changed."""
        finest = choose_units(request, self._shrink)
        tried = [1.0]
        for i, weight in enumerate(request.branches):
            peak = float(np.abs(weight).max(initial=0)) / (float(finest.unit.max()) * 2.0 ** finest.exponents[i])
            whole = np.arange(max(int(peak), 1), 0, -1)[:_TRIED]  # those in which the largest weight is exact
            tried += [c for c in peak / whole if 1 <= c <= _COARSEST]
        found = [choose_units(replace(request, coarser=c), self._shrink) for c in tried]
        found += [tighter(units, request) for units in found]
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
            and (units.theta is None or units.theta.max() << (finer + 1) <= THETA_MAX)
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
            and all(
                (term.dense is not None or len(self._current.shape) > 1)
                and set(np.unique(output_weights(term))) <= {0.0, 1.0}
                for term in self._terms
            )
            and not self._bias.any()
        )

    @property
    def _leaks(self) -> bool:
        return self._neurons is not None and bool(
            (self._neurons.keep_u != 0).any() or (self._neurons.keep_v != 1).any() or self._neurons.drive.any()
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
            threshold_max=min(self._form.threshold_max, THETA_MAX),
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
        bias = constant / largest_bias(fine=self._form.fine_bias)
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
        return self._neurons is None or self._neurons.remembers_current or (self._reads and not self._leaks)

    def _leak(self) -> Leak:
        n = self._neurons
        assert n is not None
        unit = self._neuron_units() / UNIT
        du, dv = np.where(n.keep_u == 0, UNITY - 1, du_of(n)), dv_of(n)
        constant = n.drive - (1 - n.keep_v) * n.reset
        if not self._keeps_bias:
            spread = np.repeat(self._bias, int(np.prod(n.shape)) // len(self._bias)).reshape(n.shape)
            constant = constant + spread
        bias = constant / unit
        if np.abs(bias).max(initial=0) > largest_bias(fine=self._form.fine_bias):
            raise RangeError(
                f"{self._name}: its bias reaches {np.abs(bias).max():.3g}, beyond what a neuron's bias holds"
            )
        return Leak(du.astype(np.int64), dv.astype(np.int64), as_mantissa(bias, fine=self._form.fine_bias))

    def population(self, sources: tuple[str, ...]) -> ig.Population:
        """Neurons that fire."""
        n = self._neurons
        assert n is not None
        assert n.threshold is not None
        leak, unit = self._leak(), self._neuron_units()
        theta = np.maximum(np.rint((n.threshold - n.reset) / unit), 1).astype(np.int64)
        if theta.max() > THETA_MAX:
            raise RangeError(f"{self._name}: a threshold of {theta.max()} exceeds {THETA_MAX}; its weights are tiny")
        start = np.rint(-n.reset / unit * UNIT).astype(np.int64)
        kind = CubaLIF(leak.du, leak.dv, leak.bias, subtract=int(n.subtract))
        return ig.Population(self._name, sources, n.shape, kind, theta, start, scale=np.ones(1))

    def readout(self, sources: tuple[str, ...], reading: Reading, output: str) -> ig.Readout:
        """The integrator at the end. Without leak its membrane is in whole units, otherwise in 64ths of them. Where the
        file has none, what arrives is summed up whatever the ``reading``."""
        decode: Decode = "membrane" if self._neurons is None else _DECODES[reading]
        size = self._current.shape
        zero, unit = np.zeros(size, np.int64), float(self._units.unit[0])
        if not self._leaks:
            return ig.Readout(self._name, sources, size, zero, unit, decode=decode, output=output)
        return ig.Readout(self._name, sources, size, zero, unit / UNIT, self._leak(), decode, output)
