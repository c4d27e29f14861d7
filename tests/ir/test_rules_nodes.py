"""Every rule about single nodes refuses what it is there for, by name; shapes that disagree are refused too."""

from __future__ import annotations

import re
from dataclasses import replace

import nir
import numpy as np
import pytest

import spikec as tc
from spikec.analysis.ranges import bounds
from spikec.errors import GraphError
from spikec.ir import decode, verify
from spikec.ir.kinds import IF, Maximum
from spikec.ir.profile import rules_nodes
from spikec.ir.profile.verify import RULES

_BASE = ("reset=subtract", "spike_cmp=ge", "v_init")

#: rule: deployment, edit (see ``conftest.py``), node that is named, message.
_BROKEN = {
    "input_output": [
        ("qcfs", ("set", "encoding", "rate", "input"), "input", "encoding 'rate' is none of constant, sequence"),
        ("qcfs", ("drop", "encoding", "input"), "input", "encoding '' is none of constant, sequence"),
        ("qcfs", ("set", "dtype", "int16", "input"), "input", "dtype 'int16' is neither int8 nor uint8"),
        ("qcfs", ("set", "scale", 0.0, "input"), "input", "scale must be positive"),
        ("qcfs", ("set", "scale", -1.0, "input"), "input", "scale must be positive"),
        ("qcfs", ("set", "scale", np.inf, "input"), "", "metadata 'scale' must be one finite number, not inf"),
        ("qcfs", ("drop", "scale", "input"), "", "metadata 'scale' must be one finite number, not None"),
        ("qcfs", ("set", "limit", 0, "input"), "input", "limit is 0, it must be between 1 and 255"),
        (
            "qcfs",
            ("shape", "input", (2, 6)),
            "input",
            r"shape must be one integer \(features\) or three \(channels, rows, columns\)",
        ),
        ("qcfs", ("set", "decode", "rate", "output"), "output", "decode 'rate' is none of membrane, sum, maximum"),
    ],
    "maxima": [
        ("maxima", ("set", "kind", "if", "pool"), "pool", "kind is 'if', a Threshold node must be of kind 'max_pool'"),
        ("maxima", ("array", "pool", "threshold", 0, 2), "pool", "the threshold behind a max pool must be 1"),
        ("maxima", ("set", "scale", np.zeros(1), "pool"), "pool", "scale must be one positive real value"),
    ],
    "linear_nodes": [
        ("maxima", ("set", "op", "min_pool", "pool.window"), "pool.window", "op is 'min_pool': a pool is a sum"),
        ("maxima", ("drop", "output_size", "first"), "first", "metadata 'output_size' must be one or two integers"),
        (
            "maxima",
            ("set", "dilation", np.zeros(2, np.int32), "dilated.window"),
            "dilated.window",
            "metadata 'dilation' must be one or two integers",
        ),
        ("maxima", ("set", "adaptive", 2, "adaptive.window"), "adaptive.window", "metadata 'adaptive' must be 0 or 1"),
        (
            "maxima",
            ("field", "pool.window", "stride", (0, 1)),
            "pool.window",
            "stride must be one or two integers between",
        ),
        ("qcfs", ("field", "stem", "groups", 2), "stem", "groups must be 1 in the node, with the weights expanded"),
        (
            "qcfs",
            ("field", "stem", "padding", "same"),
            "stem",
            "padding must be one or two integers between 0 and 4096, not 'same'",
        ),
        (
            "qcfs",
            ("field", "stem", "padding", (-1, 0)),
            "stem",
            r"padding must be one or two integers between 0 and 4096",
        ),
        (
            "qcfs",
            ("field", "stem", "stride", (0, 1)),
            "stem",
            r"stride must be one or two integers between 1 and 32768",
        ),
        (
            "qcfs",
            ("field", "stem", "stride", (1, 1, 1)),
            "stem",
            r"stride must be one or two integers between 1 and 32768",
        ),
        (
            "qcfs",
            ("field", "stem", "dilation", 1.5),
            "stem",
            r"dilation must be one or two integers between 1 and 32768, not 1.5",
        ),
        ("qcfs", ("field", "stem", "input_shape", None), "stem", "input_shape must be two integers"),
        (
            "qcfs",
            ("field", "stem", "weight", np.zeros((4, 18), np.float32)),
            "stem",
            r"weight must be \[O, I, kH, kW\], not",
        ),
        (
            "qcfs",
            ("field", "stem", "bias", np.zeros(3, np.float32)),
            "stem",
            r"bias must have 4 values, it has shape \(3,\)",
        ),
        ("rectangular", ("requires", *_BASE), "0", "a rectangular kernel needs 'nir_type_check=off' in requires"),
        ("qcfs", ("field", "hidden", "bias", np.zeros(4, np.float32)), "hidden", r".* do not form an affine map"),
        ("qcfs", ("set", "op", "affine", "stem"), "stem", "op is 'affine', the node is of type Conv2d"),
        ("qcfs", ("set", "op", "conv2d", "hidden"), "hidden", "op is 'conv2d', the node is of type Affine"),
        ("qcfs", ("field", "hidden.pool", "stride", np.array([1, 1])), "hidden.pool", "a sum pool has no padding"),
        ("qcfs", ("field", "hidden.pool", "padding", np.array([1, 1])), "hidden.pool", "a sum pool has no padding"),
        (
            "qcfs",
            ("field", "hidden.pool", "kernel_size", np.array([0, 2])),
            "hidden.pool",
            "kernel_size must be one or two integers",
        ),
        ("qcfs", ("field", "hidden.flatten", "start_dim", 1), "hidden.flatten", "flatten must take all axes"),
        ("qcfs", ("field", "hidden.flatten", "end_dim", 1), "hidden.flatten", "flatten must take all axes"),
        ("qcfs", ("set", "groups", 3, "stem"), "stem", "groups = 3 does not divide 4 and 2 channels"),
        ("qcfs", ("set", "groups", 2, "tall"), "tall", "weights outside the 2 groups are not zero"),
        ("qcfs", ("set", "margin", np.array([0, 0, 1]), "tall"), "tall", "margin must be four integers"),
        ("qcfs", ("set", "margin", np.array([0, 0, 1, -1]), "tall"), "tall", "margin must be four integers"),
        (
            "qcfs",
            ("set", "margin", np.array([1, 2, 0, 0]), "tall"),
            "tall",
            r"margin \(1, 2, 0, 0\) leaves nothing of a 3x3",
        ),
        (
            "qcfs",
            ("set", "margin", np.array([1, 1, 1, 0]), "tall"),
            "tall",
            "kernel weights inside the margin are not zero",
        ),
    ],
    "exact_integers": [
        ("qcfs", ("array", "hidden", "bias", 0, 0.5, "bias_int"), "hidden", "bias holds values that are not integers"),
        ("qcfs", ("array", "hidden", "bias", 0, np.nan), "hidden", "bias holds values that are not integers"),
        ("qcfs", ("array", "hidden", "weight", (0, 0), np.inf), "hidden", "weight holds values that are not integers"),
        (
            "qcfs",
            ("array", "hidden", "bias", 0, 2**24 + 2, "bias_int"),
            "hidden",
            r"bias reaches 16777218, beyond the exact range of float32 \(2\^24\)",
        ),
        ("qcfs", ("field", "hidden", "bias", np.array([True] * 5)), "hidden", "bias holds bool, not numbers"),
    ],
    "redundant": [
        (
            "qcfs",
            ("array", "hidden", "weight", (0, 0), 3),
            "hidden",
            "weight differs from weight_int in 1 of 180 values",
        ),
        ("qcfs", ("array", "hidden", "bias", 0, 7), "hidden", "bias differs from bias_int in 1 of 5 values"),
        (
            "qcfs",
            ("set", "weight_int", np.full((5, 36), 300), "hidden"),
            "hidden",
            "metadata 'weight_int' must hold integers of int8, it is int64",
        ),
        ("qcfs", ("array", "last", "v_threshold", 0, 7), "last", "v_threshold differs from v_threshold_int in 1 of 5"),
        (
            "qcfs",
            ("set", "bias_int", np.zeros(4, np.int32), "hidden"),
            "hidden",
            r"metadata 'bias_int' has shape \(4,\), which",
        ),
        ("qcfs", ("set", "weight_exp", 17, "hidden"), "hidden", "weight_exp is 17, it must be between 0 and 16"),
        ("qcfs", ("set", "weight_exp", -1, "hidden"), "hidden", "weight_exp is -1, it must be between 0 and 16"),
        ("qcfs", ("set", "weight_exp", 1, "hidden"), "hidden", "weight differs from weight_int in .* values"),
    ],
    "neurons": [
        ("qcfs", ("array", "last", "r", 0, 2), "last", "r must be 1"),
        ("qcfs", ("array", "readout", "r", 0, 2), "readout", "r must be 1"),
        (
            "qcfs",
            ("array", "last", "v_reset", 0, 1),
            "last",
            r"v_reset must be 0 \(soft reset is stated in the metadata\)",
        ),
        ("qcfs", ("set", "kind", "lif", "last"), "last", "neuron kind 'lif' is none of if, signed_if, calibrated_if"),
        ("qcfs", ("drop", "kind", "last"), "last", "neuron kind '' is none of if, signed_if, calibrated_if"),
        ("qcfs", ("set", "kind", "if", "readout"), "readout", "kind is 'if', an I node must be an 'integrator'"),
        ("qcfs", ("set", "reset", "zero", "last"), "last", "reset is 'zero', the profile knows 'subtract' only"),
        ("qcfs", ("set", "spike_cmp", "gt", "last"), "last", "spike_cmp is 'gt', the profile knows 'ge' only"),
        ("graded", ("set", "max_spikes_per_step", 2, "last"), "last", "max_spikes_per_step must be 1"),
        (
            "qcfs",
            ("set", "max_spikes_per_step", 0, "last"),
            "last",
            "max_spikes_per_step is 0, it must be between 1 and",
        ),
        ("qcfs", ("set", "max_spikes_per_step", 2**15, "last"), "last", "max_spikes_per_step is 32768, it must be"),
        ("qcfs", ("array", "last", "v_threshold", 0, 0, "v_threshold_int"), "last", "thresholds must be at least 1"),
        ("qcfs", ("array", "last", "v_threshold", 0, -5, "v_threshold_int"), "last", "thresholds must be at least 1"),
        (
            "qcfs",
            ("set", "v_init_int", np.zeros(5), "last"),
            "last",
            "metadata 'v_init_int' must hold integers of int32, it is float64",
        ),
        (
            "qcfs",
            ("set", "v_init_int", np.zeros(4, np.int32), "last"),
            "last",
            r"metadata 'v_init_int' has shape \(4,\), which",
        ),
        (
            "qcfs",
            ("set", "v_init_int", np.zeros(3), "readout"),
            "readout",
            "metadata 'v_init_int' must hold integers of int32",
        ),
        ("qcfs", ("set", "scale", 0.0, "readout"), "readout", "scale must be positive"),
        ("qcfs", ("drop", "scale", "readout"), "", "metadata 'scale' must be one finite number, not None"),
        (
            "qcfs",
            ("set", "scale", np.array([-1.0]), "last"),
            "last",
            "scale must be one positive real value, or one per",
        ),
        (
            "qcfs",
            ("set", "scale", np.array([1.0, 1.0]), "last"),
            "last",
            "scale must be one positive real value, or one per",
        ),
        (
            "qcfs",
            ("set", "scale", np.array([np.nan]), "last"),
            "last",
            "scale must be one positive real value, or one per",
        ),
        (
            "signed",
            ("set", "v_threshold_neg_int", np.zeros(5, np.int32), "last"),
            "last",
            "negative thresholds must be between 1 and",
        ),
        (
            "graded",
            ("drop", "levels", "last"),
            "last",
            "metadata 'levels' is missing, kind 'graded' needs it",
        ),
        ("graded", ("set", "levels", 0, "last"), "last", "levels is 0, it must be between 1 and 32767"),
        ("graded", ("set", "levels", 2**15, "last"), "last", "levels is 32768, it must be between 1 and 32767"),
        (
            "calibrated",
            ("drop", "rho", "last"),
            "last",
            "metadata 'rho' is missing, kind 'calibrated_if' needs it",
        ),
        ("calibrated", ("set", "rho", 0, "last"), "last", "rho is 0, it must be between 1 and 32767"),
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
    assert {rule.__name__ for rule in RULES if rule.__module__ == rules_nodes.__name__} == set(_BROKEN)


_SHAPES = {
    "input size": (
        ("shape", "input", (2, 7, 6)),
        r"stem: expects \(2, 6, 6\), its source has shape \(2, 7, 6\)",
    ),
    "padding": (
        ("field", "stem", "padding", (0, 0)),
        r"spikes: has \(4, 6, 6\) neurons, its source has shape \(4, 4, 4\)",
    ),
    "kernel larger than its input": (
        ("field", "stem", "dilation", (9, 9)),
        r"stem: the kernel is larger than its padded input \(2, 6, 6\)",
    ),
    "declared flatten": (
        ("shape", "hidden.flatten", (4, 3, 4)),
        r"hidden\.flatten: declares input \(4, 3, 4\), its source has shape \(4, 3, 3\)",
    ),
    "classes": (
        ("shape", "output", (4,)),
        r"not a sound spikec graph: output: shape \(4,\) differs from \(3,\)",
    ),
    "fan-in of different shapes": (
        ("connect", ("input", "spikes")),
        r"spikes: its sources have different shapes: input \(2, 6, 6\), stem \(4, 6, 6\)",
    ),
    "pool larger than its source": (
        (
            "all",
            ("field", "hidden.pool", "kernel_size", np.array([9, 9])),
            ("field", "hidden.pool", "stride", np.array([9, 9])),
        ),
        r"hidden\.pool: a 9x9 pool does not fit its source of shape \(4, 6, 6\)",
    ),
}


@pytest.mark.parametrize("name", _SHAPES)
def test_shapes_that_disagree_are_refused(name, edited):
    edit, message = _SHAPES[name]
    with pytest.raises(tc.GraphError, match=message):
        decode(edited("qcfs", edit))


def _maxima_of(shape):
    return nir.Threshold(np.ones(shape, np.float32), metadata={"spikec": {"kind": "max_pool"}})


#: What is wrong with the place of a max pool, by an edit of the deployment "maxima".
_PLACES = {
    **{
        f"{field} {number}": (
            ("field", "pool.window", field, np.array([number, 2]))
            if field == "kernel_size"
            else ("set", field, np.array([number, 2]), "pool.window"),
            rf"pool\.window: .*{field}'? must be one or two integers between 1 and 32768",
        )
        for field in ("kernel_size", "output_size", "dilation")
        for number in (2**15 + 1, 2**40, 2**62)
    },
    "geometry": (
        ("set", "output_size", np.array([9, 9], np.int32), "pool.window"),
        r"pool\.window: a 2x2 max pool to 9x9 does not fit its source of shape \(4, 5, 5\)",
    ),
    "pixels with neurons": (
        (
            "all",
            ("disconnect", ("first", "conv")),
            ("add", "neurons", _maxima_of((2, 5, 5)), ("first", "neurons"), ("neurons", "conv")),
            ("drop", "node_order"),
        ),
        r"neurons: a Threshold takes the maximum of the spikes of one population; it reads none",
    ),
    "spikes without neurons": (
        (
            "all",
            ("disconnect", ("adaptive.window", "adaptive")),
            ("add", "other", _maxima_of((4, 3, 2)), ("adaptive.window", "other")),
        ),
        "nothing reads this node|nothing feeds this node",
    ),
    "a sum": (
        ("connect", ("spikes", "dilated.window")),
        r"sources have different shapes|reads one population or the image, not the sum of 2 nodes",
    ),
    "neurons of a synapse": (
        ("all", ("disconnect", ("pool.window", "pool")), ("connect", ("spikes", "pool"))),
        "nothing reads this node",
    ),
}


@pytest.mark.parametrize("name", _PLACES)
def test_max_pools_in_wrong_places_are_refused(name, edited):
    edit, message = _PLACES[name]
    with pytest.raises(tc.GraphError, match=message):
        decode(edited("maxima", edit))


def test_what_a_maximum_is_of_must_be_what_the_pool_reads(deployment):
    graph = decode(deployment("maxima"))
    pool = graph.nodes["pool"]
    for changed, message in (
        (replace(pool, neuron=Maximum(IF())), "pool: the maximum of if emissions, but spikes sends signed_if"),
        (replace(pool, theta=pool.theta + 1), "pool: neurons of kind max_pool have threshold 1 and start at 0"),
        (replace(pool, v_init=pool.v_init + 1), "pool: neurons of kind max_pool have threshold 1 and start at 0"),
        (replace(pool, sources=("conv",)), "pool: neurons of kind max_pool read one max pool"),
    ):
        with pytest.raises(tc.GraphError, match=message):
            bounds(replace(graph, nodes={**graph.nodes, "pool": changed}))


@pytest.mark.parametrize(
    "value", [None, "x", b"1", {}, {"a": 1}, 1j, [[1], [1, 2]], np.zeros(1, [("a", "i4")]), object()]
)
def test_fields_that_are_no_numbers_are_refused_by_name(deployment, value):
    for name, fields in {
        "stem": ("weight", "bias", "stride", "dilation", "groups"),
        "spikes": ("r", "v_threshold", "v_reset"),
        "readout": ("r",),
        "hidden.flatten": ("start_dim", "end_dim"),
        "input": ("input_type",),
        "output": ("output_type",),
    }.items():
        for field in fields:
            graph = deployment("qcfs")
            setattr(graph.nodes[name], field, value)
            with pytest.raises(
                GraphError, match=rf"{name}: {field} must (hold (one number|numbers)|be a dictionary of shapes)"
            ):
                tc.decode(graph)
            assert tc.verify(graph)


def test_nodes_that_are_none_are_refused_by_name(deployment):
    graph = deployment("qcfs")
    graph.nodes["spikes"] = "IF"
    with pytest.raises(GraphError, match="spikes: a node must be one of nir"):
        tc.decode(graph)
    graph.nodes = []
    with pytest.raises(GraphError, match="nodes must be a dictionary"):
        tc.decode(graph)
