"""The generic 45 nm model against sums by hand and the published operation energies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikec.energy import load_profile, priced
from spikec.energy.memory_hierarchy import access, add, levels, multiply
from spikec.energy.sampling import nominal

PJ = 1e-12


@pytest.fixture
def constants():
    return nominal(load_profile("cmos45"))


@pytest.mark.parametrize(
    ("size", "joules"),
    [(100, 10), (8192, 10), (16384, 10 * math.sqrt(2)), (32768, 20), (2**20, 100), (2**24, 1840)],
)
def test_memory_access_goes_through_the_published_points(constants, size, joules):
    assert access(constants, size, on_chip=2**23) == pytest.approx(joules * PJ)


def test_memory_access_grows_with_the_memory(constants):
    sizes = [2**k for k in range(10, 26)]
    joules = [float(access(constants, size, on_chip=2**23)) for size in sizes]
    assert joules == sorted(joules)


def test_arithmetic_matches_horowitz_at_its_own_widths(constants):
    assert add(constants, 8) == pytest.approx(0.03 * PJ)
    assert add(constants, 32) == pytest.approx(0.1 * PJ)
    assert multiply(constants, 8, 8) == pytest.approx(0.2 * PJ)
    assert multiply(constants, 32, 32) == pytest.approx(3.1 * PJ, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "options", "timesteps", "expected"),
    [("if", {}, 4, 4), ("signed_if", {}, 6, 6), ("bit_serial", {}, 4, 15), ("graded", {"levels": 7}, 1, 7)],
)
def test_levels_a_neuron_can_convey(make, kind, options, timesteps, expected):
    net = make.graph([make.population("n", [], (2,), kind, **options)], timesteps)
    assert levels(net) == expected


def test_a_fully_connected_network_by_hand(make):
    """64 inputs, 32 neurons, 10 outputs: everything fits 8 KB, so every access is 10 pJ per 64 bit."""
    rng = np.random.default_rng(0)
    net = make.graph(
        [
            make.input("input", (64,), "uint8", 1.0),
            make.affine("fc1", ["input"], rng.integers(1, 9, (32, 64))),
            make.population("n", ["fc1"], (32,)),
            make.affine("fc2", ["n"], rng.integers(1, 9, (10, 32))),
            make.readout("readout", ["fc2"], 10),
        ]
    )
    trace = make.random_trace(net, rng, images=1, density=1.0)
    found = priced(net, trace, "cmos45", draws=4000)
    spikes = int(trace.events["n"].sum())
    add24, word = (0.03 + 0.07 * 16 / 24) * PJ, 10 * PJ
    expected = {
        "additions": spikes * 10 * (add24 + 0.1 * PJ),
        "weight reads": spikes * 10 * 8 / 64 * word,
        "state of synops": spikes * 10 * 2 * 24 / 64 * word,
        "neuron updates": 42 * 4 * (2 * 24 / 64 * word + 2 * add24),
        "spikes": spikes * 5 / 64 * word * 2,
        "first layer": 64 * 32 * (0.2 * PJ + 0.1 * PJ + (8 + 8 + 2 * 32) / 64 * word),
    }
    for name, joules in expected.items():
        assert found.item(name).p50 == pytest.approx(joules, rel=0.15), name
    assert found.total.p50 == pytest.approx(sum(expected.values()), rel=0.05)
    bits = 3  # ceil(log2(4 + 1))
    inner = 320 * (0.2 * PJ * bits * 8 / 64 + 0.1 * PJ + (8 + bits + 2 * 32) / 64 * word)
    one_pass = inner + expected["first layer"] + 42 * bits / 64 * word
    assert found.reference.bits == bits
    assert found.reference.points[0].joules.p50 == pytest.approx(one_pass, rel=0.05)
    assert found.reference.spikes_per_synapse == pytest.approx(spikes / 32)


def test_the_reference_gets_cheaper_with_reuse_and_the_first_layer_with_it(make):
    rng = np.random.default_rng(0)
    net = make.small_network(rng)
    found = priced(net, make.random_trace(net, rng, images=5), "cmos45", draws=500)
    points = found.reference.points
    assert [p.reuse for p in points] == [1, 16, 128]
    joules = [p.joules.p50 for p in points]
    assert joules == sorted(joules, reverse=True)
    for point in points:  # cheaper than the reference exactly where fewer spikes than break-even arrive
        cheaper = point.ratio.p50 < 1
        assert cheaper == (found.reference.spikes_per_synapse < point.s_star.p50)
    assert "against one pass" in found.text()


def test_a_first_layer_on_the_host_is_left_out_on_both_sides(make):
    rng = np.random.default_rng(0)
    net = make.small_network(rng)
    trace = make.random_trace(net, rng, images=5)
    on_chip, on_host = (priced(net, trace, "cmos45", draws=500, first_layer=m) for m in ("direct_mac", "bias_current"))
    saved = on_chip.reference.points[0].joules.p50 - on_host.reference.points[0].joules.p50
    assert saved == pytest.approx(on_chip.item("first layer").p50, rel=0.05)
    assert on_host.item("first layer").p95 == 0


def test_the_break_even_curve_is_where_both_networks_cost_the_same(make):
    """Totals of two activities give the straight line of cost over spikes per synapse; it meets the reference at s*."""
    rng = np.random.default_rng(0)
    net = make.small_network(rng)
    sparse, dense = (make.random_trace(net, np.random.default_rng(1), images=1, density=d) for d in (0.2, 0.9))
    low, high = (priced(net, trace, "cmos45", draws=4000, first_layer="bias_current") for trace in (sparse, dense))
    curve = low.reference.curve
    assert [point.reuse for point in curve] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    middles = [point.s_star.p50 for point in curve]
    assert middles == sorted(middles, reverse=True)
    s0, s1 = low.reference.spikes_per_synapse, high.reference.spikes_per_synapse
    slope = (high.total.p50 - low.total.p50) / (s1 - s0)
    costs = {point.reuse: point.joules.p50 for point in low.reference.points}
    even = s0 + (costs[1] - low.total.p50) / slope
    assert middles[0] == pytest.approx(even, rel=0.1)
    assert middles[4] == pytest.approx(s0 + (costs[16] - low.total.p50) / slope, abs=0.1 * abs(even))


def test_no_curve_where_no_spike_meets_a_synapse(make):
    net = make.small_network(np.random.default_rng(0))
    silent = make.random_trace(net, np.random.default_rng(1), density=0.0)
    assert priced(net, silent, "cmos45", draws=100).reference.curve == ()
