"""One word for one thing: executors, chips, profiles and formats; advice in the tongue of the reader; lists."""

import pytest
from helpers.networks import digits_network

import spikec as tc
from spikec.cli import _sentence
from spikec.ir import build
from spikec.words import aligned, either, option, speaking


@pytest.mark.parametrize(
    ("words", "what", "way"),
    [
        (("run", "--target", "loihi2"), "loihi2 is a chip, not an executor", "spikec check --target loihi2"),
        (("verify", "--target", "netx"), "netx is a number format, not an executor", "spikec export --format netx"),
        (("check", "--target", "lava"), "lava is an executor, not a chip", "spikec run --target lava"),
        (("map", "--chip", "cmos45"), "cmos45 is an energy profile, not a chip", "spikec energy --profile cmos45"),
        (("energy", "--profile", "cortex-m4"), "cortex-m4 is a chip, not an energy profile", "spikec check --target"),
        (("ranges", "--format", "golden"), "golden is an executor, not a number format", "spikec run --target golden"),
        (("run", "--target", "lohi2"), "did you mean the chip loihi2?", "spikec check --target loihi2"),
        (("check", "--target", "lohi2"), "unknown chip 'lohi2', did you mean 'loihi2'?", ""),
    ],
)
def test_a_name_of_another_sort_names_the_command_that_takes_it(spikec, net, words, what, way):
    command, *rest = words
    result = spikec(command, net, *rest)
    assert result.code == 1
    assert what in result.err
    assert way in result.err


def test_python_is_answered_in_python():
    graph = build(digits_network())
    with pytest.raises(tc.ToolchainError, match=r"loihi2 is a chip, .*tc\.check\(graph, target='loihi2'\)"):
        tc.compile(graph, target="loihi2")
    with pytest.raises(tc.ToolchainError, match=r"tc\.compile\(graph, target='lava'\)"):
        tc.check(graph, target="lava")


def test_an_option_in_both_tongues():
    assert option("weights_entry", "ema") == "weights_entry='ema'"
    with speaking("command line"):
        assert option("weights_entry", "ema") == "--weights-entry ema"
        assert option("early_exit") == "--early-exit"
        assert either("a", "b") == "b"
    assert either("a", "b") == "a"


def test_errors_that_list_things_show_one_a_line():
    error = tc.GraphError.listing("net.nir", ["a: is round", "longer: is square", "c: is flat"], "mend it", most=2)
    assert str(error) == "net.nir: a: is round; longer: is square (and 1 more); mend it"
    assert _sentence(error) == "net.nir:\n  a:      is round\n  longer: is square\n  (and 1 more)\nmend it"
    one = tc.GraphError.listing("net.nir", ["a: is round"])
    assert _sentence(one) == str(one) == "net.nir: a: is round"


def test_rows_are_aligned_but_for_very_long_cells():
    assert aligned([("a", "b", "c"), ("long", "b2", "d")]) == ["a:    b:  c", "long: b2: d"]
    assert aligned([("x" * 60, "y"), ("a", "z")])[1] == "a:" + " " * 48 + "z"
