"""Integer graphs that are made in memory are looked at where they enter: whatever they hold, one sentence."""

from dataclasses import replace

import numpy as np
import pytest

import spikec as tc
from spikec.errors import GraphError
from spikec.ir import as_integer, build, decode, work
from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Population, Readout
from spikec.ir.kinds import IF
from spikec.ir.operations import Affine, Convolution, MaxPool, SumPool
from spikec.ir.work import work_problems

ZERO = np.zeros(2, np.int64)
ONES = ((1, 1), (0, 0), (1, 1))
PARTS = {
    "input": InputNode("input", (2, 4, 4), "uint8", 1.0),
    "conv": Convolution("conv", ("input",), (2, 4, 4), (2, 4, 4), np.ones((2, 2, 1, 1), np.int64), ZERO, *ONES),
    "fire": Population("fire", ("conv",), (2, 4, 4), IF(), np.full((2, 4, 4), 5), np.full((2, 4, 4), 2)),
    "pool": SumPool("pool", ("fire",), (2, 4, 4), (2, 2, 2), (2, 2), (2, 2)),
    "readout": Readout("readout", ("pool",), (2, 2, 2), np.zeros((2, 2, 2), np.int64), 1.0),
}


def graph(**changes):
    """The parts; ``changes`` of fields by node, nodes that are added, None for one that is left out."""
    nodes = dict(PARTS)
    for name, change in changes.items():
        nodes[name] = replace(nodes[name], **change) if isinstance(change, dict) else change
    return IntegerGraph({name: node for name, node in nodes.items() if node is not None}, 4, "pipelined")


BAD = [
    (replace(graph(), timesteps=2**20), "timesteps is 1048576, it must be between 1 and 32768"),
    (replace(graph(), timesteps=0), "timesteps is 0"),
    (replace(graph(), timesteps=4.0), "timesteps is 4.0"),
    (replace(graph(), drain=2**62), "drain is 4611686018427387904"),
    (replace(graph(), schedule="later"), "schedule 'later' is none of pipelined, layerwise"),
    (graph(input=None), "its source 'input' does not come before it"),
    (graph(again=replace(PARTS["input"], name="again")), "it has 2 inputs and 1 readouts"),
    (graph(readout=None), "it has 1 inputs and 0 readouts"),
    (graph(conv={"name": "other"}), "the node calls itself 'other'"),
    (graph(conv={"sources": ("readout",)}), "its source 'readout' does not come before it"),
    (graph(conv={"sources": ()}), "it has 0 sources"),
    (graph(conv={"sources": ("input",) * 20_000}), "it has 20000 sources, 1 of them different"),
    (graph(conv="conv"), "str is no node of an integer graph"),
    (graph(conv={"dilation": (2**63 - 1, 1)}), "dilation is"),
    (graph(conv={"dilation": (2**64, 1)}), "dilation is"),
    (graph(conv={"padding": (20_000, 0)}), "padding is"),
    (graph(conv={"stride": (0, 1)}), "stride is"),
    (graph(conv={"stride": (1.0, 1)}), "stride is"),
    (graph(conv={"groups": -1}), "groups is -1"),
    (graph(conv={"weight": PARTS["conv"].weight / 2}), "weight must be an array of integers, not float64"),
    (graph(conv={"weight": np.full((2, 2, 1, 1), -(2**63))}), "weight lies between"),
    (graph(conv={"weight": np.ones((2, 3, 1, 1), np.int64)}), r"conv: it makes nothing of \(2, 4, 4\)"),
    (graph(conv={"weight": np.ones((2, 2, 3, 3), np.int64)}), r"it makes \(2, 2, 2\) of \(2, 4, 4\)"),
    (graph(conv={"bias": np.zeros(3, np.int64)}), r"bias has shape \(3,\), it must have \(2,\)"),
    (graph(conv={"bias": [0, 0]}), "bias must be an array of integers, not list"),
    (graph(fire={"theta": np.zeros((2, 4, 4), np.int64)}), "theta lies between 0 and 0"),
    (graph(fire={"theta": np.full(2, 5)}), "theta has shape"),
    (graph(fire={"v_init": np.full((2, 4, 4), -(2**63))}), "v_init lies between"),
    (graph(fire={"shape": (2**20, 2**20, 4)}), "values at most"),
    (graph(pool={"kernel": (2**40, 2)}), "kernel is"),
    (graph(pool={"output_shape": (2, 4, 4)}), r"pool: it makes \(2, 2, 2\)"),
    (graph(readout={"scale": float("nan")}), "scale is nan"),
    (graph(readout={"decode": "whatever"}), "decode 'whatever' is none of"),
    (graph(input={"dtype": "int64"}), "dtype 'int64' is none of int8, uint8"),
    (graph(input={"limit": 2**62}), "limit is"),
    (graph(input={"encoding": "rate"}), "encoding 'rate' is none of"),
    (graph(late=Delayed("late", "conv", (2, 4, 4))), "is no population and no input"),
    (graph(late=Delayed("late", "fire", (2, 4, 4), steps=2**40)), "its delays must be between 0 and"),
    (graph(late=Delayed("late", "fire", (2, 4, 4), steps=(1, 2))), "2 delays"),
]


