"""Matrices that make images: Lava equals the golden model on every spike."""

from __future__ import annotations

import pytest
import torch
from helpers.linear_maps import around

import spikec as tc

_IMAGES = torch.randint(0, 256, (4, 2, 4, 4), generator=torch.Generator().manual_seed(1)) / 255


@pytest.mark.lava
@pytest.mark.parametrize("name", ["transposed", "constant", "turned"])
def test_lava_equals_the_golden_model(name, lava):
    spiking = around(name, seed=3, before="", after="scale", beside=True, example=_IMAGES)
    graph = tc.lower(spiking, force=True)
    golden = tc.simulate(graph, _IMAGES, record="spikes")
    assert golden.counts["n2"].sum() > 20
    assert tc.compare(golden, lava.compile(graph).run(_IMAGES, record="spikes")) is None
