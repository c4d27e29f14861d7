"""Plain NIR graphs of IF neurons: every linear node, ends that lead nowhere, batch axes, names.

The oracle is plain float64 loops over NIR's nodes. Weights, scales and inputs are small multiples of powers of two and
thresholds are powers of two, so that floats are exact and spikes must be equal.
"""

import itertools
import warnings

import nir
import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.conversion.from_nir.connections import connected
from spikec.conversion.from_nir.obstacles import obstacles
from spikec.conversion.from_nir.sequences import needs_sequences
from spikec.errors import DataError, GraphError
from spikec.ir import decode
from spikec.ir.profile.files import write_nir

SEEDS = st.integers(0, 2**32 - 1)
STEPS = 4


def eighths(rng, *shape):
    return (rng.integers(-16, 17, shape) / 8).astype(np.float32)


def fire(*shape, threshold=1.0):
    ones = np.ones(shape, np.float32)
    return nir.IF(r=ones, v_threshold=ones * np.asarray(threshold, np.float32), v_reset=0 * ones)


def affine(rng, rows, columns):
    return nir.Affine(eighths(rng, rows, columns), eighths(rng, rows))


def flatten(*shape, start=0):
    return nir.Flatten({"input": np.array(shape)}, start, -1)


def graph_of(nodes, edges, shape, *, checked=False):
    ends = {"in": nir.Input({"input": np.array(shape)}), "out": nir.Output({"output": np.array([5])})}
    return nir.NIRGraph(ends | nodes, list(edges), type_check=checked)


def chain(*nodes, shape):
    names = ["in", *(f"n{i}" for i in range(len(nodes))), "out"]
    return graph_of(dict(zip(names[1:-1], nodes, strict=True)), itertools.pairwise(names), shape)


def imported(graph, example, **options):
    settings_of_images = {"reset": "subtract", "v_init": "zero", "timesteps": STEPS}
    return tc.import_nir(graph, example=example, **settings_of_images | options)


# --- the oracle ---------------------------------------------------------------------------------------------------


