"""Bounds of the sums inside Lava's processes do not wrap: what is too large is refused, however large."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.extreme_graphs import branching
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.errors import RangeError
from spikec.ir import decode
from spikec.targets.lava.integer_limits import check_ranges


def _reach(graph, name, high):
    """The most that sums reach with all weights taken as positive, in Python integers."""
    if name == "input":
        return [255 * high] * 2
    below = [_reach(graph, source, high) for source in graph.nodes[name].sources]
    total = [sum(parts) for parts in zip(*below, strict=True)]
    weight = getattr(graph.nodes[name], "weight", None)
    return (
        total if weight is None else [sum(abs(int(w)) * x for w, x in zip(row, total, strict=True)) for row in weight]
    )


@settings(max_examples=drawn(60), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    branches=st.sampled_from([1, 2, 32]),
    chain=st.integers(1, 3),
    top=st.sampled_from([1, 2**6, 2**12, 2**21, 2**24]),
)
def test_no_sum_of_one_sign_wraps(seed, branches, chain, top):
    """Weights of one sign: the bound is reached, so that what is refused and what is not is known."""
    rng = np.random.default_rng(seed)
    graph = decode(branching(branches, chain, lambda shape: rng.integers(top, top + 3, shape).clip(max=2**24)))
    worst = max(max(_reach(graph, name, 1)) for name in graph.nodes if name != "output")
    if worst <= (2**31 - 1) // 2:
        check_ranges(graph, image_is_sent=True)
    elif worst > 2**31 - 1:
        with pytest.raises(RangeError, match="sums can reach"):
            check_ranges(graph, image_is_sent=True)


@pytest.mark.parametrize("weight", [2**31, -(2**63)])
def test_weights_beyond_int32_are_refused(one_layer, weight):
    with pytest.raises(RangeError, match="dense: a weight of"):
        check_ranges(one_layer(weight=[[weight]], bias=[0], theta=1), image_is_sent=False)
