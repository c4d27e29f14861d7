"""Sequences, leaky neurons and feedback in the golden model, against plain loops over Python integers."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.sequences import random_sequence_graph, sequence_oracle
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.analysis.ranges import bounds
from spikec.errors import DataError, DoesNotFit, GraphError
from spikec.ir import Affine, Delayed, IntegerGraph, Population, Readout, build, decode, diff
from spikec.ir.coding import InputNode
from spikec.ir.kinds import IF, CubaLIF, Maximum
from spikec.ir.leak import Leak
from spikec.ir.operations import Flatten, MaxPool
from spikec.targets.netx import write as write_netx
from spikec.targets.sanafe.export import export


def frames(rng, graph, lengths, extreme=False):
    size = 128 if extreme else 4
    return [rng.integers(-size, size, (steps, *graph.input.shape)) for steps in lengths]


@given(
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([("cuba_lif",), ("cuba_lif", "if"), ("if", "signed_if", "cuba_lif")]),
)
@settings(max_examples=drawn(40), deadline=None)
def test_equals_the_oracle(seed, extreme, feedback, image, kinds):
    rng = np.random.default_rng(seed)
    graph = random_sequence_graph(rng, feedback=feedback, kinds=kinds, extreme=extreme, image=image)
    lengths = [int(rng.integers(1, 12))] * 3 if "signed_if" in kinds else rng.integers(1, 12, 3)
    sequences = frames(rng, graph, lengths, extreme)
    trace = tc.simulate(graph, sequences, record="spikes", measure=True)
    expected = sequence_oracle(graph, sequences)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(trace.spikes[name], spikes, err_msg=name)
        np.testing.assert_array_equal(trace.counts[name], expected.counts[name])
        np.testing.assert_array_equal(trace.events[name], expected.events[name])
    np.testing.assert_array_equal(trace.output, expected.output)
    np.testing.assert_array_equal(trace.output_curve, expected.curve)
    ranges = bounds(graph.lasting(max(map(len, sequences)))).membranes
    for name, seen in expected.membranes.items():
        if len(set(map(len, sequences))) == 1:
            assert trace.membrane[name] == (seen.min(), seen.max())
        assert (ranges[name].lowest <= seen.min(0)).all()
        assert (seen.max(0) <= ranges[name].highest).all()


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=drawn(40), deadline=None)
def test_a_file_holds_the_whole_graph(tmp_path_factory, seed, image):
    rng = np.random.default_rng(seed)
    graph = random_sequence_graph(rng, kinds=("cuba_lif", "if"), image=image)
    path = tmp_path_factory.mktemp("files") / "net.nir"
    tc.save(build(graph), path)
    again = decode(tc.load(path))
    assert diff(graph, again) == []
    assert [(n.name, n.sources) for n in again if isinstance(n, Delayed)] == [
        (n.name, n.sources) for n in graph if isinstance(n, Delayed)
    ]
    sequences = frames(rng, graph, [7, 7])
    first, second = (tc.simulate(g, sequences, record="spikes") for g in (graph, again))
    assert tc.compare(first, second) is None
    np.testing.assert_array_equal(first.output_curve, second.output_curve)


def one_neuron(**fields):
    """A graph of one neuron behind a weight of 1, read out by its spikes."""
    size = {"input_shape": (1,), "output_shape": (1,), "weight": np.ones((1, 1), int), "bias": np.zeros(1, int)}
    neuron = CubaLIF(**{name: np.array([value]) if name != "subtract" else value for name, value in fields.items()})
    nodes = {
        "input": InputNode("input", (1,), "int8", 1.0, encoding="sequence"),
        "w": Affine("w", ("input",), **size),
        "lif": Population("lif", ("w",), (1,), neuron, np.array([2]), np.zeros(1, int)),
        "copy": Affine("copy", ("lif",), **size),
        "readout": Readout("readout", ("copy",), (1,), np.zeros(1, int), 1.0),
    }
    return IntegerGraph(nodes, 1, "pipelined")


def spikes_of(graph, values):
    return tc.simulate(graph, np.array(values)[None, :, None], record="spikes").spikes["lif"][0, :, 0].tolist()


def test_fires_strictly_above_the_threshold_and_resets_to_zero():
    assert spikes_of(one_neuron(), [2, 0, 1, 0]) == [0, 0, 1, 0]
    assert spikes_of(one_neuron(), [100, 0, 0]) == [1, 0, 0]
    assert spikes_of(one_neuron(subtract=1), [100, 0, 0]) == [1, 1, 1]


def test_rounds_towards_zero():
    halved = one_neuron(dv=2048, bias=0)
    trace = tc.simulate(halved, np.array([-1, 0, 0, 0, 0, 0, 0, 0])[None, :, None], measure=True)
    assert trace.membrane["lif"] == (-64, 0)  # -64, -32, ..., -1, 0: never stuck at -1


def test_readout_of_spikes_and_lengths():
    graph = one_neuron()
    trace = tc.simulate(graph, [np.full((5, 1), 3), np.full((2, 1), 3), np.zeros((4, 1))], record="spikes")
    assert trace.output[:, 0].tolist() == [5, 2, 0]
    assert trace.steps.tolist() == [5, 2, 4]
    assert trace.spikes["lif"][1, :, 0].tolist() == [1, 1, 0, 0, 0]
    assert trace.timesteps == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((2, 3)), "the network takes"),
        (np.zeros((0, 3, 1)), "no sequences"),
        ([np.zeros((0, 1))], "no steps"),
        ([np.zeros((3, 2))], "the network takes"),
        (np.array([[["a"]]]), "not arrays of numbers"),
        (iter([np.zeros((1, 3, 1))]), "iterator"),
        (np.full((1, 2, 1), np.nan), "finite"),
    ],
)
def test_refuses_what_is_no_sequence(given, words):
    with pytest.raises(DataError, match=words):
        tc.simulate(one_neuron(), given)


def test_refuses_early_exit():
    with pytest.raises(DataError, match="early_exit"):
        tc.simulate(one_neuron(), np.zeros((1, 2, 1)), early_exit="margin")


def test_a_max_pool_cannot_lie_on_a_cycle():
    shape = (1, 2, 2)
    before = Delayed.named("pooled", shape)
    nodes = {
        "input": InputNode("input", shape, "int8", 1.0, encoding="sequence"),
        before.name: before,
        "neurons": Population(
            "neurons", ("input", before.name), shape, IF(), np.ones(shape, int), np.zeros(shape, int)
        ),
        "pool": MaxPool("pool", ("neurons",), shape, shape, (1, 1), (1, 1), (0, 0), (1, 1)),
        "pooled": Population("pooled", ("pool",), shape, Maximum(IF()), np.ones(shape, int), np.zeros(shape, int)),
        "flat": Flatten("flat", ("pooled",), shape, (4,)),
        "out": Affine("out", ("flat",), (4,), (1,), np.ones((1, 4), int), np.zeros(1, int)),
        "readout": Readout("readout", ("out",), (1,), np.zeros(1, int), 1.0),
    }
    with pytest.raises(GraphError, match="cannot lie on a cycle"):
        tc.simulate(IntegerGraph(nodes, 1, "pipelined"), np.zeros((1, 2, *shape)))


def test_refused_elsewhere_in_a_sentence(tmp_path):
    graph = one_neuron()
    frames = np.ones((1, 4, 1))
    with pytest.raises(GraphError, match="images that stay the same"):
        tc.portable(replace(graph, nodes={**graph.nodes, "lif": replace(graph.nodes["lif"], neuron=IF())}))
    with pytest.raises(GraphError, match="a quantised network has no time"):
        tc.certify(graph, frames)
    with pytest.raises(DoesNotFit, match="runs on sequences: write_stock"):
        write_netx(graph, tmp_path / "net.hdf5")
    placed = tc.place(graph, target="loihi1")
    with pytest.raises(DoesNotFit, match="SANA-FE replays one image"):
        export(graph, placed, tc.simulate(graph, frames, record="spikes"), tmp_path)


def test_leaks_of_readouts_are_not_mistaken_for_each_other():
    """The last model is kept; two graphs that differ in the leak of a large readout alone are two models."""
    size, found = 1200, []
    for bias in (0, 64):
        graph = one_neuron()
        leak = Leak(np.full(size, 4095), np.zeros(size, int), np.where(np.arange(size) == 600, bias, 0))
        copy = replace(
            graph.nodes["copy"], output_shape=(size,), weight=np.ones((size, 1), int), bias=np.zeros(size, int)
        )
        readout = replace(graph.nodes["readout"], shape=(size,), v_init=np.zeros(size, int), leak=leak)
        nodes = {**graph.nodes, "copy": copy, "readout": readout}
        found.append(tc.simulate(replace(graph, nodes=nodes), np.zeros((1, 2, 1))).output[0, 600])
    assert found == [0, 128]


def test_membranes_of_every_step():
    graph = one_neuron(dv=2048)
    trace = tc.simulate(graph, [np.array([[1], [1], [1]]), np.array([[1]])], record="membranes")
    assert trace.membranes["lif"][:, :, 0].tolist() == [[64, 96, 112], [64, 0, 0]]
    assert trace.membranes["readout"].shape == (2, 3, 1)
    layerwise = replace(graph, schedule="layerwise")
    with pytest.raises((DataError, GraphError)):
        tc.simulate(layerwise, np.ones((1, 2, 1)), record="membranes")


def test_events_behind_delays_are_counted_where_they_are_sent():
    """Also those that arrive after the end of their sequence, which no neuron sees any more: the synapse has worked."""
    rng = np.random.default_rng(3)
    shape, delays = (4,), (0, 2, 9, 1)
    late, plain = Delayed.named("input", shape, delays), Delayed.named("lif", shape, 3)

    def synapse(name, source, out):
        return Affine(name, (source,), shape, (out,), rng.integers(-3, 4, (out, 4)), np.zeros(out, int))

    lif = Population("lif", ("w",), shape, IF(), np.full(shape, 3), np.zeros(shape, int))
    nodes = (
        InputNode("input", shape, "uint8", 1.0, encoding="sequence"), late, synapse("w", late.name, 4), lif, plain,
        synapse("out", plain.name, 2), Readout("readout", ("out",), (2,), np.zeros(2, int), 1.0),
    )  # fmt: skip
    graph = IntegerGraph({node.name: node for node in nodes}, 1, "pipelined")
    graph = decode(build(graph))
    sequences = [rng.integers(0, 4, (steps, 4)) for steps in (1, 5, 7)]
    trace = tc.simulate(graph, sequences, record="spikes")
    counts = tc.estimate(graph, trace, profile="loihi2").counts
    given_events = sum(int((frames != 0).sum()) for frames in sequences)
    sent = sum(int(raster.sum()) for raster in sequence_oracle(graph, sequences).spikes["lif"])
    assert sent > 0
    for name, events, fan_out in (("w", given_events, 4), ("out", sent, 2)):
        synops = counts.synapses[name]
        assert (synops.events, synops.synops) == (events, events * fan_out)
    arrived = [sum(int((f[: max(len(f) - d, 0), i] != 0).sum()) for i, d in enumerate(delays)) for f in sequences]
    assert sum(arrived) < given_events


def test_events_through_feedback_are_counted():
    """A spike that goes back reaches as many synapses as the recurrent weights have."""
    rng = np.random.default_rng(0)
    graph = random_sequence_graph(rng, feedback=True)
    while not graph.delayed:
        graph = random_sequence_graph(rng, feedback=True)
    trace = tc.simulate(graph, frames(rng, graph, [9, 4]))
    counts = tc.estimate(graph, trace, profile="loihi2").counts
    for name, synapse in counts.synapses.items():
        node = graph.nodes[name]
        (source,) = node.sources
        events = trace.events.get(source.removesuffix(":before"))
        if events is not None:
            assert synapse.synops == int(events.sum()) * node.weight.shape[0]
    assert counts.populations["lif0"].updates == graph.nodes["lif0"].theta.size * 13


def test_the_time_is_that_of_the_longest_sequence():
    graph = one_neuron(dv=2048)
    for lengths in ((2, 8), (8, 8)):
        trace = tc.simulate(graph, [np.ones((steps, 1), int) for steps in lengths])
        found = tc.estimate(graph, trace, profile="loihi2", step_seconds=1e-5)
        assert found.inference_seconds.p50 == pytest.approx(8e-5)