@pytest.mark.parametrize(("bad", "said"), BAD, ids=[said[:30] for _, said in BAD])
def test_what_no_file_can_hold_is_refused(bad, said):
    with pytest.raises(GraphError, match=said) as caught:
        as_integer(bad)
    assert "\n" not in str(caught.value)


def test_pools_and_kinds_follow():
    pool = MaxPool("pool", ("fire",), (2, 4, 4), (2, 2, 2), (2, 2), (2, 2))
    with pytest.raises(GraphError, match="a max pool of spikes is read by one population of kind max_pool"):
        as_integer(graph(pool=pool))


def test_every_way_in_looks(tmp_path):
    bad, images = replace(graph(), timesteps=2**20), np.zeros((1, 2, 4, 4), np.float32)
    trace = tc.simulate(graph(), images)
    ways = (
        lambda: tc.simulate(bad, images),
        lambda: tc.compile(bad, target="golden"),
        lambda: tc.estimate(bad, trace, profile="loihi2"),
        lambda: tc.check(bad, target="loihi2"),
        lambda: tc.place(bad, target="loihi2"),
        lambda: tc.certify(bad, images),
    )
    for way in ways:
        with pytest.raises(GraphError, match="timesteps is 1048576"):
            way()
    for nothing in (None, "net.nir", b"", 3):
        with pytest.raises(GraphError, match=r"expected a nir.NIRGraph, got"):
            tc.simulate(nothing, images)


def test_sound_graphs_are_looked_at_once(random_graph, monkeypatch):
    for seed in range(20):
        made = random_graph(np.random.default_rng(seed))
        assert as_integer(made) is made
    from spikec.ir import sound

    monkeypatch.setattr(sound, "problems_of", lambda _: ["looked"])
    assert as_integer(made) is made
    with pytest.raises(GraphError, match="looked"):
        as_integer(replace(made, timesteps=made.timesteps))


def test_what_a_file_holds_is_sound(random_graph):
    """Every graph that decodes passes, so that the two sets of rules do not differ where both apply."""
    from spikec.ir.sound import problems_of

    for seed in range(20):
        assert list(problems_of(decode(build(random_graph(np.random.default_rng(seed)))))) == []


def test_an_affine_map_fits_its_input():
    flat = Affine("fc", ("input",), (4,), (3,), np.ones((3, 5), np.int64), np.zeros(3, np.int64))
    nodes = (InputNode("input", (4,), "int8", 1.0), flat, Readout("readout", ("fc",), (3,), np.zeros(3, np.int64), 1.0))
    with pytest.raises(GraphError, match="fc: it makes nothing of"):
        as_integer(IntegerGraph({node.name: node for node in nodes}, 1, "pipelined"))


def heavy(kernel, steps=1):
    """A file of some kilobytes whose one convolution has a kernel of ``kernel`` x ``kernel`` on large maps."""
    shape = (1, 2**13, 2**13)
    weight = np.broadcast_to(np.int64(1), (1, 1, kernel, kernel))
    nodes = (
        InputNode("input", shape, "uint8", 1.0),
        Convolution("conv", ("input",), shape, (1, *[2**13 - kernel + 1] * 2), weight, ZERO[:1], *ONES),
    )
    readout = Readout("readout", ("conv",), nodes[1].output_shape, np.zeros(nodes[1].output_shape, np.int64), 1.0)
    return IntegerGraph({node.name: node for node in (*nodes, readout)}, steps, "pipelined")


def test_what_nobody_could_run_is_refused_with_the_numbers():
    assert list(work_problems(heavy(3, 2**10))) == []
    (said,) = work_problems(heavy(2**11))
    assert said.startswith(
        "one image would take 1.6e+14 additions in each of 1 steps, 1.6e+14 of them in conv; at most"
    )
    (said,) = work_problems(heavy(31, 2**15))
    assert "in each of 32768 steps" in said
    with pytest.raises(GraphError, match="use fewer steps, or smaller maps"):
        as_integer(heavy(2**11))


def test_a_file_that_nobody_could_run_is_refused(monkeypatch):
    made = build(graph())
    monkeypatch.setattr(work, "PASS_MOST", 100)
    with pytest.raises(GraphError, match="not a sound spikec graph: one image would take"):
        decode(made)
