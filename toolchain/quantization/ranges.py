"""Worst-case ranges of every accumulator and membrane, proven from the weights, whatever the image.

The bound of an accumulator is sign-aware and per neuron: positive weights meet the largest input, negative weights the
smallest, and a neuron at the border counts only the taps that exist. For a synapse that reads one node it is attained
by some input (of that node's range), and so it is where several that read the same node meet (skip connections); behind
chains of synapses or over steps it is an upper bound. Membranes follow by
interval arithmetic over the steps: an unsigned integrate-and-fire neuron that never fires accumulates T times its most
negative current, which is what usually decides the width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch

from toolchain.errors import RangeError
from toolchain.ir.integer import (
    MEMBRANE_MAX,
    Affine,
    Convolution,
    InputNode,
    Int64,
    IntegerGraph,
    Linear,
    Node,
    Population,
    Readout,
)
from toolchain.ir.linear import apply_linear
from toolchain.quantization.branches import merged_branches

_FLOAT64_EXACT = 2.0**53
_INT64_SAFE = 2.0**61


@dataclass(frozen=True, eq=False)
class Bound:
    """Proven range of one quantity: ``lowest`` / ``highest`` int64, one value per neuron, both inclusive."""

    node: str
    lowest: Int64
    highest: Int64

    @property
    def low(self) -> int:
        """Smallest value any neuron can reach."""
        return int(self.lowest.min())

    @property
    def high(self) -> int:
        """Largest value any neuron can reach."""
        return int(self.highest.max())

    @property
    def bits(self) -> int:
        """Width of the smallest two's complement integer that holds the range."""
        return 1 + max(self.high.bit_length() if self.high > 0 else 0, (~self.low).bit_length() if self.low < 0 else 0)

    @property
    def margin(self) -> int:
        """Bits to spare in the 24-bit registers of the generic target; negative where the proof fails."""
        return (MEMBRANE_MAX.bit_length() + 1) - self.bits

    def __str__(self) -> str:
        return f"{self.node}: [{self.low}, {self.high}], {self.bits} bits"


@dataclass(frozen=True)
class Ranges:
    """Bounds of a graph.

    ``accumulators``: the input of one step (bias included) per synapse, pool, population and readout, as its output or
    the sum of its sources; ``sums``: the same without biases, which a target adds to the membrane. ``membranes``:
    membrane before reset in any step, partial sums of the layerwise schedule included, per population and readout.
    ``magnitudes``: per node, a bound on the magnitude of any partial sum, in any order, met when a simulator evaluates
    all steps of the layerwise schedule at once.
    """

    accumulators: Mapping[str, Bound]
    sums: Mapping[str, Bound]
    membranes: Mapping[str, Bound]
    magnitudes: Mapping[str, int]

    @property
    def fits(self) -> bool:
        """Whether no accumulator and no membrane can leave 24 bits, whatever the image."""
        return all(b.margin >= 0 for b in (*self.accumulators.values(), *self.membranes.values()))


@dataclass(frozen=True)
class _Interval:
    low: Int64
    high: Int64

    def __add__(self, other: _Interval) -> _Interval:
        return _Interval(self.low + other.low, self.high + other.high)

    def scaled(self, factor: int) -> _Interval:
        """Times a factor >= 0."""
        return _Interval(self.low * factor, self.high * factor)

    def union(self, other: _Interval) -> _Interval:
        return _Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    @property
    def with_zero(self) -> _Interval:
        return _Interval(np.minimum(self.low, 0), np.maximum(self.high, 0))

    @property
    def magnitude(self) -> int:
        return max(abs(int(self.low.min())), abs(int(self.high.max())))


@dataclass(frozen=True)
class _Flow:
    """What a node sends in one step: a part that stops with the input (image and bias), a part driven by spikes."""

    steady: _Interval
    driven: _Interval
    bias: Int64  # the constant in ``steady``
    partial: int  # bound on |partial sum| of steady and driven part together, once per step

    def __add__(self, other: _Flow) -> _Flow:
        return _Flow(
            self.steady + other.steady, self.driven + other.driven, self.bias + other.bias, self.partial + other.partial
        )

    @property
    def step(self) -> _Interval:
        return self.steady + self.driven

    def bounds(self, node: str) -> tuple[Bound, Bound]:
        """The input of one step with and without biases."""
        low, high = self.step.low, self.step.high
        return Bound(node, low, high), Bound(node, low - self.bias, high - self.bias)


