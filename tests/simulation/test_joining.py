"""Traces of parts of a set: joined, and read back from a file, they are the trace of the set in every bit."""

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
from helpers.cases import CASES, steps_of
from helpers.drawn import drawn
from helpers.same import same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikec.errors import DataError
from spikec.simulation import joining, kept
from spikec.simulation.golden import GoldenModel
from spikec.simulation.joining import joined, joined_all
from spikec.simulation.kept import read_trace, write_trace
from spikec.simulation.registers import Register, Registers
from spikec.simulation.trace import TargetSteps, Trace


@pytest.mark.parametrize(("kind", "schedule", "drain"), CASES)
@settings(max_examples=drawn(2), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), narrow=st.booleans(), record=st.sampled_from([None, "spikes"]), data=st.data())
def test_any_cut_gives_the_trace_of_the_whole(
    random_graph, random_images, tmp_path_factory, kind, schedule, drain, seed, narrow, record, data
):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=steps_of(kind, 4), drain=drain, maxima=True)
    images = random_images(rng, graph, 7) * graph.input.scale
    registers = Registers(membrane=Register(maximum=7)) if narrow else Registers()
    model = GoldenModel(graph, measure=True, registers=registers)
    counts = data.draw(st.sampled_from([True, "totals"]))
    whole = model.run(images, record=record, counts=counts)
    ends = sorted({0, 7, *data.draw(st.lists(st.integers(1, 6), max_size=5))})
    folder = tmp_path_factory.mktemp("parts")
    parts = []
    for start, stop in itertools.pairwise(ends):
        part = model.run(images[start:stop], record=record, counts=counts, first=start)
        write_trace(folder / f"{start}.npz", part, f"part {start}")
        parts.append(read_trace(folder / f"{start}.npz", f"part {start}"))
        assert same(replace(parts[-1], seconds=0.0), replace(part, seconds=0.0))
    for found in (joined(parts), joined_all(iter(parts))):
        for name in (each.name for each in fields(Trace)):
            if name == "first_overflow":  # of the first chunk of images that has one, whatever its size
                assert found.first_overflow.keys() == whole.first_overflow.keys()
            elif name != "seconds":
                assert same(getattr(found, name), getattr(whole, name)), name
        assert found.seconds == pytest.approx(sum(part.seconds for part in parts))


def test_every_field_of_a_trace_has_a_rule():
    names = {each.name for each in fields(Trace)}
    assert set(joining._RULES) == names
    kinds = [kept._ARRAYS, kept._ARRAY, kept._PLAIN, kept._OWN]
    assert set().union(*kinds) == names
    assert sum(map(len, kinds)) == len(names)


@pytest.fixture
def trace(one_layer):
    graph = one_layer(weight=np.eye(3, dtype=np.int64), bias=np.zeros(3, np.int64), theta=np.ones(3, np.int64))
    return GoldenModel(graph).run(np.eye(3))


def test_what_a_target_says_of_its_steps_is_added_up(trace):
    own = replace(trace, target_steps=TargetSteps(5, 40, 0.5, 9), steps=np.array([1, 2, 3]))
    assert joined([own, own, own]).target_steps == TargetSteps(5, 120, 1.5, 9)
    assert joined([own, own]).steps.tolist() == [1, 2, 3] * 2


def test_traces_that_do_not_belong_together_are_refused(trace):
    for other in (
        replace(trace, timesteps=trace.timesteps + 1),
        replace(trace, counts={}),
        replace(trace, steps=np.array([1, 1, 1])),
        replace(trace, scales={"output": 2.0}),
    ):
        with pytest.raises(DataError, match="one run"):
            joined([trace, other])
    full = replace(trace, input_events=np.full(3, 2**31 - 1, np.int32))
    with pytest.raises(DataError, match="beyond int32"):
        joined([full, full])
    with pytest.raises(DataError, match="no traces"):
        joined_all(iter([]))


def test_files_that_are_not_whole_or_not_ours_are_refused(trace, tmp_path):
    path = tmp_path / "0.npz"
    write_trace(path, trace, "mine")
    with pytest.raises(DataError, match="of another run"):
        read_trace(path, "yours")
    whole = path.read_bytes()
    np.savez(path, text=np.frombuffer(b'{"about": "mine"}', np.uint8))
    with pytest.raises(DataError, match="keeps of a shard"):
        read_trace(path, "mine")
    for damaged in (b"", whole[:100], whole[:-30], whole[:200] + b"\0\1\2\3" + whole[204:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"0\.npz"):
            read_trace(path, "mine")


def test_places_count_from_the_first_image_of_the_set(one_layer):
    graph = one_layer(weight=np.eye(3, dtype=np.int64), bias=np.zeros(3, np.int64), theta=np.full(3, 200))
    model = GoldenModel(graph, measure=True, registers=Registers(membrane=Register(maximum=150)))
    images = np.zeros((4, 3))
    images[2, 1] = 255 * graph.input.scale
    assert model.run(images[2:], first=12).first_overflow["neurons"].image == 12
    images[3, 0] = np.nan
    with pytest.raises(DataError, match="13"):
        model.run(images[2:], first=12)


def test_a_field_without_a_rule_raises(trace, tmp_path, monkeypatch):
    monkeypatch.delitem(joining._RULES, "counts")
    with pytest.raises(KeyError, match="counts"):
        joined([trace, trace])
    for kind in ("_ARRAYS", "_ARRAY", "_PLAIN", "_OWN"):
        monkeypatch.setattr(kept, kind, type(getattr(kept, kind))(x for x in getattr(kept, kind) if x != "counts"))
    with pytest.raises(AssertionError, match="no rule for the field counts"):
        write_trace(tmp_path / "0.npz", trace, "mine")
