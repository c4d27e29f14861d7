"""Early exit: what a stopped image leaves behind, and that the proven form changes no class."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.cases import kind_cases
from helpers.drawn import drawn
from helpers.nodes import affine, graph_of, population, readout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.errors import ArgumentError, DataError
from spikec.ir.coding import InputNode
from spikec.models import pretrained
from spikec.models.data import open_dataset
from spikec.simulation import compare, simulate

KINDS = [(k, drain) for k, schedule, drain in kind_cases(without=("calibrated_if",)) if schedule == "pipelined"]


def assert_stopped(trace, whole, graph):
    """``trace`` is ``whole`` (of all steps, with rasters) up to ``trace.steps``."""
    total = graph.timesteps + graph.drain
    assert ((trace.steps >= 1) & (trace.steps <= total)).all()
    for image, steps in enumerate(trace.steps):
        np.testing.assert_array_equal(trace.output[image], whole.output_curve[image, steps - 1])
        np.testing.assert_array_equal(trace.output_curve[image, :steps], whole.output_curve[image, :steps])
        assert (trace.output_curve[image, steps:] == trace.output[image]).all()
        for name, spikes in whole.spikes.items():
            seen = spikes[image, :steps].astype(int)
            np.testing.assert_array_equal(trace.counts[name][image], seen.sum(0))
            np.testing.assert_array_equal(trace.events[name][image], (seen != 0).sum(0))
            np.testing.assert_array_equal(trace.spikes[name][image, :steps], seen)
            assert not trace.spikes[name][image, steps:].any()
    for name, counts in trace.counts.items():
        np.testing.assert_array_equal(trace.count_totals[name], counts.sum(0))


@pytest.mark.parametrize(("kind", "drain"), KINDS)
@settings(max_examples=drawn(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), timesteps=st.integers(1, 6), measure=st.booleans(), confident=st.booleans())
def test_stops_where_nothing_can_change(random_graph, random_images, kind, drain, seed, timesteps, measure, confident):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, kind=kind, timesteps=timesteps, drain=drain)
    graph = leading(graph, rng)
    images = random_images(rng, graph, 5) * graph.input.scale
    whole = simulate(graph, images, record="spikes")
    margin = 20.0 if confident else "margin"
    trace = simulate(graph, images, record="spikes", measure=measure, early_exit=margin, batch=3)
    assert_stopped(trace, whole, graph)
    if not confident:
        np.testing.assert_array_equal(trace.predictions, whole.predictions)


def leading(graph, rng):
    """With one class ahead from the start, so that images stop at every possible step."""
    readout = graph.readout
    ahead = readout.v_init + rng.integers(0, 200, readout.v_init.shape)
    return replace(graph, nodes={**graph.nodes, readout.name: replace(readout, v_init=ahead)})


def two_classes(weight, bias, v_init, drain=0):
    """One input neuron that never fires by itself, and two classes behind it."""
    nodes = (
        InputNode("input", (1,), "uint8", 1.0),
        affine("dense", ["input"], np.ones((1, 1))),
        population("neurons", ["dense"], (1,), "signed_if" if drain else "if", 100, v_init=0),
        affine("classes", ["neurons"], np.array(weight)[:, None], bias),
        readout("readout", ["classes"], 2, v_init),
    )
    return graph_of(nodes, 4, drain=drain)


@pytest.mark.parametrize(
    ("weight", "bias", "v_init", "drain", "steps"),
    [
        ([0, 3], [0, 0], [9, 0], 0, 1),  # three steps of 3 reach a tie, which class 0 wins
        ([3, 0], [0, 0], [0, 9], 0, 2),  # ... and class 1 does not: it needs one step more
        ([0, 3], [0, 0], [8, 0], 0, 2),
        ([-3, 3], [0, 0], [12, 0], 0, 2),  # 6 a step against it
        ([5, 3], [0, 0], [0, -9], 0, 1),  # the weights favour the leader
        ([0, 0], [0, 2], [8, 0], 0, 1),  # 6 ahead, biases of 6 to come
        ([0, 0], [0, 2], [7, 0], 0, 4),  # 5, 3, 1 ahead, 6, 4, 2 to come
        ([0, 3], [0, 0], [12, 0], 1, 1),  # four steps to come
        ([0, 3], [0, 0], [11, 0], 1, 2),
        ([0, 0], [0, 2], [7, 0], 9, 4),  # biases are off in the drain
    ],
)
@pytest.mark.parametrize("measure", [False, True])
def test_proof_is_tight(weight, bias, v_init, drain, steps, measure):
    """Of an image that is silent, by hand."""
    graph = two_classes(weight, bias, v_init, drain)
    trace = simulate(graph, np.zeros((1, 1)), early_exit="margin", measure=measure)
    assert trace.steps.tolist() == [steps]


def test_confidence_is_the_lead_of_the_logits():
    """Class 1 gains a logit a step; nothing is proven, since one spike would make class 0 the first."""
    graph = two_classes([100, 0], [0, 2], [0, 0])
    for margin, steps in ((1.0, 1), (1.01, 2), (2.0, 2), (3, 3), (9.0, 4)):
        assert simulate(graph, np.zeros((1, 1)), early_exit=margin).steps.tolist() == [steps]


def test_trained_network():
    train, test = (open_dataset("digits", split=split) for split in ("train", "test"))
    method = tc.QCFS(timesteps=8)
    calibration = train.images(slice(256))
    graph = tc.lower(
        tc.convert(pretrained("digits-cnn"), method, example=calibration[:1], calibration=calibration), tc.Int8()
    )
    images = test.images().numpy()
    whole = simulate(graph, images)
    proven = simulate(graph, images, early_exit="margin")
    np.testing.assert_array_equal(proven.predictions, whole.predictions)
    assert proven.steps.mean() < 8
    confident = simulate(graph, images, early_exit=2.0)
    assert confident.steps.mean() < proven.steps.mean()
    assert (confident.predictions == whole.predictions).mean() > 0.9
    with pytest.raises(DataError, match="only one of them could stop early"):
        compare(proven, whole)
    with pytest.raises(DataError, match="stopped early"):
        tc.estimate(graph, proven, profile="loihi2")


@pytest.mark.parametrize(
    ("kind", "schedule", "option", "message"),
    [
        ("if", "layerwise", "margin", "layers that step together"),
        ("calibrated_if", "pipelined", "margin", "layers that step together"),
        ("if", "pipelined", "soon", "'soon' is not known"),
        ("if", "pipelined", True, "True is not known"),
        ("if", "pipelined", [1], r"early_exit is text, a number or None, not \[1\]"),
        ("if", "pipelined", np.array([1, 2]), "early_exit is text, a number or None, not array"),
        ("if", "pipelined", torch.ones(2), "early_exit is text, a number or None, not tensor"),
        ("if", "pipelined", np.True_, "True_? is not known"),
        ("if", "pipelined", b"1", "early_exit is text, a number or None, not b'1'"),
        ("if", "pipelined", 0.0, "not a margin"),
        ("if", "pipelined", float("nan"), "not a margin"),
    ],
)
def test_refusals(random_graph, random_images, kind, schedule, option, message):
    rng = np.random.default_rng(0)
    graph = random_graph(rng, kind=kind, schedule=schedule)
    wrong_type = not isinstance(option, str | float | np.bool_)
    with pytest.raises(ArgumentError if wrong_type and option is not True else DataError, match=message):
        simulate(graph, random_images(rng, graph) * graph.input.scale, early_exit=option)


def test_registers_that_change_numbers(one_layer):
    """No proof where numbers may wrap; none is needed where they provably do not."""
    wide, small = (one_layer(weight=[[w]], bias=[0], theta=10, timesteps=6) for w in (16448, 1))
    for option in ("wrap", "saturate"):
        with pytest.raises(DataError, match="not proven for registers that wrap or saturate"):
            simulate(wide, np.ones((1, 1)), overflow=option, early_exit="margin")
        assert simulate(small, np.ones((1, 1)), overflow=option, early_exit="margin").steps.tolist() == [1]
