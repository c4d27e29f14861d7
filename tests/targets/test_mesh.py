"""Traffic on the mesh against messages walked tile by tile, and what it costs in time and energy."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.energy import load_profile, priced
from spikec.energy.cores import cores_by_placement
from spikec.energy.counts import count
from spikec.energy.event_driven import price
from spikec.energy.mesh import longest_ways, through_tiles
from spikec.energy.sampling import nominal
from spikec.energy.workload import workload
from spikec.simulation.trace import Trace
from spikec.targets.chips import place


def walk(start, end):
    """Tiles (column, row) of a message: along its row first, then along the receiver's column."""
    (column, row), tiles = start, [start]
    while column != end[0]:
        column += 1 if end[0] > column else -1
        tiles.append((column, row))
    while row != end[1]:
        row += 1 if end[1] > row else -1
        tiles.append((column, row))
    return tiles


@settings(max_examples=drawn(30), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_tile_passes_on_the_messages_that_cross_it(seed):
    rng = np.random.default_rng(seed)
    cores = int(rng.integers(1, 12))
    places = np.stack([np.zeros(cores, np.int64), rng.integers(0, 5, cores), rng.integers(0, 4, cores)], axis=1)
    pairs = [(a, b, int(rng.integers(0, 4))) for a in range(cores) for b in range(cores) if rng.random() < 0.5]
    routes = np.array(pairs, dtype=np.int64).reshape(-1, 3)
    expected = np.zeros((places[:, 2].max() + 1, places[:, 1].max() + 1), dtype=np.int64)
    ways = set()
    for a, b, number in pairs:
        (_, *start), (_, *end) = places[a].tolist(), places[b].tolist()
        for column, row in walk(tuple(start), tuple(end)):
            expected[row, column] += number
        if number:
            ways.add((abs(start[0] - end[0]), abs(start[1] - end[1])))
    np.testing.assert_array_equal(through_tiles(places, routes), expected)
    for east_west, north_south in ((4.1, 6.5), (1.0, 0.0), (0.0, 1.0)):
        longest = max((x * east_west + y * north_south for x, y in ways), default=None)
        kept = longest_ways(places, [routes])
        assert max((x * east_west + y * north_south for x, y in kept), default=None) == longest


@pytest.fixture
def placed(network):
    """(net, placement, mean work, where) of random spikes on many cores of Loihi 1."""
    net = network(channels=8, size=32)
    placement = place(net, "loihi1")
    rng = np.random.default_rng(0)
    events = {p.name: rng.integers(0, 5, (2, *p.shape)).astype(np.int32) for p in net.populations}
    output = np.zeros((2, 10), dtype=np.int64)
    pixels = np.zeros(net.input.shape, np.int32)
    trace = Trace({"output": output}, {"output": 1.0}, events, events, input_events=pixels, timesteps=4)
    counts = count(net, trace)
    where = cores_by_placement(net, placement, counts, nonzero_only=False)
    mean, _ = workload(net, trace, counts, first_layer="bias_current", nonzero_only=False, draws=2, rng=rng)
    return net, placement, trace, mean, where


def test_routes_are_the_messages_and_hops_of_the_placement(placed):
    net, placement, trace, _, _ = placed
    for layer in net.populations:
        spikes = trace.events[layer.name].sum(axis=0)
        home, core, number = placement.routes(layer.name, spikes).T
        received = np.bincount(core, weights=number, minlength=len(placement.cores))
        np.testing.assert_array_equal(received, placement.messages_into(layer.name, spikes))
        apart = np.abs(placement.places[home] - placement.places[core])
        hops = placement.hops(layer.name)
        assert (apart[:, 1] * number).sum() == (spikes * hops.east_west).sum()
        assert (apart[:, 2] * number).sum() == (spikes * hops.north_south).sum()


@pytest.mark.parametrize(("book", "north_south"), [("sanafe_silicon", 4.2e-12), ("davies_presilicon", 4.0e-12)])
def test_hops_of_either_direction_have_their_own_price(placed, book, north_south):
    net, placement, trace, mean, where = placed
    expected = 0.0
    for layer in net.populations:
        hops, spikes = placement.hops(layer.name), trace.events[layer.name].sum(axis=0)
        expected += (spikes * hops.east_west).sum() / 2 * 3.0e-12 + (spikes * hops.north_south).sum() / 2 * north_south
    bill = price(mean, nominal(load_profile("loihi1", book)), where)
    assert bill.items["hops"].item() == pytest.approx(expected)
    routing = priced(net, trace, "loihi1", book=book, placement=placement, draws=50).routing
    assert sum(r.hops_east_west * 3.0e-12 + r.hops_north_south * north_south for r in routing.values()) == (
        pytest.approx(expected)
    )


def test_a_slow_mesh_bounds_the_step(placed):
    net, placement, trace, mean, where = placed
    constants = nominal(load_profile("loihi1"))
    fast = price(mean, constants, where)
    assert "mesh" not in fast.bound_by
    slow = price(mean, {**constants, "t_tile": np.asarray(1e-6)}, where)
    busiest = max(
        sum(
            number
            for layer in net.populations
            for a, b, number in placement.routes(layer.name, trace.events[layer.name].sum(axis=0)).tolist()
            if tile in walk(tuple(placement.places[a, 1:]), tuple(placement.places[b, 1:]))
        )
        for tile in {tuple(place) for place in placement.places[:, 1:].tolist()}
    )
    way = max(ew * 4.1e-9 + ns * 6.5e-9 for ew, ns in where.mesh.ways)
    assert slow.bound_by == "the mesh"
    assert slow.step_seconds.item() == pytest.approx(busiest / 2 / 4 * 1e-6 + way)
