"""Writing and reading netx files; none of this needs Lava."""

import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from spikec.errors import DoesNotFit, GraphError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, GradedIF, SignedIF
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool
from spikec.targets.netx import as_chain, read, simulate_hard_reset, write, write_hard_reset


def same(found, expected):
    np.testing.assert_array_equal(found.output, expected.output)
    assert found.spikes.keys() == expected.spikes.keys()
    for name, train in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], train, name)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("if", {"pools": True}),
        ("if", {"pools": True, "schedule": "layerwise"}),
        ("if", {"spikes": 3}),
        ("signed_if", {"drain": 2}),
        ("signed_if", {"drain": 2, "spikes": 200}),
        ("calibrated_if", {}),
        ("bit_serial", {"schedule": "layerwise"}),
        ("graded", {"schedule": "layerwise", "timesteps": 1, "pools": True}),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_file_holds_the_network(feedforward, random_images, oracle, tmp_path, kind, options, seed):
    rng = np.random.default_rng(seed)
    graph = feedforward(rng, kind=kind, **options)
    write(graph, tmp_path / "net.hdf5")
    found = read(tmp_path / "net.hdf5")
    assert not any(isinstance(node, SumPool) for node in found)
    images = random_images(rng, graph, 2)
    same(oracle(found, images), oracle(graph, images))
    assert (found.input.scale, found.input.dtype) == (graph.input.scale, graph.input.dtype)
    assert found.readout.scale == graph.readout.scale
    assert [p.name for p in tmp_path.iterdir()] == ["net.hdf5"]


def test_files_say_where_neurons_send_several_spikes(feedforward, tmp_path):
    """Files without the field mean 1 and stay what they were; readers that do not look for it refuse the others."""
    rng = np.random.default_rng(0)
    for spikes, form in ((1, b"spikec.netx/1"), (3, b"spikec.netx/2")):
        path = tmp_path / f"{spikes}.hdf5"
        write(feedforward(rng, spikes=spikes), path)
        with h5py.File(path) as file:
            assert bytes(file["spikec/format"][0]) == form
            stored = [layer["neuron"] for layer in file["layer"].values() if "neuron" in layer]
            assert any("maxSpikes" in group for group in stored) == (spikes > 1)
        assert {p.neuron.spikes for p in read(path).populations} == {spikes}
    graphs = (feedforward(rng, spikes=(1, 2, 5)) for _ in range(100))
    graph = next(graph for graph in graphs if len({p.neuron.spikes for p in graph.populations}) > 1)
    write(graph, tmp_path / "mixed.hdf5")
    found = read(tmp_path / "mixed.hdf5")
    assert [p.neuron.spikes for p in found.populations] == [p.neuron.spikes for p in graph.populations]


def test_hard_reset_has_one_spike_per_step(feedforward, tmp_path):
    graph = feedforward(np.random.default_rng(0), uniform=True, spikes=3)
    with pytest.raises(DoesNotFit, match="sends up to 3 spikes in a step, a neuron of lava-dl one"):
        write_hard_reset(graph, tmp_path / "net.hdf5")


def test_dropped_edges_of_pools_before_a_dense_layer(oracle):
    """5x7 maps pooled by 2x3 lose their edge: the columns for it are zero."""
    rng = np.random.default_rng(0)
    graph = chain_of(
        InputNode("input", (2, 5, 7), "int8", 1.0),
        Convolution(
            "conv",
            ("input",),
            (2, 5, 7),
            (2, 5, 7),
            rng.integers(-9, 9, (2, 2, 1, 1)),
            np.zeros(2, np.int64),
            (1, 1),
            (0, 0),
            (1, 1),
        ),
        Population("fire", ("conv",), (2, 5, 7), IF(), np.full((2, 5, 7), 20), np.full((2, 5, 7), 10)),
        SumPool("pool", ("fire",), (2, 5, 7), (2, 2, 2), (2, 3), (2, 3)),
        Flatten("flat", ("pool",), (2, 2, 2), (8,)),
        affine("fc", "flat", rng.integers(-9, 9, (3, 8))),
        Readout("readout", ("fc",), (3,), np.zeros(3, np.int64), 1.0),
    )
    images = rng.integers(-128, 128, (3, 2, 5, 7))
    same(oracle(as_chain(graph), images), oracle(graph, images))


