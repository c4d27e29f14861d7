"""Numbers of leaky neurons that the registers of a Loihi do not hold: each at its limit, and one beyond."""

from __future__ import annotations

import numpy as np
import pytest

from spikec.ir import Affine, IntegerGraph, Population, Readout
from spikec.ir.coding import InputNode
from spikec.ir.kinds import CubaLIF
from spikec.targets.chips import check


def network(theta=2, weight=1, synapse_bias=0, **neuron):
    """One leaky neuron behind a weight, on a sequence, read out by its spikes."""
    form = {"input_shape": (1,), "output_shape": (1,), "bias": np.zeros(1, int)}
    fields = {name: np.array([value]) if name != "subtract" else value for name, value in neuron.items()}
    before = form | {"bias": np.array([synapse_bias])}
    nodes = {
        "input": InputNode("input", (1,), "int8", 1.0, encoding="sequence"),
        "w": Affine("w", ("input",), weight=np.array([[weight]]), **before),
        "lif": Population("lif", ("w",), (1,), CubaLIF(**fields), np.array([theta]), np.zeros(1, int)),
        "copy": Affine("copy", ("lif",), weight=np.ones((1, 1), int), **form),
        "readout": Readout("readout", ("copy",), (1,), np.zeros(1, int), 1.0),
    }
    return IntegerGraph(nodes, 1, "pipelined")


def rules(net, chip):
    return {violation.rule for violation in check(net, chip)}


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
@pytest.mark.parametrize(
    ("rule", "within", "beyond"),
    [
        ("threshold", {"theta": 2**17 - 1}, {"theta": 2**17}),
        ("decay", {"dv": 4095}, {"dv": 4096}),
        ("bias precision", {"bias": 4095 * 2**7}, {"bias": 4095 * 2**7 + 1}),
        ("bias precision", {"bias": -4094}, {"bias": 4095 * 2**8}),
        ("bias of the current", {"du": 4095, "synapse_bias": 1}, {"du": 4094, "synapse_bias": 1}),
        ("synaptic current", {"du": 4095, "weight": 127}, {"du": 0, "weight": 127}),
    ],
)
def test_a_number_at_its_limit_is_taken_and_one_beyond_is_named(chip, rule, within, beyond):
    assert rule not in rules(network(**within), chip)
    assert rule in rules(network(**beyond), chip)


def test_a_leaky_neuron_that_keeps_the_rest_of_a_spike_is_no_neuron_of_loihi_1():
    assert "reset" not in rules(network(), "loihi1")
    (violation,) = [each for each in check(network(subtract=1), "loihi1") if each.rule == "reset"]
    assert violation.limit == "to zero"
    assert "reset" not in rules(network(subtract=1), "loihi2")
