"""The facts of every neuron kind: against the table of ``docs/semantics.md``, and against what the oracle emits."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from helpers.cases import CASES, drain_of, kind_cases, neuron, schedule_of, steps_of
from helpers.networks import one_layer
from helpers.oracle import LARGEST_LEVELS, level_sent, oracle

from spikec.errors import GraphError, MissingImplementation
from spikec.ir.graph import Population
from spikec.ir.kinds import (
    IF,
    BitSerialIF,
    CalibratedIF,
    CubaLIF,
    GradedIF,
    Kind,
    SignedIF,
    Timing,
    kind_named,
    kinds,
    registering,
    stored,
)
from spikec.ir.kinds.registering import forget, register
from spikec.simulation import simulate

_DOCS = (Path(__file__).parents[2] / "docs" / "semantics.md").read_text()

#: name: lowest and highest emission, message bits beside the address, place values of four steps (one for graded),
#: rehearsal, whether image and biases enter once, whether the emissions write one number, requirement.
_FACTS = {
    "if": (IF(), (0, 1), 0, (1, 1, 1, 1), 0, False, False, None),
    "signed_if": (SignedIF(), (-1, 1), 1, (1, 1, 1, 1), 0, False, False, "signed_spikes"),
    "calibrated_if": (CalibratedIF(6), (0, 1), 0, (1, 1, 1, 1), 6, False, False, "kind=calibrated_if"),
    "bit_serial": (BitSerialIF(), (0, 1), 0, (8, 4, 2, 1), 0, True, True, "kind=bit_serial"),
    "graded": (GradedIF(9), (0, 9), 4, (1,), 0, True, True, "kind=graded"),
    "cuba_lif": (CubaLIF(), (0, 1), 0, (1, 1, 1, 1), 0, False, False, "kind=cuba_lif"),
}
_EXAMPLES = {name: row[0] for name, row in _FACTS.items()}


def test_every_kind_is_in_the_table_above():
    assert list(kinds()) == list(_FACTS)  # in this order they are listed in messages


@pytest.mark.parametrize("name", _FACTS)
def test_facts(name):
    kind, emission, bits, places, rehearsal, once, one_number, requirement = _FACTS[name]
    assert (kind.name, kind.emission, kind.payload_bits, kind.rehearsal) == (name, emission, bits, rehearsal)
    assert tuple(kind.place_value(step, len(places)) for step in range(len(places))) == places
    assert (kind.constant_once, kind.one_number, kind.requirement) == (once, one_number, requirement)
    assert kind.binary == (emission == (0, 1))
    assert kind.weighted == (len(set(places)) > 1)
    assert (kind.signed, kind.multiplied) == (emission[0] < 0, emission[1] > 1)
    assert kind.single().emission[1] == 1


def test_schedules_are_those_of_the_document():
    rows = re.findall(r"^\| (`.*`) \| (yes|no) \| (yes|no)(.*) \|$", _DOCS, re.MULTILINE)
    found = {}
    for names, pipelined, layerwise, more in rows:
        runs = tuple(s for s, yes in (("pipelined", pipelined), ("layerwise", layerwise)) if yes == "yes")
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), (runs, "alone" in more))
    assert found == {name: (kind.schedules, kind.alone) for name, kind in kinds().items()}


def test_drain_and_steps_are_those_of_the_document():
    (drains,) = re.findall(r"^`drain` = D \(only `pipelined`, only `(\w+)`\)", _DOCS, re.MULTILINE)
    assert {name for name, kind in kinds().items() if kind.drains} == {drains}
    assert {name for name, kind in kinds().items() if kind.timesteps == (1, 1)} == {"graded"}
    assert BitSerialIF.timesteps == (1, 15)


def _runs(case, steps, starts=(-3, 0, 7), copy_bias=0, images=range(-9, 10)):
    """Every run of one neuron with threshold 2: all images and starts; what it sent, and the readout behind it."""
    kind, schedule, drain = case
    timesteps = steps_of(kind, steps)
    for start in starts:
        graph = one_layer(
            weight=[[1]], bias=[0], theta=2, kind=_EXAMPLES[kind], timesteps=timesteps, schedule=schedule, drain=drain,
            dtype="int8", v_init=start,
        )  # fmt: skip
        copy = replace(graph.nodes["copy"], bias=np.array([copy_bias]))
        graph = replace(graph, nodes={**graph.nodes, "copy": copy})
        found = oracle(graph, np.array(images)[:, None])
        for image, spikes, output in zip(images, found.spikes["neurons"], found.output, strict=True):
            yield SimpleNamespace(graph=graph, image=image, start=start, spikes=spikes[:, 0], output=int(output[0]))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_emissions_stay_in_their_range_and_attain_it(case):
    low, high = _EXAMPLES[case[0]].emission
    sent = np.concatenate([run.spikes for steps in (1, 2, 4) for run in _runs(case, steps)])
    if case[1] == "layerwise":
        low = max(low, 0)  # nothing is taken back where a neuron starts with all of its input
        sent = sent[sent >= 0]
    assert (sent.min(), sent.max()) == (low, 1 if high == 1 else sent.max())
    assert sent.max() <= high
    largest = [run.spikes.max() for run in _runs(case, 1, starts=(1,), images=[-128, 127])]
    assert max(largest) == high


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_reach_is_the_largest_number_that_can_be_sent(case, steps):
    kind = _EXAMPLES[case[0]]
    timesteps = steps_of(case[0], steps)
    sent = [int(level_sent(kind, run.spikes)) for run in _runs((*case[:2], 0), steps, images=(*range(-9, 10), 127))]
    assert max(sent) == kind.reach(timesteps) == LARGEST_LEVELS[case[0]](kind, timesteps)
    assert min(sent) == 0


@pytest.mark.parametrize("case", kind_cases(drain=0), ids=str)
def test_place_values_are_what_the_next_layer_receives(case):
    for run in _runs(case, 4):
        kind, steps = run.graph.populations[0].neuron, run.graph.timesteps
        received = sum(kind.place_value(step, steps) * int(s) for step, s in enumerate(run.spikes))
        assert run.output == received
        assert run.graph.place_values == tuple(kind.place_value(step, steps) for step in range(steps))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bias_enters_as_often_as_the_kind_says(case):
    for plain, biased in zip(_runs(case, 4), _runs(case, 4, copy_bias=5), strict=True):
        kind, steps = plain.graph.populations[0].neuron, plain.graph.timesteps
        assert biased.output - plain.output == 5 * (1 if kind.constant_once else steps)
        if not kind.rehearsal:
            assert plain.graph.constant_steps == (1 if kind.constant_once else steps)


@pytest.mark.parametrize("case", [case for case in CASES if kinds()[case[0]].extends], ids=str)
def test_a_longer_run_goes_on_with_the_shorter_one(case):
    for short, long in zip(_runs(case, 3), _runs(case, 5), strict=True):
        if case[1] == "pipelined":
            np.testing.assert_array_equal(long.spikes[:3], short.spikes)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("steps", [1, 3])
def test_what_is_called_lossless_is(case, steps):
    """Behind one layer, with a drain that is long enough and with one that is not."""
    kind, schedule, drain = case
    claimed = 0
    for run in _runs(case, steps):
        timing, chosen = run.graph.timing, run.graph.populations[0].neuron
        assert (timing.schedule, timing.drain) == (schedule, drain)
        if chosen.lossless(timing, 1):
            claimed += 1
            received = run.image * (1 if chosen.constant_once else timing.timesteps)
            level = min(max((received + run.start) // 2, 0), chosen.reach(timing.timesteps))
            assert level_sent(chosen, run.spikes) == level
    in_one_step = steps == 1 and not drain and kind in ("if", "signed_if")
    assert bool(claimed) == (schedule == "layerwise" or bool(drain) or in_one_step)


def test_a_short_drain_or_another_unit_is_not_called_lossless():
    timing = Timing(3, "pipelined", 5)
    assert SignedIF().lossless(timing, 1)
    assert not SignedIF().lossless(timing, 2)
    assert SignedIF(np.array([1, 1])).lossless(timing, 1)
    assert not SignedIF(np.array([1, 2])).lossless(timing, 1)
    assert SignedIF().lossless(Timing(1, "pipelined"), 1)
    assert not IF().lossless(Timing(2, "pipelined"), 1)


def test_timing_counts_the_steps():
    for kind in _EXAMPLES.values():
        drain = drain_of(kind.name, 2)
        timing = Timing(3, schedule_of(kind.name), drain, kind.rehearsal)
        emitted = max(3 + drain, kind.rehearsal)
        assert (timing.counted_steps, timing.emission_steps) == (3 + drain, emitted)
        assert timing.driven_steps == emitted - drain


def test_fields_that_depend_on_thresholds():
    theta = np.array([1, 10, 25])
    for name, kind in _EXAMPLES.items():
        lowered = kind.lowered(theta, 0.1)
        assert type(lowered) is type(kind)
        if name == "signed_if":
            np.testing.assert_array_equal(lowered.theta_neg, [1, 1, 2])
            assert lowered.theta_neg.dtype == np.int64
        else:
            assert lowered == kind


def test_negative_thresholds_are_one_where_none_are_given():
    np.testing.assert_array_equal(SignedIF().negative_thresholds((2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(SignedIF(np.array([4])).negative_thresholds((1,)), [4])


@pytest.mark.parametrize("kind", [CalibratedIF, GradedIF])
@pytest.mark.parametrize("value", [0, -1, 2**15, 1.5, True, None, "3"])
def test_fields_are_checked(kind, value):
    ((name, about),) = kind.stored_fields().items()
    assert list(kind(**{name: 1}).problems()) == list(kind(**{name: 2**15 - 1}).problems()) == []
    (problem,) = kind(**{name: value}).problems()
    assert problem.startswith(f"{about.title} ")
    assert "between 1 and 32767" in problem


def test_the_widest_of_a_kind_is_what_files_may_hold():
    assert {name: kind.widest() for name, kind in kinds().items()} == {
        "if": IF(),
        "signed_if": SignedIF(),
        "calibrated_if": CalibratedIF(2**15 - 1),
        "bit_serial": BitSerialIF(),
        "graded": GradedIF(2**15 - 1),
        "cuba_lif": CubaLIF(),
    }


@pytest.mark.parametrize("kind", [IF, SignedIF])
def test_several_spikes_per_step(kind):
    one, seven = kind(), kind(spikes=7)
    assert (one, one.given_fields()) == (kind(spikes=1), {})
    assert seven.given_fields() == {"spikes": 7}
    assert seven.emission == ((0, 7) if kind is IF else (-7, 7))
    assert (seven.reach(3), seven.binary, seven.multiplied) == (21, False, True)
    assert seven.payload_bits == (3 if kind is IF else 4)
    assert seven.single() == one
    assert seven.requirements() - one.requirements() == {"max_spikes_per_step"}
    assert "max_spikes_per_step" in kind.known_requirements()
    assert seven.lowered(np.array([10]), 0.1).spikes == 7
    assert seven.lossless(Timing(3, "layerwise"), 1)
    assert seven.lossless(Timing(1, "pipelined"), 1)


@pytest.mark.parametrize(
    "value", [0, -1, 2**15, 1.5, True, np.True_, None, "3", np.array([1, 2]), np.array(3)], ids=repr
)
def test_spikes_per_step_are_checked(value):
    """Also where a graph is built by hand: no such layer is simulated or saved."""
    assert list(IF(spikes=2**15 - 1).problems()) == []
    (problem,) = IF(spikes=value).problems()
    assert problem.startswith("max_spikes_per_step ")
    assert "between 1 and 32767" in problem
    for kind in (IF(spikes=value), SignedIF(spikes=value)):
        with pytest.raises(GraphError) as caught:
            Population("hidden", ("a",), (2,), kind, np.array([3, 3]), np.array([1, 1]))
        assert str(caught.value) == f"hidden: {problem}"


def test_negative_thresholds_are_checked():
    assert list(SignedIF().problems()) == list(SignedIF(np.array([1, 2])).problems()) == []
    assert list(SignedIF(np.array([1, 0])).problems()) == ["negative thresholds must be between 1 and 2147483647"]
    (problem,) = SignedIF(np.array([1.5, 2])).problems()
    assert problem.startswith("negative thresholds must be whole numbers between 1 and 2147483647, not array")


@dataclass(frozen=True)
class _Three(Kind):
    """Emits 0 to 3 in a step."""

    name: ClassVar[str] = "three"
    schedules: ClassVar[tuple[str, ...]] = ("pipelined",)
    timesteps: ClassVar[tuple[int, int]] = (1, 8)
    alone: ClassVar[bool] = False
    drains: ClassVar[bool] = False
    extends: ClassVar[bool] = True
    constant_once: ClassVar[bool] = False
    one_number: ClassVar[bool] = False
    requirement: ClassVar[str | None] = "kind=three"
    emission: ClassVar[tuple[int, int]] = (0, 3)
    rehearsal: ClassVar[int] = 0

    def place_value(self, step, timesteps):
        return 1

    def least(self, timesteps):
        return 0

    def lossless(self, timing, depth):
        return ""


def test_a_kind_from_outside_is_known_by_its_name():
    try:
        assert register(_Three) is _Three
        assert kind_named("three") is kinds()["three"] is _Three
        assert neuron("three") == _Three()
        assert (_Three().reach(4), _Three().binary, _Three().payload_bits) == (12, False, 2)
        with pytest.raises(MissingImplementation, match="three has no single-spike form"):
            _Three().single()
        with pytest.raises(AssertionError, match="the oracle does not know the neuron kind three"):
            oracle(one_layer(weight=[[1]], bias=[0], theta=1, kind="three"), np.array([[1]]))
    finally:
        forget(_Three)
    with pytest.raises(GraphError, match=r"^neuron kind 'three' is none of if, signed_if, calibrated_if, bit_serial"):
        kind_named("three")


def test_a_kind_of_an_installed_package_is_found(monkeypatch):
    seen = []

    def entries(group):
        seen.append(group)
        return [SimpleNamespace(load=lambda: register(_Three))]

    monkeypatch.setattr(registering, "entry_points", entries)
    registering._load_packages.cache_clear()
    try:
        assert kind_named("three") is _Three
        assert kinds()["three"] is _Three
        assert seen == ["spikec.kinds"]  # packages are looked through once
    finally:
        forget(_Three)
        registering._load_packages.cache_clear()


_LEFT_OUT = [
    "name", "schedules", "timesteps", "alone", "drains", "extends", "constant_once", "one_number", "requirement",
    "emission", "rehearsal", "place_value", "least", "lossless",
]  # fmt: skip


def _without(*facts):
    """A kind that states all facts but these."""
    stated = {name: vars(_Three)[name] for name in _LEFT_OUT if name not in facts}
    return type("Unfinished", (Kind,), stated)


_SEVERAL = [("drains", "place_value"), tuple(_LEFT_OUT)]


@pytest.mark.parametrize("facts", [*((name,) for name in _LEFT_OUT), *_SEVERAL], ids=str)
def test_a_kind_that_forgets_a_fact_is_refused_by_name(facts):
    before = kinds()
    with pytest.raises(TypeError) as error:
        register(_without(*facts))
    assert str(error.value) == f"the neuron kind Unfinished does not state {', '.join(facts)}"
    assert kinds() == before


def test_a_kind_that_takes_constant_input_once_cannot_run_pipelined():
    with pytest.raises(TypeError, match="takes its constant input once, so it cannot run pipelined"):
        register(_derived(name="once", constant_once=True))
    with pytest.raises(TypeError, match="writes one number in all its steps, so it cannot run pipelined"):
        register(_derived(name="once", one_number=True))
    assert "once" not in kinds()


def _derived(**stated):
    return dataclass(frozen=True)(type("Derived", (_Three,), stated))


@pytest.mark.parametrize("name", ["if", "graded", "integrator", "Three", "", "3three", "th-ree"])
def test_a_name_that_is_taken_or_cannot_be_is_refused(name):
    with pytest.raises(TypeError, match=r"takes the name of|cannot be called"):
        register(_derived(name=name))
    assert kinds()["if"] is IF


def test_fields_that_files_would_lose_are_refused():
    @dataclass(frozen=True)
    class Loses(_Three):
        name: ClassVar[str] = "loses"
        most: int = 3

    with pytest.raises(TypeError, match=r"has fields that files would not hold: declare most with stored"):
        register(Loses)
    with pytest.raises(TypeError, match="is no dataclass of its own"):
        register(type("Plain", (_Three,), {"name": "plain"}))


@pytest.mark.parametrize(("field", "key"), [("most", "scale"), ("most", "v_init_int"), ("theta", "most")])
def test_what_the_profile_keeps_for_itself_is_refused(field, key):
    about = stored(key, netx="most", title="most", high=9)
    cls = dataclass(frozen=True)(
        type("Takes", (_Three,), {"name": "takes", "__annotations__": {field: int}, field: about})
    )
    with pytest.raises(TypeError, match="which the profile keeps for itself"):
        register(cls)


@dataclass(frozen=True)
class _Settled(_Three):
    """A layerwise kind whose facts a test sets."""

    name: ClassVar[str] = "settled"
    schedules: ClassVar[tuple[str, ...]] = ("pipelined", "layerwise")


@pytest.mark.parametrize(
    ("facts", "schedule", "message"),
    [
        ({"emission": (3, 0)}, "pipelined", "emits 3 to 0: emissions are whole numbers"),
        ({"emission": (0, 1.5)}, "pipelined", "emits 0 to 1.5"),
        ({"rehearsal": 5}, "layerwise", "needs a rehearsal, which the schedule 'layerwise' does not run"),
        ({"place_value": lambda self, step, _: 3**step}, "layerwise", "place values that differ between steps"),
        ({"place_value": lambda self, step, _: 3**step}, "pipelined", "place values that differ between steps"),
        ({"place_value": lambda *_: 0}, "layerwise", "place values are whole numbers of at least 1"),
        ({"timesteps": (1, 2)}, "pipelined", "runs in 1 to 2 steps, timesteps is 4"),
        ({"schedules": ("layerwise",)}, "pipelined", "needs the schedule 'layerwise'"),
    ],
)
def test_facts_that_cannot_be_are_refused_before_anything_runs(facts, schedule, message, monkeypatch):
    for name, value in facts.items():
        monkeypatch.setattr(_Settled, name, value)
    graph = one_layer(weight=[[1]], bias=[0], theta=1, schedule=schedule)
    neurons = replace(graph.nodes["neurons"], neuron=_Settled())
    graph = replace(graph, nodes={**graph.nodes, "neurons": neurons})
    assert any(message in problem for problem in graph.kind_problems())
    with pytest.raises(GraphError, match=re.escape(message)):
        simulate(graph, np.array([[1.0]]))


def test_kinds_that_code_numbers_differently_cannot_share_a_network():
    graph = one_layer(weight=[[1]], bias=[0], theta=1, kind="if", schedule="layerwise", timesteps=2)
    second = replace(graph.nodes["neurons"], name="second", sources=("copy",), neuron=BitSerialIF())
    copy = replace(graph.nodes["copy"], name="copy2", sources=("second",))
    nodes = {name: node for name, node in graph.nodes.items() if name != "readout"}
    nodes |= {"second": second, "copy2": copy, "readout": replace(graph.readout, sources=("copy2",))}
    problems = replace(graph, nodes=nodes).kind_problems()
    assert "kinds 'if' and 'bit_serial' code numbers differently" in problems
    assert any("'bit_serial' cannot be mixed with if" in problem for problem in problems)


def test_the_emission_type_holds_both_ends(monkeypatch):
    for emission, expected in (((0, 1), "int8"), ((0, 127), "int8"), ((-200, 2), "int16"), ((0, 40000), "int32")):
        monkeypatch.setattr(_Three, "emission", emission)
        assert _Three().emission_type == np.dtype(expected)


def test_what_is_not_stated_raises_where_it_is_used():
    for use in (
        lambda kind: kind.emission,
        lambda kind: kind.rehearsal,
        lambda kind: kind.place_value(0, 1),
        lambda kind: kind.lossless(Timing(1, "pipelined"), 1),
        lambda kind: kind.reach(2),
        lambda kind: kind.binary,
    ):
        with pytest.raises(MissingImplementation):
            use(Kind())
