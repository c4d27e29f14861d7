"""Plain NIR from elsewhere: float weights, IF nodes, nothing said about reset, start or steps.

The oracle is a float interpreter of NIR nodes in plain numpy: the threshold is subtracted, a spike counts 1.
"""

import itertools

import nir
import numpy as np
import pytest
import torch
from helpers.nodes import population as population_of

import spikec as tc
from spikec.errors import ConversionError, DataError, GraphError
from spikec.ir.coding import InputNode, InputRange
from spikec.ir.graph import IntegerGraph, Readout
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool
from spikec.ir.profile.build import build
from spikec.ir.profile.files import write_nir


def _if(shape, threshold=1.0, r=1.0, v_reset=0.0):
    ones = np.ones(shape, np.float32)
    return nir.IF(r=ones * r, v_threshold=ones * np.asarray(threshold, np.float32), v_reset=ones * v_reset)


def _graph(nodes, edges):
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata={}, type_check=False)


def _chain(*nodes, shape=(4,), size=3):
    """Input, the nodes as n0, n1, ..., output."""
    names = ["in", *(f"n{i}" for i in range(len(nodes))), "out"]
    ends = [nir.Input({"input": np.array(shape)}), *nodes, nir.Output({"output": np.array([size])})]
    return _graph(dict(zip(names, ends, strict=True)), list(itertools.pairwise(names)))


def _dense(rng, rows, columns):
    return nir.Affine(rng.normal(size=(rows, columns)).astype(np.float32), rng.normal(size=rows).astype(np.float32))


def _import(graph, example, **options):
    return tc.import_nir(graph, **{"reset": "subtract", "v_init": "half", "timesteps": 4, "example": example} | options)


# --- our own graphs, stripped ------------------------------------------------------------------------------------


def _own(seed, v_init):
    """A graph with a skip, a pool and a dense layer; weights are integers whose largest has seven bits."""
    rng = np.random.default_rng(seed)

    def weights(*shape):
        value = rng.integers(-90, 91, shape)
        value.flat[0] = 100
        return value

    def population(name, sources, shape, theta):
        return population_of(name, sources, shape, theta=theta, v_init=None if v_init == "half" else 0)

    image, maps = (2, 6, 6), (3, 6, 6)
    plain = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}
    identity = np.eye(3, dtype=np.int64)[:, :, None, None] * 120
    nodes = [
        InputNode("input", image, "uint8", 1.0),
        Convolution("conv", ("input",), image, maps, weights(3, 2, 3, 3), rng.integers(-99, 99, 3), **plain),
        population("if1", ("conv",), maps, 401),
        Convolution("a.branch", ("if1",), maps, maps, weights(3, 3, 3, 3), rng.integers(-99, 99, 3), **plain),
        Convolution("a.skip", ("if1",), maps, maps, identity, np.zeros(3, np.int64), (1, 1), (0, 0), (1, 1)),
        population("if2", ("a.branch", "a.skip"), maps, 277),
        SumPool("pool", ("if2",), maps, (3, 3, 3), (2, 2), (2, 2)),
        Flatten("flatten", ("pool",), (3, 3, 3), (27,)),
        Affine("hidden", ("flatten",), (27,), (9,), weights(9, 27), rng.integers(-99, 99, 9)),
        population("if3", ("hidden",), (9,), 333),
        Affine("head", ("if3",), (9,), (4,), weights(4, 9), rng.integers(-99, 99, 4)),
        Readout("readout", ("head",), (4,), np.zeros(4, np.int64), 1.0),
    ]
    return IntegerGraph({node.name: node for node in nodes}, 6, "pipelined")


def _stripped(graph):
    built = build(graph)
    built.metadata = {}
    for node in built.nodes.values():
        node.metadata = {}
    return built


@pytest.mark.parametrize("v_init", ["half", "zero"])
@pytest.mark.parametrize("seed", [0, 1])
def test_own_graph_without_metadata_gives_the_same_spikes(seed, v_init, tmp_path):
    graph = _own(seed, v_init)
    images = np.random.default_rng(9).integers(0, 9, (5, 2, 6, 6)).astype(np.float32)
    path = write_nir(_stripped(graph), tmp_path / "plain.nir")
    network = _import(path, images, v_init=v_init, timesteps=6, coding=InputRange("uint8", 1.0))
    lowered = tc.lower(network, tc.Int8(scale="power_of_two"))
    expected = tc.simulate(graph, images, record="spikes")
    found = tc.simulate(lowered, images, record="spikes")
    assert tc.compare(expected, found) is None
    assert np.allclose(found.logits, expected.output / 6)


