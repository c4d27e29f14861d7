"""A network that is too large for 24 bits: made to fit, located, and wrapped as Lava's own Conv wraps it."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.analysis.formats import load_format
from spikec.ir import decode

pytestmark = pytest.mark.lava


@pytest.fixture(scope="module")
def overflowing():
    """Sums of 288 pixels of up to 255 times weights of up to 127: 9.3 million at most, and 8.4 million fit."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(32, 3, 3), tc.ClipFloorShift(4, 60.0), nn.Conv2d(3, 4, 2), tc.ClipFloorShift(4, 2.0),
        nn.Flatten(), nn.Linear(16, 3),
    ).eval()  # fmt: skip
    with torch.no_grad():
        network[0].weight.copy_(1 - 0.1 * torch.rand(network[0].weight.shape))
        network[0].weight[2] *= -1
        network[0].bias.zero_()
    images = torch.rand(4, 32, 5, 5)
    images[:2] *= 0.3
    images[2:] = 1 - 0.05 * images[2:]  # bright: these overflow
    return tc.convert(network, tc.QCFS(timesteps=4), example=images), images


@pytest.fixture(scope="module")
def wide(overflowing, tmp_path_factory):
    """The network lowered for registers of 40 bits, which do not make its units coarser."""
    file = tmp_path_factory.mktemp("formats") / "wide.toml"
    text = files("spikec.analysis").joinpath("number_formats/format_generic24.toml").read_text()
    text = text.replace('"generic24"', '"wide"')
    for name in ("accumulator_max", "membrane_max"):
        text = text.replace(f"{name} = 8388607", f"{name} = {2**39 - 1}")
    file.write_text(text)
    return replace(decode(tc.lower(overflowing[0], format=str(file))), format="generic24")


def test_units_become_coarser_until_it_fits(overflowing):
    network, images = overflowing
    with pytest.warns(UserWarning, match="units are coarser"):
        graph = tc.lower(network)
    tc.simulate(graph, images, overflow="strict")


def test_the_strict_model_names_the_first_overflow(overflowing, wide):
    graph, images = wide, overflowing[1]
    with pytest.raises(tc.RangeError, match=r"^0: the accumulator of neuron \[0, 0, 0\] reaches 8\d{6} on image 2, "):
        tc.simulate(graph, images, overflow="strict")
    tc.simulate(graph, images[:2], overflow="strict")


def test_wrapping_equals_stock_conv(lava, overflowing, wide, monkeypatch):
    """The image is sent to Lava's Conv, whose sums wrap; our neurons behind it hold 64 bits."""
    graph, images = wide, overflowing[1]
    with pytest.raises(tc.RangeError, match="the 24-bit accumulator of Lava's Conv holds 8388607"):
        lava.compile(graph, input="graded", stock=True)
    monkeypatch.setattr("spikec.targets.lava.program.check_ranges", lambda *_, **__: None)
    real = lava.compile(graph, input="graded", stock=True).run(images, record="spikes")
    form = replace(load_format("generic24"), membrane_max=2**40)
    model = tc.simulate(graph, images, overflow="wrap", format=form, record="spikes")
    assert tc.compare(real, model) is None
    assert model.overflows["0: accumulator"] > 0
    assert tc.compare(real, tc.simulate(graph, images, record="spikes")) is not None
    np.testing.assert_array_equal(real.output[:2], tc.simulate(graph, images[:2]).output)
