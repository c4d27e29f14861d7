"""``spikec check`` and ``map``: exit codes, documents, and the drawing."""

from dataclasses import replace

import numpy as np
import pytest

import spikec as tc
from spikec.data_files import chip_files
from spikec.ir import build, save
from spikec.targets.loihi import load_limits


@pytest.fixture
def wide(digits_graph, tmp_path):
    """A threshold beyond what Loihi 1 holds."""
    graph = digits_graph()
    fire = replace(graph.nodes["fire"], theta=np.full((3, 8, 8), 200_000))
    return save(build(replace(graph, nodes={**graph.nodes, "fire": fire})), tmp_path / "wide.nir")


def test_a_small_network_fits(spikec, net):
    result = spikec("check", net)
    assert result.code == 0
    assert result.out.endswith("fits loihi2\n")
    assert spikec("check", net, "--json").json["violations"] == []


def test_what_does_not_fit_is_listed(spikec, wide):
    result = spikec("check", wide, "--target", "loihi1", "--json")
    assert result.code == 2
    assert not result.json["fits"]
    found = {(v["rule"], v["layer"], v["actual"], v["limit"]) for v in result.json["violations"]}
    assert ("threshold", "fire", 200_000, 131_071) in found
    assert spikec("check", wide, "--target", "loihi2").code == 0


@pytest.mark.parametrize("command", ["check", "map"])
def test_unknown_chip(spikec, net, command):
    result = spikec(command, net, "--target", "loihi3")
    assert result.code == 1
    assert "loihi2" in result.err


def test_map_lists_and_draws_every_core(spikec, net, tmp_path):
    drawing = tmp_path / "map.svg"
    result = spikec("map", net, "--target", "loihi1", "--svg", drawing, "--json")
    assert result.code == 0
    assert set(result.json["cores_of"]) == {"fire", "readout"}
    neurons = [part for core in result.json["cores"] for part in core["slices"]]
    assert {part["layer"] for part in neurons} == {"fire", "readout"}
    assert drawing.read_text().count("<title>") == len(result.json["cores"])
    shown = spikec("map", net).out
    assert shown.startswith("1 core on 1 chip of loihi2; lower bound 1\n")
    assert "compartments (202, 8192)" not in shown
    assert "compartments (202, 8192)" in spikec("map", net, "--cores").out
    assert spikec("map", net, "--svg", drawing).out.endswith(f"written: {drawing}\n")
    apart = spikec("map", net, "--unshared", "--json").json["cores"][0]["usage"]["synapse bits"]
    assert apart[0] >= spikec("map", net, "--json").json["cores"][0]["usage"]["synapse bits"][0]


def test_map_says_what_it_assumes(spikec, net, monkeypatch):
    out = spikec("map", net, "--target", "loihi1").out
    assert "\n  assumed: chips_per_system: Pohoiki Springs" in out
    assert "population axons" not in out
    limits = load_limits("loihi1")
    few = {**limits.limits, "axons_in_per_core": replace(limits["axons_in_per_core"], value=20)}  # 16 places of 3 maps
    monkeypatch.setattr("spikec.targets.loihi.placement.load_limits", lambda name: replace(limits, limits=few))
    out = spikec("map", net, "--target", "loihi1").out
    assert "\n  population axons into head\n" in out
    assert "\n  assumed: population axons enter dense layers, blocks that share a core, and neurons that" in out


def test_a_line_for_each_layer(spikec, net):
    lines = spikec("map", net).out.splitlines()
    rows = [line.split()[:3] for line in lines[1:4]]
    assert rows == [["layer", "cores", "neurons"], ["fire", "1", "192"], ["readout", "1", "10"]]


def test_violations_stand_one_a_line_in_columns(spikec, wide):
    lines = spikec("check", wide, "--target", "loihi1").out.splitlines()
    end = lines.index("what to do:")
    assert {line.split()[0] for line in lines[:end]} == {"error", "warning"}
    assert len({line.index("limit ") for line in lines[:end]}) == 1
    assert any(line.split()[:5] == ["error", "fire", "threshold", "200,000", "limit"] for line in lines[:end])
    told = [line for line in lines[end:] if "threshold " in line]
    assert len(told) == 1
    assert "export with --format loihi1" in told[0]
    assert lines[-1] == "does not fit loihi1"


def test_map_warns_of_a_network_that_does_not_fit_for_other_reasons(spikec, net, wide):
    assert "does not fit loihi1" in spikec("map", wide, "--target", "loihi1").err
    assert spikec("map", net, "--target", "loihi1").err == ""


def test_energy_with_a_placement(spikec, net):
    placed = spikec("energy", net, "--profile", "loihi1", "--limit", "5", "--place", "--json")
    assert placed.code == 0
    assert placed.json["mapping"]["assumed"] is False
    assert "has no cores to place on" in spikec("energy", net, "--profile", "cmos45", "--place").err
    by_default = spikec("energy", net, "--profile", "loihi1", "--limit", "5", "--json")
    assert by_default.json == placed.json
    assumed = spikec("energy", net, "--profile", "loihi1", "--limit", "5", "--by-capacity", "--json")
    assert assumed.json["mapping"]["assumed"] is True
    assert placed.json["mapping"]["cores"] == spikec("map", net, "--target", "loihi1", "--json").json["cores_of"]


def test_energy_as_another_tool_counts(spikec, net):
    found = spikec("energy", net, "--limit", "5", "--as", "neurobench", "--json").json
    effective = found["values"]["Effective_ACs"] + found["values"]["Effective_MACs"]
    assert 0 < effective <= found["ours"]["SynOps, non-zero weights"]  # sums behind a pool are one operation each
    one, two = (spikec("energy", net, "--limit", "5", "--as", "syops", "--json").json for _ in range(2))
    assert one == two
    assert one["values"]["MACs"] > 0
    assert "did you mean 'sinabs'?" in spikec("energy", net, "--as", "sinab").err
    refused = spikec("energy", net, "--as", "sinabs", "--first-layer", "direct_mac")
    assert refused.code == 1
    assert "--first-layer is for the estimate; leave out --as sinabs" in refused.err
    assert "--seed is for the estimate" in spikec("energy", net, "--as", "sinabs", "--seed", "0").err


def test_a_profile_may_be_a_file(spikec, net, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(chip_files("energy", tmp_path)["loihi1"].read_text())
    by_name, by_path = (spikec("energy", net, "--profile", each, "--limit", "5", "--json") for each in ("loihi1", file))
    assert by_path.code == 0, by_path.err
    assert by_path.json == by_name.json
    graph = tc.load(net)
    trace = tc.simulate(graph, np.ones((2, *tc.decode(graph).input.shape)))
    one, two = (tc.estimate(graph, trace, profile=each, draws=10).total for each in (file, "loihi1"))
    assert one == two
