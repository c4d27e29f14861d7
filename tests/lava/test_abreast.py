"""Images side by side: how many, in which rows, and the arithmetic on them. None of this needs Lava."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikec.errors import ToolchainError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF
from spikec.ir.operations import Affine
from spikec.targets.lava import LavaOptions, abreast
from spikec.targets.lava.arithmetic import max_pool, sum_pool
from spikec.targets.lava.plan import ProcessSpec, make_plan
from spikec.targets.lava.processes.lanes import from_lanes, put_in_lanes, with_lanes
from spikec.targets.lava.processes.recording import Emissions, Membrane
from spikec.targets.lava.processes.window import Window


def dense(neurons=3):
    weight = np.eye(neurons, dtype=np.int64)
    nodes = {
        "input": InputNode("input", (neurons,), "uint8", 1.0),
        "fc": Affine("fc", ("input",), (neurons,), (neurons,), weight, np.zeros(neurons, np.int64)),
        "p": Population("p", ("fc",), (neurons,), IF(), np.full(neurons, 2), np.ones(neurons, np.int64)),
        "readout": Readout("readout", ("p",), (neurons,), np.zeros(neurons, np.int64), 1.0),
    }
    return IntegerGraph(nodes, 4, "pipelined")


def chosen(images, graph=None, plan=None, **options):
    graph = graph or dense()
    return abreast.abreast(graph, plan or make_plan(graph, "current"), LavaOptions(**options), images)


@given(st.integers(1, 500), st.integers(1, 60))
def test_no_more_windows_than_needed_and_no_more_lanes_than_those_need(images, most):
    found = chosen(images, abreast=most)
    windows = -(-images // found)
    assert 1 <= found <= most
    assert windows == -(-images // most)
    assert (found - 1) * windows < images  # with one lane less they would not do


@pytest.mark.parametrize(
    "options",
    [
        {"stock": True},
        {"precision": "floating_pt"},
        {"neuron": "atrlif"},
        {"models": {"SoftResetIF": "mine:My"}},
        {"models": {"Conv": "mine:My"}},
    ],
)
def test_what_is_not_ours_carries_one_image(options):
    assert chosen(10) == 10
    assert chosen(10, **options) == 1


@given(st.integers(1, 400), st.integers(1, 6), st.integers(1, 40))
def test_an_interpreter_is_started_for_more_than_two_windows_only(images, workers, most):
    graph, options = dense(), LavaOptions(workers=workers, abreast=most)
    found = abreast.interpreters(graph, make_plan(graph, "current"), options, images)
    assert 1 <= found <= workers
    assert (found - 1) * 2 * most < images
    assert found == workers or found * 2 * most >= images


def test_ones_own_models_carry_several_on_request():
    assert chosen(10, models={"SoftResetIF": "mine:My"}, abreast=5) == 5


@pytest.mark.parametrize("options", [{"stock": True}, {"precision": "floating_pt"}, {"neuron": "atrlif"}])
def test_a_contradiction_is_refused(options):
    (name, value) = next(iter(options.items()))
    with pytest.raises(ToolchainError, match=f"abreast=2 does not go with {name}={value!r}: there, a process"):
        LavaOptions(abreast=2, **options)
    assert LavaOptions(abreast=1, **options).abreast == 1


def test_models_of_synapses_carry_one_image():
    with pytest.raises(ToolchainError, match="abreast=2 does not go with models of Conv or Dense"):
        LavaOptions(abreast=2, models={"Dense": "mine:My"})


def test_processes_of_an_extension_carry_one_image():
    graph = dense()
    plan = make_plan(graph, "current")
    foreign = ProcessSpec("somebody.else:Process", "p", 0)
    assert chosen(10, graph, type(plan)((*plan.processes, foreign), plan.connections, 4, 1, "current")) == 1


def test_memory_bounds_them(monkeypatch):
    large = dense(1000)  # 4,000 numbers
    assert chosen(10**4, large) == -(-(10**4) // -(-(10**4) // (256 * 2**20 // (96 * 4000))))
    if not abreast.SHARED_MEMORY.is_dir():
        return
    for free, workers, found in ((2 * 3 * 4 * 2 * 4000, 1, 3), (2 * 3 * 4 * 2 * 4000, 3, 1), (0, 1, 1)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(abreast.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert chosen(9, large, workers=workers) == found


@given(st.integers(1, 30), st.integers(1, 8), st.integers(1, 5), st.integers(1, 3), st.integers(0, 4))
def test_each_image_has_its_row_in_one_window(images, lanes, steps, pace, offset):
    window = Window(offset, steps, images, steps * pace, pace, lanes)
    seen = [window.at(t) for t in range(1, offset + window.windows * window.stride + 10)]
    rows = [image for place in seen if place and place[1] == 0 for image in range(images)[window.rows(place[0])]]
    assert rows == list(range(images))
    assert all(0 < window.rows(w).stop - window.rows(w).start <= lanes for w in range(window.windows))


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_lanes_hold_what_was_put_in(lanes, count, data):
    count = min(lanes, count)
    shape = data.draw(st.sampled_from([(3,), (2, 1, 2)]))
    rows = np.arange(count * int(np.prod(shape))).reshape(count, *shape)
    carried = np.full(with_lanes(shape, lanes), -1)
    put_in_lanes(rows, carried)
    assert carried.shape == (shape if lanes == 1 else (lanes, *shape))
    np.testing.assert_array_equal(from_lanes(carried, rows), rows)
    np.testing.assert_array_equal(carried.reshape(lanes, *shape)[count:], np.repeat(rows[-1:], lanes - count, axis=0))


def test_records_are_of_each_image(tmp_path):
    """Two lanes, three images: the second window has one image, and what its other lane does is not kept."""
    for key, shape in (("counts", (3, 2)), ("events", (3, 2)), ("membrane", (3, 3)), ("spikes", (3, 2, 2))):
        np.save(tmp_path / f"0.{key}.npy", np.zeros(shape, np.int64))
    emissions = Emissions(str(tmp_path), 0, 2, abreast=2)
    sent = np.array([[[1, 0], [0, 1]], [[1, -1], [0, 1]], [[0, 2], [9, 9]], [[0, 1], [9, 9]]])
    beyond = 2**23
    for number, rows in enumerate((slice(0, 2), slice(2, 3))):
        membrane = Membrane(2)
        for step in range(2):
            emissions.add(rows, step, sent[2 * number + step])
            membrane.observe(np.array([[step, -step - 1], [5, beyond + number]]))
        emissions.finish(rows, membrane)
    read = {key: np.load(tmp_path / f"0.{key}.npy") for key in ("counts", "events", "membrane", "spikes")}
    np.testing.assert_array_equal(read["counts"], [[2, -1], [0, 2], [0, 3]])
    np.testing.assert_array_equal(read["events"], [[2, 1], [0, 2], [0, 2]])
    np.testing.assert_array_equal(read["membrane"], [[-2, 1, 0], [5, beyond, 2], [-2, 1, 0]])
    np.testing.assert_array_equal(read["spikes"][2], sent[2:, 0])


@given(st.integers(1, 4), st.integers(0, 2**32))
def test_pools_of_several_maps_are_those_of_each(count, seed):
    rng = np.random.default_rng(seed)
    maps = rng.integers(-9, 9, (count, *rng.integers(3, 7, 2), 2))
    kernel, stride = (tuple(int(n) for n in rng.integers(1, 4, 2)) for _ in range(2))
    np.testing.assert_array_equal(sum_pool(maps, kernel, stride), [sum_pool(x, kernel, stride) for x in maps])
    columns, rows = (np.stack([np.arange(n - 1), np.arange(-1, n - 2)], axis=1) for n in maps.shape[1:3])
    np.testing.assert_array_equal(max_pool(maps, columns, rows), [max_pool(x, columns, rows) for x in maps])
