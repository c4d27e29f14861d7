"""Every rule about the graph refuses what it is there for, by name, and every sound deployment passes all rules."""

from __future__ import annotations

import re

import nir
import numpy as np
import pytest

import spikec as tc
from spikec.ir import decode, verify
from spikec.ir.profile import rules_graph
from spikec.ir.profile.verify import RULES

_BASE = ("reset=subtract", "spike_cmp=ge", "v_init")

#: rule: deployment, edit (see ``conftest.py``), node that is named, message.
_BROKEN = {
    "schema": [
        ("qcfs", ("bare",), "", "the graph carries no spikec metadata"),
        ("qcfs", ("set", "schema", "spikec.nir/2"), "", r"schema 'spikec\.nir/2' is not 'spikec\.nir/1'"),
        ("qcfs", ("set", "schema", "spikec.nir/10"), "", r"schema 'spikec\.nir/10' is not 'spikec\.nir/1'"),
        ("qcfs", ("set", "schema", "other"), "", r"schema 'other' is not 'spikec\.nir/1'"),
    ],
    "graph_fields": [
        *(("qcfs", ("drop", key), "", f"metadata '{key}' is missing") for key in ("timesteps", "schedule")),
        ("qcfs", ("set", "numeric", "float"), "", "numeric is 'float', only 'int' can be executed"),
        ("qcfs", ("set", "schedule", "asynchronous"), "", "schedule 'asynchronous' is none of pipelined, layerwise"),
        ("qcfs", ("set", "timesteps", 0), "", "timesteps is 0, it must be between 1 and 32768"),
        ("qcfs", ("set", "timesteps", 2**21), "", "timesteps is 2097152, it must be between 1 and 32768"),
        ("qcfs", ("set", "timesteps", 2.5), "", "metadata 'timesteps' must be one integer, not 2.5"),
        ("qcfs", ("set", "timesteps", "four"), "", "metadata 'timesteps' must be one integer, not 'four'"),
        ("qcfs", ("set", "timesteps", np.array([3, 3])), "", "metadata 'timesteps' must be one integer"),
        ("signed", ("set", "drain", -1), "", "drain is -1, it must be between 0 and 32768"),
        ("qcfs", ("set", "dt", 0.5), "", "dt is 0.5, the profile counts steps: dt must be 1"),
        ("qcfs", ("set", "dt", np.nan), "", "metadata 'dt' must be one finite number, not nan"),
        ("qcfs", ("set", "info", "not json"), "", "metadata 'info' must be a JSON object"),
        ("qcfs", ("set", "info", "[1]"), "", "metadata 'info' must be a JSON object"),
        ("qcfs", ("set", "info", "[" * 100_000), "", "metadata 'info' must be a JSON object"),
        ("qcfs", ("set", "info", "9" * 10_000), "", "metadata 'info' must be a JSON object"),
    ],
    "names": [
        ("qcfs", ("rename", "hidden", "hid den"), "hid den", "node names may hold letters, digits, '_' and '.' only"),
        ("qcfs", ("rename", "hidden", "a/b"), "a/b", "node names may hold letters, digits, '_' and '.' only"),
        ("qcfs", ("rename", "hidden", ""), "", "node names may hold letters, digits, '_' and '.' only"),
        ("qcfs", ("rename", "input", "image"), "image", "the Input node, and nothing else, is called 'input'"),
        ("qcfs", ("rename", "input", "image"), "", "there is no node 'input'"),
        ("qcfs", ("rename", "output", "logits"), "logits", "the Output node, and nothing else, is called 'output'"),
        (
            "qcfs",
            ("add", "delay", nir.Delay(np.ones(3)), ("classes", "delay"), ("delay", "readout")),
            "delay",
            "node type Delay is not part of the profile",
        ),
        (
            "qcfs",
            ("add", "leaky", nir.LI(*np.ones((3, 3))), ("classes", "leaky"), ("leaky", "readout")),
            "leaky",
            "node type LI is not part of the profile",
        ),
        (
            "qcfs",
            ("add", "second", nir.I(np.ones(3), metadata={"spikec": {"kind": "integrator", "scale": 1.0}})),
            "",
            r"there must be one integrator \(I or CubaLI\) node before the output, found 2",
        ),
    ],
    "edges": [
        ("qcfs", ("connect", ("hidden", "last")), "last", "the edge hidden -> last appears more than once"),
        (
            "qcfs",
            ("connect", ("hidden", "nowhere")),
            "",
            "the edge hidden -> nowhere names 'nowhere', which does not exist",
        ),
        ("qcfs", ("disconnect", ("hidden", "last")), "last", "nothing feeds this node"),
        ("qcfs", ("disconnect", ("hidden", "last")), "hidden", "nothing reads this node"),
        ("qcfs", ("connect", ("hidden", "input")), "input", "the input has no sources"),
        ("qcfs", ("connect", ("output", "last")), "output", "the output feeds nothing"),
        ("qcfs", ("connect", ("readout", "last")), "readout", "the integrator feeds the output and nothing else"),
        ("qcfs", ("connect", ("classes", "output")), "output", "the output must read the integrator alone"),
        ("qcfs", ("connect", ("last", "hidden")), "", "the graph has a cycle"),
    ],
    "node_order": [
        ("qcfs", ("set", "node_order", '["input", "output"]'), "", "node_order does not list exactly the nodes"),
        ("qcfs", ("set", "node_order", "input, output"), "", "metadata 'node_order' must be a JSON list of strings"),
        ("qcfs", ("set", "node_order", "[1, 2]"), "", "metadata 'node_order' must be a JSON list of strings"),
        (
            "qcfs",
            ("reverse",),
            "",
            "node_order puts a node before one of its sources",
        ),
    ],
    "requires": [
        (
            "qcfs",
            ("requires", *_BASE, "plasticity"),
            "",
            "the graph requires 'plasticity', which this version does not",
        ),
        ("qcfs", ("set", "requires", "v_init"), "", "metadata 'requires' must be a JSON list of strings, not 'v_init'"),
    ],
    "delays": [
        *(
            ("qcfs", ("set", "delays", bad), "", "metadata 'delays' must be a JSON list of .source, target, steps.")
            for bad in (
                "[1]",
                "no",
                '[["a", "b"]]',
                '[["a", "b", 0]]',
                '[["a", "b", true]]',
                '[["a", "b", 1.5]]',
                '[["a", "b", []]]',
                '[["a", "b", [2, 2]]]',
                '[["a", "b", [0, -1]]]',
                '[["a", "b", [0, true]]]',
            )
        ),
        ("qcfs", ("set", "delays", '[["a", "b", 1]]'), "", "delays names the edge a -> b, which does not exist"),
        (
            "qcfs",
            ("set", "delays", '[["classes", "readout", 1]]'),
            "classes",
            "the edge to readout is in delays; only spikes and sequences are delayed",
        ),
        (
            "qcfs",
            ("set", "delays", '[["input", "stem", 2]]'),
            "input",
            "the edge to stem is in delays; only spikes and",
        ),
        (
            "qcfs",
            ("set", "delays", '[["input", "stem", [1, 2]]]'),
            "input",
            "the edge to stem is in delays; only spikes and",
        ),
        (
            "qcfs",
            ("set", "delays", '[["last", "classes", [1, 2]]]'),
            "last",
            "the edge to classes has 2 delays for 5 senders in delays",
        ),
        ("bits", ("set", "delays", '[["hidden", "last", 1]]'), "", "delays needs the schedule 'pipelined'"),
    ],
    "combinations": [
        ("bits", ("set", "schedule", "pipelined"), "", "kind 'bit_serial' needs the schedule 'layerwise'"),
        ("graded", ("set", "schedule", "pipelined"), "", "kind 'graded' needs the schedule 'layerwise'"),
        ("bits", ("set", "kind", "if", "last"), "", "kind 'bit_serial' cannot be mixed with if"),
        (
            "graded",
            ("all", ("set", "kind", "if", "last"), ("drop", "levels", "last")),
            "",
            "kind 'graded' cannot be mixed with if",
        ),
        ("graded", ("set", "timesteps", 2), "", "kind 'graded' runs in one step, timesteps is 2"),
        ("bits", ("set", "timesteps", 16), "", "kind 'bit_serial' runs in 1 to 15 steps, timesteps is 16"),
        (
            "calibrated",
            ("all", ("set", "schedule", "layerwise"), ("requires", *_BASE, "schedule=layerwise", "kind=calibrated_if")),
            "",
            "kind 'calibrated_if' needs the schedule 'pipelined'",
        ),
        (
            "qcfs",
            ("all", ("set", "drain", 1), ("requires", *_BASE, "drain")),
            "",
            "drain needs the schedule 'pipelined' and signed_if neurons throughout",
        ),
    ],
    "fresh_hash": [
        ("qcfs", ("set", "content_sha256", "0" * 64), "", "content_sha256 does not match: nodes or edges were changed"),
    ],
}
_CASES = [(rule, *case) for rule, cases in _BROKEN.items() for case in cases]