def bounds(graph: IntegerGraph) -> Ranges:
    """Worst-case ranges of ``graph``. Raises ``RangeError`` where a sum may leave 62 bits."""
    flows: dict[str, _Flow] = {}
    accumulators: dict[str, Bound] = {}
    sums: dict[str, Bound] = {}
    membranes: dict[str, Bound] = {}
    magnitudes: dict[str, int] = {}
    factor = coding_factor(graph)
    for node in graph:
        if isinstance(node, InputNode):
            flows[node.name] = _input_flow(node)
            continue
        arriving = _arriving(graph, node, flows)
        if isinstance(node, Population | Readout):
            accumulators[node.name], sums[node.name] = arriving.bounds(node.name)
            membrane = _membrane(graph, node, arriving)
            membranes[node.name] = Bound(node.name, membrane.low, membrane.high)
            charge = (max(graph.emission_steps, factor) + 1) * arriving.partial
            magnitudes[node.name] = charge + membrane.magnitude
            if isinstance(node, Population):
                magnitudes[node.name] += int(node.theta.max())
                flows[node.name] = _spikes(node)
        else:
            flow = flows[node.name] = _through(node, arriving)
            magnitudes[node.name] = factor * flow.partial
            accumulators[node.name], sums[node.name] = flow.bounds(node.name)
    return Ranges(accumulators, sums, membranes, magnitudes)


def _arriving(graph: IntegerGraph, node: Node, flows: Mapping[str, _Flow]) -> _Flow:
    """The sum of what the sources send; branches from one neuron are bounded as one synapse."""
    parts = {name: flows[name] for name in node.sources}
    for names, synapse in merged_branches(graph, node):
        together = _through(synapse, reduce(_Flow.__add__, (flows[source] for source in synapse.sources)))
        apart = sum(parts.pop(name).partial for name in names)
        parts[names[0]] = replace(together, partial=apart)
    return reduce(_Flow.__add__, parts.values())


def coding_factor(graph: IntegerGraph) -> int:
    """Largest value into which the layerwise schedule folds the T emissions of one neuron, per unit of payload."""
    if graph.schedule == "pipelined":
        return 1
    bit_serial = any(p.kind == "bit_serial" for p in graph.populations)
    return 2**graph.timesteps - 1 if bit_serial else graph.timesteps


def _input_flow(node: InputNode) -> _Flow:
    image = _Interval(np.full(node.shape, node.low, np.int64), np.full(node.shape, node.high, np.int64))
    zero = np.zeros(node.shape, np.int64)
    return _Flow(image, _constant(zero), zero, image.magnitude)


def _constant(value: Int64) -> _Interval:
    return _Interval(value, value)


def _spikes(node: Population) -> _Flow:
    low = -1 if node.kind == "signed_if" else 0
    high = node.levels if node.kind == "graded" and node.levels is not None else 1
    zero = np.zeros(node.shape, np.int64)
    return _Flow(_constant(zero), _Interval(zero + low, zero + high), zero, max(-low, high))


def _through(node: Linear, flow: _Flow) -> _Flow:
    steady, steady_partial = _image_of(node, flow.steady)
    driven, driven_partial = _image_of(node, flow.driven)
    passed = _image_of(node, _constant(flow.bias))[0].low
    if not isinstance(node, Convolution | Affine):
        return _Flow(steady, driven, passed, steady_partial + driven_partial)
    column = node.bias.reshape(-1, *[1] * (len(node.output_shape) - 1))
    bias = _constant(np.broadcast_to(column, node.output_shape).astype(np.int64))
    return _Flow(steady + bias, driven, passed + bias.low, steady_partial + driven_partial + bias.magnitude)


