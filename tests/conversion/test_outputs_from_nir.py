"""NIR files with several Output nodes, of any shape: NIR's equations, and the integers against plain loops."""

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.drawn import drawn
from helpers.oracle import oracle
from helpers.sequences import sequence_oracle
from helpers.traces import equals_loops
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.conversion.from_nir.importing import import_nir
from spikec.conversion.from_nir.running import run_float
from spikec.conversion.from_nir.sequences import import_sequences
from spikec.ir import decode

SHAPE, HIDDEN, MAP = (2, 4, 3), (3, 4, 3), (2, 4, 3)
ENDS = {
    "input": nir.Input({"input": np.array(SHAPE)}),
    "class scores": nir.Output({"output": np.array([5])}),
    "mask": nir.Output({"output": np.array(MAP)}),
    "seen": nir.Output({"output": np.array(HIDDEN)}),
}


def convolution(rng, out, channels):
    weight = rng.normal(size=(out, channels, 3, 3))
    return nir.Conv2d((4, 3), weight, (1, 1), (1, 1), (1, 1), 1, rng.normal(size=out) / 5)


def flatten():
    return nir.Flatten(input_type={"input": np.array(HIDDEN)}, start_dim=0, end_dim=-1)


def full(shape, value):
    return np.full(shape, float(value))


def convolved(node, x):
    """The convolution of maps float64 [..., C, H, W]."""
    maps = torch.from_numpy(x.reshape(-1, *x.shape[-3:]))
    found = F.conv2d(maps, torch.from_numpy(node.weight), torch.from_numpy(node.bias), padding=1).numpy()
    return found.reshape(*x.shape[:-3], *found.shape[1:])


def leaky_graph(rng):
    """Three outputs: an integrator of classes, a leaky integrator of maps, and neurons whose spikes are counted."""
    neurons = nir.LIF(full(HIDDEN, 5), full(HIDDEN, 2), full(HIDDEN, 0.1), full(HIDDEN, 1), v_reset=full(HIDDEN, 0))
    nodes = {
        "conv": convolution(rng, 3, 2), "lif": neurons, "flat": flatten(),
        "fc": nir.Affine(rng.normal(size=(5, 36)), rng.normal(size=5)), "i": nir.I(full(5, 1)),
        "head": convolution(rng, 2, 3), "li": nir.LI(full(MAP, 4), full(MAP, 1), full(MAP, 0.2)),
    }  # fmt: skip
    edges = [("input", "conv"), ("conv", "lif"), ("lif", "flat"), ("flat", "fc"), ("fc", "i"), ("i", "class scores"),
             ("lif", "head"), ("head", "li"), ("li", "mask"), ("lif", "seen")]  # fmt: skip
    return nir.NIRGraph(ENDS | nodes, edges, type_check=False)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["last", "sum", "maximum"]))
@settings(max_examples=drawn(8), deadline=None)
def test_sequences(seed, reading):
    rng = np.random.default_rng(seed)
    graph, example = leaky_graph(rng), rng.integers(0, 3, (2, 6, *SHAPE)).astype(float)
    network = import_sequences(graph, example=example, dt=1.0, reading=reading)
    run = run_float(network, example)
    spikes = run.spikes["lif"].astype(float)
    scores = np.cumsum(spikes.reshape(2, 6, 36) @ graph.nodes["fc"].weight.T + graph.nodes["fc"].bias, axis=1)
    maps, membrane = [], 0.0
    for z in np.moveaxis(convolved(graph.nodes["head"], spikes), 1, 0):
        membrane = membrane + (0.2 - membrane + z) / 4
        maps.append(membrane)
    read = {"last": lambda v: v, "sum": lambda v: np.cumsum(v, 1), "maximum": lambda v: np.maximum.accumulate(v, 1)}
    expected = {
        "class_scores": read[reading](scores),
        "mask": read[reading](np.stack(maps, 1)),
        "seen": np.cumsum(spikes, 1),
    }
    assert set(run.outputs) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(run.outputs[name], values, rtol=1e-9, atol=1e-9, err_msg=name)
    lowered = decode(tc.lower(network))
    assert {r.output: (r.shape, r.leak is not None) for r in lowered.readouts} == {
        "class_scores": ((5,), False), "mask": (MAP, True), "seen": (HIDDEN, False)
    }  # fmt: skip
    trace = tc.simulate(lowered, example, record="spikes", measure=True)
    loops = sequence_oracle(lowered, list(example.astype(np.int64)))
    equals_loops(trace, lowered.lasting(6), loops)
    np.testing.assert_array_equal(trace.outputs["seen"], trace.counts["lif"])
    agreement = tc.sequence_fidelity(network, lowered, example)
    assert agreement.classes is None
    assert "same largest output" not in agreement.text()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=drawn(8), deadline=None)
def test_images(seed):
    rng = np.random.default_rng(seed)
    nodes = {
        "conv": convolution(rng, 3, 2), "if": nir.IF(full(HIDDEN, 1), full(HIDDEN, 1.5)), "flat": flatten(),
        "fc": nir.Affine(rng.normal(size=(5, 36)), rng.normal(size=5)), "i": nir.I(full(5, 1)),
        "head": convolution(rng, 2, 3),
    }  # fmt: skip
    edges = [("input", "conv"), ("conv", "if"), ("if", "flat"), ("flat", "fc"), ("fc", "i"), ("i", "class scores"),
             ("if", "head"), ("head", "mask"), ("if", "seen")]  # fmt: skip
    graph, steps = nir.NIRGraph(ENDS | nodes, edges, type_check=False), 4
    images = rng.random((3, *SHAPE)).astype(np.float32)
    network = import_nir(graph, reset="subtract", v_init="zero", timesteps=steps, example=images)
    membrane, total = np.zeros((3, *HIDDEN)), np.zeros((3, *HIDDEN))
    for _ in range(steps):
        membrane = membrane + convolved(nodes["conv"], images.astype(np.float64))
        fired = membrane >= 1.5
        membrane, total = membrane - 1.5 * fired, total + fired
    found = {name: values.numpy() for name, values in network(torch.from_numpy(images)).items()}
    flat = total.reshape(3, 36)
    expected = {
        "class_scores": (flat @ nodes["fc"].weight.T) / steps + nodes["fc"].bias,
        "mask": convolved(nodes["head"], total / steps),
        "seen": total / steps,
    }
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4, err_msg=name)
    lowered = decode(tc.lower(network))
    integers = np.rint(images / lowered.input.scale).astype(np.int64)
    trace = tc.simulate(lowered, integers * lowered.input.scale, record="spikes")
    equals_loops(trace, lowered, oracle(lowered, integers))


@pytest.mark.parametrize("shape", [(5, 1, 1), (5, 1, 4)])
def test_maps_of_height_one_are_read_as_one_row(shape):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(5, 2, 1, 1))
    conv = nir.Conv2d(shape[1:], weight, (1, 1), (0, 0), (1, 1), 1, np.zeros(5))
    nodes = {
        "input": nir.Input({"input": np.array((2, *shape[1:]))}),
        "conv": conv, "if": nir.IF(full(shape, 1), full(shape, 1)), "output": nir.Output({"output": np.array(shape)}),
    }  # fmt: skip
    graph = nir.NIRGraph(nodes, [("input", "conv"), ("conv", "if"), ("if", "output")], type_check=False)
    images = rng.random((2, 2, *shape[1:])).astype(np.float32)
    network = import_nir(graph, reset="subtract", v_init="half", timesteps=2, example=images)
    assert tc.simulate(tc.lower(network), images).output.shape == (2, int(np.prod(shape)))
