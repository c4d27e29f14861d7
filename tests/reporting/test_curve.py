"""The axes of the curves of quality."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spikec.reporting.page.curve import Point, curve, numbers, shares


@given(st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 6)), min_size=1, max_size=6))
def test_every_number_lies_on_the_axis(values):
    scale = numbers(values)
    slack = 1e-9 * max(1e-6, *map(abs, values), scale.high - scale.low)
    assert scale.low < scale.high
    assert scale.low - slack <= min(values) <= max(values) <= scale.high + slack
    assert 2 <= len(scale.ticks) <= 8
    assert [tick for tick, _ in scale.ticks] == sorted({tick for tick, _ in scale.ticks})


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_shares_end_at_one_hundred_percent(values):
    scale = shares(values)
    assert 0 <= scale.low <= min(values)
    assert (scale.high, scale.ticks[0][1]) == (1.0, "100 %")


def test_errors_start_at_zero_where_that_is_near():
    assert numbers([0.02, 0.13]).low == 0
    assert numbers([10.0, 10.4]).low >= 9.9
    assert numbers([-0.2, 0.4]).low < 0
    assert [text for _, text in numbers([0.02, 0.13]).ticks] == ["0", "0.05", "0.1", "0.15"]


def test_a_curve_of_one_step_and_of_equal_values():
    for values in ([0.0], [0.5, 0.5], [-1.0, 2.0]):
        points = [Point(t, value, value, value, f"T = {t}") for t, value in enumerate(values, 1)]
        drawn = str(curve("error", points, 1, values[0], numbers(values)))
        assert drawn.count("<circle") == len(values)
        assert "nan" not in drawn
