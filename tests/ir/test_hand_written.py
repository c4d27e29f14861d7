"""Graphs written by hand from the profile's text: what it leaves optional may be left out."""

from __future__ import annotations

import copy

import nir
import numpy as np
import pytest

import spikec as tc
from spikec.ir import decode
from spikec.ir.kinds import IF
from spikec.ir.metadata import KEY

_OPTIONAL = {
    "graph": ("drain", "numeric", "node_order", "requires", "content_sha256", "dt", "producer", "source_sha256"),
    "neuron": ("v_threshold_int", "v_init_int", "reset", "spike_cmp", "max_spikes_per_step"),
    "synapse": ("weight_int", "bias_int", "weight_exp", "op"),
}


def _graph(kind="if", schedule="pipelined", timesteps=3, **neuron):
    """Input (4,) -> affine -> two neurons -> affine -> readout, every key of the profile set."""
    first, second = np.array([[3, -2, 5, 1], [-1, 4, 2, -3]]), np.array([[2, -1], [1, 3], [-2, 2]])
    bias, none, theta = np.array([1, -2]), np.zeros(3, int), np.array([9, 12])

    def affine(weight, bias):
        metadata = {"op": "affine", "weight_int": weight.astype(np.int8), "bias_int": bias.astype(np.int32)}
        metadata["weight_exp"] = 0
        return nir.Affine(weight.astype(np.float32), bias.astype(np.float32), metadata={KEY: metadata})

    about = {"kind": kind, "v_threshold_int": theta.astype(np.int32), "v_init_int": (theta // 2).astype(np.int32)}
    about |= {"reset": "subtract", "spike_cmp": "ge", "max_spikes_per_step": 1} | neuron
    nodes = {
        "input": nir.Input(
            {"input": np.array([4])}, metadata={KEY: {"encoding": "constant", "dtype": "uint8", "scale": 1.0}}
        ),
        "a": affine(first, bias),
        "n": nir.IF(np.ones(2), theta.astype(np.float32), np.zeros(2), metadata={KEY: about}),
        "b": affine(second, none),
        "out": nir.I(np.ones(3), metadata={KEY: {"kind": "integrator", "scale": 1.0}}),
        "output": nir.Output({"output": np.array([3])}, metadata={KEY: {"decode": "membrane"}}),
    }
    edges = [("input", "a"), ("a", "n"), ("n", "b"), ("b", "out"), ("out", "output")]
    graph = {"schema": "spikec.nir/1", "timesteps": timesteps, "schedule": schedule, "drain": 0, "dt": 1.0}
    graph |= {
        "numeric": "int",
        "node_order": '["input", "a", "n", "b", "out"]',
        "requires": '["reset=subtract", "v_init"]',
    }
    return nir.NIRGraph(nodes, edges, metadata={KEY: graph})


IMAGES = np.array([[1.0, 2.0, 0.0, 3.0], [0.0, 1.0, 4.0, 0.0]])


def _loops(images, timesteps):
    """The contract's plain neuron, by hand."""
    outputs = []
    for image in images.astype(int):
        v, out = [9 // 2, 12 // 2], [0, 0, 0]
        for _ in range(timesteps):
            z = [
                3 * image[0] - 2 * image[1] + 5 * image[2] + image[3] + 1,
                -image[0] + 4 * image[1] + 2 * image[2] - 3 * image[3] - 2,
            ]
            s = []
            for i, theta in enumerate((9, 12)):
                m = v[i] + z[i]
                s.append(int(m >= theta))
                v[i] = m - s[i] * theta
            out = [out[0] + 2 * s[0] - s[1], out[1] + s[0] + 3 * s[1], out[2] - 2 * s[0] + 2 * s[1]]
        outputs.append(out)
    return np.array(outputs)


def test_a_hand_written_graph_runs():
    np.testing.assert_array_equal(tc.simulate(_graph(), IMAGES).output, _loops(IMAGES, 3))


@pytest.mark.parametrize(("place", "key"), [(place, key) for place, keys in _OPTIONAL.items() for key in keys])
def test_what_is_stated_elsewhere_may_be_left_out(place, key, tmp_path):
    graph = copy.deepcopy(_graph())
    owner = {"graph": graph, "neuron": graph.nodes["n"], "synapse": graph.nodes["a"]}[place]
    owner.metadata[KEY].pop(key, None)
    np.testing.assert_array_equal(tc.simulate(graph, IMAGES).output, _loops(IMAGES, 3))
    nir.write(tmp_path / "hand.nir", graph)
    np.testing.assert_array_equal(tc.simulate(tc.load(tmp_path / "hand.nir"), IMAGES).output, _loops(IMAGES, 3))
    path = tc.save(graph, tmp_path / "ours.nir")
    assert decode(tc.load(path)).content_sha256


@pytest.mark.parametrize("value", [np.array([4, 6]), np.int64(4), 4, [4, 6], np.array([4], np.int16)])
def test_integers_of_any_type(value):
    graph = _graph(v_init_int=value)
    np.testing.assert_array_equal(decode(graph).nodes["n"].v_init, np.broadcast_to(np.asarray(value), 2))


def test_keys_of_other_kinds_mean_nothing():
    graph = _graph(levels=3, rho=2, v_threshold_neg_int=np.array([5, 5], np.int32))
    neurons = decode(graph).nodes["n"]
    assert neurons.neuron == IF()
