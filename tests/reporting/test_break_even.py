"""The drawing of the break-even curve."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

from spikec.energy import Quantiles
from spikec.energy.value import BreakEven, Reference
from spikec.reporting.page.break_even import break_even_chart


def reference(middles, measured=0.5):
    points = tuple(BreakEven(2**i, Quantiles(m - 0.01, m, m + 0.01)) for i, m in enumerate(middles))
    return Reference(3, 8, measured, (), points)


def test_points_lie_on_logarithmic_axes_and_end_where_no_number_is_few_enough():
    drawing = ElementTree.fromstring(break_even_chart(reference([1.0, 0.1, 0.05, -0.001, -0.01])))
    line = next(e for e in drawing if e.tag == "polyline")
    points = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
    assert len(points) == len(list(drawing.iter("circle"))) == 3
    ticks = {e.text: float(e.get("y")) for e in drawing if e.tag == "text" and "end" in e.get("class")}
    assert abs(points[0][1] + 4 - ticks["1"]) < 0.2
    assert abs(points[1][1] + 4 - ticks["0.1"]) < 0.2
    level = next(e for e in drawing if e.get("class") == "reference")
    assert points[0][1] < float(level.get("y1")) < points[1][1]  # 0.5 lies between 1 and 0.1
    steps = [b[0] - a[0] for a, b in itertools.pairwise(points)]
    assert abs(steps[0] - steps[1]) < 0.2  # a doubling is as wide everywhere
    assert "reuse 8: never" in drawing.find("desc").text


def test_names_of_the_two_lines_stay_apart_and_inside():
    for end in (0.5, 0.45, 0.55, 5.0):
        drawing = ElementTree.fromstring(break_even_chart(reference([6.0, 6.0, end], measured=0.5)))
        labels = [float(e.get("y")) for e in drawing if "label" in (e.get("class") or "")]
        assert all(0 < y < 240 for y in labels)
        assert min(abs(a - b) for i, a in enumerate(labels) for b in labels[:i]) >= 14


def test_nothing_is_drawn_from_one_point_or_from_silence():
    assert break_even_chart(reference([1.0, -1.0])) == ""
    assert break_even_chart(reference([1.0, 0.5], measured=0.0)) == ""
    assert not re.search("nan|inf", break_even_chart(reference([1.0, 0.005])))