def chain_of(*nodes, **options):
    return IntegerGraph({n.name: n for n in nodes}, 4, "pipelined", **options)


def affine(name, source, weight):
    return Affine(name, (source,), (weight.shape[1],), (len(weight),), weight, np.zeros(len(weight), np.int64))


def small(**changes):
    """input 4 - fc - fire 4 - head - readout; ``changes`` of nodes by name."""
    eye = np.eye(4, dtype=np.int64)
    nodes = [
        InputNode("input", (4,), "uint8", 1.0),
        affine("fc", "input", eye),
        Population("fire", ("fc",), (4,), IF(), np.full(4, 5), np.full(4, 2)),
        affine("head", "fire", eye),
        Readout("readout", ("head",), (4,), np.zeros(4, np.int64), 1.0),
    ]
    return chain_of(*(replace(node, **changes.get(node.name, {})) for node in nodes))


def reasons(graph, tmp_path, writer=write):
    with pytest.raises(DoesNotFit) as caught:
        writer(graph, tmp_path / "net.hdf5")
    assert not list(tmp_path.iterdir())
    return str(caught.value)


def test_all_reasons_at_once(tmp_path):
    """A residual, a pool before neurons, two linear nodes in a row, and weights beyond 8 bits."""
    one, shape = np.full((2, 2, 1, 1), 300), (2, 4, 4)

    def conv(name, source, shape, weight):
        return Convolution(name, (source,), shape, shape, weight, np.zeros(2, np.int64), (1, 1), (0, 0), (1, 1))

    def fire(name, shape, *sources):
        return Population(name, sources, shape, IF(), np.full(shape, 5), np.full(shape, 2))

    graph = chain_of(
        InputNode("input", shape, "uint8", 1.0),
        conv("conv0", "input", shape, one),
        fire("p0", shape, "conv0"),
        conv("conv1", "p0", shape, one // 300),
        conv("conv2", "conv1", shape, one // 300),
        fire("p1", shape, "conv2", "p0"),
        SumPool("pool", ("p1",), shape, (2, 2, 2), (2, 2), (2, 2)),
        fire("p2", (2, 2, 2), "pool"),
        Flatten("flat", ("p2",), (2, 2, 2), (8,)),
        affine("fc", "flat", np.ones((3, 8), np.int64)),
        Readout("readout", ("fc",), (3,), np.zeros(3, np.int64), 1.0),
    )
    text = reasons(graph, tmp_path)
    for part in (
        "reasons: ",
        "p0 feeds 2 nodes (conv1, p1)",
        "p1 adds 2 branches (conv2, p0)",
        "conv0 has weights 300..300",
        "conv2 follows conv1 without neurons between",
        "pool pools before the neurons p2",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (np.zeros((4, 4), np.int64), "only zero weights"),
        (np.full((4, 4), -64), "clip at -255"),
        (np.full((4, 4), -128), "clip at -255"),
    ],
)
def test_dense_layers_that_netx_changes(tmp_path, weight, said):
    assert said in reasons(small(head={"weight": weight}), tmp_path)


def test_hard_reset_limits(tmp_path):
    theta = np.array([5, 6, 7, 8])
    text = reasons(small(fire={"theta": theta}, fc={"bias": np.full(4, 40000)}), tmp_path, write_hard_reset)
    assert "2 reasons" in text
    assert "fire has thresholds 5..8" in text
    assert "a bias of 40000, Lava's LIF holds 32767" in text
    assert "vThMant holds 131071" in reasons(small(fire={"theta": np.full(4, 2**17 + 1)}), tmp_path, write_hard_reset)
    assert "kind signed_if" in reasons(small(fire={"neuron": SignedIF()}), tmp_path, write_hard_reset)
    assert "layerwise" in reasons(replace(small(), schedule="layerwise"), tmp_path, write_hard_reset)
    write_hard_reset(small(fire={"theta": np.full(4, 2**17)}), tmp_path / "net.hdf5")
    with h5py.File(tmp_path / "net.hdf5") as file:
        assert file["layer/1/neuron/vThMant"][()] == 2**17 - 1  # Lava fires above, the network at the threshold


def test_the_two_kinds_of_file_are_not_confused(tmp_path):
    write_hard_reset(small(), tmp_path / "hard.hdf5")
    write(small(), tmp_path / "soft.hdf5")
    with pytest.raises(GraphError, match="neurons with hard reset: a different network"):
        read(tmp_path / "hard.hdf5")
    with pytest.raises(GraphError, match="neurons with soft reset"):
        read(tmp_path / "soft.hdf5", reset="hard")
    (tmp_path / "text.hdf5").write_text("no")
    with pytest.raises(GraphError, match="not an HDF5 file written by spikec netx"):
        read(tmp_path / "text.hdf5")
    with pytest.raises(GraphError, match="no file"):
        read(tmp_path / "none.hdf5")


@pytest.mark.parametrize("seed", range(4))
def test_hard_reset_simulation(feedforward, random_images, hard_reset_oracle, seed):
    rng = np.random.default_rng(seed)
    graph = feedforward(rng, uniform=True, timesteps=5, spikes=1)
    images = random_images(rng, graph, 3) // 16  # far from the ends of Lava's 24 bits
    result = simulate_hard_reset(as_chain(graph), images)
    same(result, hard_reset_oracle(graph, images))
    assert result.wrapped == 0


def test_hard_reset_overflow_is_counted():
    """2**17 weight units in one step wrap in Lava's LIF."""
    graph = small(fc={"weight": np.full((4, 4), 127)}, input={"dtype": "uint8"})
    assert simulate_hard_reset(graph, np.full((1, 4), 255)).wrapped == 0  # 4 * 127 * 255 = 129540 < 2**17
    above = replace(small(), nodes=small(fc={"weight": np.full((4, 4), 129)}).nodes)
    assert simulate_hard_reset(above, np.full((1, 4), 255)).wrapped > 0


def test_the_keys_are_those_of_the_documentation(tmp_path):
    """In files of every kind, all that the table in docs/lava.md names, and nothing else."""
    rows = (Path(__file__).parents[2] / "docs/lava.md").read_text(encoding="utf-8").split("keys, all datasets |")[1]
    rows = [row.split("|") for row in rows.split("\n\n")[0].split("\n") if row.startswith("| `/")]
    told = {cells[1].strip(" `"): set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", cells[2]))) for cells in rows}
    found = {key: set() for key in told}
    shape, kernel = (2, 3, 3), np.ones((2, 2, 1, 1), np.int64)
    for kind in (IF(spikes=3), SignedIF(theta_neg=2), CalibratedIF(3), BitSerialIF(), GradedIF(3)):
        graph = chain_of(
            InputNode("input", shape, "uint8", 1.0),
            Convolution("conv", ("input",), shape, shape, kernel, np.zeros(2, np.int64), (1, 1), (0, 0), (1, 1)),
            Population("fire", ("conv",), shape, kind, np.full(shape, 5), np.full(shape, 2)),
            Flatten("flat", ("fire",), shape, (18,)),
            affine("fc", "flat", np.ones((3, 18), np.int64)),
            Readout("readout", ("fc",), (3,), np.zeros(3, np.int64), 1.0),
        )
        graph = replace(graph, schedule=kind.schedules[0], timesteps=kind.timesteps[0])
        write(graph, tmp_path / "net.hdf5")
        with h5py.File(tmp_path / "net.hdf5") as file:
            found["/spikec"] |= set(file["spikec"])
            for layer in file["layer"].values():
                found["/layer/<i>"] |= set(layer) - {"neuron"}
                found["/layer/<i>/neuron"] |= set(layer["neuron"]) if "neuron" in layer else set()
    assert found == told