# --- files made by hand ------------------------------------------------------------------------------------------


def test_spikes_count_one_whatever_the_threshold():
    """Two layers with thresholds of their own per neuron, against float loops."""
    rng = np.random.default_rng(3)
    first, second = _dense(rng, 5, 4), _dense(rng, 3, 5)
    thresholds = np.array([0.5, 1.0, 1.5, 2.0, 3.0], np.float32), np.array([0.7, 1.1, 2.0], np.float32)
    graph = _chain(first, _if(5, thresholds[0]), second, _if(3, thresholds[1]))
    x = rng.uniform(0, 2, (6, 4)).astype(np.float32)
    network = _import(graph, x, v_init="zero", timesteps=8)
    counts = np.zeros((6, 3))
    for image in range(6):
        v, w = np.zeros(5), np.zeros(3)
        for _ in range(8):
            v += first.weight.astype(float) @ x[image] + first.bias
            s = (v >= thresholds[0]).astype(float)
            v -= s * thresholds[0]
            w += second.weight.astype(float) @ s + second.bias
            z = (w >= thresholds[1]).astype(float)
            w -= z * thresholds[1]
            counts[image] += z
    assert torch.allclose(network(torch.from_numpy(x)), torch.from_numpy(counts / 8).float(), atol=1e-5)
    deployed = tc.simulate(tc.lower(network, tc.Int8(per="channel")), x)
    assert np.abs(deployed.logits - counts / 8).max() <= 1 / 8 + 1e-6  # rounding may move a spike


def test_pools_grouped_convolutions_and_words_for_padding():
    """Against torch on the mean of one step: an integrating network of one layer is linear below its threshold."""
    rng = np.random.default_rng(4)
    weight = rng.uniform(0, 1, (4, 1, 3, 3)).astype(np.float32)
    conv = nir.Conv2d((6, 6), weight, (1, 1), "same", (1, 1), 2, np.zeros(4, np.float32))
    pools = [
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.AvgPool2d(np.array([3, 3]), np.array([1, 1]), np.array([0, 0])),
    ]
    flat = nir.Flatten({"input": np.array([4, 1, 1])}, 0, -1)
    graph = _chain(conv, *pools, flat, _if(4, 1e-3), shape=(2, 6, 6), size=4)
    network = _import(graph, np.ones((1, 2, 6, 6), np.float32), timesteps=1)
    seen = []
    network.neurons["n4"].register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    x = torch.from_numpy(rng.uniform(0, 1, (3, 2, 6, 6)).astype(np.float32))
    network(x)
    y = torch.nn.functional.conv2d(x, torch.from_numpy(weight), padding="same", groups=2)
    y = torch.nn.functional.avg_pool2d(4 * torch.nn.functional.avg_pool2d(y, 2), 3, 1)
    assert torch.allclose(seen[0], y.flatten(1), rtol=1e-5)


def test_resistance_and_step_scale_the_input():
    rng = np.random.default_rng(5)
    layer, x = _dense(rng, 3, 4), rng.uniform(0, 1, (5, 4)).astype(np.float32)
    plain = _import(_chain(layer, _if(3, 1.0)), x)
    scaled = _import(_chain(layer, _if(3, 1.0, r=1000.0)), x, dt=1e-3)
    assert torch.allclose(plain(torch.from_numpy(x)), scaled(torch.from_numpy(x)))


def test_names_stay_where_a_deployment_allows_them(tmp_path):
    rng = np.random.default_rng(6)
    nodes = {
        "in": nir.Input({"input": np.array([4])}),
        "block": _dense(rng, 3, 4),
        "block.spikes": _if(3),
        "2": _dense(rng, 3, 3),
        "readout": _if(3),
        "out": nir.Output({"output": np.array([3])}),
    }
    names = list(nodes)
    x = rng.uniform(0, 1, (4, 4)).astype(np.float32)
    network = _import(_graph(nodes, list(itertools.pairwise(names))), x)
    assert list(network.neurons) == ["block_spikes", "readout_1"]
    tc.save(tc.lower(network), tmp_path / "net.nir")


# --- refusals ----------------------------------------------------------------------------------------------------