def convolved(node, x):
    """Cross-correlation of one signal or image, number by number."""
    weight, axes, groups = np.asarray(node.weight, float), x.ndim - 1, int(node.groups)
    stride, padding, dilation = (np.broadcast_to(v, axes) for v in (node.stride, node.padding, node.dilation))
    x = np.pad(x, [(0, 0), *((p, p) for p in padding)])
    size = [(n - d * (k - 1) - 1) // s + 1
            for n, k, s, d in zip(x.shape[1:], weight.shape[2:], stride, dilation, strict=True)]  # fmt: skip
    out = np.zeros((len(weight), *size))
    inputs, rows = len(x) // groups, len(weight) // groups
    for o, *place in np.ndindex(*out.shape):
        group = x[o // rows * inputs : (o // rows + 1) * inputs]
        window = tuple(slice(p * s, p * s + d * (k - 1) + 1, d)
                       for p, s, d, k in zip(place, stride, dilation, weight.shape[2:], strict=True))  # fmt: skip
        out[(o, *place)] = (group[(slice(None), *window)] * weight[o]).sum() + node.bias[o]
    return out


def pooled(node, x):
    (kh, kw), (sh, sw), (ph, pw) = (np.broadcast_to(v, 2) for v in (node.kernel_size, node.stride, node.padding))
    x = np.pad(x, ((0, 0), (ph, ph), (pw, pw)))
    rows, columns = (x.shape[1] - kh) // sh + 1, (x.shape[2] - kw) // sw + 1
    out = np.array([[[each[i * sh : i * sh + kh, j * sw : j * sw + kw].sum() for j in range(columns)]
                     for i in range(rows)] for each in x])  # fmt: skip
    return out / (kh * kw) if isinstance(node, nir.AvgPool2d) else out


def apply(node, x):
    match node:
        case nir.Affine():
            return np.asarray(node.weight, float) @ x + node.bias
        case nir.Linear():
            return np.asarray(node.weight, float) @ x
        case nir.Scale():
            return x * np.asarray(node.scale, float).reshape(np.shape(node.scale)[-x.ndim :])
        case nir.Conv1d() | nir.Conv2d():
            return convolved(node, x)
        case nir.SumPool2d() | nir.AvgPool2d():
            return pooled(node, x)
        case nir.Flatten():
            return x.reshape(-1)
    return x


def spikes_out(nodes, x):
    """What leaves the last node of a chain, added up over the steps."""
    membranes, total = {}, 0.0
    for _ in range(STEPS):
        value = x.astype(float)
        for i, node in enumerate(nodes):
            if isinstance(node, nir.IF):
                v = membranes.get(i, 0.0) + value
                threshold = np.asarray(node.v_threshold, float).reshape(value.shape)
                value = (v >= threshold).astype(float)
                membranes[i] = v - value * threshold
            else:
                value = apply(node, value)
        total = total + value.reshape(-1)
    return total


# --- linear nodes -------------------------------------------------------------------------------------------------


def random_chain(rng):
    """Nodes of a chain, and the shape of its input: a vector, a signal or an image."""
    axes = int(rng.integers(0, 3))
    shape = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(4, 8, axes)))
    first, nodes = shape, []
    for _ in range(int(rng.integers(1, 4))):
        node = random_convolution(rng, shape) if len(shape) > 1 else affine(rng, int(rng.integers(1, 6)), shape[0])
        nodes.append(node)
        shape = apply(node, np.zeros(shape)).shape
        nodes += [random_scale(rng, shape)] * int(rng.integers(0, 2))
        if rng.integers(0, 4):
            nodes.append(fire(*shape, threshold=2.0 ** rng.integers(-1, 3)))
            nodes += [random_scale(rng, shape)] * int(rng.integers(0, 2))
        if len(shape) == 3 and min(shape[1:]) > 1 and rng.integers(0, 2):
            kind = nir.SumPool2d if rng.integers(0, 2) else nir.AvgPool2d
            nodes.append(kind(np.array([2, 2]), np.array([1, 2]), np.array([0, 0])))
            shape = apply(nodes[-1], np.zeros(shape)).shape
    if len(shape) > 1:
        nodes.append(flatten(*shape))
    nodes.append(affine(rng, 3, int(np.prod(shape))))
    return [*nodes, fire(3, threshold=2.0)], first


def random_convolution(rng, shape):
    kernel = int(rng.integers(1, 4))
    padding = int(rng.integers(0, 2)) if min(shape[1:]) >= kernel else 1 + kernel // 2
    groups = shape[0] if rng.integers(0, 3) == 0 else 1
    outputs, stride = groups * int(rng.integers(1, 3)), int(rng.integers(1, 3))
    weight = eighths(rng, outputs, shape[0] // groups, *[kernel] * (len(shape) - 1))
    kind, size = (nir.Conv1d, shape[1]) if len(shape) == 2 else (nir.Conv2d, shape[1:])
    return kind(size, weight, stride, padding, 1, groups, eighths(rng, outputs))


def random_scale(rng, shape):
    """One factor, one for each channel, or one for each place."""
    own = [(1,), (shape[0], *[1] * (len(shape) - 1)), shape][rng.integers(0, 3)]
    return nir.Scale(rng.choice([-1.0, 0.0, 0.5, 1.0, 2.0], own).astype(np.float32))


@given(seed=SEEDS)
@settings(max_examples=drawn(60), deadline=None)
def test_linear_nodes_are_those_of_nir(seed):
    rng = np.random.default_rng(seed)
    nodes, shape = random_chain(rng)
    x = rng.integers(0, 5, (2, *shape)).astype(np.float32)
    network = imported(chain(*nodes, shape=shape), x)
    expected = np.array([spikes_out(nodes, each) for each in x]) / STEPS
    np.testing.assert_array_equal(network(torch.from_numpy(x)).numpy(), expected)


def signal_net(rng, shape=(2, 12), flat=None):
    conv = nir.Conv1d(12, eighths(rng, 4, 2, 3), 2, 1, 1, 1, eighths(rng, 4))
    neurons, scale = fire(4, 6, threshold=2.0), nir.Scale(np.array([[0.5], [1], [1], [2]], np.float32))
    return chain(conv, neurons, scale, flat or flatten(4, 6), affine(rng, 5, 24), fire(5), shape=shape)


def test_signals_and_scales_run_as_integers():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 5, (6, 2, 12)).astype(np.float32)
    network = imported(signal_net(rng), x)
    graph = tc.lower(network, tc.Int8(per="channel", scale="power_of_two"))
    np.testing.assert_array_equal(tc.simulate(graph, x).logits, network(torch.from_numpy(x)).numpy())


