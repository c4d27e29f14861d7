"""One image runs without threads, and gives what it gives among others."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.c_code import SHAPE, by_hand

from spikec.errors import ToolchainError
from spikec.simulation.compare import compare
from spikec.targets.c.code import Choices
from spikec.targets.c.library import Library
from spikec.targets.c.program import CProgram


def program(hand, compiler, threads=3):
    return CProgram(hand[0], Choices(early_exit=0.0), compiler, threads, {"": Library.built(*hand, compiler)})


@pytest.mark.parametrize("counts", [True, False, "totals"])
@pytest.mark.parametrize("record", [None, "spikes"])
def test_alone_and_among_others(hand, compiler, counts, record, monkeypatch):
    chosen = program(hand, compiler)
    images = np.random.default_rng(1).integers(0, 12, (3, *SHAPE)).astype(np.float32)
    together = chosen.run(images, counts=counts, record=record)

    def started(threads):
        raise AssertionError("a thread was started")

    monkeypatch.setattr("spikec.targets.c.program._workers", started)
    alone = [chosen.run(images[n : n + 1], counts=counts, record=record) for n in range(3)]
    for part in ("outputs", "output_curves", "counts", "events", "spikes"):
        for name, rows in getattr(together, part).items():
            np.testing.assert_array_equal(rows, np.concatenate([getattr(one, part)[name] for one in alone]))
            assert all(getattr(one, part)[name].dtype == rows.dtype for one in alone)
    for part in ("count_totals", "event_totals"):
        for name, total in getattr(together, part).items():
            np.testing.assert_array_equal(total, sum(getattr(one, part)[name] for one in alone))
    np.testing.assert_array_equal(together.input_events, sum(one.input_events for one in alone))
    np.testing.assert_array_equal(together.steps, np.concatenate([one.steps for one in alone]))
    assert together.coding.clipped == sum(one.coding.clipped for one in alone)
    again = replace(chosen, threads=1).run(images[:1], counts=counts, record=record)
    assert compare(alone[0], again) is None


def test_what_the_code_refuses_is_said(compiler):
    graph, source = by_hand()
    source.body = source.body.replace("return last;", "return -1;")
    with pytest.raises(ToolchainError, match="no such number of steps"):
        program((graph, source), compiler).run(np.zeros((1, *SHAPE), np.float32))


def test_the_benchmark_sees_a_difference(hand, compiler):
    from benchmarks.c_equality import Build

    images = np.full((2, *SHAPE), 7, np.float32)
    graph, source = by_hand()
    source.body = source.body.replace("sum += x[i]", "sum += x[i] + (i == 23)")
    golden = program(hand, compiler).run(images, record="spikes")
    right, wrong = Build("right", program(hand, compiler)), Build("wrong", program((graph, source), compiler))
    for build in (right, wrong):
        build.compare(images, golden)
    assert str(right) == "equal"
    assert str(wrong).startswith("output")
