"""One word for one thing: executors, chips, profiles and formats; advice in the tongue of the reader; lists."""

from typing import get_args

import numpy as np
import pytest
from helpers.networks import digits_network

import spikec as tc
from spikec.cli import _sentence
from spikec.cluster import EXECUTORS
from spikec.ir import build
from spikec.sweeping.run import Executor
from spikec.targets.lava import target
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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "demo --target loihi2",
            "--target: loihi2 is a chip, not an executor (golden, c, lava): spikec check --target",
        ),
        ("demo --target c", "the demo compares with lava alone; spikec verify --target c compares the file it writes"),
        ("demo --target golden", "the demo runs the golden model anyway and compares it with lava: leave it out"),
        (
            "sweep g.toml -o x --executor lava",
            "--executor: lava is an executor, not an executor of sweeps (local, slurm)",
        ),
        ("run n.nir --executor lava", "--executor: lava is an executor, not an executor of shards (local, slurm)"),
        ("run n.nir --executor slrm", "unknown executor of shards 'slrm', did you mean 'slurm'?"),
        ("--jsn inspect n.nir", "unknown option '--jsn', did you mean '--json'?"),
        ("--jsn inspect n.nir", "did you mean '--json'? (see spikec help)"),
        ("--limit 4 run n.nir", "'--limit' belongs behind the command: spikec run --limit (see spikec help run)"),
        ("--out x export", "'--out' belongs behind the command: spikec export --out (see spikec help export)"),
        ("--out=x export", "'--out' belongs behind the command: spikec export --out (see spikec help export)"),
        ("--neuron if run", "'--neuron' belongs behind the command: spikec run --neuron"),
        ("-T4 export", "'-T4' belongs behind the command: spikec export -T4"),
        ("--tolerance 1 nir compare a b", "'--tolerance' belongs behind the command: spikec nir compare --tolerance"),
        ("--in-place a", "'--in-place' is an option of nir repair: the command comes first, spikec nir repair --in-"),
        ("--layr x inspect n.nir", "unknown option '--layr', did you mean '--layer' of inspect? It belongs behind"),
        ("--zzqqz", "no command has an option '--zzqqz'; the command comes first, and its options behind it"),
        ("run n.nir --layer x", "run has no option '--layer', which inspect has (see spikec run --help)"),
        ("inspect n.nir --neuron if", "inspect has no option '--neuron', which run and verify have"),
        ("run n.nir --zzqqz", "unknown option '--zzqqz' (see spikec run --help)"),
        ("sweep g.toml -o x --executor slrum", "unknown executor of sweeps 'slrum', did you mean 'slurm'?"),
        ("sweep g.toml -o x", "format: golden is an executor, not a number format"),
        ("sweep g.toml -o x", "energy: generic24 is a number format, not an energy profile"),
        ("advise digits-cnn --chip generic24", "--chip: generic24 is a number format, not a chip"),
        ("doctor --target loihi1", "--target: loihi1 is a chip, not an executor"),
    ],
)
def test_every_command_tells_them_apart(spikec, tmp_path, words, says):
    (tmp_path / "g.toml").write_text(
        '[defaults]\nformat = "golden"\nenergy = ["generic24"]\n[grid]\nmodel = "digits-cnn"\n'
    )
    result = spikec(*words.split())
    assert result.code == 1
    assert says in result.err


def test_a_sweep_names_the_places_that_there_are():
    assert get_args(Executor) == EXECUTORS


def test_python_is_answered_in_python(tmp_path):
    graph = build(digits_network())
    trace = tc.simulate(graph, np.zeros((1, 1, 8, 8), np.float32))
    with pytest.raises(tc.ToolchainError, match=r"lava is an executor, not an energy profile .*target='lava'"):
        tc.estimate(graph, trace, profile="lava")
    with pytest.raises(tc.ToolchainError, match=r"golden is an executor, not an executor of sweeps \(local, slurm\)"):
        tc.sweep({"grid": {"model": "digits-cnn"}}, tmp_path, executor="golden")
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


@pytest.mark.parametrize(
    ("version", "follows"), [((3, 10), "run pip install"), ((3, 13), "this is 3.13: run python3.10")]
)
def test_advice_on_lava_can_be_followed_with_the_python_that_runs(monkeypatch, version, follows):
    """Lava runs on Python 3.10 alone, so that pip of another Python finds nothing to install."""
    monkeypatch.setattr(target.sys, "version_info", (*version, 0))
    assert follows in target.not_here("Lava")
    assert ("run pip install" in target.not_here("lava-dl")) == (version == (3, 10))
