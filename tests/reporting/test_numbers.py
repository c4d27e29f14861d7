"""Printed numbers: short, and never far from what they stand for."""

import re

import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.energy import Quantiles
from spikec.reporting import numbers
from spikec.reporting.proportion import Proportion
from spikec.words import plural

FACTORS = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0, "0 J"),
        (9.96e-7, "1.0 µJ"),
        (123.4e-6, "120 µJ"),
        (999e-12, "1.0 nJ"),
        (9.96e-4, "1.0 mJ"),
        (0.0446, "45 mJ"),
        (3.0, "3.0 J"),
        (-2e-9, "-2.0 nJ"),
    ],
)
def test_engineering(value, printed):
    assert numbers.engineering(value, "J") == printed


@given(st.floats(1e-14, 1e12))
@settings(deadline=None, max_examples=drawn(200))
def test_engineering_keeps_two_digits(value):
    mantissa, prefix = re.fullmatch(r"([\d.]+) ([fpnµmkMGT]?)J", numbers.engineering(value, "J")).groups()
    assert float(mantissa) * FACTORS[prefix] == pytest.approx(value, rel=0.0501)
    assert len(mantissa.replace(".", "").strip("0")) <= 2
    assert 1 <= float(mantissa) < 1000


def test_ranges_share_a_prefix_where_they_can():
    assert numbers.quantiles(Quantiles(60e-6, 90e-6, 134e-6), "J") == "90 µJ (60 to 130 µJ)"
    assert numbers.engineering_range(9e-7, 1.3e-6, "J") == "900 nJ to 1.3 µJ"


def test_proportions_print_what_the_sample_carries():
    assert numbers.proportion(Proportion.of(446, 449)) == "99.3 %"
    assert numbers.proportion(Proportion.of(9998, 10000)) == "99.98 %"
    assert numbers.interval(Proportion.of(446, 449)) == "98.1 to 99.8 %"


def test_a_miss_is_never_rounded_to_perfect():
    assert numbers.proportion(Proportion.of(99_999, 100_000)) != numbers.proportion(Proportion.of(100_000, 100_000))


def test_constants_share_the_prefix_of_their_value():
    assert numbers.scaled((24e-12, 0.0, 178e-12), "J/synop") == (["24", "0", "178"], "pJ/synop")
    assert numbers.scaled((1.0, 0.96, 1.04), "relative to 0.75 V") == (["1", "0.96", "1.04"], "relative to 0.75 V")


def test_spans_and_plurals():
    assert numbers.span((-1234, 5)) == "\N{MINUS SIGN}1,234 to 5"
    assert numbers.span((7, 7)) == "7"
    assert (plural(1, "chip"), plural(1152, "chip")) == ("1 chip", "1,152 chips")
