"""The target ``c`` against the golden model: every kind of trace, and what is refused."""

import numpy as np
import pytest
from helpers.graphs import random_graph, random_images, random_outputs
from helpers.networks import digits_network, small_network
from helpers.sequences import random_sequence_graph

import spikec as tc
from spikec.errors import DataError, TargetUnavailable
from spikec.ir import build
from spikec.targets.c import CTarget
from spikec.targets.c.code import Choices
from spikec.targets.c.program import CProgram
from spikec.targets.c.rates import rates


@pytest.fixture(scope="module", autouse=True)
def _needs(compiler):
    """A compiler."""


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((23, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def program():
    return tc.compile(digits_network(), target="c", threads=2)


def same(a, b):
    """All that both traces hold, not only what ``compare`` compares."""
    assert tc.compare(a, b) is None
    for name in (
        "count_totals",
        "event_totals",
        "pooled_events",
        "spikes",
        "counts",
        "events",
        "outputs",
        "output_curves",
    ):
        first, second = getattr(a, name), getattr(b, name)
        assert list(first) == list(second), name
        for layer in first:
            np.testing.assert_array_equal(first[layer], second[layer])
            assert first[layer].dtype == second[layer].dtype, (name, layer)
    np.testing.assert_array_equal(a.input_events, b.input_events)
    np.testing.assert_array_equal(a.coding.counts, b.coding.counts)
    assert (a.timesteps, a.extra_steps, a.scales) == (b.timesteps, b.extra_steps, b.scales)
    assert (a.steps is None) == (b.steps is None)
    if a.steps is not None:
        np.testing.assert_array_equal(a.steps, b.steps)


@pytest.mark.parametrize("record", [None, "spikes"])
@pytest.mark.parametrize("counts", [True, False, "totals"])
def test_the_trace_is_the_golden_models(program, images, record, counts):
    found = program.run(images, record=record, counts=counts)
    same(tc.simulate(digits_network(), images, record=record, counts=counts), found)
    assert found.target == "c"
    assert found.seconds > 0
    assert set(found.info) == {"compiler", "flags", "threads"}


@pytest.mark.parametrize(
    ("kind", "schedule", "drain"),
    [
        ("if", "layerwise", 0),
        ("signed_if", "pipelined", 3),
        ("signed_if", "layerwise", 0),
        ("calibrated_if", "pipelined", 0),
        ("bit_serial", "layerwise", 0),
        ("graded", "layerwise", 0),
    ],
)
def test_kinds_and_schedules(kind, schedule, drain):
    rng = np.random.default_rng(3)
    steps = 1 if kind == "graded" else 4
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=steps, drain=drain, maxima=True)
    given = (random_images(rng, graph, 9) * graph.input.scale).astype(np.float32)
    program = tc.compile(graph, target="c")
    for record in (None, "spikes"):
        same(tc.simulate(graph, given, record=record), program.run(given, record=record))
    same(tc.simulate(graph, given, counts=False), program.run(given, counts=False))


def test_several_outputs():
    rng = np.random.default_rng(1)
    graph = random_outputs(rng, timesteps=3)
    given = (random_images(rng, graph, 5) * graph.input.scale).astype(np.float32)
    same(tc.simulate(graph, given), tc.compile(graph, target="c").run(given))


def test_sequences_of_any_length():
    rng = np.random.default_rng(2)
    graph = random_sequence_graph(rng)
    sequences = [rng.integers(-9, 9, (n, *graph.input.shape)).astype(np.float32) for n in (3, 7, 1, 5)]
    program = tc.compile(graph, target="c")
    for given in (sequences, np.stack([sequences[1], -sequences[1]]), [*sequences, np.repeat(sequences[1], 9, axis=0)]):
        same(tc.simulate(graph, given, record="spikes"), program.run(given, record="spikes"))
    assert len(program._built) == 1


@pytest.mark.parametrize("option", ["margin", 10.0])
def test_early_exit(images, option):
    program = tc.compile(digits_network(), target="c", early_exit=option)
    expected = tc.simulate(digits_network(), images, record="spikes", early_exit=option)
    assert len(set(expected.steps.tolist())) > 1 or option == "margin"
    same(expected, program.run(images, record="spikes"))


def test_crosscheck(images):
    found = tc.crosscheck(build(digits_network()), "c", images, options={"threads": 1})
    assert found.identical
    assert found.compared == ("spikes", "counts", "events", "curve", "output")


def test_measured_rates_change_the_code_and_nothing_else(compiler, images):
    graph = digits_network()
    measured = rates(graph, [images[:10], images[10:]])
    trace = tc.simulate(graph, images)
    assert measured == {"fire": pytest.approx(trace.events["fire"].sum() / (23 * 3 * 192))}
    for chosen in (Choices(rates={"fire": 1.0}), Choices(rates={"fire": 0.0}, vectors=True)):
        same(trace, CProgram(graph, chosen, compiler, 1).run(images))


def test_rates_of_layerwise_networks_and_sequences():
    graph = small_network(np.random.default_rng(0), schedule="layerwise")
    given = np.random.default_rng(1).random((5, 2, 7, 7)).astype(np.float32)
    counts = tc.simulate(graph, given).counts
    assert rates(graph, [given]) == {name: pytest.approx((found != 0).mean()) for name, found in counts.items()}
    rng = np.random.default_rng(2)
    graph = random_sequence_graph(rng)
    sequences = [rng.integers(0, 9, (n, *graph.input.shape)).astype(np.float32) for n in (3, 7)]
    events = tc.simulate(graph, sequences).events
    assert rates(graph, [sequences]) == {n: pytest.approx(e.sum() / (10 * e[0].size)) for n, e in events.items()}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"record": "membranes"}, "record='membranes' is not known"),
        ({"counts": "some"}, "counts='some' is not known"),
    ],
)
def test_refusals_of_a_run(program, images, words, says):
    with pytest.raises(DataError, match=says):
        program.run(images, **words)


def test_refusals(program, images):
    bad = images.copy()
    bad[20, 0, 3, 3] = np.nan
    with pytest.raises(DataError, match=r"image 20 holds nan at \[0, 3, 3\]"):
        program.run(bad)
    with pytest.raises(DataError, match="the network takes"):
        program.run(images[:, :, :5])
    for threads in (0, -1, True, 1.5):
        with pytest.raises(DataError, match="threads="):
            tc.compile(digits_network(), target="c", threads=threads)
    with pytest.raises(DataError, match="early_exit='soon' is not known"):
        tc.compile(digits_network(), target="c", early_exit="soon")
    with pytest.raises(DataError, match="leave it out for sequences"):
        tc.compile(random_sequence_graph(np.random.default_rng(2)), target="c", early_exit="margin")
    with pytest.raises(TargetUnavailable, match="no program that can be found"):
        CTarget().compile(digits_network(), compiler="nowhere-cc")
