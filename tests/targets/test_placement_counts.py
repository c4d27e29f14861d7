"""The counts of a placement against plain loops over neurons and synapses, on networks where no count is a bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from helpers.drawn import drawn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikec.errors import DoesNotFit
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool
from spikec.targets.chips import place
from spikec.targets.loihi import load_limits


def random_network(rng):
    """Neurons, pools right behind neurons, convolutions of stride 1 with groups, a skip connection, a dense readout."""
    nodes = {
        "input": InputNode("input", (int(rng.integers(1, 3)), *(int(n) for n in rng.integers(4, 7, 2))), "uint8", 1.0)
    }

    def neurons(name, *sources):
        shape = nodes[sources[0]].output_shape
        one = np.ones(shape, np.int64)
        nodes[name] = Population(name, sources, shape, IF(), one, 0 * one)

    def convolution(name, source, channels):
        shape = nodes[source].output_shape
        groups = int(rng.choice([g for g in (1, 2) if shape[0] % g == 0 and channels % g == 0]))
        kernel = int(rng.choice([1, 3]))
        size = (channels, shape[0] // groups, kernel, kernel)
        weight = rng.integers(-(2 ** int(rng.integers(1, 8))), 2, size)
        nodes[name] = Convolution(
            name, (source,), shape, (channels, *shape[1:]), weight, np.zeros(channels, np.int64),
            (1, 1), (kernel // 2, kernel // 2), (1, 1), groups,
        )  # fmt: skip

    channels = [int(n) for n in rng.integers(1, 5, 2)]
    convolution("conv1", "input", channels[0])
    neurons("first", "conv1")
    convolution("conv2", "first", channels[0])
    neurons("second", "conv2", *(["first"] if rng.random() < 0.5 else []))
    shape = nodes["second"].output_shape
    nodes["pool"] = SumPool("pool", ("second",), shape, (shape[0], shape[1] // 2, shape[2] // 2), (2, 2), (2, 2))
    convolution("conv3", "pool", channels[1])
    neurons("third", "conv3")
    flat = int(np.prod(nodes["third"].output_shape))
    nodes["flat"] = Flatten("flat", ("third",), nodes["third"].output_shape, (flat,))
    nodes["dense"] = Affine("dense", ("flat",), (flat,), (3,), rng.integers(-9, 9, (3, flat)), np.zeros(3, np.int64))
    nodes["readout"] = Readout("readout", ("dense",), (3,), np.zeros(3, np.int64), 1.0)
    return IntegerGraph(nodes, timesteps=2, schedule="pipelined")


def synapses_into(net, layer, index):
    """(origin, neuron, node, weight, input of the node) of every synapse into a neuron; an identity is its own node,
    with one input for each neuron it goes to."""
    found = []

    def walk(name, at, passed):
        node = net.nodes[name]
        if isinstance(node, Population):
            found.append((name, at, *(passed or (f"into {layer}", None, index))))
        elif isinstance(node, Flatten):
            walk(node.sources[0], tuple(int(i) for i in np.unravel_index(at[0], node.input_shape)), passed)
        elif isinstance(node, SumPool):
            for u in range(2):
                for v in range(2):
                    walk(node.sources[0], (at[0], 2 * at[1] + u, 2 * at[2] + v), passed)
        elif isinstance(node, Affine):
            for i in range(node.weight.shape[1]):
                walk(node.sources[0], (i,), (name, (at[0], i), (i,)))
        elif isinstance(node, Convolution):
            outputs, inputs, rows, columns = node.weight.shape
            first = at[0] // (outputs // node.groups) * inputs
            for i, u, v in np.ndindex(inputs, rows, columns):
                cell = (first + i, at[1] - node.padding[0] + u, at[2] - node.padding[1] + v)
                if 0 <= cell[1] < node.input_shape[1] and 0 <= cell[2] < node.input_shape[2]:
                    walk(node.sources[0], cell, (name, (at[0], i, u, v), cell))

    for source in net.nodes[layer].sources:
        walk(source, index, None)
    return found


def narrowest(node, limits):
    """Bits of the node's largest weight in two's complement, of the widths that the chip has."""
    low, high = int(node.weight.min()), int(node.weight.max())
    return next(bits for bits in sorted(limits.weight_widths) if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1))


@settings(max_examples=drawn(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    target=st.sampled_from(["loihi1", "loihi2"]),
    compartments=st.sampled_from([9, 30, 200]),
    memory=st.sampled_from([700, 3_000, 50_000]),
    axons=st.sampled_from([40, 120, 4_096]),
)
def test_every_count_is_that_of_plain_loops(monkeypatch, seed, target, compartments, memory, axons):
    net = random_network(np.random.default_rng(seed))
    limits = load_limits(target)
    small = {"compartments_per_core": compartments, "synapse_bits_per_core": memory, "cores_per_chip": 8}
    small |= {"axons_in_per_core": axons, "axons_out_per_core": axons, "cores_per_tile": 2, "mesh_columns": 2}
    kept = {key: limit for key, limit in limits.limits.items() if key != "atoms_per_axon"}  # discrete axons alone
    kept = {key: replace(limit, value=small.get(key, limit.value)) for key, limit in kept.items()}
    limits = replace(limits, limits=kept)
    monkeypatch.setattr("spikec.targets.loihi.placement.load_limits", lambda name: limits)
    try:
        placement = place(net, target)
    except DoesNotFit:
        return
    home = {}
    for core in placement.cores:
        for part in core.slices:
            for offset in np.ndindex(*(high - low for low, high in part.box)):
                neuron = part.layer, tuple(low + n for (low, _), n in zip(part.box, offset, strict=True))
                assert neuron not in home
                home[neuron] = core.index
    assert set(home) == {(layer.name, index) for layer in net.layers for index in np.ndindex(layer.shape)}
    assert all(placement.core_of[layer][index] == core for (layer, index), core in home.items())
    assert [core.index for core in placement.cores] == list(range(len(placement.cores)))
    assert placement.chips == -(-len(placement.cores) // 8)
    assert placement.lower_bound <= len(placement.cores)

    into = {neuron: synapses_into(net, *neuron) for neuron in home}
    used_anywhere, stored, lists, listening = {}, {}, {}, {}
    for neuron, core in home.items():
        for origin, at, node, weight, cell in into[neuron]:
            lists.setdefault(core, set()).add((node, cell))
            listening.setdefault((origin, at), set()).add(core)
            if weight is not None:
                used_anywhere.setdefault(node, set()).add(weight[1:])
                stored.setdefault(core, set()).add((node, weight[0]))
    for core in placement.cores:
        here = [neuron for neuron, index in home.items() if index == core.index]
        weights = stored.get(core.index, ())
        exact = {
            "compartments": len(here) * limits["compartments_per_neuron"].value,
            "synapse bits": sum(len(used_anywhere[n]) * narrowest(net.nodes[n], limits) for n, _ in weights),
        }
        if "axons_in_per_core" in limits:
            exact["axons in"] = len(lists.get(core.index, ()))
            exact["axons out"] = sum(len(listening.get(neuron, ())) for neuron in here)
        found = {key: used for key, (used, _) in core.usage.items()}
        layers = [part.layer for part in core.slices]
        if len(set(layers)) < len(layers) and "axons in" in exact:  # what blocks of one layer share is bounded
            assert exact["axons in"] <= found["axons in"]
            exact["axons in"] = found["axons in"]
        assert found == exact
        assert all(used <= limit for used, limit in core.usage.values())
    for layer in net.populations:
        exact_messages = np.zeros(layer.shape, np.int64)
        for index in np.ndindex(layer.shape):
            exact_messages[index] = len(listening.get((layer.name, index), ()))
        np.testing.assert_array_equal(placement.messages(layer.name), exact_messages)
