"""Registers that saturate, wrap or refuse, against plain loops over integers of any size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.cases import PIPELINED, drain_of, kind_cases, neuron, steps_of
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.analysis.formats import load_format
from spikec.errors import DataError, RangeError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.operations import Affine
from spikec.simulation import compare, simulate
from spikec.simulation.engines.counts_by_step import CountsByStep
from spikec.simulation.engines.general import Network
from spikec.simulation.golden import GoldenModel
from spikec.simulation.registers import Register, Registers


def _form(accumulator, membrane, **fields):
    return replace(load_format("generic24"), accumulator_max=accumulator, membrane_max=membrane, **fields)


def _dense_graph(rng, kind, schedule, timesteps, drain):
    """input -> a; a and the image through a chain -> b (several synapses meet) -> readout with a skip from a."""
    n, classes = 3, 2

    def affine(name, source, outputs, weight=40):
        shape = nodes[source].output_shape
        weights = rng.integers(-weight, weight + 1, (outputs, *shape))
        nodes[name] = Affine(name, (source,), shape, (outputs,), weights, rng.integers(-60, 61, outputs))

    def population(name, *sources):
        theta = rng.integers(1, 400, n)
        start = theta // 2 + rng.integers(-50, 50, n)
        fields = {"signed_if": lambda: {"theta_neg": rng.integers(1, 30, n)}, "graded": lambda: {"levels": 3}}
        nodes[name] = Population(name, sources, (n,), neuron(kind, **fields.get(kind, dict)()), theta, start)

    nodes = {"input": InputNode("input", (4,), "int8", 1.0)}
    affine("first", "input", n, 9)
    population("a", "first")
    affine("fed", "a", n)
    affine("straight", "input", n, 4)
    affine("chained", "straight", n, 4)
    population("b", "fed", "chained")
    affine("out", "b", classes)
    affine("skip", "a", classes)
    nodes["readout"] = Readout("readout", ("out", "skip"), (classes,), rng.integers(-20, 20, classes), 1.0)
    return IntegerGraph(nodes, timesteps, schedule, drain)


class _Target:
    """One image on a machine of registers; ``hold`` maps a number to what a register keeps of it."""

    def __init__(self, graph, image, accumulator, membrane):
        self.graph, self.image, self.accumulator, self.membrane = graph, image, accumulator, membrane
        self.trains, self.curve = {}, []
        self.serial = any(p.neuron.name == "bit_serial" for p in graph.populations)
        for node in graph:
            if isinstance(node, Population | Readout):
                self._neurons(node)

    def _sums(self, name, step, image, spikes, bias):
        """What a node sends at a step: sums through accumulators, or biases alone, which never meet one."""
        node = self.graph.nodes[name]
        if isinstance(node, InputNode):
            return self.image if image else 0 * self.image
        if isinstance(node, Population):
            return self.trains[name][step] if spikes else 0 * node.theta
        x = sum(self._sums(source, step, image, spikes, bias) for source in node.sources)
        if bias:
            return node.weight @ x + node.bias
        return self._through(self.accumulator, node.weight @ x)

    @staticmethod
    def _through(hold, values):
        return np.array([hold(int(v)) for v in values], np.int64)

    def _arriving(self, node, step, image, spikes):
        parts = [self._sums(source, step, image, spikes, bias=False) for source in node.sources]
        return self._through(self.accumulator, sum(parts)) if len(parts) > 1 else parts[0]

    def _neurons(self, node):
        graph, timesteps = self.graph, self.graph.timesteps
        bias = sum(self._sums(source, 0, image=False, spikes=False, bias=True) for source in node.sources)
        v = node.v_init.copy()
        if graph.schedule == "pipelined":
            self._run(node, v, [(self._arriving(node, t, t < timesteps, True), bias * (t < timesteps))
                                for t in range(timesteps + graph.drain)])  # fmt: skip
            return
        if self.serial:
            v = 0 * v
            for t in range(timesteps):
                last = t == timesteps - 1
                constant = self._arriving(node, t, image=True, spikes=False) + bias + node.v_init if last else 0
                v = self._through(self.membrane, 2 * v + self._arriving(node, t, image=False, spikes=True) + constant)
        else:
            for t in range(timesteps):
                v = self._through(self.membrane, v + self._arriving(node, t, True, True) + bias)
        if isinstance(node, Readout):
            self.curve.append(v)
        elif node.neuron.name == "graded":
            self.trains[node.name] = [np.clip(v // node.theta, 0, node.neuron.levels)]
        else:
            weights = [2 ** (timesteps - 1 - t) if self.serial else 1 for t in range(timesteps)]
            self._run(node, v, [(0, 0)] * timesteps, weights)

    def _run(self, node, v, currents, weights=None):
        train, count = [], 0 * v
        for t, (z, bias) in enumerate(currents):
            v = self._through(self.membrane, v + z + bias)
            if isinstance(node, Readout):
                self.curve.append(v.copy())
                continue
            theta = node.theta * (weights[t] if weights else 1)
            s = (v >= theta).astype(np.int64)
            if node.neuron.name == "signed_if":
                s = s * (count < self.graph.timesteps) - ((v <= -node.neuron.theta_neg) & (count > 0))
            v, count = v - s * theta, count + s
            train.append(s)
        self.trains[node.name] = train


def _wrap(maximum):
    def hold(value):
        while value > maximum:
            value -= 2 * (maximum + 1)
        while value < -maximum - 1:
            value += 2 * (maximum + 1)
        return value

    return hold


def _saturate(maximum):
    return lambda value: max(-maximum, min(maximum, value))


_HOLD = {"wrap": _wrap, "saturate": _saturate}
#: Leaky neurons have registers of their own, whatever the format.
_CASES = kind_cases(drain=2, without=("calibrated_if", "cuba_lif"))


@pytest.mark.parametrize(("kind", "schedule", "drain"), _CASES)
@settings(max_examples=drawn(20), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    accumulator=st.integers(15, 2000),
    membrane=st.integers(500, 3000),
    modes=st.tuples(st.sampled_from(["wrap", "saturate"]), st.sampled_from(["wrap", "saturate"])),
)
def test_registers_equal_plain_loops(kind, schedule, drain, seed, accumulator, membrane, modes):
    rng = np.random.default_rng(seed)
    timesteps = steps_of(kind, 4)
    graph = _dense_graph(rng, kind, schedule, timesteps, drain)
    images = rng.integers(-128, 128, (3, 4))
    form = _form(accumulator, membrane, accumulator_overflow=modes[0], membrane_overflow=modes[1])
    trace = simulate(graph, images * 1.0, overflow="format", format=form, record="spikes")
    if modes[0] == modes[1]:
        assert compare(trace, simulate(graph, images * 1.0, overflow=modes[0], format=form, record="spikes")) is None
    for i, image in enumerate(images):
        expected = _Target(graph, image, _HOLD[modes[0]](accumulator), _HOLD[modes[1]](membrane))
        for p in graph.populations:
            np.testing.assert_array_equal(trace.spikes[p.name][i], expected.trains[p.name], p.name)
        np.testing.assert_array_equal(trace.output[i], expected.curve[-1])
        if schedule == "pipelined":
            np.testing.assert_array_equal(trace.output_curve[i], expected.curve)


@pytest.mark.parametrize("overflow", ["strict", "saturate", "wrap", "format"])
@pytest.mark.parametrize("kind", PIPELINED)
def test_wide_registers_change_nothing(random_graph, random_images, kind, overflow):
    rng = np.random.default_rng(4)
    graph = random_graph(rng, kind=kind, drain=drain_of(kind, 2), small=False)
    images = random_images(rng, graph, 3) * graph.input.scale
    exact = simulate(graph, images, record="spikes")
    assert compare(exact, simulate(graph, images, record="spikes", overflow=overflow, measure=True)) is None


def test_what_is_proven_to_fit_takes_the_fast_path(one_layer):
    graph = one_layer(weight=[[100]], bias=[0], theta=50)
    assert isinstance(
        GoldenModel(graph, registers=Registers(Register(), Register(beyond="wrap"), True)).engine, CountsByStep
    )
    narrow = Register(25499, "wrap")  # 100 * 255 is one more
    assert isinstance(GoldenModel(graph, registers=Registers(narrow, Register(beyond="wrap"), True)).engine, Network)
    assert isinstance(GoldenModel(graph, registers=Registers(Register(), Register(100))).engine, Network)


def test_strict_looks_at_accumulators_too(one_layer):
    """The bias brings the membrane back into 24 bits; the sum before it is out of range."""
    graph = one_layer(weight=[[1], [32897]], bias=[0, -9000], theta=2**22, timesteps=1, v_init=0)
    images = np.array([[1.0], [255.0]])
    with pytest.raises(
        RangeError, match=r"^dense: the accumulator of neuron \[1\] reaches 8388735 on image 1, beyond 24 bits \["
    ):
        simulate(graph, images, overflow="strict")
    assert simulate(graph, images).overflows == {"neurons": 0, "readout": 0}
    wrapped = simulate(graph, images, overflow="wrap")
    assert wrapped.overflows["dense: accumulator"] == 1
    assert wrapped.membrane["neurons"][0] < -(2**22)  # -8388481 - 9000
    assert "dense: accumulator" not in wrapped.membrane


def test_strict_knows_the_width_of_a_format(one_layer):
    graph = one_layer(weight=[[-100]], bias=[0], theta=10, timesteps=6)
    image = np.array([[255.0]])
    assert simulate(graph, image, strict=True).overflows["neurons"] == 0
    with pytest.raises(
        RangeError, match=r"^neurons: the membrane .* reaches -152995 .* beyond 18 bits \[-131072, 131071\]"
    ):
        simulate(graph, image, overflow="strict", format="loihi1")
    assert simulate(graph, image, format="loihi1").overflows["neurons"] == 1
    lowered = replace(graph, format="loihi1")  # the format of the file is the default
    assert simulate(lowered, image, overflow="format").membrane["neurons"][0] == -152995
    assert simulate(lowered, image, overflow="format").overflows["neurons"] == 1


def test_options_are_checked(one_layer):
    graph = one_layer(weight=[[1]], bias=[0], theta=1)
    with pytest.raises(
        DataError, match="overflow='clip' is not known; use one of exact, strict, saturate, wrap, format"
    ):
        simulate(graph, np.ones((1, 1)), overflow="clip")
    with pytest.raises(DataError, match="strict=True contradicts overflow='wrap'; give only one of them"):
        simulate(graph, np.ones((1, 1)), overflow="wrap", strict=True)


def test_without_being_asked_overflows_are_those_of_the_format_it_was_lowered_for(one_layer):
    """70,000 per step, never fires: 24 bits hold two steps, Loihi 1's 131,071 the first alone."""
    graph = one_layer(weight=[[-35_000]], bias=[0], theta=4, kind="if", timesteps=2, schedule="pipelined")
    image = np.array([[2]]) * graph.input.scale
    assert simulate(graph, image).overflows["neurons"] == 0
    lowered = replace(graph, format="loihi1")
    assert simulate(lowered, image).overflows["neurons"] == 1
    assert simulate(lowered, image, format="generic24").overflows["neurons"] == 0
    assert simulate(replace(graph, format="of-somebody-else"), image).overflows["neurons"] == 0