def _image_of(node: Linear, interval: _Interval) -> tuple[_Interval, int]:
    """Range of ``node`` (without bias) over all inputs in ``interval``, and the bound on its partial sums.

    With centre c and half-width r of the input, the output ranges over w*c -+ |w|*r; halves are avoided by doubling.
    """
    centre, width = interval.low + interval.high, interval.high - interval.low
    if not centre.any() and not width.any():
        return _constant(np.zeros(node.output_shape, np.int64)), 0
    weight = torch.from_numpy(node.weight) if isinstance(node, Convolution | Affine) else None
    size = None if weight is None else weight.abs()

    def apply(x: Int64, by: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
        return apply_linear(node, torch.from_numpy(x)[None].to(dtype), None if by is None else by.to(dtype))[0]

    doubled = float(apply(np.abs(centre) + width, size, torch.float64).max())
    if doubled >= 2 * _INT64_SAFE:
        raise RangeError(
            f"{node.name}: a sum may reach {doubled / 2:.3g}, beyond 62 bits; use smaller weights or biases"
        )
    dtype = torch.float64 if doubled < _FLOAT64_EXACT else torch.int64
    middle, spread = apply(centre, weight, dtype), apply(width, size, dtype)
    low, high = ((x.to(torch.int64) // 2).numpy() for x in (middle - spread, middle + spread))
    return _Interval(low, high), int(doubled / 2)


def _membrane(graph: IntegerGraph, node: Population | Readout, flow: _Flow) -> _Interval:
    start = _constant(node.v_init)
    if graph.schedule == "layerwise":
        return _received(graph, start, flow)
    steps = graph.timesteps if isinstance(node, Readout) else graph.emission_steps - graph.drain
    currents = [flow.step] * steps + [flow.driven] * graph.drain
    if isinstance(node, Readout):
        return start + reduce(_Interval.__add__, (c.with_zero for c in currents))
    if node.rho is None:
        return _charged(node, start, currents, graph.timesteps)
    first = _charged(node, start, currents[: node.rho], graph.timesteps)
    down = np.maximum(node.theta, first.high - node.theta + 1)
    up = np.maximum(node.theta, node.theta - np.minimum(first.low, node.theta - 1))
    second = _charged(node, _Interval(start.low - down, start.high + up), currents, graph.timesteps)
    return first.union(second)


def _received(graph: IntegerGraph, start: _Interval, flow: _Flow) -> _Interval:
    """Layerwise: everything arrives before the first emission; zero stays in reach while a neuron fires itself down."""
    if any(p.kind == "bit_serial" for p in graph.populations):
        driven = flow.driven.scaled(coding_factor(graph))  # shifted in before v_init and the constant part are added
        return (start + flow.steady + driven).union(driven).with_zero
    return (start + flow.step.with_zero.scaled(graph.timesteps)).with_zero


def _charged(node: Population, start: _Interval, currents: list[_Interval], timesteps: int) -> _Interval:
    """Interval iteration of m = v + z over the steps; returns the range of all m."""
    theta = node.theta
    v, seen = start, None
    for step, current in enumerate(currents):
        m = v + current
        seen = m if seen is None else seen.union(m)
        fired = m.high >= theta
        # A neuron that did not fire is below theta, unless it is signed and has no spikes left (drain only).
        silent_high = m.high if step >= timesteps and node.kind == "signed_if" else np.minimum(m.high, theta - 1)
        silent = m.low < theta if silent_high is not m.high else np.ones_like(fired)
        low = np.where(silent, m.low, m.low - theta)
        high = np.where(silent, silent_high, m.high - theta)
        low = np.where(fired, np.minimum(low, np.maximum(m.low, theta) - theta), low)
        high = np.where(fired, np.maximum(high, m.high - theta), high)
        if node.kind == "signed_if":
            negative = np.int64(1) if node.theta_neg is None else node.theta_neg
            high = np.where(m.low <= -negative, np.maximum(high, np.minimum(m.high, -negative) + theta), high)
        v = _Interval(low.astype(np.int64), high.astype(np.int64))
    assert seen is not None  # a graph has at least one step
    return seen
