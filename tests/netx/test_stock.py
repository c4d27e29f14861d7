"""Networks of leaky neurons as files of stock netx: refusals, and the same integers in lava-dl's own loader."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from helpers.sequences import random_sequence_graph, sequence_oracle

from spikec.analysis.formats import load_format
from spikec.errors import DoesNotFit, GraphError
from spikec.ir import Affine, Convolution, Flatten, IntegerGraph, Population, Readout, SumPool
from spikec.ir.coding import InputNode
from spikec.ir.kinds import IF, CubaLIF
from spikec.ir.leak import Leak
from spikec.targets.netx import NetxProgram, run_stock, write, write_hard_reset, write_stock
from spikec.targets.netx.stock import cautions

READOUTS = ("membrane", "sum", "maximum", "no leak", "counts")


def neurons(rng, name, source, shape, room):
    """A population with one du, dv and threshold, and biases in whole units; ``room``: about the input of a step."""
    du, dv = int(rng.choice([0, 300, 2000, 4095])), int(rng.choice([0, 100, 1500, 4096]))
    bias = 64 * rng.integers(-room // 8, room // 4 + 1, shape)
    kind = CubaLIF(np.full(shape, du), np.full(shape, dv), bias)
    return Population(
        name, (source,), shape, kind, np.full(shape, int(rng.integers(1, room))), np.zeros(shape, np.int64)
    )


def chain(seed, decode):
    """(graph, sequences): perhaps a pool, a convolution, two dense layers, and a readout or the spikes of the last."""
    rng = np.random.default_rng(seed)
    c, h, w = 2, 4, 6
    k, o = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    nodes = [InputNode("input", (c, h, w), "int8", 1.0, encoding="sequence", limit=5)]
    before = "input"
    if seed % 2:
        nodes.append(SumPool("pool", ("input",), (c, h, w), (c, h // 2, w // 2), (2, 2), (2, 2)))
        before, h, w = "pool", h // 2, w // 2
    p = 1 if seed % 3 == 0 or k > h else 0
    k = min(k, h + 2 * p)
    maps = (o, h + 2 * p - k + 1, w + 2 * p - k + 1)
    size, n, classes = int(np.prod(maps)), int(rng.integers(2, 7)), 3

    def weights(*shape):
        drawn = rng.integers(-127, 128, shape)
        drawn.flat[0] = 127
        return drawn

    def none(number):
        return np.zeros(number, np.int64)

    nodes += [
        Convolution("conv", (before,), (c, h, w), maps, weights(o, c, k, k), none(o), (1, 1), (p, p), (1, 1), 1),
        neurons(rng, "first", "conv", maps, 300),
        Flatten("flat", ("first",), maps, (size,)),
        Affine("dense", ("flat",), (size,), (n,), weights(n, size), none(n)),
        neurons(rng, "second", "dense", (n,), 200),
    ]
    if decode == "counts":
        nodes.append(Affine("end", ("second",), (n,), (n,), np.eye(n, dtype=np.int64), none(n)))
        nodes.append(Readout("readout", ("end",), (n,), none(n), 1.0))
    else:
        biases = rng.integers(-50, 50, classes) if decode == "no leak" else none(classes)
        nodes.append(Affine("end", ("second",), (n,), (classes,), weights(classes, n), biases))
        leak = Leak(np.full(classes, 700), np.full(classes, 90), 64 * rng.integers(-20, 20, classes))
        how = ("membrane", None) if decode == "no leak" else (decode, leak)
        nodes.append(Readout("readout", ("end",), (classes,), none(classes), 1.0, how[1], how[0]))
    steps = int(rng.integers(3, 9))
    graph = IntegerGraph({node.name: node for node in nodes}, steps, "pipelined", 0)
    return graph, rng.integers(-5, 6, (4, steps, c, *nodes[0].shape[1:]))


@pytest.mark.lava
@pytest.mark.usefixtures("lava_dl")
@pytest.mark.parametrize("decode", READOUTS)
@pytest.mark.parametrize("seed", range(2))
def test_stock_netx_equals_plain_loops(tmp_path, seed, decode):
    graph, sequences = chain(10 * seed + READOUTS.index(decode), decode)
    held = write_stock(graph, tmp_path / "net.hdf5")
    found = run_stock(tmp_path / "net.hdf5", held, sequences)
    expected = sequence_oracle(graph, list(sequences))
    assert all(train.any() for train in expected.spikes.values())
    assert set(found.spikes) == {"first", "second"}
    for name, train in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], train, err_msg=name)
    np.testing.assert_array_equal(found.output, expected.output)
    np.testing.assert_array_equal(found.output_curve, expected.curve)


@pytest.mark.lava
@pytest.mark.usefixtures("lava_dl")
@pytest.mark.parametrize("decode", ["counts", "maximum"])
def test_sequences_of_different_lengths(tmp_path, decode):
    graph, sequences = chain(READOUTS.index(decode), decode)
    uneven = [sequence[: 1 + i % len(sequence)] for i, sequence in enumerate(sequences)]
    held = write_stock(graph, tmp_path / "net.hdf5")
    found, expected = run_stock(tmp_path / "net.hdf5", held, uneven), sequence_oracle(graph, uneven)
    assert found.steps.tolist() == list(map(len, uneven))
    for name, train in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], train, err_msg=name)
    np.testing.assert_array_equal(found.output, expected.output)


def test_the_file_has_only_what_stock_netx_knows(tmp_path):
    graph, _ = chain(0, "membrane")
    assert cautions(write_stock(graph, tmp_path / "net.hdf5")) == []
    first = graph.nodes["first"]
    with h5py.File(tmp_path / "net.hdf5") as file:
        layers = [file["layer"][str(i)] for i in range(len(file["layer"]))]
        assert [bytes(layer["type"][0]).decode() for layer in layers] == ["input", "conv", "flatten", "dense", "dense"]
        neuron = layers[1]["neuron"]
        assert bytes(neuron["type"][0]) == b"CUBA"
        assert neuron["vThMant"][()] == first.theta.flat[0]
        assert neuron["iDecay"][()] == first.neuron.du.flat[0] + 1
        assert neuron["vDecay"][()] == first.neuron.dv.flat[0]
        np.testing.assert_array_equal(layers[1]["bias"][()].T, first.neuron.bias // 64)
        assert layers[4]["neuron"]["vThMant"][()] == 2**17 - 1


def test_counts_need_no_layer(tmp_path):
    graph, _ = chain(4, "counts")
    write_stock(graph, tmp_path / "net.hdf5")
    with h5py.File(tmp_path / "net.hdf5") as file:
        assert len(file["layer"]) == 4


def test_other_loaders_say_what_it_is(tmp_path):
    write_stock(chain(0, "membrane")[0], tmp_path / "net.hdf5")
    with pytest.raises(GraphError, match="run_stock runs it"):
        NetxProgram.load(tmp_path / "net.hdf5")


def changed(graph, name, **values):
    return replace(graph, nodes={**graph.nodes, name: replace(graph.nodes[name], **values)})


def with_neuron(graph, name, **values):
    return changed(graph, name, neuron=replace(graph.nodes[name].neuron, **values))


CASES = {
    "differ in dv": lambda g: with_neuron(g, "second", dv=np.arange(g.nodes["second"].theta.size)),
    "first has a bias of 65, netx has multiples of 64": lambda g: with_neuron(
        g, "first", bias=np.full(g.nodes["first"].shape, 65)
    ),
    "first has a bias of 5000 units, netx holds 4095": lambda g: with_neuron(
        g, "first", bias=np.full(g.nodes["first"].shape, 5000 * 64)
    ),
    "reset subtracts": lambda g: with_neuron(g, "first", subtract=1),
    "first has neurons of kind if": lambda g: changed(g, "first", neuron=IF()),
    "dense has a bias that enters the current": lambda g: changed(g, "dense", bias=np.ones_like(g.nodes["dense"].bias)),
    "readout starts at another value": lambda g: changed(g, "readout", v_init=np.ones(3, np.int64)),
    "export with format='netx'": lambda g: changed(g, "dense", weight=g.nodes["dense"].weight * 4, weight_exp=2),
}


def test_a_bias_of_an_integrator_beyond_the_mantissa_is_refused(tmp_path):
    graph, _ = chain(0, "no leak")
    with pytest.raises(DoesNotFit, match="end has a bias of 40000 units, netx holds 4095"):
        write_stock(changed(graph, "end", bias=np.full(3, 40000)), tmp_path / "net.hdf5")


@pytest.mark.parametrize("sentence", CASES)
def test_refusals(tmp_path, sentence):
    graph = CASES[sentence](chain(0, "membrane")[0])
    with pytest.raises(DoesNotFit, match=sentence):
        write_stock(graph, tmp_path / "net.hdf5")
    assert not (tmp_path / "net.hdf5").exists()


def test_feedback_and_other_writers_refuse(tmp_path):
    graph, _ = chain(0, "membrane")
    for writer in (write, write_hard_reset):
        with pytest.raises(DoesNotFit, match=r"sequences|stock netx"):
            writer(graph, tmp_path / "net.hdf5")
    seeds = (random_sequence_graph(np.random.default_rng(seed)) for seed in range(99))
    late = next(graph for graph in seeds if graph.delayed)
    with pytest.raises(DoesNotFit, match="arrives late"):
        write_stock(late, tmp_path / "net.hdf5")


def test_a_readout_that_could_fire_is_named():
    graph, _ = chain(0, "no leak")
    assert cautions(graph) == []
    weight = np.full_like(graph.nodes["end"].weight, 127)
    (sentence,) = cautions(changed(graph, "end", weight=weight).lasting(100_000))
    assert sentence.startswith("readout could reach ")


def test_the_format_that_fits():
    form = load_format("netx")
    assert (form.weight_exponent_max, form.threshold_max, form.bias_max, form.fine_bias) == (0, 2**17 - 1, 4095, False)
    assert load_format("generic24").fine_bias
