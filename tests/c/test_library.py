"""The host: hooks, types, orders in memory, threads, early ends; on code written by hand whose emissions are known."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from helpers.c_code import DRAIN, SHAPE, STEPS, by_hand, expected
from hypothesis import given
from hypothesis import strategies as st

from spikec.targets.c.code import Choices
from spikec.targets.c.kept import holding, narrowest
from spikec.targets.c.library import Library
from spikec.targets.c.program import CProgram

STEPS_ALL = STEPS + DRAIN


@pytest.fixture(scope="session")
def library(hand, compiler):
    return Library.built(*hand, compiler)


@pytest.fixture(scope="session")
def program(library, hand, compiler):
    """A program that runs the code by hand, with ``steps`` in its traces as one that stops early has."""
    return CProgram(hand[0], Choices(early_exit=0.0), compiler, 1, {"": library})


def pictures(n, seed=0, first=9):
    """Images of which none stops early, if ``first`` is above 5."""
    found = np.random.default_rng(seed).integers(0, 12, (n, *SHAPE)).astype(np.uint8)
    found[:, 0, 0, 0] = first
    return found


def run(library, images, threads=1, **wanted):
    asked = {"totals": True, "events": True, "rasters": True} | wanted
    rows = library.rows(len(images), STEPS_ALL, **asked)
    with ThreadPoolExecutor(threads) as pool:
        library.start(images, rows, None, pool, threads).finish()
    return rows


def test_everything_is_kept_in_its_place(library):
    images = pictures(5)
    images[:, 0, 0, 0] = [9, 1, 5, 3, 0]
    rows, known = run(library, images), expected(images)
    np.testing.assert_array_equal(np.moveaxis(rows.senders["fire"], -1, 2), known.raster)
    np.testing.assert_array_equal(np.moveaxis(rows.totals["fire"], -1, 1), known.counts)
    np.testing.assert_array_equal(np.moveaxis(rows.events["fire"], -1, 1), known.events)
    np.testing.assert_array_equal(rows.readers["readout"], known.curve)
    np.testing.assert_array_equal(rows.steps, known.steps)
    assert rows.totals["fire"].dtype == rows.events["fire"].dtype == np.uint8
    assert rows.senders["fire"].dtype == np.int8


def test_what_is_not_wanted_is_not_kept(library):
    images = pictures(3)
    rows = run(library, images, totals=False, events=False, rasters=False)
    assert not rows.totals
    assert not rows.events
    assert not rows.senders
    np.testing.assert_array_equal(rows.readers["readout"], expected(images).curve)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_give_the_same(library, threads):
    images = pictures(29, first=4)
    one, many = run(library, images), run(library, images, threads)
    for part in ("totals", "events", "senders", "readers"):
        for name, rows in getattr(one, part).items():
            np.testing.assert_array_equal(rows, getattr(many, part)[name])


@pytest.mark.parametrize("chunk", [1, 3, 7, 64])
@pytest.mark.parametrize("threads", [1, 2])
def test_chunks_give_the_same(program, chunk, threads, monkeypatch):
    monkeypatch.setattr("spikec.targets.c.program._LARGEST_CHUNK", chunk)
    images = pictures(10)
    images[:, 0, 0, 0] = range(10)
    trace, known = replace(program, threads=threads).run(images.astype(np.float32), record="spikes"), expected(images)
    np.testing.assert_array_equal(trace.spikes["fire"], known.raster)
    np.testing.assert_array_equal(trace.counts["fire"], known.counts)
    np.testing.assert_array_equal(trace.events["fire"], known.events)
    np.testing.assert_array_equal(trace.output_curve, known.curve)
    np.testing.assert_array_equal(trace.output, known.curve[:, -1])
    np.testing.assert_array_equal(trace.steps, known.steps)
    np.testing.assert_array_equal(trace.count_totals["fire"], known.counts.sum(0))
    np.testing.assert_array_equal(trace.input_events, (images != 0).sum(0))
    assert trace.target == "c"
    assert "-std=c99" in trace.info["flags"]


def test_memory_bounds_the_chunks(program, monkeypatch):
    """A budget below one image still runs, image by image."""
    monkeypatch.setattr("spikec.targets.c.program._CHUNK_BYTES", 10)
    images = pictures(4)
    np.testing.assert_array_equal(program.run(images.astype(np.float32)).output, expected(images).curve[:, -1])


def test_totals_only(program):
    images = pictures(6)
    trace = program.run(images.astype(np.float32), counts="totals")
    assert not trace.counts
    np.testing.assert_array_equal(trace.event_totals["fire"], expected(images).events.sum(0))
    assert not program.run(images.astype(np.float32), counts=False).event_totals


def test_an_interrupt_ends_the_threads(program, monkeypatch):
    """Ctrl-C while a chunk is gathered: the threads that work on the next one end first."""
    from spikec.simulation.collect import Collector

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("spikec.targets.c.program._LARGEST_CHUNK", 2)
    monkeypatch.setattr(Collector, "add", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        program.run(pictures(40).astype(np.float32))
    assert caught.tb is not None  # its frames live as long as it does, so they cannot be what ends the threads
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("spikec-c")]


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**40))
def test_types_hold_what_they_must(low, width):
    chosen = np.iinfo(narrowest(low, low + width))
    assert chosen.min <= low <= low + width <= chosen.max
    assert narrowest(0, 255) == np.uint8
    for name in ("uint16", "uint32", "int8", "uint8", "int64"):
        wide, narrow = np.iinfo(holding(np.dtype(name))), np.iinfo(name)
        assert wide.min <= narrow.min <= narrow.max <= wide.max


def test_a_step_number_that_is_refused_is_said(hand, compiler):
    from spikec.errors import ToolchainError

    graph, source = by_hand()
    source.body = source.body.replace("return last;", "return -1;")
    broken = Library.built(graph, source, compiler)
    with pytest.raises(ToolchainError, match="no such number of steps"):
        run(broken, pictures(3))
