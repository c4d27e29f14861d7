"""Numbers at the ends of what the profile allows: the golden model is exact or refuses, and no bound is too small."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.extreme_graphs import MOST, branching
from helpers.python_integers import outputs_of
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.analysis.charging import _reset
from spikec.analysis.intervals import Interval
from spikec.analysis.leaking import current
from spikec.analysis.ranges import bounds
from spikec.ir import decode
from spikec.ir.leak import Leak
from spikec.simulation.golden import GoldenModel


def _weights(rng, top):
    """Draws weights of which many are at an end, and many undo each other."""

    def draw(shape):
        ends = rng.choice([-top, top, 1 - top, 0, 1], shape)
        return np.where(rng.random(shape) < 0.7, ends, rng.integers(-top, top + 1, shape))

    return draw


def _reach(graph, name):
    """What the magnitudes of weights and the image make at most, step by step, in Python integers."""
    node = graph.nodes[name]
    if name == "input":
        return 255
    below = sum(_reach(graph, str(a)) for a, b in graph.edges if str(b) == name)
    if name == "fired":
        return 1
    weight = np.abs(np.asarray(getattr(node, "weight", [[1]])).astype(np.int64)).sum(axis=1).max()
    return int(weight) * below + int(np.abs(np.asarray(getattr(node, "bias", [0]))).max())


@settings(max_examples=drawn(60), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    branches=st.sampled_from([1, 2, 3, 32]),
    chain=st.sampled_from([1, 2, 2]),
    top=st.sampled_from([3, 2**11, 2**20, MOST]),
    kind=st.sampled_from([None, "if", "signed_if", "layerwise", "graded"]),
    start=st.sampled_from([0, -(2**31), 2**31 - 1]),
)
def test_the_golden_model_is_exact_or_refuses(seed, branches, chain, top, kind, start):
    rng = np.random.default_rng(seed)
    own = {"v_init_int": np.array([start], np.int32)} if start else {}
    own |= {"levels": 32767} if kind == "graded" else {}
    fired = None if kind is None else (int(rng.choice([1, 7, top])), "if" if kind == "layerwise" else kind, own)
    schedule = "layerwise" if kind in ("layerwise", "graded") else "pipelined"
    steps = 1 if kind == "graded" else 3
    graph = branching(branches, chain, _weights(rng, top), fired=fired, timesteps=steps, schedule=schedule, start=start)
    images = rng.choice([0, 1, 255], (2, 2))
    refusal = None
    try:
        found = tc.simulate(graph, images.astype(float))
    except tc.RangeError as raised:
        refusal = str(raised)
    if refusal is not None:
        assert refusal.split(":")[0] in graph.nodes
        largest = max(_reach(graph, name) for name in graph.nodes if name != "output")
        assert largest * (steps + 2) >= 2**60, "nothing comes near the end of int64"
        return
    for picture, output in zip(images, found.output, strict=True):
        assert output.tolist() == outputs_of(graph, picture)["readout"]


def test_branches_whose_bounds_add_up_to_2_65_are_refused_by_name():
    """In int64 their sum is 0."""
    for weights in (lambda shape: np.full(shape, 2**24), lambda shape: np.full(shape, -(2**24))):
        with pytest.raises(tc.RangeError, match=r"^met: the sum of its sources may reach .*, beyond 62 bits"):
            bounds(decode(branching(32, 2, weights)))


def test_branches_that_undo_each_other_are_added_exactly():
    """The bound of their sum is small, those of its parts are not: the parts decide which numbers hold them."""
    signs = iter([2**24, 1, -(2**24), 0])
    graph = branching(2, 1, lambda shape: np.full(shape, next(signs)), width=1)
    assert bounds(decode(graph)).magnitudes["met"] >= 255 * 2**25
    assert tc.simulate(graph, np.array([[201.0]])).output.tolist() == [[1]]


def test_membranes_beyond_62_bits_are_refused_by_name():
    graph = decode(branching(1, 2, lambda shape: np.full(shape, -(2**24)), timesteps=2**15))
    with pytest.raises(tc.RangeError, match=r"^readout: a membrane may reach .*, beyond 62 bits"):
        bounds(graph)
    with pytest.raises(tc.RangeError, match=r"^readout: "):
        GoldenModel(graph)


@pytest.mark.parametrize("value", [-(2**63), 2**62])
def test_states_beyond_62_bits_are_refused_by_name(one_layer, value):
    graph = one_layer(weight=[[1]], bias=[0], theta=1, timesteps=1, v_init=value)
    with pytest.raises(tc.RangeError, match="neurons: an initial membrane may reach"):
        bounds(graph)


def test_the_lowest_weight_of_int64_is_large(one_layer):
    graph = one_layer(weight=[[-(2**63)]], bias=[0], theta=1, timesteps=1)
    with pytest.raises(tc.RangeError, match="dense: a weight reaches 9223372036854775808"):
        bounds(graph)


_END = st.one_of(st.integers(-(2**80), 2**80), st.sampled_from([2**62, -(2**62), 2**63, -(2**63), 2**61]))


@given(_END, _END, st.integers(1, 2**61 - 1), st.integers(1, 2**15))
def test_resets_of_any_membrane(a, b, theta, most):
    low, high = min(a, b), max(a, b)
    found = _reset(Interval(np.array([low], object), np.array([high], object)), np.array([theta]), most)

    def after(m):
        return m - min(max(m // theta, 0), most) * theta

    edges = [low, high] + [x for k in {1, most} for x in (k * theta - 1, k * theta) if low <= x <= high]
    assert all(int(found.low[0]) <= after(m) <= int(found.high[0]) for m in edges)


@given(st.integers(0, 2**61), st.integers(0, 4095))
def test_currents_of_any_input(z, du):
    constants = [np.array([n]) for n in (du, 0, 0)]
    found = current(Leak(*constants), Interval(np.array([-z]), np.array([z])))
    assert found.magnitude == -(-64 * z * 4096 // (du + 1))


def test_an_early_exit_that_int64_cannot_prove_is_refused():
    graph = branching(1, 2, lambda shape: np.full(shape, 7_500_000), timesteps=7, width=3)
    image = np.full((1, 3), 255.0)
    assert tc.simulate(graph, image).output[0].tolist() == outputs_of(graph, image[0])["readout"]
    with pytest.raises(tc.RangeError, match=r"^a class may gain .* beyond 63 bits; leave early_exit out$"):
        tc.simulate(graph, image, early_exit="margin")