@pytest.mark.parametrize(
    ("rule", "name", "edit", "node", "message"), _CASES, ids=[f"{c[0]}-{c[4][:40]}" for c in _CASES]
)
def test_rule_refuses(rule, name, edit, node, message, edited):
    graph = edited(name, edit, rehash=rule not in ("schema", "fresh_hash"))
    found = [problem for problem in verify(graph) if problem.rule == rule]
    assert any(problem.node == node and re.match(message, problem.message) for problem in found), verify(graph)
    with pytest.raises(tc.GraphError, match=r"^not a sound spikec graph: "):
        decode(graph)


def test_every_rule_is_tested():
    assert {rule.__name__ for rule in RULES if rule.__module__ == rules_graph.__name__} == set(_BROKEN)


def test_sound_deployments_break_no_rule(any_deployment):
    assert verify(any_deployment) == []


def test_minor_versions_are_read(edited):
    assert verify(edited("qcfs", ("set", "schema", "spikec.nir/1.3"))) == []


@pytest.mark.parametrize(
    "edit",
    [
        ("array", "stem", "weight", (0, 0, 0, 0), 5, "weight_int"),
        ("array", "stem", "bias", 0, 5, "bias_int"),
        ("array", "last", "v_threshold", 0, 5, "v_threshold_int"),
        ("field", "stem", "padding", (2, 2)),
        ("field", "stem", "stride", (2, 2)),
        ("rename", "hidden", "concealed"),
    ],
)
def test_hash_refuses_what_is_sound_otherwise(edit, edited):
    assert [problem.rule for problem in verify(edited("qcfs", edit, rehash=False))] == ["fresh_hash"]


def test_all_violations_are_listed_five_in_the_sentence(edited):
    edits = [("set", "reset", "zero", n) for n in ("spikes", "merged", "last")]
    graph = edited("qcfs", ("all", *edits, *(("set", "spike_cmp", "gt", edit[3]) for edit in edits)))
    assert len(verify(graph)) == 6
    with pytest.raises(tc.GraphError, match=r"^not a sound spikec graph: spikes: reset is .*; .* \(and 1 more\)$"):
        decode(graph)


def test_not_a_graph_is_refused():
    with pytest.raises(tc.GraphError, match=r"expected a nir\.NIRGraph, got dict"):
        verify({})
