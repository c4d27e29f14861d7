"""Sequences, leaky neurons, feedback and leaky readouts in Lava, against the golden model and plain loops."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.sequences import random_sequence_graph, sequence_oracle
from helpers.thorough import every_second

import spikec as tc
from spikec.errors import DataError
from spikec.ir import Affine, Delayed, IntegerGraph, Population, Readout, build
from spikec.ir.coding import InputNode
from spikec.ir.kinds import IF, CubaLIF

pytestmark = pytest.mark.lava

#: Random networks, by seed; a start of Lava takes seconds, so all sequences of a network go through one.
NETWORKS = range(12)
SEQUENCES = 5
KINDS = [("cuba_lif",), ("cuba_lif", "if"), ("if", "signed_if", "cuba_lif")]


def uniform(node, rng):
    """A leaky population as Lava's own LIF can be one; others as they are."""
    if not isinstance(node, Population) or not isinstance(node.neuron, CubaLIF):
        return node
    bias = (rng.integers(-4096, 4096, node.shape) // int(rng.choice([1, 300]))) << rng.integers(0, 3, node.shape)
    du, dv, theta = (np.full(node.shape, x.flat[0]) for x in (node.neuron.du, node.neuron.dv, node.theta))
    return replace(node, neuron=CubaLIF(du, dv, bias), theta=theta, v_init=np.zeros_like(node.v_init))


def network(seed, *, delays=True):
    """A random graph, perhaps with inputs that come late, its sequences and options of the target."""
    rng = np.random.default_rng(seed)
    kinds, extreme = KINDS[seed % 3], seed % 4 > 1
    graph = random_sequence_graph(
        rng, feedback=seed % 5 < 4, kinds=kinds, extreme=extreme, image=seed % 6 == 5, delays=delays
    )
    nodes = {name: uniform(n, rng) if seed % 2 or rng.random() < 0.5 else n for name, n in graph.nodes.items()}
    for node in graph.populations:  # or most would never fire
        nodes[node.name] = replace(nodes[node.name], theta=nodes[node.name].theta // int(rng.choice([1, 20])) + 1)
    # The oracle bounds signed neurons by the length of each sequence, the golden model by that of the longest.
    lengths = [int(rng.integers(1, 12))] * SEQUENCES if "signed_if" in kinds else rng.integers(1, 12, SEQUENCES)
    size = 128 if extreme else 4
    sequences = [rng.integers(-size, size, (steps, *graph.input.shape)) for steps in lengths]
    return replace(graph, nodes=nodes), sequences, {"stock": seed % 4 == 0}


def equal_everywhere(graph, sequences, trace, *, unseen=()):
    """The trace is that of the golden model and of the loops, in everything both have."""
    golden = tc.simulate(graph, sequences, record="spikes", measure=True)
    assert tc.compare(golden, trace) is None
    loops = sequence_oracle(graph, sequences)
    for name, spikes in loops.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], spikes, err_msg=name)
        np.testing.assert_array_equal(trace.counts[name], loops.counts[name])
        np.testing.assert_array_equal(trace.events[name], loops.events[name])
    np.testing.assert_array_equal(trace.output, loops.output)
    np.testing.assert_array_equal(trace.output_curve, loops.curve)
    assert trace.membrane == {name: seen for name, seen in golden.membrane.items() if name not in unseen}
    np.testing.assert_array_equal(trace.input_events, golden.input_events)
    assert trace.timesteps == golden.timesteps == max(map(len, sequences))
    assert (trace.steps is None) == (golden.steps is None)
    if trace.steps is not None:
        assert trace.steps.tolist() == list(map(len, sequences))


@pytest.mark.parametrize("seed", every_second(NETWORKS))
def test_random_networks(lava, seed):
    graph, sequences, options = network(seed)
    program = lava.compile(graph, **options)
    trace = program.run(sequences, record="spikes")
    equal_everywhere(graph, sequences, trace, unseen=program.stock)


def test_the_random_networks_have_it_all(lava):
    """Lava's own neurons and ours, with feedback and without; logical steps of one Lava step and of two; lengths."""
    seen, fired = set(), []
    for seed in NETWORKS:
        graph, sequences, options = network(seed)
        program = lava.compile(graph, **options)
        seen |= {("pace", program.plan.pace), ("lengths", len(set(map(len, sequences))) > 1)}
        seen |= {("stock", node.name in program.stock) for node in graph.populations if node.neuron.name == "cuba_lif"}
        seen |= {("stock, fed back", before.of in program.stock) for before in graph.delayed}
        fired += [bool(counts.any()) for counts in tc.simulate(graph, sequences).counts.values()]
        seen |= {(process.process, True) for process in program.plan.processes}
    expected = {(name, found) for name in ("lengths", "stock", "stock, fed back") for found in (False, True)}
    expected |= {("pace", 1), ("pace", 2)}
    for name in ("LIFReset", "CubaLIF", "CurrentSource", "FrameSource", "Delayed", "LeakyIntegrator", "Integrator"):
        expected.add((name, True))
    assert expected <= seen, expected - seen
    assert np.mean(fired) > 0.7


def layer(*, direct=False, bias=0, back=1, neuron=None):
    """Two neurons that excite themselves, through a synapse or directly."""
    two, ones = (2,), np.ones(2, int)
    before = Delayed.named("lif", two)
    neuron = neuron or CubaLIF(np.full(2, 4095), np.zeros(2, int), np.full(2, bias))
    nodes = [
        InputNode("input", two, "int8", 1.0, encoding="sequence"),
        before,
        Affine("w", ("input",), two, two, np.eye(2, dtype=int), np.zeros(2, int)),
        Affine("r", (before.name,), two, two, back * np.eye(2, dtype=int), np.zeros(2, int)),
        Population("lif", ("w", before.name if direct else "r"), two, neuron, ones, np.zeros(2, int)),
        Affine("out", ("lif",), two, two, np.eye(2, dtype=int), np.zeros(2, int)),
        Readout("readout", ("out",), two, np.zeros(2, int), 1.0),
    ]
    return IntegerGraph({n.name: n for n in nodes if not (direct and n.name == "r")}, 1, "pipelined")


