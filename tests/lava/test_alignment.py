"""Delayed in the plan of a Lava network, and which leaky neurons can be Lava's own; none of this needs Lava."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.sequences import random_sequence_graph
from hypothesis import given
from hypothesis import strategies as st

from spikec.errors import DoesNotFit, RangeError, ToolchainError
from spikec.ir import Affine, Delayed, InputNode, IntegerGraph, Population, Readout
from spikec.ir.kinds import IF, CalibratedIF, CubaLIF
from spikec.targets.lava import LavaOptions
from spikec.targets.lava.alignment import align
from spikec.targets.lava.currents import constant_currents
from spikec.targets.lava.integer_limits import check_ranges
from spikec.targets.lava.lif import bias_parts, unfit
from spikec.targets.lava.paths import LIF_RESET
from spikec.targets.lava.plan import make_plan
from spikec.targets.lava.processes.window import Window
from spikec.targets.lava.program import LavaProgram, mapped

ONE = (1,)


def synapse(name, *sources, weight=1):
    return Affine(name, sources, ONE, ONE, np.array([[weight]]), np.zeros(1, int))


def neuron(name, *sources, kind=None, **changes):
    kind = kind or CubaLIF(np.zeros(1, int), np.zeros(1, int), np.zeros(1, int))
    return replace(Population(name, sources, ONE, kind, np.ones(1, int), np.zeros(1, int)), **changes)


def recurrent(*extra, last="a", timesteps=5, kind=None):
    """input -> w -> a, which feeds itself; ``extra`` nodes behind it; a readout of ``last``."""
    before = Delayed.named("a", ONE)
    nodes = [
        InputNode("input", ONE, "int8", 1.0, encoding="sequence"),
        before,
        synapse("w", "input"),
        synapse("r", before.name),
        neuron("a", "w", "r", kind=kind),
        *extra,
        synapse("out", last),
        Readout("readout", ("out",), ONE, np.zeros(1, int), 1.0),
    ]
    return IntegerGraph({node.name: node for node in nodes}, timesteps, "pipelined")


def pair(hops):
    """a -> v -> b, and from b back to a over ``hops`` synapses."""
    before = Delayed.named("b", ONE)
    back = [synapse(f"back{i}", f"back{i - 1}" if i else before.name) for i in range(hops)]
    graph = recurrent(synapse("v", "a"), neuron("b", "v"), last="b")
    a = replace(graph.nodes["a"], sources=("w", "r", back[-1].name if back else before.name))
    nodes = {"input": graph.nodes["input"], before.name: before} | {node.name: node for node in back}
    return replace(graph, nodes=nodes | graph.nodes | {"a": a})


def arrivals(plan):
    return {p.name: p.arrival for p in plan.processes}


def test_a_population_that_feeds_itself_needs_no_other_delay():
    plan = make_plan(recurrent(), "graded")
    # w sends step 0 at Lava step 1; what a emits then is back through r at Lava step 2, which is step 1 of a.
    assert arrivals(plan) == {"input": 0, "a:before": 1, "w": 0, "r": 0, "a": 1, "out": 1, "readout": 2}
    assert plan.pace == 1
    assert plan.stride == 5
    assert plan.lava_steps(3) == 17


@pytest.mark.parametrize(("hops", "pace"), [(0, 1), (1, 2), (2, 3), (5, 6)])
def test_a_slow_cycle_slows_every_step(hops, pace):
    """Forth over one synapse and back over some: that takes as many Lava steps, and one step of the network."""
    plan = make_plan(pair(hops), "graded")
    assert plan.pace == pace
    assert plan.stride == 5 * pace
    assert plan.lava_steps(3) == 15 * pace + 3
    assert plan.latency == 3 + 4 * pace + 1
    assert arrivals(plan)["a"] == 1
    delays = [p.parameters["delay"] for p in plan.processes if p.process == "Relay"]
    assert sum(delays) == pace - 1  # of a's own feedback, which is there earlier


@given(st.integers(0, 2**32 - 1))
def test_every_message_meets_its_step(seed):
    """Along every connection, what leaves as some step arrives as that step."""
    graph = random_sequence_graph(np.random.default_rng(seed), kinds=("cuba_lif", "if")).lasting(4)
    plan = make_plan(graph, "graded")
    specs = {p.name: p for p in plan.processes}
    for connection in plan.connections:
        source, target = specs[connection.source], specs[connection.target]
        if target.process == "Delayed":
            assert source.arrival == target.arrival
            continue
        late = -source.parameters.get("late", 0) * plan.pace
        leaves = {"Delayed": late, "Relay": source.parameters.get("delay"), "Dense": 1}.get(source.process, 0)
        assert source.arrival + leaves == target.arrival, (source.name, target.name)


def test_windows_with_a_pace():
    window = Window(3, 2, 2, 6, 3)
    assert [window.at(t + 1) for t in range(16)] == [
        *[None] * 3,
        *[(0, 0), None, None, (0, 1), None, None],
        *[(1, 0), None, None, (1, 1), None, None],
        None,
    ]


def test_neurons_that_rehearse_cannot_lie_on_a_cycle():
    with pytest.raises(DoesNotFit, match="a: calibrated_if neurons see several steps before they fire"):
        align(recurrent(kind=CalibratedIF(3)), "graded")


def test_ranges_and_currents_know_feedback():
    graph = recurrent(kind=IF(spikes=2**15 - 1))
    check_ranges(graph, image_is_sent=True)
    assert constant_currents(graph, None)["a"].tolist() == [[0]]
    graph.nodes["r"] = synapse("r", "a:before", weight=2**16)
    with pytest.raises(RangeError, match="r: sums can reach"):
        check_ranges(graph, image_is_sent=True)


@given(st.integers(-(2**20), 2**20))
def test_biases_split_into_mantissa_and_exponent(bias):
    mantissa, exponent = (int(x[0]) for x in bias_parts(np.array([bias])))
    assert -4096 <= mantissa <= 4095
    assert 0 <= exponent <= 7
    possible = any(bias % 2**e == 0 and -4096 <= bias // 2**e <= 4095 for e in range(8))
    assert (mantissa * 2**exponent == bias) == possible


def leaky(**fields):
    values = {name: np.array(value) for name, value in {"du": [3, 3], "dv": [5, 5], "bias": [7, -8192]}.items()}
    return CubaLIF(**(values | fields))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"neuron": leaky(du=np.array([1, 2]))}, "its neurons differ in du"),
        ({"neuron": leaky(dv=np.array([1, 2]))}, "its neurons differ in dv"),
        ({"theta": np.array([1, 2])}, "its neurons differ in threshold"),
        ({"theta": np.full(2, 2**17)}, "its threshold 131072 exceeds 131071"),
        ({"v_init": np.array([0, 1])}, "its initial membranes are not 0"),
        ({"neuron": leaky(subtract=1)}, "its reset subtracts the threshold"),
        ({"neuron": leaky(bias=np.array([4, 4097]))}, "its bias 4097 is no mantissa of 13 bits"),
    ],
)
def test_what_lavas_own_leaky_neuron_can_be(changes, reason):
    two = (2,)
    node = Population("a", ("w",), two, leaky(), np.ones(2, int), np.zeros(2, int))
    nodes = [
        InputNode("input", two, "int8", 1.0, encoding="sequence"),
        Affine("w", ("input",), two, two, np.eye(2, dtype=int), np.zeros(2, int)),
        replace(node, **changes),
        Affine("out", ("a",), two, two, np.eye(2, dtype=int), np.zeros(2, int)),
        Readout("readout", ("out",), two, np.zeros(2, int), 1.0),
    ]
    graph = IntegerGraph({n.name: n for n in nodes}, 6, "pipelined")
    found = unfit(graph, pace=1)
    if reason is not None:
        assert reason in found["a"]
        return
    assert found == {}
    assert "takes 2 Lava steps" in unfit(graph, pace=2)["a"]
    spec = next(p for p in make_plan(graph, "graded", stock={"a": LIF_RESET}).processes if p.path == LIF_RESET)
    assert spec.parameters == {"shape": two, "du": 3, "dv": 5, "vth": 1, "reset_interval": 6, "reset_offset": 2}
    assert spec.arrays["bias_mant"].tolist() == [7, -4096]
    assert spec.arrays["bias_exp"].tolist() == [0, 1]
    # 64 z - 2^24 are left in every step, and lose 4 / 4096 of themselves; 2^31 must hold that and 64 z more.
    for weight, fits in ((2301, True), (2302, False)):
        nodes[1] = replace(nodes[1], weight=np.array([[weight, 0], [0, 0]]))
        total = (64 * 128 * weight - 2**24) * 1024 + 64 * 128 * weight
        assert (total < 2**31) == fits
        assert unfit(replace(graph, nodes={n.name: n for n in nodes}), pace=1) == (
            {} if fits else {"a": f"its sums can reach {total}, Lava's LIF computes in 32 bits"}
        )


def test_the_option_is_checked():
    with pytest.raises(ToolchainError, match="give 'lif', 'soft_reset' or 'atrlif'"):
        LavaOptions(neuron="stock")


def test_the_options_say_whose_neurons_they_are():
    graph = recurrent(kind=CubaLIF(np.full(1, 4095), np.zeros(1, int), np.zeros(1, int)))
    program = mapped(graph, LavaOptions())
    assert (program.stock, program.not_stock, program.plan.steps) == ({"a"}, {}, graph.timesteps)
    ours = mapped(graph, LavaOptions(neuron="soft_reset"))
    assert (ours.stock, ours.not_stock) == (set(), {})
    floating = mapped(graph, LavaOptions(precision="floating_pt"))
    assert (floating.stock, floating.not_stock) == (set(), {"a": "Lava's floating-point LIF does not round"})
    own = mapped(graph, LavaOptions(models={"Dense": "mine:My", "LIFReset": "mine:Other"}))
    assert own.models == program.models | {"Dense": "mine:My", "LIFReset": "mine:Other"}
    for neuron in ("lif", "atrlif"):
        slow = mapped(pair(1), LavaOptions(neuron=neuron))
        assert (slow.stock, set(slow.not_stock)) == (set(), {"a", "b"})
        assert all("a step takes 2 Lava steps" in why for why in slow.not_stock.values())


def test_a_run_says_whose_neurons_it_had_and_how_many_steps(monkeypatch):
    """What comes after the end of a sequence is cut off its raster: that is written, asked for or not."""
    seen = {}
    monkeypatch.setattr(LavaProgram, "_run_chunks", lambda self, parts, **options: seen.update(options) or [])
    monkeypatch.setattr("spikec.targets.lava.program.assemble", lambda *given, **_: given[4:6])
    program = mapped(pair(1), LavaOptions(abreast=2))
    frames = np.zeros((3, 5, 1), int)
    info, steps = program._run(frames, None, spikes=False)
    assert (seen["raster"], info["lif"]) == (False, "none")
    assert info["not_lif"].startswith("a: a step takes 2 Lava steps")
    assert "; b: a step takes 2" in info["not_lif"]
    # Two windows of five steps of two Lava steps each, and three on the way to the readout.
    assert (steps.processes, steps.steps, steps.latency) == (len(program.plan.processes), 2 * 5 * 2 + 3, 3 + 4 * 2 + 1)
    program._run(frames, np.array([5, 1, 2]), spikes=False)
    assert seen["raster"] is True
