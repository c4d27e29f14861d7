"""Every rule fires on a graph made to break it, and on nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from spikec.targets.chips import check, chip_names, get_chip, place
from spikec.targets.loihi import load_limits
from spikec.targets.loihi.rules import RULES


def changed(net, name, **values):
    return replace(net, nodes={**net.nodes, name: replace(net.nodes[name], **values)})


def rules(violations, severity=None):
    return {v.rule for v in violations if severity in (None, v.severity)}


def test_a_small_network_fits(network):
    assert check(network(), "loihi2") == []
    assert rules(check(network(), "loihi1")) == {"reset"}
    assert rules(check(network(), "loihi1"), "error") == set()


def test_neuron_kinds(network):
    found = check(network(kind="graded", levels=15, timesteps=1, schedule="layerwise"), "loihi1")
    assert [v.layer for v in found if v.rule == "neuron kind"] == ["if1", "if2"]
    assert all(v.severity == "error" for v in found if v.rule == "neuron kind")
    assert check(network(kind="graded", levels=15, timesteps=1, schedule="layerwise"), "loihi2") == []


@pytest.mark.parametrize("kind", ["if", "signed_if"])
def test_several_spikes_per_step_are_payloads(network, kind):
    net = network(kind=kind, spikes=7)
    found = [v for v in check(net, "loihi1") if v.rule == "neuron kind"]
    assert [v.layer for v in found] == ["if1", "if2"]
    low = 0 if kind == "if" else -7
    if kind == "if":
        assert found[0].actual == f"if that emits {low} to 7 in a step"
        assert "spikes=1" in found[0].hint
    assert check(net, "loihi2") == []


@pytest.mark.parametrize(
    ("node", "values", "rule", "target"),
    [
        ("conv2", {"weight": np.full((8, 8, 3, 3), 128)}, "weight bits", "loihi2"),
        ("conv2", {"weight_exp": 9}, "weight exponent", "loihi2"),
        ("conv2", {"bias": np.full(8, 8192)}, "bias", "loihi1"),
        ("conv2", {"bias": np.full(8, 8189)}, "bias precision", "loihi1"),
        ("if2", {"theta": np.full((8, 8, 8), 131072)}, "threshold", "loihi1"),
        ("if2", {"theta": np.full((8, 8, 8), 2**23)}, "threshold", "loihi2"),
        ("if2", {"theta": np.arange(8 * 64).reshape(8, 8, 8) % 17 + 1}, "thresholds per core", "loihi1"),
        ("conv2", {"weight": np.full((8, 8, 3, 3), 127), "weight_exp": 0}, "membrane", "loihi1"),
    ],
)
def test_numbers(network, node, values, rule, target):
    net = changed(network(), node, **values)
    if rule == "membrane":
        net = replace(net, timesteps=8, schedule="layerwise")
    found = check(net, target)
    assert any(v.rule == rule and v.layer in (node, "if2") for v in found), found
    assert rule not in rules(check(network(), target))


def test_bias_with_an_exponent_is_exact(network):
    net = changed(network(), "conv2", bias=np.full(8, 8188))
    assert rules(check(net, "loihi1")) == {"reset"}


def test_branches_of_different_depth_wait(network):
    net = network(schedule="layerwise", timesteps=32)
    shape = net.nodes["if1"].shape
    for index in range(3):  # if1 -> a0 -> a1 -> a2 -> join with if1
        name, before = f"a{index}", f"a{index - 1}" if index else "if1"
        net.nodes[name] = replace(net.nodes["if1"], name=name, sources=(before,))
    net.nodes["join"] = replace(net.nodes["if1"], name="join", sources=("a2", "if1"))
    order = ["input", "conv1", "if1", "a0", "a1", "a2", "join", "pool", "conv2", "if2", "flatten", "fc", "readout"]
    net = replace(net, nodes={name: net.nodes[name] for name in order})
    assert shape == net.nodes["join"].shape
    waits = [v for v in check(net, "loihi2") if v.rule == "delay"]
    assert [(v.layer, v.actual, v.limit) for v in waits] == [("join", 96, 63)]
    assert not [v for v in check(replace(net, schedule="pipelined"), "loihi2") if v.rule == "delay"]


def test_fan_in_cores_and_placement(network):
    found = check(network(channels=2, size=160), "loihi1")
    fan_in = [v for v in found if v.rule == "fan-in"]
    assert [(v.layer, v.actual, v.limit) for v in fan_in] == [("readout", 6400, 4096)]
    assert "placement" in rules(found, "error")


def test_more_cores_than_a_chip_has(network):
    net = network(channels=4, size=32)
    for index in range(20):  # a chain of layers of 4096 neurons, 8 cores each
        before = f"b{index - 1}" if index else "if1"
        net.nodes[f"b{index}"] = replace(net.nodes["if1"], name=f"b{index}", sources=(before,))
    found = [v for v in check(net, "loihi1") if v.rule == "cores"]
    assert [(v.limit, v.severity) for v in found] == [(128, "error")]
    assert found[0].actual > 21 * 8
    assert "2 chips" in found[0].hint


def test_the_hint_says_what_fewer_bits_save(network, monkeypatch):
    """The number of cores saved is that of the network with such weights."""
    tiny = limits_with("loihi2", synapse_bits_per_core=12_000, cores_per_chip=2)
    for module in ("rules", "placement"):
        monkeypatch.setattr(f"spikec.targets.loihi.{module}.load_limits", lambda name: tiny)
    net = network()
    wide, seven = (
        replace(net, nodes={**net.nodes, **{n.name: replace(n, weight=n.weight * most) for n in net.synapses}})
        for most in (127, 63)
    )
    found = next(v for v in check(wide, "loihi2") if v.rule == "cores")
    bits, saved = re.search(r"(\d)-bit weights save (\d+) cores", found.hint).groups()
    assert bits == "7"
    assert int(saved) == found.actual - len(place(seven, "loihi2").cores) > 0
    assert "split it over" in found.hint


def test_payloads_memory_and_chips(network, monkeypatch):
    net = network(kind="graded", levels=2**15 - 1, timesteps=1, schedule="layerwise")
    narrow = limits_with("loihi2", payload_bits=14)
    monkeypatch.setattr("spikec.targets.loihi.rules.load_limits", lambda name: narrow)
    assert [v.layer for v in check(net, "loihi2") if v.rule == "graded payload"] == ["if1", "if2"]
    small = limits_with("loihi1", synapse_bits_per_core=100, axons_out_per_core=10, chips_per_system=1)
    monkeypatch.setattr("spikec.targets.loihi.rules.load_limits", lambda name: small)
    found = check(network(), "loihi1")
    assert {v.layer for v in found if v.rule == "synaptic memory"} == {"if2", "readout"}
    assert "fan-out" in rules(found, "error")


def limits_with(chip, **values):
    limits = load_limits(chip)
    changed = {key: replace(limit, value=values.get(key, limit.value)) for key, limit in limits.limits.items()}
    return replace(limits, limits=changed)


def test_more_chips_than_were_ever_joined(network, monkeypatch):
    tiny = limits_with("loihi1", cores_per_chip=1, chips_per_system=2)
    for module in ("rules", "placement"):
        monkeypatch.setattr(f"spikec.targets.loihi.{module}.load_limits", lambda name: tiny)
    found = {v.rule: v for v in check(network(), "loihi1")}
    assert found["chips"].severity == "warning"
    assert "recalled" in found["chips"].hint


def test_errors_come_first_and_every_violation_can_be_read(network):
    found = check(changed(network(channels=32, size=32), "conv2", bias=np.full(32, 10**6)), "loihi1")
    severities = [v.severity for v in found]
    assert severities == sorted(severities)
    for violation in found:
        assert violation.hint
        assert violation.rule in str(violation)


def test_limits_have_sources_and_grades():
    assert chip_names() == ["cortex-m4", "loihi1", "loihi2"]
    for name in chip_names():
        for limit in get_chip(name).limits.values():
            assert limit.source
            assert limit.grade in {"code", "secondary", "recalled", "assumed"}


def test_every_rule_says_what_it_is_about():
    assert all(rule.__doc__ for rule in RULES)


def test_bounds_over_all_images_and_limits_not_verified_are_warnings(network, monkeypatch):
    net = replace(changed(network(), "conv2", weight=np.full((8, 8, 3, 3), 127)), timesteps=8, schedule="layerwise")
    found = {v.rule: v for v in check(net, "loihi1")}
    assert found["membrane"].severity == "warning"
    wide = network(channels=64)
    wide = changed(wide, "conv2", weight=np.full((64, 64, 3, 3), 127), weight_exp=0)
    large = changed(wide, "conv2", weight=wide.nodes["conv2"].weight * 64, weight_exp=6)
    assert {v.rule: v.severity for v in check(large, "loihi1")}["input of one step"] == "warning"
    many = changed(network(), "if2", theta=np.arange(8 * 64).reshape(8, 8, 8) % 17 + 1)
    assert {v.rule: v.severity for v in check(many, "loihi1")}["thresholds per core"] == "warning"
    small = limits_with("loihi2", synapse_bits_per_core=100)
    monkeypatch.setattr("spikec.targets.loihi.rules.load_limits", lambda name: small)
    memory = {v.rule: v for v in check(network(), "loihi2")}["synaptic memory"]
    assert (memory.severity, memory.limit) == ("warning", 100)
    assert "recalled, not verified" in memory.hint


def test_more_synapses_than_a_chip_has(network, monkeypatch):
    """Stored weights: two kernels of 8 x 8 x 9, and 10 for each of 8 x 8 x 8 inputs."""
    weights = 2 * 8 * 8 * 9 + 10 * 8 * 64
    for most, found in ((weights, []), (weights - 1, [("synapses", weights)])):
        few = limits_with("loihi2", synapses_per_chip=most)
        monkeypatch.setattr("spikec.targets.loihi.rules.load_limits", lambda name, few=few: few)
        assert [(v.rule, v.actual) for v in check(network(), "loihi2")] == found