@pytest.mark.parametrize("bias", [0, 64 * 2])
@pytest.mark.parametrize("steps", [1, 2])
def test_many_short_sequences_share_nothing(lava, steps, bias):
    """The last spike of a sequence would make the next one fire; so would the bias of a neuron that is never silent."""
    graph = layer(bias=bias, back=2)
    rng = np.random.default_rng(steps)
    sequences = list(rng.integers(0, 3, (30, steps, 2)))
    program = lava.compile(graph)
    assert program.stock == {"lif"}
    trace = program.run(sequences, record="spikes")
    equal_everywhere(graph, sequences, trace, unseen=program.stock)
    assert trace.counts["lif"].any()


def test_feedback_without_a_synapse(lava):
    """It is one Lava step early, so a relay waits on the cycle."""
    for neuron in (None, IF(spikes=3)):
        graph = layer(direct=True, neuron=neuron)
        sequences = list(np.random.default_rng(1).integers(-1, 3, (8, 6, 2)))
        program = lava.compile(graph, neuron="soft_reset")
        assert [p.parameters["delay"] for p in program.plan.processes if p.process == "Relay"] == [1]
        equal_everywhere(graph, sequences, program.run(sequences, record="spikes"))


def test_floating_point_models(lava):
    graph, sequences, _ = network(2)
    program = lava.compile(graph, precision="floating_pt")
    assert not program.stock
    equal_everywhere(graph, sequences, program.run(sequences, record="spikes"))


def test_lavas_other_neuron_with_sequences(lava):
    """ATRLIF takes one sequence at a time, and its spikes can be fed back."""
    graph = layer(neuron=IF(), back=1)
    nodes = dict(graph.nodes)
    nodes["lif"] = replace(nodes["lif"], theta=np.full(2, 4))
    graph = replace(graph, nodes=nodes)
    program = lava.compile(graph, neuron="atrlif")
    assert program.stock == {"lif"}
    sequences = list(np.random.default_rng(3).integers(0, 4, (4, 7, 2)))
    equal_everywhere(graph, sequences, program.run(sequences, record="spikes"), unseen=program.stock)


@pytest.mark.parametrize("coding", ["current", "graded"])
def test_a_constant_image_with_feedback(lava, coding):
    """Leaky and recurrent neurons behind an image that stays the same."""
    graph, _, _ = network(1, delays=False)
    nodes = {name: replace(n, encoding="constant") if name == "input" else n for name, n in graph.nodes.items()}
    graph = replace(graph, nodes=nodes, timesteps=6)
    assert graph.delayed
    images = np.random.default_rng(4).integers(-4, 4, (4, *graph.input.shape))
    trace = lava.compile(graph, input=coding).run(images * 1.0, record="spikes")
    repeated = [np.repeat(image[None], 6, axis=0) for image in images]
    loops = sequence_oracle(graph, repeated)
    for name, spikes in loops.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], spikes, err_msg=name)
    np.testing.assert_array_equal(trace.output_curve, loops.curve)


def test_crosscheck_takes_sequences(lava):
    graph, sequences, _ = network(0)
    found = tc.crosscheck(build(graph), "lava", sequences, options={"chunk": 3, "workers": 2})
    assert found.identical
    assert found.timesteps == max(map(len, sequences))
    assert found.compared == ("spikes", "counts", "events", "curve", "output")


def test_what_is_no_sequence_is_refused(lava):
    program = lava.compile(layer())
    with pytest.raises(DataError, match="the network takes"):
        program.run(np.zeros((2, 3)))
    with pytest.raises(DataError, match="no steps"):
        program.run([np.zeros((0, 2))])
    with pytest.raises(DataError, match="finite"):
        program.run(np.full((1, 2, 2), np.inf))


@pytest.mark.parametrize(("far", "pace"), [("b", 2), ("a", 1)])
def test_delays_of_each_neuron(far, pace):
    """The input late by different steps, and a layer on a cycle, of one synapse (Lava's own neurons) or of two."""
    rng = np.random.default_rng(8)
    shape, at = (3,), np.full(3, 2)
    ahead, back = Delayed.named("input", shape, (0, 4, 1)), Delayed.named(far, shape, (2, 1, 5))

    def synapse(name, *sources, out=3):
        return Affine(name, sources, shape, (out,), rng.integers(-2, 4, (out, 3)), np.zeros(out, int))

    def neurons(name, *sources):
        return Population(
            name, sources, shape, CubaLIF(np.full(3, 4095), np.full(3, 300), np.zeros(3, int)), at, 0 * at
        )

    nodes = (
        InputNode("input", shape, "uint8", 1.0, encoding="sequence"), ahead, back,
        synapse("w", ahead.name), synapse("r", back.name), neurons("a", "w", "r"), synapse("v", "a"), neurons("b", "v"),
        synapse("out", "b", out=2), Readout("readout", ("out",), (2,), np.zeros(2, int), 1.0),
    )  # fmt: skip
    graph = IntegerGraph({node.name: node for node in nodes}, 1, "pipelined")
    sequences = [rng.integers(0, 4, (steps, 3)) for steps in (9, 1, 4, 12)]
    program = tc.compile(build(graph), target="lava")
    assert (program.plan.pace, program.stock) == (pace, {"a", "b"} if pace == 1 else set())
    equal_everywhere(graph, sequences, program.run(sequences, record="spikes"), unseen=program.stock)
