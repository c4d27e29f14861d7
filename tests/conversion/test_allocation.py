"""The choice of one option per layer under a budget, against every combination."""

from __future__ import annotations

from itertools import product
from unittest import mock

import numpy as np
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.conversion import allocation
from spikec.conversion.allocation import least_loss


def best_of_all(losses, costs, budget):
    """Least loss, then least cost, of all combinations within the budget; None if there is none."""
    found = []
    for options in product(*(range(len(row)) for row in losses)):
        cost = sum(row[option] for row, option in zip(costs, options, strict=True))
        if cost <= budget:
            found.append((sum(row[option] for row, option in zip(losses, options, strict=True)), cost))
    return min(found, default=None)


@st.composite
def instances(draw):
    layers, options = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    few = draw(st.booleans())  # few values: many ties

    def numbers(low, high):
        row = st.lists(st.integers(low, 2 if few else high), min_size=options, max_size=options)
        return draw(st.lists(row, min_size=layers, max_size=layers))

    losses, costs = numbers(-3, 30), numbers(-4, 60)
    return losses, costs, draw(st.integers(sum(map(min, costs)) - 3, sum(map(max, costs)) + 3))


def chosen(losses, costs, budget):
    return least_loss(np.array(losses, dtype=np.float64), np.array(costs, dtype=np.int64), budget)


@settings(max_examples=drawn(150), deadline=None)
@given(instances())
def test_no_combination_is_better(instance):
    losses, costs, _ = instance
    options, expected = chosen(*instance), best_of_all(*instance)
    assert (options is None) == (expected is None)
    if options is not None:
        picked = [[row[option] for row, option in zip(table, options, strict=True)] for table in (losses, costs)]
        assert tuple(map(sum, picked)) == expected


@settings(max_examples=drawn(80), deadline=None)
@given(instances(), st.integers(1, 8))
def test_a_coarse_grid_never_exceeds_the_budget(instance, resolution):
    """Costs are rounded up: the result is at least as good as what a budget smaller by the rounding allows."""
    losses, costs, budget = instance
    with mock.patch.object(allocation, "RESOLUTION", resolution):
        options = chosen(losses, costs, budget)
    assert (options is None) == (best_of_all(losses, costs, budget) is None)
    if options is None:
        return
    assert sum(row[option] for row, option in zip(costs, options, strict=True)) <= budget
    room = min(budget, sum(map(max, costs))) - sum(map(min, costs))
    rounding = (len(costs) + 1) * (max(1, -(-room // resolution)) - 1)
    smaller = best_of_all(losses, costs, min(budget, sum(map(max, costs))) - rounding)
    loss = sum(row[option] for row, option in zip(losses, options, strict=True))
    assert smaller is None or loss <= smaller[0]


def test_ties_take_the_fewest_spikes():
    assert chosen([[1, 1, 1], [0, 2, 0]], [[5, 3, 4], [9, 1, 8]], 100) == [1, 2]
    assert chosen([[1, 1]], [[2, 2]], 2) == [0]


def test_what_cannot_be_paid():
    assert chosen([[0, 1]], [[5, 3]], 2) is None
    assert chosen([[0, 1]], [[5, 3]], 3) == [1]


def test_large_numbers():
    rng = np.random.default_rng(0)
    losses, costs = rng.random((200, 7)), rng.integers(0, 10**9, (200, 7))
    budget = int(costs.min(1).sum() * 1.5)
    options = least_loss(losses, costs, budget)
    spent = costs[range(200), options].sum()
    assert 0.95 * budget < spent <= budget
