"""Rules about leaky neurons: every edit of their numbers is noticed and named."""

import re

import nir
import numpy as np
import pytest

import spikec as tc
from spikec.ir import Affine, IntegerGraph, Population, Readout, build, decode, verify
from spikec.ir.coding import InputNode
from spikec.ir.kinds import CubaLIF
from spikec.ir.leak import Leak
from spikec.ir.profile import rules_leaky
from spikec.ir.profile.hashes import content_sha256
from spikec.ir.profile.verify import RULES


def deployment() -> nir.NIRGraph:
    size = {"input_shape": (2,), "output_shape": (2,), "weight": np.eye(2, dtype=int), "bias": np.zeros(2, int)}
    number = {"du": np.array([100, 4095]), "dv": np.array([0, 400]), "bias": np.array([-5, 7])}
    nodes = {
        "input": InputNode("input", (2,), "uint8", 1.0, encoding="sequence"),
        "w": Affine("w", ("input",), **size),
        "lif": Population("lif", ("w",), (2,), CubaLIF(**number), np.array([10, 20]), np.zeros(2, int)),
        "out": Affine("out", ("lif",), **size),
        "readout": Readout("readout", ("out",), (2,), np.zeros(2, int), 0.5, Leak(**number), "maximum"),
    }
    return build(IntegerGraph(nodes, 3, "pipelined"))


def _array(node, field, value):
    def edit(graph):
        getattr(graph.nodes[node], field)[0] = value

    return edit


def _set(node, key, value):
    def edit(graph):
        graph.nodes[node].metadata["spikec"][key] = value

    return edit


_BROKEN = [
    (_set("lif", "kind", "if"), "lif", "kind is 'if', a CubaLIF node must be of kind 'cuba_lif'"),
    (_set("lif", "reset", "subtract"), "lif", "reset is 'subtract', it must be 'zero'"),
    (_set("lif", "subtract", 1), "lif", "reset is 'zero', it must be 'subtract'"),
    (_set("lif", "spike_cmp", "ge"), "lif", "spike_cmp is 'ge', it must be 'gt'"),
    (_array("lif", "v_reset", 1), "lif", "v_reset must be 0"),
    (_array("lif", "v_threshold", 65), "lif", "thresholds must be whole multiples of 64"),
    (_array("lif", "v_threshold", 0), "lif", r"thresholds must be between 64 and 16777216"),
    (_array("lif", "v_threshold", 128), "lif", "v_threshold differs from 64 times v_threshold_int: the node was"),
    (_array("lif", "tau_mem", 3.0), "lif", "tau_mem does not follow from du, dv and bias_int: the node was edited"),
    (_array("lif", "w_in", 3.0), "lif", "w_in does not follow from du, dv and bias_int: the node was edited"),
    (_set("lif", "du", np.array([4096, 0], np.int32)), "lif", "du must be between 0 and 4095"),
    (_set("lif", "dv", np.array([-1, 0], np.int32)), "lif", "dv must be between 0 and 4096"),
    (_set("lif", "bias_int", np.array([1, 0, 3], np.int32)), "lif", "metadata 'bias_int' has shape"),
    (_set("lif", "v_init_int", np.array([0.5])), "lif", "metadata 'v_init_int' must hold integers"),
    (_set("lif", "scale", np.array([-1.0])), "lif", "scale must be one positive real value"),
    (_set("readout", "kind", "integrator"), "readout", "kind is 'integrator', a CubaLI node must be 'leaky'"),
    (_set("readout", "scale", -1.0), "readout", "scale must be positive"),
    (_array("readout", "v_leak", 9.0), "readout", "v_leak does not follow from du, dv and bias_int: the node was"),
]


def test_a_sound_deployment_breaks_no_rule():
    assert verify(deployment()) == []


@pytest.mark.parametrize(("edit", "node", "message"), _BROKEN, ids=[case[2][:40] for case in _BROKEN])
def test_rule_refuses(edit, node, message):
    graph = deployment()
    edit(graph)
    graph.metadata["spikec"]["content_sha256"] = content_sha256(graph)
    found = [problem for problem in verify(graph) if problem.rule == "leaky"]
    assert any(problem.node == node and re.match(message, problem.message) for problem in found), verify(graph)
    with pytest.raises(tc.GraphError, match=r"^not a sound spikec graph: "):
        decode(graph)


def test_the_hash_covers_time_constants():
    graph = deployment()
    before = content_sha256(graph)
    graph.nodes["lif"].tau_mem[0] = 3.0
    assert content_sha256(graph) != before


def test_every_rule_is_tested():
    assert {rule.__name__ for rule in RULES if rule.__module__ == rules_leaky.__name__} == {"leaky"}


def test_if_nodes_do_not_hold_leaky_neurons():
    graph = deployment()
    lif = graph.nodes["lif"]
    ones = np.ones(2, np.float32)
    graph.nodes["lif"] = nir.IF(r=ones, v_threshold=ones, v_reset=0 * ones, metadata=lif.metadata)
    assert any("which a CubaLIF node holds" in problem.message for problem in verify(graph))
