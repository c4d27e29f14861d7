"""Placement against plain loops over neurons and connections."""

from __future__ import annotations

import itertools
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.nodes import affine, graph_of, population, readout
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from spikec.energy import count, priced
from spikec.energy.cores import cores_by_placement
from spikec.errors import DataError, DoesNotFit, ToolchainError
from spikec.ir.coding import InputNode
from spikec.ir.graph import Population, Readout
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool
from spikec.simulation import simulate
from spikec.simulation.trace import Trace
from spikec.targets.chips import place
from spikec.targets.loihi import load_limits, packing
from spikec.targets.loihi.axons import Reach, entering
from spikec.targets.loihi.needs import Demand, capacity

SETTINGS = settings(max_examples=drawn(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sources_of(net, name, index):
    """(origin, neuron) pairs that output ``index`` of node ``name`` reads."""
    return {(origin, neuron) for origin, neuron, _ in routes_of(net, name, index)}


def routes_of(net, name, index):
    """(origin, neuron, synapse node passed last) that output ``index`` of node ``name`` reads, by the definition of
    each node."""
    node = net.nodes[name]
    if isinstance(node, InputNode | Population):
        return {(name, index, None)}
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
    found = {route for source in node.sources for read in reads for route in routes_of(net, source, read)}
    return {(*route[:2], name) for route in found} if isinstance(node, Convolution | Affine) else found


def axon_of(net, node, cell, populations, atoms):
    """The input axon of an input cell of a synapse node: the cell's own, or that of its place."""
    if node not in populations:
        return node, cell
    if len(cell) == 1:
        before = net.nodes[net.nodes[node].sources[0]]
        cell = tuple(int(i) for i in np.unravel_index(cell[0], before.input_shape)) if flat(before) else cell
    return node, cell[0] // atoms, *cell[1:]


def flat(node):
    return isinstance(node, Flatten)


def neurons_of(part):
    return itertools.product(*(range(low, high) for low, high in part.box))


def small_chip(**values):
    """Loihi 1 with cores so small that every network needs many."""
    limits = load_limits("loihi1")
    changed = {key: replace(limit, value=values.get(key, limit.value)) for key, limit in limits.limits.items()}
    return replace(limits, limits=changed)


def weights_of(net, name, index):
    """(weights, list cells) that output ``index`` of a neuron layer needs: ``(node, its weight's index)`` and
    ``(node, input cell)``, by the definition of each node; nothing behind the input."""
    weights, lists = set(), set()
    for source in net.nodes[name].sources:
        walk = [(source, index)]
        while walk:
            node_name, at = walk.pop()
            node = net.nodes[node_name]
            if isinstance(node, Population):
                lists.add((name, index))
            elif isinstance(node, Flatten):
                walk += [(s, tuple(int(i) for i in np.unravel_index(at[0], node.input_shape))) for s in node.sources]
            elif isinstance(node, SumPool):
                first = (node.sources[0], (at[0], at[1] * node.stride[0], at[2] * node.stride[1]))
                walk.append(first)
            elif isinstance(node, Affine) and spiking(net, node):
                weights |= {(node_name, at[0], i) for i in range(node.weight.shape[1])}
                lists |= {(node_name, i) for i in np.ndindex(node.input_shape)}
            elif isinstance(node, Convolution) and spiking(net, node):
                per_in, per_out = node.weight.shape[1], node.weight.shape[0] // node.groups
                top, bottom, left, right = node.margin
                for i in range(per_in):
                    for u in range(top, node.weight.shape[2] - bottom):
                        for v in range(left, node.weight.shape[3] - right):
                            row = at[1] * node.stride[0] - node.padding[0] + u * node.dilation[0]
                            column = at[2] * node.stride[1] - node.padding[1] + v * node.dilation[1]
                            if 0 <= row < node.input_shape[1] and 0 <= column < node.input_shape[2]:
                                weights.add((node_name, at[0], i, u, v))
                                lists.add((node_name, (at[0] // per_out * per_in + i, row, column)))
    return weights, lists


def spiking(net, node):
    """Whether a node gets anything from neurons, all of it over at most pools and flattenings."""
    origins = {origin for source in node.sources for origin in behind(net, source)}
    return origins != {net.input.name}


def behind(net, name):
    node = net.nodes[name]
    if isinstance(node, InputNode | Population):
        return {name}
    return {origin for source in node.sources for origin in behind(net, source)}


def chained(net):
    """Whether two synapse nodes follow each other: then the placement multiplies them out, which is not checked."""
    return any(
        isinstance(net.nodes[before], Convolution | Affine)
        for node in net.synapses
        for source in node.sources
        for before in [source, *net.nodes[source].sources]
    )


def check_cores(net, placement, limits):
    """Recompute every resource of every core by plain loops; what is used covers it and keeps to the limit."""
    atoms = limits.limits["atoms_per_axon"].value if placement.population_axons else None
    placed = [(part.layer, n) for core in placement.cores for part in core.slices for n in neurons_of(part)]
    layers = [node for node in net if isinstance(node, Population | Readout)]
    assert sorted(placed) == sorted((layer.name, n) for layer in layers for n in np.ndindex(layer.shape))
    assert len(placement.cores) >= placement.lower_bound
    sent = {layer.name: np.zeros(layer.shape, dtype=np.int64) for layer in net.populations}
    home = {(part.layer, n): core.index for core in placement.cores for part in core.slices for n in neurons_of(part)}
    leaving = [{} for _ in placement.cores]  # output axons of every core and the slots they take
    for core in placement.cores:
        reads = {
            route
            for part in core.slices
            for index in neurons_of(part)
            for source in net.nodes[part.layer].sources
            for route in routes_of(net, source, index)
            if route[0] != net.input.name
        }
        for origin, index in {route[:2] for route in reads}:
            sent[origin][index] += 1
        for origin, index, node in reads:
            together = node in placement.population_axons
            axon = (origin, index[0] // atoms, *index[1:]) if together else (origin, index)
            leaving[home[origin, index]][core.index, together, axon] = 2 if together else 1
    for name, exact in sent.items():
        assert (placement.messages(name) >= exact).all()
    for core in placement.cores:
        weights, targets, neurons = set(), {}, 0
        for part in core.slices:
            for index in neurons_of(part):
                needed = weights_of(net, part.layer, index)
                weights |= needed[0]
                for cell in needed[1]:
                    targets.setdefault(cell, set()).add((part.layer, index))
                neurons += 1
        axons = {}
        for (node, cell), reached in targets.items():
            axons.setdefault(axon_of(net, node, cell, placement.population_axons, atoms), []).append(reached)
        assert all(reached == first for first, *others in axons.values() for reached in others)
        exact = {
            "compartments": neurons * limits["compartments_per_neuron"].value,
            "synapse bits": sum(bits(net.nodes[name], limits) for name, *_ in weights),
            "axons in": len(axons),
            "axons out": sum(leaving[core.index].values()),
        }
        for key, (used, limit) in core.usage.items():
            assert exact[key] <= used <= limit, (core, key, exact[key])
        assert core.usage["compartments"][0] == exact["compartments"]


def bits(node, limits):
    """Smallest width of the chip for two's complement of the node's largest weight."""
    mantissas = node.weight // 2**node.weight_exp
    return min(w for w in limits.weight_widths if -(2 ** (w - 1)) <= mantissas.min() <= mantissas.max() < 2 ** (w - 1))


@SETTINGS
@given(
    seed=st.integers(0, 10**6),
    target=st.sampled_from(["loihi1", "loihi2"]),
    schedule=st.sampled_from(["pipelined", "layerwise"]),
)
def test_every_neuron_once_and_every_resource_covered(random_graph, seed, target, schedule):
    net = random_graph(np.random.default_rng(seed), schedule=schedule)
    if not chained(net):
        check_cores(net, place(net, target), load_limits(target))


@settings(max_examples=drawn(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    compartments=st.sampled_from([8, 20, 64]),
    memory=st.sampled_from([2_000, 6_000, 20_000]),
    axons=st.sampled_from([24, 100, 300]),
    atoms=st.sampled_from([2, 1024]),
)
def test_small_cores_are_filled_validly(random_graph, monkeypatch, seed, compartments, memory, axons, atoms):
    net = random_graph(np.random.default_rng(seed))
    limits = small_chip(
        compartments_per_core=compartments, synapse_bits_per_core=memory, axons_in_per_core=axons,
        axons_out_per_core=axons, atoms_per_axon=atoms, cores_per_chip=8, cores_per_tile=2, mesh_columns=2,
    )  # fmt: skip
    assume(not chained(net))
    monkeypatch.setattr("spikec.targets.loihi.placement.load_limits", lambda name: limits)
    try:
        placement = place(net, "loihi1")
    except DoesNotFit:
        return
    check_cores(net, placement, limits)
    assert placement.chips == -(-len(placement.cores) // 8)


def test_hops_are_shortest_ways_between_tiles(network, monkeypatch):
    limits = small_chip(compartments_per_core=128, cores_per_chip=8, cores_per_tile=2, mesh_columns=2)
    monkeypatch.setattr("spikec.targets.loihi.placement.load_limits", lambda name: limits)
    net = network(channels=4, size=16)
    placement = place(net, "loihi1")
    assert placement.chips > 1

    def tile(core):
        chip, inside = divmod(core, 8)
        row, step = divmod(inside // 2, 2)
        return chip, chip * 2 + (step if row == 0 else 1 - step), row

    home = {(part.layer, n): core.index for core in placement.cores for part in core.slices for n in neurons_of(part)}
    for layer in net.populations:
        hops = placement.hops(layer.name)
        expected = np.zeros((3, *layer.shape), dtype=np.int64)
        for core in placement.cores:
            reads = set()
            for part in core.slices:
                for index in neurons_of(part):
                    for source in net.nodes[part.layer].sources:
                        reads |= sources_of(net, source, index)
            for origin, index in reads:
                if origin == layer.name:
                    here, there = tile(home[origin, index]), tile(core.index)
                    expected[(slice(None), *index)] += [abs(a - b) for a, b in zip(here, there, strict=True)]
        for got, exact in zip((hops.crossings, hops.east_west, hops.north_south), expected, strict=True):
            np.testing.assert_array_equal(got, exact)


def exact_messages(net, placement, name):
    """Cores that read each neuron of a layer."""
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
    return exact


def test_memory_of_shared_and_unshared_kernels_by_hand(network):
    """16 x 16 outputs of 3 x 3 kernels, 8 channels: 576 weights shared; unshared (3 * 8 - 2)**2 taps per pair."""
    one = place(network(size=16), "loihi2")
    assert len(one.cores) == 1
    dense = 10 * 8 * 64
    assert one.cores[0].usage["synapse bits"][0] == 2 * (576 + dense)  # weights are 1: two bits with the sign
    apart = place(network(size=16), "loihi2", shared=False)
    taps = (3 * 8 - 2) ** 2 * 8 * 8
    assert sum(core.usage["synapse bits"][0] for core in apart.cores) == 2 * (taps + dense)
    assert apart.lower_bound <= len(apart.cores)


def test_layers_of_few_weights_fill_cores_of_many(network):
    """Cores full of weights have neurons to spare: they take layers that need little else."""
    net = network(channels=64, size=16)
    placement = place(net, "loihi2")
    layers = [{part.layer for part in core.slices} for core in placement.cores]
    assert any(len(found) > 1 for found in layers)
    assert len(placement.cores) <= 1.25 * placement.lower_bound


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
        np.testing.assert_array_equal(placement.messages(name), exact_messages(net, placement, name))


def test_cores_grow_with_the_network(network):
    small, large = (len(place(network(size=size), "loihi1").cores) for size in (16, 32))
    assert small < large
    assert len(place(network(size=32), "loihi2").cores) < large


def test_a_neuron_larger_than_a_core_is_refused(network):
    with pytest.raises(DoesNotFit, match=r"readout.*6400 axons in of 4096"):
        place(network(channels=2, size=160), "loihi1")  # 80 x 80 places, of one or more channels each


def test_channels_of_a_place_share_an_axon_where_discrete_axons_do_not_fit(network, monkeypatch):
    """72 lists of synapses in 64 axons: 9 places instead. What fitted keeps its discrete axons."""
    wide = place(network(channels=8, size=8), "loihi1")
    assert wide.population_axons == ()
    limits = small_chip(axons_in_per_core=64, compartments_per_core=64)
    monkeypatch.setattr("spikec.targets.loihi.placement.load_limits", lambda name: limits)
    net = network(channels=8, size=8)
    placement = place(net, "loihi1")
    assert placement.population_axons == ("conv2", "fc")
    check_cores(net, placement, limits)
    (readout,) = (core for core in placement.cores if any(part.layer == "readout" for part in core.slices))
    assert readout.usage["axons in"][0] >= 16  # of 128 neurons in 16 places
    for name in ("if1", "if2"):  # a spike still is one message per core
        np.testing.assert_array_equal(placement.messages(name), exact_messages(net, placement, name))
    narrow = small_chip(axons_in_per_core=64, compartments_per_core=64, atoms_per_axon=4)
    monkeypatch.setattr("spikec.targets.loihi.placement.load_limits", lambda name: narrow)
    check_cores(net, place(net, "loihi1"), narrow)


def test_grouped_convolutions_and_identities_keep_discrete_axons(network):
    net = network(channels=8, size=8)
    limits = load_limits("loihi1")
    assert entering(net, net.nodes["conv2"], limits) == (8, 4, 4)
    assert entering(net, net.nodes["fc"], limits) == (8, 4, 4)
    grouped = replace(net.nodes["conv2"], weight=net.nodes["conv2"].weight[:, :1], groups=8)
    assert entering(net, grouped, limits) is None
    assert entering(net, net.nodes["conv2"], load_limits("loihi2")) is None


def limited(monkeypatch, without=(), **values):
    """Loihi 1 with other limits, and without some."""
    limits = small_chip(**values)
    limits = replace(limits, limits={key: limit for key, limit in limits.limits.items() if key not in without})
    monkeypatch.setattr("spikec.targets.loihi.placement.load_limits", lambda name: limits)
    return limits


def dense_chain(*sizes):
    """Dense layers, all weights 1: the input, layers of neurons, the readout."""
    nodes, before = [InputNode("input", sizes[:1], "uint8", 1.0)], "input"
    for number, size in enumerate(sizes[1:], 1):
        nodes.append(affine(f"fc{number}", [before], np.ones((size, sizes[number - 1])), np.zeros(size)))
        before = f"if{number}"
        nodes.append(population(before, [f"fc{number}"], (size,)))
    nodes[-1] = readout("readout", [f"fc{len(sizes) - 1}"], sizes[-1])
    return graph_of(nodes, 4, "pipelined")


@pytest.mark.parametrize(
    ("values", "bound"),
    [
        ({"compartments_per_core": 20}, 7),  # 40 + 24 + 6 neurons of two compartments
        ({"synapse_bits_per_core": 500}, 5),  # 24 * 40 + 6 * 24 weights of two bits
        # 24 * 40 * 2 bits fill 4 cores: 40 * 4 + 24 * 1 axons
        ({"synapse_bits_per_core": 500, "axons_out_per_core": 20}, 10),
    ],
)
def test_the_lower_bound_by_hand(monkeypatch, values, bound):
    limited(monkeypatch, ("atoms_per_axon",), **values)
    placement = place(dense_chain(5, 40, 24, 6), "loihi1")
    assert placement.lower_bound == bound <= len(placement.cores)


def test_fewest_cores_and_less_load_where_that_is_possible(network, monkeypatch):
    """Against single packings with all capacity: never more cores, nor a fuller one. Cores are in the data's order."""
    net = network(channels=1, size=8)
    for values in ({"compartments_per_core": 50}, {"synapse_bits_per_core": 100, "axons_out_per_core": 50}):
        limits = limited(monkeypatch, ("atoms_per_axon",), **values)
        room, demand = capacity(limits), Demand(net, limits)
        packed = [packing.pack(demand, net.layers, room, grain) for grain in (1, 2, 4)]
        placement = place(net, "loihi1")
        assert len(placement.cores) <= min(map(len, packed))
        fullest = max(core.load for core in placement.cores)
        assert fullest <= max(packing.load(demand.usage(group), room) for group in packed[0])
        rank = {layer.name: number for number, layer in enumerate(net.layers)}
        first = [(rank[core.slices[0].layer], core.slices[0].box) for core in placement.cores]
        assert first == sorted(first)
    assert fullest < 0.9  # of output axons: one packing of all capacity fills a core to 0.96


def test_layers_are_cut_into_equal_blocks(network, monkeypatch):
    """Of one size, but for those at the end of an axis."""
    limited(monkeypatch, compartments_per_core=100)
    placement = place(network(channels=8, size=10), "loihi1")
    for layer, shape in (("if1", (8, 10, 10)), ("if2", (8, 5, 5))):
        boxes = [part.box for core in placement.cores for part in core.slices if part.layer == layer]
        assert len(boxes) > 2
        for axis, size in enumerate(shape):
            longest = max(box[axis][1] - box[axis][0] for box in boxes)
            assert all(box[axis][0] % longest == 0 for box in boxes)
            assert all(box[axis][1] == min(box[axis][0] + longest, size) for box in boxes)


@pytest.mark.parametrize("between", [False, True])
def test_population_axons_enter_no_synapse_behind_another(between):
    """if1 -> fc2 -> if2, or if1 -> fc2 -> fc3 -> if2."""
    net = dense_chain(5, 40, 24, 6)
    if between:
        nodes = dict(net.nodes)
        last = [nodes.pop(name) for name in ("if2", "fc3", "readout")]
        nodes["more"] = affine("more", ["fc2"], np.ones((24, 24)), np.zeros(24))
        nodes["if2"] = replace(last[0], sources=("more",))
        net = replace(net, nodes={**nodes, **{node.name: node for node in last[1:]}})
    demand = Demand(net, load_limits("loihi1"))
    layer = net.nodes["if2"]
    part, alone = (each.part(layer, ((0, 24),), Reach.nowhere(layer.shape)) for each in (demand, demand.discrete()))
    assert part.weights == alone.weights  # the axons change nothing there
    inputs = demand.inputs(part)
    assert (set(inputs.fed_by), set(inputs.fed_by_population)) == (({"if1"}, set()) if between else (set(), {"if1"}))


def test_population_axons_where_they_take_fewer_cores(network, monkeypatch):
    """Eight channels of a place take two output axons to a core instead of eight."""
    net = network(channels=8, size=8)
    limited(monkeypatch, ("atoms_per_axon",), axons_out_per_core=100)
    alone = place(net, "loihi1")
    limited(monkeypatch, axons_out_per_core=100)
    both = place(net, "loihi1")
    assert both.population_axons == ("conv2", "fc")
    assert len(both.cores) < len(alone.cores)
    assert any("population axons enter dense layers, blocks that share a core" in line for line in both.assumptions)


def test_unknown_chips_are_user_errors(network):
    with pytest.raises(ToolchainError, match="unknown chip"):
        place(network(), "loihi3")


def test_the_map_draws_every_core(network):
    placement = place(network(size=32), "loihi1")
    root = ElementTree.fromstring(placement.svg())
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == len(placement.cores)
    assert all(f"core {core.index}:" in title for core, title in zip(placement.cores, titles, strict=True))


def test_the_load_of_every_core_by_plain_loops(network):
    """Synaptic operations, messages and hops of each core, following every event along every synapse."""
    net = network(channels=4, size=24)
    placement = place(net, "loihi1")
    assert len(placement.cores) > 4
    rng = np.random.default_rng(0)
    events = {p.name: rng.integers(0, 5, (2, *p.shape)).astype(np.int32) for p in net.populations}
    output = np.zeros((2, 10), dtype=np.int64)
    pixels = np.zeros(net.input.shape, np.int32)
    trace = Trace({"output": output}, {"output": 1.0}, events, events, input_events=pixels, timesteps=4)
    counts = count(net, trace)
    where = cores_by_placement(net, placement, counts, nonzero_only=False)
    sent = {name: counted.sum(axis=0) for name, counted in events.items()}
    totals = {"if1": 0, "if2": counts.synapses["conv2"].synops, "readout": counts.synapses["fc"].synops}
    for core, borne in zip(placement.cores, where.loads, strict=True):
        synops, reads = dict.fromkeys(totals, 0), set()
        for part in core.slices:
            for index in neurons_of(part):
                lists = weights_of(net, part.layer, index)[1]
                for node, cell in lists:  # one weight per cell and neuron here: kernels do not overlap themselves
                    origins = sources_of(net, net.nodes[node].sources[0], cell)
                    synops[part.layer] += sum(int(sent[origin][n]) for origin, n in origins if origin in sent)
                    reads |= {pair for pair in origins if pair[0] in sent}
        for name, number in synops.items():
            assert borne.synops.get(name, 0.0) * totals[name] == pytest.approx(number)
        for name in sent:
            arrived = sum(int(sent[name][n]) for origin, n in reads if origin == name)
            assert borne.messages.get(name, 0.0) * sent[name].sum() == pytest.approx(arrived)
        assert borne.neurons == sum(part.neurons for part in core.slices)
    for name, spikes in sent.items():
        far = placement.hops(name)
        assert where.hops_east_west[name] * spikes.sum() == pytest.approx((spikes * far.east_west).sum())
        assert where.hops_north_south[name] * spikes.sum() == pytest.approx((spikes * far.north_south).sum())


def test_the_estimate_uses_the_messages_of_a_placement(network):
    net = network(size=32)
    placement = place(net, "loihi1")
    rng = np.random.default_rng(0)
    events = {p.name: rng.integers(0, 5, (4, *p.shape)).astype(np.int32) for p in net.populations}
    output = np.zeros((4, 10), dtype=np.int64)
    trace = Trace(
        {"output": output},
        {"output": 1.0},
        events,
        events,
        input_events=np.zeros(net.input.shape, np.int32),
        timesteps=4,
    )
    found = priced(net, trace, "loihi1", placement=placement, draws=200)
    without = priced(net, trace, "loihi1", draws=200)
    spikes = {name: counted.sum(axis=0) for name, counted in events.items()}
    sent = sum((spikes[name] * placement.messages(name)).sum() for name in events)
    cores = without.cores
    assumed = spikes["if1"].sum() * cores["if2"] + spikes["if2"].sum() * cores["readout"]
    assert found.item("messages").p50 / without.item("messages").p50 == pytest.approx(sent / assumed, rel=0.02)
    assert found.cores == placement.cores_of
    assert not found.mapping_assumed
    assert not any("capacity" in line for line in found.assumed)


def test_estimates_refuse_the_placement_of_another_network_or_chip(network):
    net = network(channels=4, size=24)
    images = np.random.default_rng(0).random((2, *net.input.shape), dtype=np.float32)
    trace = simulate(net, images)
    assert priced(net, trace, "loihi2", placement=place(net, "loihi2"), draws=10)
    with pytest.raises(DataError, match="the placement is on loihi1, the profile is loihi2"):
        priced(net, trace, "loihi2", placement=place(net, "loihi1"), draws=10)
    with pytest.raises(DataError, match="of another network"):
        priced(net, trace, "loihi2", placement=place(network(channels=8, size=24), "loihi2"), draws=10)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"draws": 0}, "draws must be a whole number of at least 1, not 0"),
        ({"step_seconds": 0}, "step_seconds must be positive"),
        ({"step_seconds": float("nan")}, "step_seconds must be finite"),
    ],
)
def test_estimates_refuse_numbers_without_a_meaning(network, options, says):
    net = network(channels=4, size=24)
    trace = simulate(net, np.zeros((1, *net.input.shape), np.float32))
    with pytest.raises(ToolchainError, match=says):
        priced(net, trace, **options)
