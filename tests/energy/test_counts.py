"""Counts against explicit lists of synapses, built by plain loops over the definition of each node."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from helpers.linear_maps import FUNCTIONS, around
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.energy.counts import count
from spikec.energy.fanout import fan_outs
from spikec.errors import DataError
from spikec.ir import decode
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool, Unflatten
from spikec.simulation import simulate

SETTINGS = settings(max_examples=drawn(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def connections(node):
    """Every existing connection of a linear node as (input index, output index, weight)."""
    if isinstance(node, Convolution):
        return list(_convolution(node))
    if isinstance(node, Affine):
        return [
            (np.unravel_index(i, node.input_shape), (o,), int(node.weight[o, i]))
            for o in range(node.weight.shape[0])
            for i in range(node.weight.shape[1])
            if node.weight[o, i] or not node.sparse
        ]
    if isinstance(node, Unflatten):
        cells = itertools.product(*map(range, node.output_shape))
        return [((index,), cell, 1) for index, cell in enumerate(cells)]
    if isinstance(node, Flatten):
        cells = itertools.product(*map(range, node.input_shape))
        return [(cell, (index,), 1) for index, cell in enumerate(cells)]
    assert isinstance(node, SumPool)
    channels, height, width = node.output_shape
    return [
        ((c, y * node.stride[0] + u, x * node.stride[1] + v), (c, y, x), 1)
        for c, y, x in itertools.product(range(channels), range(height), range(width))
        for u, v in itertools.product(range(node.kernel[0]), range(node.kernel[1]))
    ]


def _convolution(node):
    per_in, per_out = node.weight.shape[1], node.weight.shape[0] // node.groups
    top, bottom, left, right = node.margin
    for o, y, x in itertools.product(*map(range, node.output_shape)):
        for i in range(per_in):
            for u in range(top, node.weight.shape[2] - bottom):
                for v in range(left, node.weight.shape[3] - right):
                    row = y * node.stride[0] - node.padding[0] + u * node.dilation[0]
                    column = x * node.stride[1] - node.padding[1] + v * node.dilation[1]
                    if 0 <= row < node.input_shape[1] and 0 <= column < node.input_shape[2]:
                        pre = ((o // per_out) * per_in + i, row, column)
                        yield pre, (o, y, x), int(node.weight[o, i, u, v])


def brute_force(net, trace, name, applied):
    """(synops, synops_nonzero, events) of one synapse node by following every event along every connection."""

    def arriving(node_name, only_nonzero):
        node = net.nodes[node_name]
        if node is net.input:
            return Counter({k: int(n) * applied for k, n in np.ndenumerate(trace.input_events)})
        if node_name in trace.events:
            return Counter({k: int(n) for k, n in np.ndenumerate(trace.events[node_name].sum(axis=0))})
        before = Counter()
        for source in node.sources:
            before.update(arriving(source, only_nonzero))
        after = Counter()
        for pre, post, weight in connections(node):
            if weight or not only_nonzero:
                after[tuple(map(int, post))] += before[tuple(map(int, pre))]
        return after

    result = []
    for only_nonzero in (False, True):
        entering = Counter()
        for source in net.nodes[name].sources:
            entering.update(arriving(source, only_nonzero))
        result.append(
            sum(entering[tuple(map(int, pre))] for pre, _, w in connections(net.nodes[name]) if w or not only_nonzero)
        )
        if not only_nonzero:
            events = sum(entering.values())
    return result[0], result[1], events


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_sparse_matrices_match_brute_force(name):
    images = torch.randint(0, 256, (3, 2, 4, 4), generator=torch.Generator().manual_seed(1)) / 255
    spiking = around(name, seed=5, before="", after="", beside=False, example=images)
    graph = decode(tc.lower(spiking, force=True))
    trace = simulate(graph, images)
    counts = count(graph, trace)
    for synapse in ("map", "head"):
        found = counts.synapses[synapse]
        expected = brute_force(graph, trace, synapse, applied=1)
        assert (found.synops, found.synops_nonzero, found.events) == expected
    assert counts.synapses["map"].synops == counts.synapses["map"].synops_nonzero


@st.composite
def geometries(draw):
    groups = draw(st.sampled_from([1, 1, 2]))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    margin = tuple(draw(st.integers(0, (k - 1) // 2)) for k in (kernel[0], kernel[0], kernel[1], kernel[1]))
    return {
        "shape": (groups * draw(st.integers(1, 2)), draw(st.integers(1, 8)), draw(st.integers(1, 8))),
        "outputs": groups * draw(st.integers(1, 3)),
        "kernel": kernel,
        "margin": margin,
        "groups": groups,
        "stride": draw(pair),
        "dilation": draw(pair),
        "padding": draw(st.tuples(st.integers(0, 3), st.integers(0, 3))),
        "seed": draw(st.integers(0, 999)),
    }


@SETTINGS
@given(geometry=geometries())
def test_any_convolution_equals_its_list_of_synapses(make, geometry):
    rng = np.random.default_rng(geometry["seed"])
    shape, groups = geometry["shape"], geometry["groups"]
    for i in (0, 1):
        reach = geometry["dilation"][i] * (geometry["kernel"][i] - 1)
        assume(shape[i + 1] + 2 * geometry["padding"][i] - reach >= 1)
    weight = rng.integers(-1, 2, (geometry["outputs"], shape[0] // groups, *geometry["kernel"]))
    top, bottom, left, right = geometry["margin"]
    for side in (np.s_[:, :, :top], np.s_[:, :, weight.shape[2] - bottom :],
                 np.s_[..., :left], np.s_[..., weight.shape[3] - right :]):  # fmt: skip
        weight[side] = 0
    node = make.convolution(
        "conv", ["if"], shape, weight, stride=geometry["stride"], padding=geometry["padding"],
        dilation=geometry["dilation"], groups=groups, margin=geometry["margin"],
    )  # fmt: skip
    existing = connections(node)
    for mask, kept in ((node.structure(), existing), (node.nonzero(), [c for c in existing if c[2]])):
        expected = np.zeros(shape, dtype=np.int64)
        for pre, _, _ in kept:
            expected[pre] += 1
        np.testing.assert_array_equal(node.fan_out(mask), expected)


@SETTINGS
@given(seed=st.integers(0, 10**6), schedule=st.sampled_from(["pipelined", "layerwise"]))
def test_a_network_equals_its_lists_of_synapses(make, seed, schedule):
    rng = np.random.default_rng(seed)
    net = make.small_network(rng, schedule=schedule)
    trace = make.random_trace(net, rng)
    counts = count(net, trace)
    for name, got in counts.synapses.items():
        assert (got.synops, got.synops_nonzero, got.events) == brute_force(net, trace, name, 4)
        assert all(type(value) is int for value in (got.synops, got.synops_nonzero, got.events))


def branching_network(make, rng):
    """Two consumers of one population, a sum of three sources, pool after pool, convolution after convolution."""
    shape = (2, 6, 6)
    return make.graph(
        [
            make.input("input", shape, "int8", 0.1),
            make.convolution("first", ["input"], shape, rng.integers(-1, 2, (2, 2, 1, 1))),
            make.population("a", ["first"], shape),
            make.convolution("grow", ["a"], shape, rng.integers(-1, 2, (4, 1, 3, 3)), padding=1, groups=2),
            make.convolution("shrink", ["grow"], (4, 6, 6), rng.integers(-1, 2, (2, 4, 2, 3)), stride=2, dilation=2),
            make.population("b", ["grow"], (4, 6, 6)),
            make.convolution("back", ["b", "grow"], (4, 6, 6), rng.integers(-1, 2, (2, 4, 3, 3)), padding=1),
            make.population("c", ["back", "a"], shape),
            make.pool("p1", ["c", "a", "input"], shape, 2),
            make.pool("p2", ["p1"], (2, 3, 3), 2),
            make.flatten("flat", ["p2"], (2, 1, 1)),
            make.affine("hidden", ["flat"], rng.integers(-1, 2, (5, 2))),
            make.affine("out", ["hidden"], rng.integers(-1, 2, (3, 5))),
            make.flatten("flat2", ["shrink"], (2, 2, 1)),
            make.affine("skip", ["flat2"], rng.integers(-1, 2, (3, 4))),
            make.readout("readout", ["out", "skip"], 3),
        ]
    )


@SETTINGS
@given(seed=st.integers(0, 10**6))
def test_chains_sums_and_two_consumers_equal_their_lists(make, seed):
    rng = np.random.default_rng(seed)
    net = branching_network(make, rng)
    trace = make.random_trace(net, rng)
    counts = count(net, trace)
    for name, got in counts.synapses.items():
        assert (got.synops, got.synops_nonzero, got.events) == brute_force(net, trace, name, 4), name
    assert counts.populations["c"].direct_synops == int(trace.events["a"].sum())


def test_pool_window_beyond_the_edge_charges_nothing(make):
    net = make.small_network(np.random.default_rng(0))
    trace = make.random_trace(net, np.random.default_rng(1), density=0.0)
    trace.events["if1"][:, :, 6, :] = 1  # seventh row: outside every 2 x 2 window
    got = count(net, trace).synapses["conv2"]
    assert (got.synops, got.events) == (0, 0)


def test_input_as_events_is_a_part_of_its_own(make):
    net = make.small_network(np.random.default_rng(0))
    trace = make.random_trace(net, np.random.default_rng(1))
    counts = count(net, trace)
    first, second = counts.synapses["conv1"], counts.synapses["conv2"]
    assert first.input_synops == first.synops > 0
    assert first.input_events == first.events == 4 * int(trace.input_events.sum())
    assert (first.synop_kind, second.synop_kind) == ("mac", "acc")
    assert second.input_synops == 0


@pytest.mark.parametrize(
    ("kind", "options", "drain", "applied"),
    [
        ("if", {}, 0, 4),
        ("signed_if", {}, 3, 4),
        ("bit_serial", {}, 0, 1),
        ("calibrated_if", {"rho": 6}, 0, 6),
    ],
)
def test_steps_in_which_the_input_is_applied(make, kind, options, drain, applied):
    rng = np.random.default_rng(3)
    net = make.graph(
        [
            make.input("input", (3,), "int8", 0.1),
            make.affine("fc1", ["input"], rng.integers(1, 3, (2, 3))),
            make.population("n", ["fc1"], (2,), kind, **options),
            make.affine("fc2", ["n"], rng.integers(1, 3, (2, 2))),
            make.readout("readout", ["fc2"], 2),
        ],
        drain=drain,
    )
    trace = make.random_trace(net, rng)
    counts = count(net, trace)
    assert counts.synapses["fc1"].synops == applied * 2 * int(trace.input_events.sum())
    assert counts.synapses["fc1"].bias_adds == applied * 3 * 1  # bias is (0, 1): one neuron, three images
    assert counts.populations["n"].updates == 2 * 3 * net.emission_steps


def test_graded_payloads_multiply_and_signs_do_not(make):
    rng = np.random.default_rng(0)
    for kind, options, bits, synop_kind in (
        ("graded", {"levels": 7}, 3, "mac"),
        ("graded", {"levels": 1}, 0, "acc"),
        ("signed_if", {}, 1, "acc"),
        ("if", {}, 0, "acc"),
    ):
        net = make.graph(
            [
                make.input("input", (3,), "int8", 0.1),
                make.affine("fc1", ["input"], rng.integers(1, 3, (2, 3))),
                make.population("n", ["fc1"], (2,), kind, **options),
                make.affine("fc2", ["n"], rng.integers(1, 3, (2, 2))),
                make.readout("readout", ["fc2"], 2),
            ],
            timesteps=1,
        )
        counts = count(net, make.random_trace(net, rng))
        assert counts.synapses["fc2"].synop_kind == synop_kind
        assert counts.populations["n"].payload_bits == bits


@SETTINGS
@given(geometry=geometries())
def test_fan_out_and_fan_in_add_up_to_the_dense_macs(make, geometry):
    rng = np.random.default_rng(geometry["seed"])
    shape, groups = geometry["shape"], geometry["groups"]
    for i in (0, 1):
        reach = geometry["dilation"][i] * (geometry["kernel"][i] - 1)
        assume(shape[i + 1] + 2 * geometry["padding"][i] - reach >= 1)
    weight = rng.integers(1, 3, (geometry["outputs"], shape[0] // groups, *geometry["kernel"]))
    node = make.convolution(
        "conv", ["if"], shape, weight, stride=geometry["stride"], padding=geometry["padding"],
        dilation=geometry["dilation"], groups=groups,
    )  # fmt: skip
    fan_in = Counter(post for _, post, _ in connections(node))
    assert int(node.fan_out(node.structure()).sum()) == sum(fan_in.values())


def test_every_neuron_firing_every_step_costs_dense_macs_times_steps(make):
    net = make.small_network(np.random.default_rng(0))
    trace = make.random_trace(net, np.random.default_rng(1), images=2)
    for events in trace.events.values():
        events[:] = net.timesteps
    trace.input_events[:] = 2
    counts = count(net, trace)
    for name in ("conv1", "fc"):
        assert counts.synapses[name].synops == counts.synapses[name].dense_macs * 4 * 2
    pooled = counts.synapses["conv2"]  # each of the four neurons of a window is charged
    assert pooled.synops == pooled.dense_macs * 4 * 4 * 2
    assert counts.populations["if1"].saturated == 4 * 7 * 7
    assert counts.populations["if1"].rate == 1.0
    trace.events["if1"][:, 1:, 2:] = 0
    trace.events["if1"][0, 0] = 1
    found = count(net, trace).populations["if1"]
    assert (found.dead, found.saturated) == (3 * 5 * 7, 3 * 2 * 7)
    assert found.spikes_out == 7 * 7 * (1 + 4) + 3 * 2 * 7 * 4 * 2


@SETTINGS
@given(seed=st.integers(0, 10**6))
def test_counts_add_over_images(make, seed):
    rng = np.random.default_rng(seed)
    net = make.small_network(rng)
    one, two = (make.random_trace(net, rng, images=n) for n in (1, 2))
    both = make.random_trace(net, rng, images=3)
    for name in both.events:
        both.events[name][:] = np.concatenate([one.events[name], two.events[name]])
    both.input_events[:] = one.input_events + two.input_events
    parts, whole = [count(net, t) for t in (one, two)], count(net, both)
    for name, got in whole.synapses.items():
        assert got.synops == sum(p.synapses[name].synops for p in parts)
        assert got.synops_nonzero == sum(p.synapses[name].synops_nonzero for p in parts)
    assert whole.spikes == sum(p.spikes for p in parts)
    assert whole.updates == sum(p.updates for p in parts)


def test_padded_macs_are_what_profilers_print(make):
    node = make.convolution("c", ["if"], (8, 11, 13), np.ones((16, 8, 3, 3)), stride=2, padding=1)
    net = make.graph(
        [
            make.input("input", (8, 11, 13), "uint8", 1.0),
            make.convolution("c", ["input"], (8, 11, 13), np.ones((16, 8, 3, 3)), stride=2, padding=1),
            make.population("n", ["c"], node.output_shape),
            make.flatten("f", ["n"], node.output_shape),
            make.affine("fc", ["f"], np.ones((2, int(np.prod(node.output_shape))))),
            make.readout("readout", ["fc"], 2),
        ]
    )
    got = count(net, make.random_trace(net, np.random.default_rng(0))).synapses["c"]
    assert got.padded_macs == 16 * 8 * 9 * 6 * 7
    assert got.dense_macs == len(connections(node)) < got.padded_macs


def test_counting_is_exact_beyond_64_bits(make):
    net = make.small_network(np.random.default_rng(0))
    trace = make.random_trace(net, np.random.default_rng(1), images=1)
    reach = fan_outs(net, net.nodes["fc"])["if2"]
    trace.events["if2"] = np.full((2**15, 5, 3, 3), 2**31 - 1, dtype=np.int32)
    for name, value in (("if1", np.zeros((2**15, 4, 7, 7), dtype=np.int32)),):
        trace.events[name] = value
    assert count(net, trace).synapses["fc"].synops == (2**31 - 1) * 2**15 * int(reach.synapses.sum())


def test_a_trace_of_another_graph_is_refused(make):
    rng = np.random.default_rng(0)
    net = make.small_network(rng)
    trace = make.random_trace(net, rng)
    other = branching_network(make, rng)
    with pytest.raises(DataError, match="pass the graph"):
        count(other, trace)
    with pytest.raises(DataError, match="the graph runs 9 and 0; pass the graph"):
        count(replace(net, timesteps=9), trace)
    with pytest.raises(DataError, match="the trace ran 4 steps and 0 beyond, the graph runs 4 and 3; pass the graph"):
        count(replace(net, drain=3), replace(trace, timesteps=4))
    del trace.events["if2"]
    with pytest.raises(DataError, match="if2"):
        count(net, trace)


def test_sums_over_the_images_are_enough(make):
    rng = np.random.default_rng(0)
    net = make.small_network(rng)
    trace = make.random_trace(net, rng)
    expected = count(net, trace)
    for name in list(trace.events):
        trace.event_totals[name] = trace.events.pop(name).sum(axis=0, dtype=np.int64)
    got = count(net, trace)
    assert got.synapses == expected.synapses
    assert got.populations == expected.populations


@settings(max_examples=drawn(20), deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["if", "signed_if", "graded", "bit_serial"]),
)
def test_an_execution_is_counted_spike_by_spike(random_graph, random_images, seed, kind):
    rng = np.random.default_rng(seed)
    layerwise = kind in ("graded", "bit_serial")
    net = random_graph(
        rng,
        kind=kind,
        schedule="layerwise" if layerwise else "pipelined",
        timesteps=1 if kind == "graded" else 3,
        drain=2 if kind == "signed_if" else 0,
    )
    integers = random_images(rng, net, 2)
    trace = simulate(net, integers * net.input.scale, record="spikes", threads=1)
    seen = replace(
        trace,
        events={name: (raster != 0).sum(axis=1) for name, raster in trace.spikes.items()},
        input_events=(integers != 0).sum(axis=0),
    )
    applied = 1 if kind in ("graded", "bit_serial") else 3
    for name, got in count(net, trace).synapses.items():
        assert (got.synops, got.synops_nonzero, got.events) == brute_force(net, seen, name, applied), name
