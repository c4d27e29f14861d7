"""NIR files that nir.read refuses: what they lack is filled in where NIR leaves it open, and named where not."""

import itertools

import h5py
import nir
import numpy as np
import pytest

import spikec as tc
from spikec.errors import GraphError
from spikec.ir.profile.reading import read_nir

IMAGE = (1, 8, 8)


def _convolution():
    return nir.Conv2d((8, 8), np.ones((2, 1, 3, 3), np.float32), 1, 0, 1, 1, np.zeros(2, np.float32))


def _fire():
    one = np.ones((2, 6, 6), np.float32)
    return nir.IF(r=one, v_threshold=one, v_reset=one * 0)


def _write(path, nodes=None):
    nodes = {"c": _convolution(), "n": _fire()} if nodes is None else nodes
    names = ["input", *nodes, "output"]
    ends = {"input": nir.Input({"input": np.array(IMAGE)}), "output": nir.Output({"output": np.array([2, 6, 6])})}
    nir.write(path, nir.NIRGraph(ends | nodes, list(itertools.pairwise(names)), type_check=False))
    return path


def _edit(path, change):
    with h5py.File(path, "a") as file:
        change(file["node"])
    return path


def _import(path):
    x = np.random.default_rng(0).uniform(0, 1, (2, *IMAGE)).astype(np.float32)
    network = tc.import_nir(path, reset="subtract", v_init="zero", timesteps=3, example=x)
    return tc.simulate(tc.lower(network), x, record="spikes")


def _delete(key):
    def change(node):
        del node[key]

    return change


def _put(key, value):
    def change(node):
        if key in node:
            del node[key]
        node[key] = value

    return change


def test_a_missing_input_shape_changes_nothing(tmp_path):
    whole, old = _write(tmp_path / "whole.nir"), _write(tmp_path / "old.nir")
    _edit(old, _delete("nodes/c/input_shape"))
    with pytest.raises(TypeError):
        nir.read(old, type_check=False)
    assert tc.compare(_import(whole), _import(old)) is None
    assert tc.nir.diagnose(old).deploy.obstacles == ()


def test_signals_and_graphs_inside_too(tmp_path):
    conv = nir.Conv1d(8, np.ones((2, 1, 3), np.float32), 1, 0, 1, 1, np.zeros(2, np.float32))
    ends = {"input": nir.Input({"input": np.array([1, 8])}), "output": nir.Output({"output": np.array([2, 6])})}
    inner = nir.NIRGraph(ends | {"c": conv}, [("input", "c"), ("c", "output")], type_check=False)
    path = _write(tmp_path / "net.nir", {"block": inner, "n": _fire()})
    _edit(path, _delete("nodes/block/nodes/c/input_shape"))
    read = read_nir(path).nodes["block"].nodes["c"]
    assert read.input_shape is None
    np.testing.assert_array_equal(read.weight, conv.weight)


def test_a_stored_argument_of_the_reader_means_nothing(tmp_path):
    path = _edit(_write(tmp_path / "net.nir"), _put("type_check", True))
    assert set(read_nir(path).nodes) == {"input", "c", "n", "output"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_delete("nodes/c/stride"), r"c \(Conv2d\): it has no stride;"),
        (_delete("nodes/n/r"), r"n \(IF\): it has no r;"),
        (_delete("nodes/n/v_threshold"), r"n \(IF\): it has no v_threshold;"),
        (_delete("nodes/input/shape"), r"input \(Input\): it has no shape;"),
        (_delete("nodes/c/type"), "c has no type;"),
        (_delete("edges"), "the graph has no list of edges"),
        (_delete("nodes"), "the graph has no group of nodes"),
        (_put("nodes/c/type", "Conv9d"), "c: NIR has no node Conv9d;"),
        (_put("nodes/n/alpha", 0.5), r"n \(IF\): .*alpha"),
        (_put("edges", np.zeros((2, 3))), "the graph: ValueError: an edge joins two nodes"),
    ],
)
def test_what_nir_does_not_take_is_named(change, words, tmp_path):
    path = _edit(_write(tmp_path / "net.nir"), change)
    with pytest.raises(GraphError, match=rf"net\.nir cannot be read: {words}.*ask tc.nir.diagnose$"):
        _import(path)


def test_all_of_it_is_named_at_once(tmp_path):
    path = _edit(_edit(_write(tmp_path / "net.nir"), _delete("nodes/c/stride")), _delete("nodes/c/groups"))
    _edit(path, _delete("nodes/n/r"))
    with pytest.raises(
        GraphError, match=r"c \(Conv2d\): it has no stride and no groups; n \(IF\): it has no r"
    ) as said:
        read_nir(path)
    assert "\n" not in str(said.value)
