"""Placement against plain loops over neurons and connections."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from targets.loihi import load_limits, place
from toolchain.energy import estimate
from toolchain.errors import DoesNotFit, ToolchainError
from toolchain.ir.integer import Affine, Convolution, Flatten, InputNode, Population, Readout
from toolchain.simulation.trace import Trace

SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sources_of(net, name, index):
    """(origin, neuron) pairs that output ``index`` of node ``name`` reads, by the definition of each node."""
    node = net.nodes[name]
    if isinstance(node, InputNode | Population):
        return {(name, index)}
    if isinstance(node, Convolution):
        per_in, per_out = node.weight.shape[1], node.weight.shape[0] // node.groups
        top, bottom, left, right = node.margin
        reads = []
        for i in range(per_in):
            for u in range(top, node.weight.shape[2] - bottom):
                for v in range(left, node.weight.shape[3] - right):
                    row = index[1] * node.stride[0] - node.padding[0] + u * node.dilation[0]
                    column = index[2] * node.stride[1] - node.padding[1] + v * node.dilation[1]
                    if 0 <= row < node.input_shape[1] and 0 <= column < node.input_shape[2]:
                        reads.append((index[0] // per_out * per_in + i, row, column))
    elif isinstance(node, Affine):
        reads = list(itertools.product(*map(range, node.input_shape)))
    elif isinstance(node, Flatten):
        reads = [tuple(int(i) for i in np.unravel_index(index[0], node.input_shape))]
    else:
        reads = [
            (index[0], index[1] * node.stride[0] + u, index[2] * node.stride[1] + v)
            for u in range(node.kernel[0])
            for v in range(node.kernel[1])
        ]
    return {pair for source in node.sources for read in reads for pair in sources_of(net, source, read)}


def neurons_of(part):
    return itertools.product(*(range(low, high) for low, high in part.box))


@SETTINGS
@given(
    seed=st.integers(0, 10**6),
    target=st.sampled_from(["loihi1", "loihi2"]),
    schedule=st.sampled_from(["pipelined", "layerwise"]),
)
def test_every_neuron_once_and_every_resource_covered(random_graph, seed, target, schedule):
    net = random_graph(np.random.default_rng(seed), schedule=schedule)
    placement = place(net, target)
    placed = [(part.layer, n) for core in placement.cores for part in core.slices for n in neurons_of(part)]
    layers = [node for node in net if isinstance(node, Population | Readout)]
    assert sorted(placed) == sorted((layer.name, n) for layer in layers for n in np.ndindex(layer.shape))
    assert len(placement.cores) >= placement.lower_bound
    sent = {layer.name: np.zeros(layer.shape, dtype=np.int64) for layer in net.populations}
    for core in placement.cores:
        reads = set()
        for part in core.slices:
            for index in neurons_of(part):
                for source in net.nodes[part.layer].sources:
                    reads |= sources_of(net, source, index)
        reads = {pair for pair in reads if pair[0] != net.input.name}
        for origin, index in reads:
            sent[origin][index] += 1
        assert all(used <= limit for used, limit in core.usage.values())
        used, _ = core.usage["compartments"]
        each = load_limits(target)["compartments_per_neuron"].value
        assert used == each * sum(part.neurons for part in core.slices)
        if "axons in" in core.usage:
            assert core.usage["axons in"][0] >= len(reads)
    for name, exact in sent.items():
        assert (placement.messages(name) >= exact).all()


def test_same_graph_same_placement(network):
    one, two = place(network(), "loihi1"), place(network(), "loihi1")
    assert one.cores == two.cores
    assert list(one.cores_of) == ["if1", "if2", "readout"]
    assert one.svg() == two.svg()


def test_messages_of_a_plain_convolution_are_exact(network):
    net = network(channels=2, size=32)
    placement = place(net, "loihi1")
    assert placement.cores_of["if1"] > 1
    for name in ("if1", "if2"):
        exact = np.zeros(net.nodes[name].shape, dtype=np.int64)
        for core in placement.cores:
            reads = set()
            for part in core.slices:
                for index in neurons_of(part):
                    for source in net.nodes[part.layer].sources:
                        reads |= sources_of(net, source, index)
            for origin, index in reads:
                if origin == name:
                    exact[index] += 1
        np.testing.assert_array_equal(placement.messages(name), exact)


def test_cores_grow_with_the_network(network):
    small, large = (len(place(network(size=size), "loihi1").cores) for size in (16, 32))
    assert small < large
    assert len(place(network(size=32), "loihi2").cores) < large


def test_a_neuron_larger_than_a_core_is_refused(network):
    with pytest.raises(DoesNotFit, match=r"readout.*axons in of 4096"):
        place(network(channels=32, size=32), "loihi1")


def test_unknown_chips_are_user_errors(network):
    with pytest.raises(ToolchainError, match="loihi1 or loihi2"):
        place(network(), "loihi3")


def test_the_map_draws_every_core(network):
    placement = place(network(size=32), "loihi1")
    root = ElementTree.fromstring(placement.svg())
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == len(placement.cores)
    assert all(f"core {core.index}:" in title for core, title in zip(placement.cores, titles, strict=True))


def test_the_estimate_uses_the_messages_of_a_placement(network):
    net = network(size=32)
    placement = place(net, "loihi1")
    rng = np.random.default_rng(0)
    events = {p.name: rng.integers(0, 5, (4, *p.shape)).astype(np.int32) for p in net.populations}
    output = np.zeros((4, 10), dtype=np.int64)
    trace = Trace(
        output, output.astype(np.float32), events, events, input_events=np.zeros(net.input.shape, np.int32), timesteps=4
    )
    found = estimate(net, trace, "loihi1", placement=placement, draws=200)
    without = estimate(net, trace, "loihi1", draws=200)
    spikes = {name: counted.sum(axis=0) for name, counted in events.items()}
    sent = sum((spikes[name] * placement.messages(name)).sum() for name in events)
    cores = without.cores
    assumed = spikes["if1"].sum() * cores["if2"] + spikes["if2"].sum() * cores["readout"]
    assert found.item("messages").p50 / without.item("messages").p50 == pytest.approx(sent / assumed, rel=0.02)
    assert found.cores == placement.cores_of
    assert not found.mapping_assumed
    assert not any("capacity" in line for line in found.assumed)
