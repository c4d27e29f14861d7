"""The rules about outputs: names, what reads what, shapes."""

import re

import nir
import numpy as np
import pytest
from helpers.nodes import affine, graph_of, population

from spikec.errors import GraphError
from spikec.ir import build, decode
from spikec.ir.coding import InputNode
from spikec.ir.graph import Readout
from spikec.ir.profile.verify import verify


def two_outputs():
    """NIR of two heads: ``a`` behind weights, ``b c`` behind the neurons; the nodes are called a and b_c."""
    nodes = [
        InputNode("input", (3,), "int8", 1.0),
        affine("w", ["input"], np.ones((4, 3))),
        population("if", ["w"], (4,)),
        affine("fc", ["if"], np.ones((2, 4))),
        Readout("readout.a", ("fc",), (2,), np.zeros(2, np.int64), 0.5, output="a"),
        Readout("readout.b", ("if",), (4,), np.zeros(4, np.int64), 0.25, decode="sum", output="b c"),
    ]
    return build(graph_of(nodes, 2, "pipelined"))


def test_each_output_has_a_node_of_its_own():
    graph = two_outputs()
    assert verify(graph) == []
    ends = {name: node for name, node in graph.nodes.items() if isinstance(node, nir.Output)}
    assert {name: node.metadata["spikec"] for name, node in ends.items()} == {
        "a": {"decode": "membrane"}, "b_c": {"decode": "sum", "name": "b c"}
    }  # fmt: skip
    assert {("readout.a", "a"), ("readout.b", "b_c")} <= set(graph.edges)
    assert [(r.output, r.decode, r.scale) for r in decode(graph).readouts] == [
        ("a", "membrane", 0.5), ("b c", "sum", 0.25)
    ]  # fmt: skip


def without_edge(*edge):
    return lambda g: g.edges.remove(edge)


def edge(*added):
    return lambda g: g.edges.append(added)


def tell(node, **metadata):
    return lambda g: g.nodes[node].metadata["spikec"].update(metadata)


def _another_integrator(g):
    g.nodes["more"] = nir.I(r=np.ones(4, np.float32), metadata={"spikec": {"kind": "integrator", "scale": 1.0}})
    g.edges.extend([("if", "more"), ("more", "a")])


def _called_output(g):
    g.nodes["output"] = g.nodes.pop("fc")
    g.edges[:] = [tuple("output" if end == "fc" else end for end in pair) for pair in g.edges]


BROKEN = {
    "an integrator with two outputs": (edge("readout.a", "b_c"), "readout.a", "the integrator feeds the output and no"),
    "an output of two integrators": (edge("readout.a", "b_c"), "b_c", "the output must read the integrator alone"),
    "an output of neurons": (edge("if", "b_c"), "b_c", "the output must read the integrator alone"),
    "an output of nothing": (without_edge("readout.b", "b_c"), "b_c", "nothing feeds this node"),
    "one name twice": (tell("b_c", name="a"), "b_c", "its name 'a' is that of the output a too"),
    "an unknown decoding": (tell("b_c", decode="mean"), "b_c", "decode 'mean' is none of membrane, sum, maximum"),
    "more integrators": (_another_integrator, "", "one integrator (I or CubaLI) node before each output, found 3"),
    "another node called output": (_called_output, "output", "the Output node, and nothing else, is called 'output'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(name):
    change, node, message = BROKEN[name]
    graph = two_outputs()
    graph.edges = list(graph.edges)
    change(graph)
    found = [(problem.node, problem.message) for problem in verify(graph)]
    assert any(at == node and message in said for at, said in found), found
    with pytest.raises(GraphError):
        decode(graph)


def test_the_shape_of_an_output_is_that_of_its_integrator():
    graph = two_outputs()
    graph.nodes["b_c"].output_type["output"] = np.array([2, 2])
    with pytest.raises(GraphError, match=re.escape("b_c: shape (2, 2) differs from (4,)")):
        decode(graph)
