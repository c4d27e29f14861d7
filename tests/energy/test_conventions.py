"""Other tools' numbers against their definitions, on rasters where these can be written in a line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolchain.energy import convention, count
from toolchain.errors import ToolchainError
from toolchain.simulation.trace import Trace


def executed(net, raster, pixels):
    """A trace of the emissions ``raster[name]`` [N, T, *shape]."""
    images = next(iter(raster.values())).shape[0]
    output = np.zeros((images, net.readout.shape[0]), dtype=np.int64)
    return Trace(
        output,
        output.astype(np.float32),
        {name: r.sum(axis=1).astype(np.int32) for name, r in raster.items()},
        {name: (r != 0).sum(axis=1).astype(np.int32) for name, r in raster.items()},
        input_events=pixels,
        timesteps=net.timesteps,
    )


@pytest.fixture
def case(make):
    """conv on spikes with stride, border and zero weights; (net, trace, raster) for emissions drawn from ``values``."""

    def build(values, kind="if", **options):
        rng = np.random.default_rng(0)
        net = make.graph(
            [
                make.input("input", (2, 7, 6), "uint8", 1.0),
                make.convolution("first", ["input"], (2, 7, 6), rng.integers(1, 3, (3, 2, 1, 1))),
                make.population("n", ["first"], (3, 7, 6), kind, **options),
                make.convolution("conv", ["n"], (3, 7, 6), rng.integers(-1, 2, (4, 3, 3, 3)), stride=2, padding=1),
                make.readout("readout", ["conv"], 4),
            ]
        )
        raster = rng.choice(values, (5, 4, 3, 7, 6))
        return net, executed(net, {"n": raster}, np.full((2, 7, 6), 5, dtype=np.int32)), raster

    return build


def run_conv(raster, weight):
    """Sum of the outputs of the layer run on ``raster``, as the tools do it."""
    x = torch.from_numpy(raster.reshape(-1, 3, 7, 6)).double()
    return float(torch.nn.functional.conv2d(x, torch.from_numpy(weight).double(), stride=2, padding=1).sum())


def test_neurobench_binarises_inputs_and_weights(case):
    net, trace, raster = case([-1, 0, 1], "signed_if")
    got = convention(net, trace, "neurobench").values
    expected = run_conv((raster != 0).astype(float), (net.nodes["conv"].weight != 0).astype(float)) / 5
    assert got["Effective_ACs"] == expected
    assert got["Effective_MACs"] == 4 * 2 * 7 * 6 * 3
    ones = run_conv(np.ones((1, 4, 3, 7, 6)), np.ones((4, 3, 3, 3)))
    assert got["Dense"] == ones + 4 * 2 * 7 * 6 * 3


def test_sinabs_weights_by_value(case):
    for values, kind, options in (([-1, 0, 1], "signed_if", {}), ([0, 3, 7], "graded", {"levels": 7})):
        net, trace, raster = case(values, kind, **options)
        got = convention(net, trace, "sinabs")
        assert got.values["synops"] == pytest.approx(run_conv(raster, np.ones((4, 3, 3, 3))) / 5)
        assert got.values["synops"] != got.ours["SynOps"]


def test_syops_multiplies_all_positions_by_the_rate(case):
    net, trace, raster = case([0, 1])
    got = convention(net, trace, "syops").values
    padded = 4 * 3 * 9 * 4 * 3
    assert got["ACs"] == pytest.approx(padded * 4 * raster.mean())
    assert got["MACs"] == 4 * 2 * 7 * 6 * 3
    assert got["joules"] == pytest.approx(got["ACs"] * 0.9e-12 + got["MACs"] * 4.6e-12)
    assert got["ACs"] > count(net, trace).synapses["conv"].synops / 5
    net, trace, raster = case([-1, 0, 1], "signed_if")
    assert convention(net, trace, "syops").values["ACs"] == 0


def test_keras_spiking_multiplies_connections_by_the_mean_rate(case):
    net, trace, raster = case([0, 1])
    got = convention(net, trace, "keras-spiking").values
    assert got["synops"] == pytest.approx(4 * 3 * 9 * 4 * 3 * 4 * raster.mean())
    neurons = 3 * 7 * 6 + 4
    assert got["joules"] == pytest.approx(got["synops"] * 27.1e-12 + neurons * 4 * 81e-12)


def test_notes_and_unknown_tools(case):
    net, trace, _ = case([-1, 0, 1], "signed_if")
    assert "cancel" in str(convention(net, trace, "sinabs"))
    with pytest.raises(ToolchainError, match="neurobench"):
        convention(net, trace, "nengo")