def _lif():
    return nir.LIF(*(np.ones(3, np.float32) for _ in range(4)))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([_lif()], "n1: LIF neurons leak"),
        ([_if(3, v_reset=0.5)], "n1: v_reset is not 0"),
        ([_if(3, r=np.array([1.0, 1.0, 2.0], np.float32))], "n1: r differs between neurons"),
        ([_if(3, r=1000.0)], "n1: r is 1000; give dt"),
        ([_if(3, -1.0)], "n1: its thresholds are not all positive"),
        ([nir.Delay(np.ones(3)), _if(3)], "n1: Delay has no counterpart"),
        ([nir.I(np.ones(3)), _if(3)], "n1: an integrator"),
        (
            [_if(3), nir.Linear(np.full((3, 3), np.nan, np.float32)), _if(3)],
            "n2: weight holds values that are not finite",
        ),
        (
            [nir.Affine(np.ones((3, 3)), np.array([1.0, np.inf, 0.0])), _if(3)],
            "n1: bias holds values that are not finite",
        ),
        ([], "no IF node"),
        ([_if(4)], r"n1: r has shape \(4,\), its source has \(3,\)"),
        ([_if(3), _lif(), nir.Delay(np.ones(3))], "n2: LIF neurons leak.*; n3: Delay"),
    ],
)
def test_refuses_in_one_sentence(nodes, message):
    graph = _chain(_dense(np.random.default_rng(0), 3, 4), *nodes)
    with pytest.raises(GraphError, match=message):
        _import(graph, np.ones((1, 4), np.float32))


def test_refuses_recurrence():
    rng = np.random.default_rng(0)
    graph = _chain(_dense(rng, 3, 4), _if(3), _dense(rng, 3, 3))
    graph.edges.append(("n2", "n1"))
    with pytest.raises(GraphError, match="cycle: recurrent"):
        _import(graph, np.ones((1, 4), np.float32))


def test_refuses_thresholds_that_differ_within_a_channel():
    conv = nir.Conv2d((4, 4), np.ones((2, 1, 1, 1), np.float32), 1, 0, 1, 1, np.zeros(2, np.float32))
    thresholds = np.ones((2, 4, 4), np.float32)
    thresholds[0, 0, 0] = 2
    graph = _chain(conv, _if((2, 4, 4), thresholds), shape=(1, 4, 4), size=32)
    with pytest.raises(GraphError, match="differ within a channel"):
        _import(graph, np.ones((1, 1, 4, 4), np.float32))


def test_refuses_a_flatten_that_leaves_axes():
    conv = nir.Conv2d((4, 4), np.ones((2, 1, 1, 1), np.float32), 1, 0, 1, 1, np.zeros(2, np.float32))
    flat = nir.Flatten({"input": np.array([2, 4, 4])}, 1, -1)
    graph = _chain(conv, _if((2, 4, 4)), flat, shape=(1, 4, 4), size=32)
    with pytest.raises(GraphError, match="flattens axes 1 to -1"):
        _import(graph, np.ones((1, 1, 4, 4), np.float32))


def test_node_may_be_called_as_a_word_of_python():
    """nir.NIRGraph.from_list calls its first IF node so."""
    graph, x = _chain(_dense(np.random.default_rng(0), 3, 4), _if(3)), np.ones((1, 4), np.float32)
    names = {name: "if" if isinstance(node, nir.IF) else name for name, node in graph.nodes.items()}
    renamed = nir.NIRGraph(
        {names[name]: node for name, node in graph.nodes.items()}, [(names[a], names[b]) for a, b in graph.edges]
    )
    assert torch.equal(_import(renamed, x)(torch.as_tensor(x)), _import(graph, x)(torch.as_tensor(x)))


def test_nothing_is_assumed():
    graph, x = _chain(_dense(np.random.default_rng(0), 3, 4), _if(3)), np.ones((1, 4), np.float32)
    with pytest.raises(TypeError, match="reset"):
        tc.import_nir(graph, v_init="half", timesteps=4, example=x)
    with pytest.raises(ConversionError, match="reset must be 'subtract', not 'zero'"):
        _import(graph, x, reset="zero")
    with pytest.raises(ConversionError, match="v_init must be 'half' or 'zero'"):
        _import(graph, x, v_init=None)
    with pytest.raises(ConversionError, match="timesteps must be a whole number"):
        _import(graph, x, timesteps=0)
    with pytest.raises(ConversionError, match="dt must be a positive number"):
        _import(graph, x, dt=-1.0)
    with pytest.raises(DataError, match=r"takes .4,."):
        _import(graph, np.ones((1, 5), np.float32))
    with pytest.raises(GraphError, match="deployment file already"):
        _import(build(_own(0, "half")), np.ones((1, 2, 6, 6), np.float32))