def test_factors_within_a_channel_become_a_matrix_without_its_zeros():
    """Those of a whole channel go into the convolution before them."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, (3, 2, 2, 2)).astype(np.float32)
    mixed = np.array([[[0.5, 1], [0, 2]], [[0, -1], [1, 0]]], np.float32)
    conv = nir.Conv2d((2, 2), eighths(rng, 2, 2, 1, 1), 1, 0, 1, 1, eighths(rng, 2))
    last = [flatten(2, 2, 2), affine(rng, 5, 8), fire(5)]
    graph = chain(conv, fire(2, 2, 2), nir.Scale(mixed), fire(2, 2, 2), *last, shape=(2, 2, 2))
    matrix = decode(tc.lower(imported(graph, x))).nodes["n2"].weight
    assert (matrix.shape, np.count_nonzero(matrix)) == ((8, 8), 5)
    graph = chain(conv, nir.Scale(mixed[:, :1, :1] + 1), fire(2, 2, 2), *last, shape=(2, 2, 2))
    assert [each.name for each in decode(tc.lower(imported(graph, x))).synapses][:2] == ["n0", "n4"]


def test_examples_of_another_shape_are_told_that_of_the_file():
    with pytest.raises(DataError, match=r"shape \(2, 11\), the NIR graph takes \(2, 12\)"):
        imported(signal_net(np.random.default_rng(0)), np.ones((1, 2, 11), np.float32))
    with pytest.raises(DataError, match=r"shape \(3,\), the NIR graph takes \(2, 12\)"):
        imported(signal_net(np.random.default_rng(0), shape=(1, 2, 12)), np.ones((1, 3), np.float32))


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (np.ones(5, np.float32), r"n1: scale has shape \(5,\), its source has \(6,\)"),
        (np.full(6, np.nan, np.float32), "n1: scale holds values that are not finite"),
        (np.array("x"), "n1: scale holds values that are not finite numbers"),
    ],
)
def test_scales_that_cannot_be_are_refused(scale, words):
    rng = np.random.default_rng(0)
    graph = chain(affine(rng, 6, 4), nir.Scale(np.ones(6)), fire(6), affine(rng, 5, 6), fire(5), shape=(4,))
    graph.nodes["n1"].scale = scale
    with pytest.raises(GraphError, match=words):
        imported(graph, np.ones((1, 4), np.float32))


# --- an axis for the batch ----------------------------------------------------------------------------------------


def vectors(rng, lead=()):
    nodes = affine(rng, 6, 4), fire(*lead, 6), affine(rng, 5, 6), fire(*lead, 5)
    return chain(*nodes, shape=(*lead, 4)), (4,)


def signals(rng, lead=()):
    return signal_net(rng, (*lead, 2, 12), flatten(*lead, 4, 6, start=len(lead))), (2, 12)


def images(rng, lead=()):
    conv = nir.Conv2d((4, 4), eighths(rng, 3, 2, 3, 3), 1, 1, 1, 1, eighths(rng, 3))
    nodes = [conv, fire(*lead, 3, 4, 4), nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))]
    nodes += [flatten(*lead, 3, 2, 2, start=len(lead)), affine(rng, 5, 12), fire(*lead, 5)]
    return chain(*nodes, shape=(*lead, 2, 4, 4)), (2, 4, 4)


@pytest.mark.parametrize("build", [vectors, signals, images])
def test_a_batch_axis_of_one_is_left_out(build):
    (plain, shape), (batched, _) = (build(np.random.default_rng(4), lead) for lead in ((), (1,)))
    x = np.random.default_rng(5).integers(0, 5, (3, *shape)).astype(np.float32)
    first, second = (imported(graph, x)(torch.from_numpy(x)) for graph in (plain, batched))
    assert torch.equal(first, second)
    assert first.any()
    assert obstacles(batched, None) == []


def test_an_axis_of_one_that_is_a_channel_stays():
    rng = np.random.default_rng(6)
    conv = nir.Conv1d(8, eighths(rng, 2, 1, 3), 1, 1, 1, 1, eighths(rng, 2))
    graph = chain(conv, fire(2, 8), flatten(2, 8), affine(rng, 5, 16), fire(5), shape=(1, 8))
    x = rng.integers(0, 5, (2, 1, 8)).astype(np.float32)
    assert imported(graph, x)(torch.from_numpy(x)).shape == (2, 5)


@pytest.mark.parametrize("shape", [(), (1,), (3, 1, 1)])
def test_one_number_for_all_neurons_is_spread(shape):
    graphs = images(np.random.default_rng(4))[0], images(np.random.default_rng(4))[0]
    ones = np.ones(shape, np.float32)
    graphs[1].nodes["n1"] = nir.IF(r=ones, v_threshold=ones, v_reset=0 * ones)
    x = np.random.default_rng(5).integers(0, 5, (3, 2, 4, 4)).astype(np.float32)
    first, second = (imported(graph, x)(torch.from_numpy(x)) for graph in graphs)
    assert torch.equal(first, second)
    assert first.any()


def test_an_axis_of_two_is_no_batch():
    rng = np.random.default_rng(0)
    graph = chain(affine(rng, 6, 4), fire(6), shape=(2, 4))
    with pytest.raises(GraphError, match=r"n0: weights of shape \(6, 4\) do not fit"):
        imported(graph, np.ones((1, 4), np.float32))


def test_sequences_leave_the_batch_axis_out_too():
    nodes = nir.Linear(np.eye(4)), nir.LIF(*(np.full((1, 4), 5.0) for _ in range(4)))
    graph = chain(*nodes, shape=(1, 4))
    assert tc.import_sequences(graph, example=np.ones((1, 3, 4)), dt=1.0).shapes["n1"] == (4,)
    assert obstacles(graph, 1.0) == []


# --- ends that lead nowhere ---------------------------------------------------------------------------------------


EDGES = (("in", "c"), ("c", "a"), ("a", "l"), ("l", "z"), ("z", "out"))


def net(rng):
    return {"c": affine(rng, 6, 4), "a": fire(6), "l": affine(rng, 5, 6), "z": fire(5)}


LEAKY = nir.LIF(*(np.ones(3, np.float32) for _ in range(4)))
DEAD = {
    "a population": ({"probe": fire(6)}, [("a", "probe")]),
    "at weights": ({"probe": fire(6)}, [("c", "probe")]),
    "at the input": ({"probe": fire(4)}, [("in", "probe")]),
    "weights": ({"probe": nir.Linear(np.ones((2, 6)))}, [("a", "probe")]),
    "behind weights": (
        {"w": nir.Linear(np.ones((3, 6))), "probe": LEAKY, "I": nir.I(np.ones(3))},
        [("a", "w"), ("w", "probe"), ("probe", "I")],
    ),
    "neurons that feed back": ({"probe": fire(6)}, [("a", "probe"), ("probe", "probe")]),
    "fed by nothing": ({"probe": fire(6)}, []),
    "a chain fed by nothing": ({"w": nir.Linear(np.ones((6, 6))), "probe": fire(6)}, [("w", "probe")]),
    "of another shape": ({"probe": fire(7)}, [("a", "probe")]),
}


@pytest.mark.parametrize("name", DEAD)
def test_what_the_output_does_not_depend_on_is_left_out_by_name(name):
    more, edges = DEAD[name]
    plain = graph_of(net(np.random.default_rng(7)), EDGES, (4,))
    graph = graph_of(net(np.random.default_rng(7)) | more, [*EDGES, *edges], (4,))
    x = np.random.default_rng(8).integers(0, 5, (3, 4)).astype(np.float32)
    with pytest.warns(UserWarning, match="no output of the NIR graph depends on it") as heard:
        network = imported(graph, x)
    assert str(heard[0].message).split(": ")[1] == ", ".join(sorted(more))
    wanted = tc.simulate(tc.lower(imported(plain, x)), x, record="spikes")
    assert tc.compare(wanted, tc.simulate(tc.lower(network), x, record="spikes")) is None
    assert obstacles(graph, None) == []
    assert not needs_sequences(graph)


@pytest.mark.parametrize("name", ["a population", "at weights", "fed by nothing", "a chain fed by nothing"])
def test_ends_that_nir_added_are_no_ends(name, tmp_path):
    more, edges = DEAD[name]
    graph = graph_of(net(np.random.default_rng(7)) | more, [*EDGES, *edges], (4,), checked=True)
    assert "output_probe" in graph.nodes
    with pytest.warns(UserWarning, match="probe"):
        network = imported(write_nir(graph, tmp_path / "net.nir"), np.ones((1, 4), np.float32))
    assert list(network.neurons) == ["a", "z"]


def test_what_nir_added_is_never_named():
    nodes = net(np.random.default_rng(0))
    graph = nir.NIRGraph(nodes, list(EDGES[1:-1]), type_check=False)
    with pytest.raises(GraphError, match=r"it has 0 Output nodes of its own, it must have one; nothing reads z"):
        imported(graph, np.ones((1, 4), np.float32))
    graph = graph_of(nodes | {"drive": fire(6)}, [*EDGES, ("drive", "l")], (4,), checked=True)
    with pytest.raises(GraphError, match="graph: drive: nothing feeds this node"):
        imported(graph, np.ones((1, 4), np.float32))


def test_an_only_end_may_be_one_that_nir_added():
    graph = nir.NIRGraph(net(np.random.default_rng(0)), list(EDGES[1:-1]))
    assert set(connected(graph).nodes) - set("aclz") == {"input_c", "output_z"}


def test_outputs_that_nir_added_are_the_outputs_where_there_is_no_other():
    start = {"in": nir.Input({"input": np.array([4])})}
    graph = nir.NIRGraph(start | net(np.random.default_rng(0)) | {"head": fire(6)}, [*EDGES[:-1], ("a", "head")])
    x = np.random.default_rng(8).integers(0, 5, (3, 4)).astype(np.float32)
    found = imported(graph, x)(torch.from_numpy(x))
    assert {name: values.shape for name, values in found.items()} == {"output_head": (3, 6), "output_z": (3, 5)}


def test_ends_beside_others_are_not_taken_for_those_that_nir_adds():
    graph = graph_of(net(np.random.default_rng(0)), [*EDGES, ("a", "output_a"), ("input_l", "l")], (4,))
    graph.nodes["output_a"] = nir.Output({"output": np.array([6])})
    assert {"out", "output_a"} <= connected(graph).nodes.keys()
    graph.nodes["input_l"] = nir.Input({"input": np.array([6])})
    with pytest.raises(GraphError, match=r"it has 2 Input nodes \(.*input_l.*\), it must have one"):
        imported(graph, np.ones((1, 4), np.float32))


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([e for e in EDGES if e != ("c", "a")], "a: nothing feeds this node"),
        ([*EDGES, ("a", "ghost")], "a: it feeds 'ghost', which does not exist"),
        ([*EDGES, ("ghost", "l")], "l: its source 'ghost' does not exist"),
        ([*EDGES, ("out", "c")], "out: an Output node feeds others"),
        ([*EDGES, ("a", "in")], "in: an Input node has sources"),
    ],
)
def test_broken_edges_are_refused_by_name(edges, words):
    with pytest.raises(GraphError, match=words):
        imported(graph_of(net(np.random.default_rng(0)), edges, (4,)), np.ones((1, 4), np.float32))


def test_what_leads_to_any_output_is_kept():
    rng = np.random.default_rng(0)
    heads = {"b": nir.Linear(rng.normal(size=(2, 6))), "probe": fire(6), "head": nir.Output({"output": np.array([2])})}
    graph = graph_of(net(rng) | heads, [*EDGES, ("a", "b"), ("b", "head"), ("a", "probe")], (4,))
    assert connected(graph).left_out == ("probe",)
    x = np.random.default_rng(8).integers(0, 5, (3, 4)).astype(np.float32)
    with pytest.warns(UserWarning, match=r"no output of the NIR graph depends on it: probe$"):
        found = imported(graph, x)(torch.from_numpy(x))
    assert {name: values.shape for name, values in found.items()} == {"head": (3, 2), "out": (3, 5)}


def test_an_edge_twice_is_one_edge():
    x = np.random.default_rng(8).integers(0, 5, (3, 4)).astype(np.float32)
    once, twice = (
        imported(graph_of(net(np.random.default_rng(7)), [*EDGES, *more], (4,)), x)(torch.from_numpy(x))
        for more in ([], [EDGES[2]])
    )
    assert torch.equal(once, twice)


# --- graphs inside, names -----------------------------------------------------------------------------------------


def test_graphs_inside_are_written_flat():
    rng = np.random.default_rng(9)
    nodes = net(rng)
    ends = {"input": nir.Input({"input": np.array([4])}), "output": nir.Output({"output": np.array([6])})}
    inner = nir.NIRGraph(
        ends | {"c": nodes["c"], "a": nodes["a"]},
        [("input", "c"), ("c", "a"), ("a", "output")],
        type_check=False,
    )
    outer = {"block": inner, "l": nodes["l"], "z": nodes["z"]}
    nested = graph_of(outer, [("in", "block"), ("block", "l"), ("l", "z"), ("z", "out")], (4,))
    x = rng.integers(0, 5, (3, 4)).astype(np.float32)
    network = imported(nested, x)
    assert list(network.neurons) == ["block.a", "z"]
    assert needs_sequences(nested)  # on the command line
    assert torch.equal(network(torch.from_numpy(x)), imported(graph_of(nodes, EDGES, (4,)), x)(torch.from_numpy(x)))


def test_neurons_behind_neurons():
    rng = np.random.default_rng(10)
    nodes = [fire(4, threshold=2.0), fire(4, threshold=0.5), affine(rng, 5, 4), fire(5)]
    x = rng.integers(0, 5, (3, 4)).astype(np.float32)
    network = imported(chain(*nodes, shape=(4,)), x)
    expected = np.array([spikes_out(nodes, each) for each in x]) / STEPS
    np.testing.assert_array_equal(network(torch.from_numpy(x)).numpy(), expected)
    assert tc.simulate(tc.lower(network), x).counts.keys() == {"n0", "n1", "n3"}


@pytest.mark.parametrize("name", ["forward", "graph", "training", "b.eval", "_modules", "z_gain", "c.gain", "class"])
def test_names_that_modules_have_themselves(name):
    rng = np.random.default_rng(11)
    nodes = {name if key == "a" else key: node for key, node in net(rng).items()}
    edges = [tuple(name if end == "a" else end for end in edge) for edge in EDGES]
    x = rng.integers(0, 5, (3, 4)).astype(np.float32)
    plain = imported(graph_of(net(np.random.default_rng(11)), EDGES, (4,)), x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = imported(graph_of(nodes, edges, (4,)), x)
    assert torch.equal(network(torch.from_numpy(x)), plain(torch.from_numpy(x)))
    tc.lower(network)
