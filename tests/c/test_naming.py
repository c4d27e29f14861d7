"""Names for C, and what --early-exit means."""

import re

import pytest
from helpers.networks import digits_network
from hypothesis import given
from hypothesis import strategies as st

from spikec.errors import DataError, ToolchainError
from spikec.targets.c.naming import checked_name, lead_of, name_of


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("net", "net"),
        ("my-net.v2", "my_net_v2"),
        ("2nd", "net_2nd"),
        ("int", "int_net"),
        ("class", "class_net"),
        ("main", "main_net"),
        ("Ünet", "net"),
        ("_hidden_", "hidden"),
        ("网", "net"),
    ],
)
def test_names_of_files(stem, name):
    assert name_of(stem) == name


@given(st.text(max_size=80))
def test_every_name_is_one_that_is_kept(text):
    name = name_of(text)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name)
    assert len(name) <= 48
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["int", "a-b", "9a", "", "_a", "a__b", "main"])
def test_given_names_are_checked(name):
    with pytest.raises(ToolchainError, match=f"is no name .* '{name_of(name)}' is one"):
        checked_name(name)


def test_early_exit():
    graph = digits_network()
    assert lead_of(graph, None) is None
    assert lead_of(graph, "margin") == 0.0
    assert lead_of(graph, 1.5) == 1.5
    for wrong in (0, -1, "soon", True, float("nan"), float("inf")):
        with pytest.raises(DataError, match="early_exit="):
            lead_of(graph, wrong)
