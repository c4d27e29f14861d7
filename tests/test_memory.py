"""Work that cannot fit the memory is refused with the number, before it ends the process."""

from __future__ import annotations

import numpy as np
import pytest

import spikec as tc
from spikec import memory
from spikec.analysis.ranges import bounds


def test_there_is_memory():
    assert 2**27 < memory.usable_memory() < 2**50


def test_the_group_of_a_process_may_have_less(monkeypatch, tmp_path):
    limit, open_ended = tmp_path / "limit", tmp_path / "max"
    limit.write_text("12345\n")
    open_ended.write_text("max\n")
    monkeypatch.setattr(memory, "_GROUPS", (open_ended, tmp_path / "none", limit))
    assert memory.usable_memory() == 12345
    monkeypatch.setattr(memory, "_GROUPS", (open_ended,))
    assert memory.usable_memory() > 12345


def test_the_sizes_are_named(monkeypatch):
    monkeypatch.setattr(memory, "usable_memory", lambda: 2 * 10**9)
    memory.require_memory("a map", 2 * 10**9, "shrink it")
    with pytest.raises(tc.RangeError, match=r"^a map would need about 3\.5 GB of memory, there are 2 GB; shrink it$"):
        memory.require_memory("a map", int(3.5 * 10**9), "shrink it")


def test_an_image_that_does_not_fit_is_refused(one_layer, monkeypatch):
    graph = one_layer(weight=np.ones((50, 4), int), bias=np.zeros(50, int), theta=9, timesteps=2**12)
    image = np.ones((1, 4))
    assert tc.simulate(graph, image, measure=True).output.shape == (1, 50)
    monkeypatch.setattr(memory, "usable_memory", lambda: 10**6)
    with pytest.raises(tc.RangeError, match=r"^one image would need about .* GB of memory, there are 0\.001 GB"):
        tc.simulate(graph, image, measure=True)
    monkeypatch.setattr(memory, "usable_memory", lambda: 50)
    with pytest.raises(tc.RangeError, match=r"^\w+: the bounds of its 50 outputs would need about"):
        bounds(graph)
