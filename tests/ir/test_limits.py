"""The table of limits: rules, schema and page have it, and beyond it nothing is run."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.extreme_graphs import convolution, extreme_geometry, image, output, readout, wrapped
from helpers.python_integers import outputs_of
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.ir import decode
from spikec.ir.limits import LIMITS, VALUES_MAX
from spikec.ir.metadata import KEY
from spikec.ir.profile.published import (
    PAGE,
    SCHEMA_FILE,
    all_limits,
    page_with_limits,
    properties_of,
    schema_with_limits,
)
from spikec.ir.profile.rules_keys import keys_of
from spikec.ir.profile.verify import verify

_DOCS = Path(__file__).parents[2] / "docs"
_SCHEMA = json.loads((_DOCS / SCHEMA_FILE).read_text())
_ROWS = [(node, name) for node, rows in all_limits().items() for name in rows]
#: Deployments that have a node of a type, the node, and where its numbers are not one each.
_HOLDERS = {
    "Input": ("qcfs", "input"),
    "Output": ("qcfs", "output"),
    "Conv2d": ("qcfs", "stem"),
    "Affine": ("qcfs", "hidden"),
    "SumPool2d": ("maxima", "pool.window"),
    "IF": ("qcfs", "spikes"),
    "I": ("qcfs", "readout"),
}
_SUM_POOL = ("qcfs", "hidden.pool")
_NEEDS = {"levels": ("graded", "spikes"), "rho": ("calibrated", "spikes"), "v_threshold_neg_int": ("signed", "spikes")}
#: How rules say a range in other words: that of a type, 0 and 1, steps in a list, and what follows from the weights.
_OTHER_WORDS = ("integers of int", "must be 0 or 1", "[source, target, steps]", "groups = ", "was edited", "at least 1")
_EXTREMES = (-(2**63), -(2**31) - 1, 2**31, 2**62, 2**63 - 1)


def test_page_and_schema_are_written_from_the_table():
    how = "after a change of the table: python -m spikec.ir.profile.published docs"
    page = (_DOCS / PAGE).read_text()
    assert page_with_limits(page) == page, how
    assert schema_with_limits(_SCHEMA) == _SCHEMA, how


def _has_numbers(part):
    part = _SCHEMA["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else part
    items = part.get("items", {})
    types = [each.get("type") for each in (part, items, *items.get("anyOf", ()))]
    return "integer" in types or any(isinstance(each, int) for each in part.get("enum", ()))


def test_every_whole_number_of_the_schema_is_in_the_table():
    nodes = ["graph", *(name for name, part in _SCHEMA["$defs"].items() if "spikec" in part.get("properties", {}))]
    parts = {(node, key): part for node in nodes for key, part in properties_of(_SCHEMA, node).items()}
    numbers = {place for place, part in parts.items() if _has_numbers(part)}
    assert len(numbers) > 30
    assert numbers <= set(_ROWS)


def test_keys_of_nodes_are_those_of_the_schema(any_deployment):
    for node in any_deployment.nodes.values():
        if type(node).__name__ in _SCHEMA["$defs"] and node.metadata:
            assert keys_of(node) - {"levels", "rho", "subtract", "du", "dv", "bias_int", "v_threshold_neg_int"} <= set(
                properties_of(_SCHEMA, type(node).__name__)
            )


def _placed(deployment, node, name, value):
    """A deployment with one number of it changed, and the node that should be blamed."""
    if node == "graph":
        graph = deployment("signed" if name == "drain" else "qcfs")
        graph.metadata[KEY][name] = json.dumps([["spikes", "readout", value]]) if name == "delays" else value
        return graph, ""
    which, holder = _SUM_POOL if name == "folded_divisor" else _NEEDS.get(name, _HOLDERS[node])
    graph = deployment(which)
    held = graph.nodes[holder]
    if name == "shape":
        held.input_type["input"] = np.array([value, 2, 2])
    elif LIMITS.get(node, {}).get(name) is not None and LIMITS[node][name].place == "field":
        setattr(held, name, np.array([value, 1]))
    else:
        own = held.metadata[KEY]
        many = name in ("margin", "output_size", "dilation")
        array = np.array([value] + [1] * (3 if name == "margin" else 1)) if many else np.array([value])
        own[name] = array if many or name.startswith(("weight_int", "bias_int", "v_")) else int(value)
    return graph, holder


@pytest.mark.parametrize(
    ("node", "name"),
    [row for row in _ROWS if row[0] not in ("CubaLIF", "CubaLI", "Flatten") and row[1] != "kernel"],
)
def test_numbers_beyond_the_table_are_refused_by_name(node, name, deployment):
    limit = all_limits()[node][name]
    for value in (limit.low - 1, limit.high + 1, *_EXTREMES):
        if not -(2**63) <= value < 2**63 or limit.holds(value):
            continue
        graph, holder = _placed(deployment, node, name, value)
        found = [problem for problem in verify(graph) if problem.rule != "fresh_hash"]
        blamed = [problem for problem in found if problem.node == holder]
        if name == "signal":  # its shape decides too: read with the graph
            with pytest.raises(tc.GraphError, match="signal"):
                decode(graph)
            continue
        said = " ".join(problem.message for problem in blamed)
        assert any(words in said for words in (str(limit), *_OTHER_WORDS)), (value, found)


@pytest.mark.parametrize(("size", "right"), [((4096, 1), True), ((4097, 1), False)])
def test_kernels_have_a_largest_size(size, right):
    weight = np.zeros((1, 1, *size))
    node = convolution(weight, (8, 8), padding=(2048, 0))
    shape = (1, 8 + 4096 - size[0] + 1, 8)
    nodes = {"input": image((1, 8, 8)), "conv": node, "readout": readout(shape), "output": output(shape)}
    edges = [("input", "conv"), ("conv", "readout"), ("readout", "output")]
    found = verify(wrapped(nodes, edges, requires='["nir_type_check=off"]'))
    assert [problem.message for problem in found] == (
        [] if right else ["rows and columns of a kernel must be between 1 and 4096, not 4097 and 1"]
    )


def test_outputs_have_a_largest_size():
    """Padding that is allowed by itself makes too large a map of two channels."""
    side = 3 + 2 * 4096
    node = convolution(np.ones((2, 1, 1, 1)), (3, 3), padding=4096)
    nodes = {"input": image((1, 3, 3)), "conv": node}
    nodes |= {"pool": nir.SumPool2d(np.array([side, side]), np.array([side, side]), np.array([0, 0]))}
    nodes |= {"readout": readout((2, 1, 1)), "output": output((2, 1, 1))}
    edges = [("input", "conv"), ("conv", "pool"), ("pool", "readout"), ("readout", "output")]
    with pytest.raises(tc.GraphError, match=rf"^conv: \(2, {side}, {side}\) are {2 * side**2} values; the most is"):
        decode(wrapped(nodes, edges))
    assert 2 * side**2 > VALUES_MAX > side**2


@settings(max_examples=drawn(40), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_extreme_geometry_is_exact(seed):
    rng = np.random.default_rng(seed)
    graph = extreme_geometry(rng)
    pixels = rng.integers(0, 256, np.asarray(graph.nodes["input"].input_type["input"]))
    found = tc.simulate(graph, pixels[None].astype(float))
    assert found.output.reshape(-1).tolist() == outputs_of(graph, pixels)["readout"]


def test_weights_off_the_grid_of_their_exponent_are_refused(deployment):
    graph = deployment("qcfs")
    own = graph.nodes["hidden"].metadata[KEY]
    del own["weight_int"]
    own["weight_exp"] = 3
    graph.nodes["hidden"].weight = np.full_like(graph.nodes["hidden"].weight, 8)
    graph.nodes["hidden"].weight[1, 2] = -9
    found = [problem for problem in verify(graph) if problem.rule == "redundant"]
    assert [str(problem) for problem in found] == ["hidden: 1 of 180 weights are no multiples of 2^3 (weight_exp)"]


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_the_lowest_integer_of_a_type_is_beyond_float32(deployment, dtype):
    graph = deployment("qcfs")
    weight = graph.nodes["hidden"].weight.astype(dtype)
    weight[0, 0] = np.iinfo(dtype).min
    graph.nodes["hidden"].weight = weight
    lowest = -int(np.iinfo(dtype).min)
    assert f"hidden: weight reaches {lowest}, beyond the exact range of float32 (2^24)" in map(str, verify(graph))


def test_unknown_keys_are_refused_with_the_nearest_one(deployment):
    graph = deployment("qcfs")
    graph.metadata[KEY]["metadatq_sha256"] = "0" * 64
    graph.nodes["hidden"].metadata[KEY]["colour"] = 3
    found = [str(problem) for problem in verify(graph) if problem.rule == "known_keys"]
    assert found == [
        "metadata 'metadatq_sha256' is not part of the profile; is it metadata_sha256?",
        "hidden: metadata 'colour' is not part of the profile",
    ]
    graph.metadata[KEY]["schema"] = "spikec.nir/1.2"  # which may have more
    assert not [problem for problem in verify(graph) if problem.rule == "known_keys"]
