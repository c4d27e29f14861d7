"""Several outputs, of any shape: the golden model against the oracle, files, and what a trace says of them."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from helpers.cases import CASES, steps_of
from helpers.drawn import drawn
from helpers.graphs import random_images, random_outputs
from helpers.networks import digits_network, small_network
from helpers.oracle import oracle
from helpers.same import same
from helpers.traces import equals_loops
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.evidence.certificate import quantised_network
from spikec.ir import build, decode
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF
from spikec.ir.operations import Affine, Convolution, Flatten
from spikec.ir.profile.diff import diff
from spikec.ir.profile.listing import text as listing
from spikec.simulation import GoldenModel, simulate
from spikec.simulation.engines import counts_by_layer as layers


@pytest.mark.parametrize(("kind", "schedule", "drain"), CASES)
@settings(max_examples=drawn(6), deadline=None)
@given(seed=st.integers(0, 2**32), timesteps=st.integers(1, 5), maxima=st.booleans())
def test_equal_the_oracle(kind, schedule, drain, seed, timesteps, maxima):
    rng = np.random.default_rng(seed)
    steps = steps_of(kind, timesteps)
    graph = random_outputs(rng, kind=kind, schedule=schedule, timesteps=steps, drain=drain, maxima=maxima)
    integers = random_images(rng, graph, 2)
    expected = oracle(graph, integers)
    few, cached = layers._FEW, layers._CACHED
    # Layer after layer, for all images and for each; step by step; the general path.
    for measure, values in ((False, (few, cached)), (False, (few, 1)), (False, (0, cached)), (True, (0, cached))):
        with mock.patch.multiple(layers, _FEW=values[0], _CACHED=values[1]):
            model = GoldenModel(graph, measure=measure)
        trace = model.run(integers * graph.input.scale, record="spikes", batch=2)
        equals_loops(trace, graph, expected)


@settings(max_examples=drawn(20), deadline=None)
@given(seed=st.integers(0, 2**32), maxima=st.booleans())
def test_files_keep_names_order_and_shapes(tmp_path_factory, seed, maxima):
    rng = np.random.default_rng(seed)
    graph = random_outputs(rng, maxima=maxima)
    path = tc.save(build(graph), tmp_path_factory.mktemp("outputs") / "net.nir")
    loaded = tc.load(path)
    found = decode(loaded)
    assert list(found.nodes) == list(graph.nodes)
    assert len(loaded.nodes) == len(graph.nodes) + len(graph.readouts)
    for node in (*graph.readouts, *graph.populations):
        assert same(found.nodes[node.name], node), node.name
    images = random_images(rng, graph, 2) * graph.input.scale
    assert tc.compare(simulate(found, images), simulate(graph, images)) is None


@pytest.fixture(scope="module")
def two():
    """A graph with a map and a vector as outputs, and its trace on three images."""
    shape = (2, 4, 3)
    rng = np.random.default_rng(0)
    ints = lambda *shape: rng.integers(-9, 10, shape)  # noqa: E731
    geometry = ((1, 1), (1, 1), (1, 1))
    nodes = [
        InputNode("input", shape, "int8", 0.5),
        Convolution("conv", ("input",), shape, (3, 4, 3), ints(3, 2, 3, 3), ints(3), *geometry),
        Population("if", ("conv",), (3, 4, 3), IF(), ints(3, 4, 3) * 0 + 40, ints(3, 4, 3)),
        Convolution("mask", ("if",), (3, 4, 3), shape, ints(2, 3, 3, 3), ints(2), *geometry),
        Readout("readout.mask", ("mask",), shape, ints(*shape), 0.5, output="mask"),
        Flatten("flat", ("if",), (3, 4, 3), (36,)),
        Affine("fc", ("flat",), (36,), (5,), ints(5, 36), ints(5)),
        Readout("readout.classes", ("fc",), (5,), ints(5), 0.25, output="classes"),
    ]
    graph = IntegerGraph({node.name: node for node in nodes}, 4, "pipelined")
    images = rng.integers(-127, 128, (3, *shape)) * 0.5
    return graph, images, simulate(graph, images, record="spikes")


def test_a_trace_names_its_outputs(two):
    graph, _, trace = two
    assert trace.images == 3
    assert {name: array.shape for name, array in trace.outputs.items()} == {"mask": (3, 2, 4, 3), "classes": (3, 5)}
    assert trace.output_curves["mask"].shape == (3, 4, 2, 4, 3)
    for name, scale in (("mask", 0.5), ("classes", 0.25)):
        expected = (trace.outputs[name] * scale).astype(np.float32)
        assert trace.logits_of(name).dtype == np.float32
        np.testing.assert_array_equal(trace.logits_of(name), expected)
    sentence = r"several outputs \(mask, classes\): read trace.outputs\[name\] and trace.logits_of\(name\)"
    for attribute in ("output", "logits", "output_curve", "predictions"):
        with pytest.raises(tc.DataError, match=sentence):
            getattr(trace, attribute)
    with pytest.raises(tc.DataError, match="there is no output 'boxes'; outputs: mask, classes"):
        trace.logits_of("boxes")
    with pytest.raises(tc.GraphError, match=r"several outputs \(mask, classes\)"):
        graph.readout  # noqa: B018


def test_a_map_has_no_classes(two):
    graph, images, _ = two
    nodes = {name: node for name, node in graph.nodes.items() if name not in ("flat", "fc", "readout.classes")}
    trace = simulate(replace(graph, nodes=nodes), images)
    np.testing.assert_array_equal(trace.logits, trace.output * np.float32(0.5))
    with pytest.raises(tc.DataError, match=r"the output has shape \[3, 2, 4, 3\]: a class is the largest of one row"):
        trace.predictions  # noqa: B018


def test_accuracy_is_the_share_of_labels_met(two):
    graph = digits_network()
    rng = np.random.default_rng(3)
    trace = simulate(graph, rng.random((40, *graph.input.shape)))
    labels = rng.integers(0, 10, 40)
    labels[::2] = trace.output.argmax(axis=1)[::2]
    met = sum(int(np.argmax(row)) == label for row, label in zip(trace.output, labels, strict=True))
    for given_labels in (labels, labels.tolist(), labels.astype(np.uint8), torch.from_numpy(labels)):
        found = trace.accuracy(given_labels)
        assert (type(found), found) == (float, met / 40)
    for wrong, says in (
        (labels[:39], r"labels are int64 of shape \[39\]: give the class of each image, integers \[40\]"),
        (labels[:, None], r"integers \[40\]"),
        (labels.astype(float), "labels are float64"),
        (labels > 4, "labels are bool"),
        (labels + 10, "the classes of the network are the numbers 0 to 9"),
        (labels - 10, "the classes of the network are the numbers 0 to 9"),
    ):
        with pytest.raises(tc.DataError, match=says):
            trace.accuracy(wrong)
    with pytest.raises(tc.DataError, match="several outputs"):
        two[2].accuracy([0, 0, 0])


@pytest.mark.parametrize("where", ["readout.mask", "readout.classes"])
def test_the_first_difference_of_any_output_is_found(two, where):
    graph, images, trace = two
    node = graph.nodes[where]
    state = node.v_init.copy()
    index = (1, 3, 0) if state.ndim == 3 else (4,)
    state[index] += 7
    other = simulate(replace(graph, nodes={**graph.nodes, where: replace(node, v_init=state)}), images, record="spikes")
    found = tc.compare(trace, replace(other, target="other"))
    assert (found.layer, found.quantity, found.image, found.step) == (f"output {node.output}", "output", 0, 0)
    assert (found.neuron, found.second - found.first) == (index, 7)
    place = "value [1, 3, 0]" if state.ndim == 3 else "value 4"
    assert str(found).startswith(f"output {node.output}: first difference at image 0, step 0, {place}: ")
    last = {name: array.copy() for name, array in trace.outputs.items()}
    last[node.output][(2, *index)] -= 1
    found = tc.compare(trace, replace(trace, outputs=last, output_curves={}))
    assert (found.image, found.step, found.neuron) == (2, None, index)


def test_traces_with_other_outputs_are_of_other_graphs(two):
    _, _, trace = two
    fewer = replace(trace, outputs={"classes": trace.outputs["classes"]})
    with pytest.raises(tc.DataError, match="outputs mask, classes against classes"):
        tc.compare(trace, fewer)


def test_early_exit_needs_one_output_of_classes(two):
    graph, images, _ = two
    for early_exit in ("margin", 0.5):
        with pytest.raises(
            tc.DataError, match=r"early_exit needs one output of shape \(classes\), .* mask \(2, 4, 3\)"
        ):
            simulate(graph, images, early_exit=early_exit)


def test_certificates_compare_every_output(two):
    graph, images, trace = two
    levels = simulate(quantised_network(graph), images)
    differ = [any((trace.outputs[n][i] != levels.outputs[n][i]).any() for n in trace.outputs) for i in range(3)]
    assert tc.certify(graph, images).outputs == sum(differ)
    layerwise = tc.certify(replace(graph, schedule="layerwise"), images)
    assert layerwise.lossless
    assert layerwise.proof


def test_the_listing_says_what_each_output_is(two):
    graph, _, _ = two
    lines = listing(graph).splitlines()
    assert "mask = output * 0.5 of readout.mask" in lines
    assert "classes = output * 0.25 of readout.classes" in lines
    assert diff(
        graph, replace(graph, nodes={**graph.nodes, "readout.mask": replace(graph.nodes["readout.mask"], output="m")})
    ) == ["readout.mask: output mask -> m"]


@pytest.mark.parametrize("how", ["sum", "maximum"])
def test_what_a_readout_puts_out_of_an_image(how):
    graph = small_network(np.random.default_rng(3), timesteps=5)
    images = np.random.default_rng(4).random((6, *graph.input.shape)).astype(np.float32)
    membranes = tc.simulate(graph, images).output_curve
    found = tc.simulate(replace(graph, nodes=graph.nodes | {"readout": replace(graph.readout, decode=how)}), images)
    wanted = np.cumsum(membranes, axis=1) if how == "sum" else np.maximum.accumulate(membranes, axis=1)
    np.testing.assert_array_equal(found.output_curve, wanted)
    np.testing.assert_array_equal(found.output, wanted[:, -1])
