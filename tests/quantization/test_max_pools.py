"""Networks with max pools, lowered: the file executed by other code, torch's own pool on the counts, certificates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.nir_executor import execute_nir, integer_levels
from torch import nn

import spikec as tc
from spikec.ir import MaxPool, decode
from spikec.ir.kinds import Maximum
from spikec.ir.pools import memoryless
from spikec.simulation.sent import levels_sent

METHODS = {
    "if": tc.QCFS(timesteps=3),
    "if, layerwise": tc.QCFS(timesteps=3, schedule="layerwise"),
    "if, 3 spikes": tc.QCFS(timesteps=2, spikes=3),
    "signed": tc.ErrorCompensation(timesteps=3, drain=2),
    "signed, layerwise": tc.ErrorCompensation(timesteps=3, schedule="layerwise"),
    "calibrated": tc.OffsetSpikes(timesteps=2, rho=3),
    "bits": tc.ErrorFree(timesteps=3),
    "graded": tc.Graded(levels=7),
}
LOSSLESS = ("if, layerwise", "signed, layerwise", "bits", "graded")


class Net(nn.Module):
    """A pool of the image, one behind a ReLU, one before, one without, one of a concatenation, one at the end."""

    def __init__(self):
        super().__init__()
        self.first, self.pool = nn.Conv2d(2, 4, 3, padding=1), nn.MaxPool2d(3, 2, 1)
        self.left, self.right = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.mid, self.last = nn.Conv2d(7, 5, 3, padding=1), nn.Linear(6, 3)
        self.head = nn.Conv2d(5, 6, 1)

    def forward(self, x):
        x = F.relu(self.first(F.max_pool2d(x, 2, 1)))
        x = self.pool(x)
        x = torch.cat([F.relu(self.left(x)), F.relu(self.right(x))], 1)
        x = self.mid(F.max_pool2d(x, 2, 1, dilation=1, ceil_mode=True))
        x = F.relu(F.max_pool2d(x, 2, ceil_mode=True))
        return self.last(F.adaptive_max_pool2d(self.head(x), 1).flatten(1))


@pytest.fixture(scope="module")
def images():
    return torch.rand(8, 2, 9, 8, generator=torch.Generator().manual_seed(0)) - 0.3


@pytest.fixture(scope="module", params=list(METHODS))
def lowered(request, images):
    torch.manual_seed(1)
    network = Net().eval()
    spiking = tc.convert(network, METHODS[request.param], example=images, calibration=images)
    return request.param, network, spiking, tc.lower(spiking, tc.Int8(per="channel"))


def test_pools_are_pools_in_the_file(lowered, images, tmp_path):
    name, _, _, graph = lowered
    integer = decode(graph)
    maxima = [p for p in integer.populations if isinstance(p.neuron, Maximum)]
    assert [p.name for p in maxima] == [
        "pool",
        "max_pool2d_1_1",
        "max_pool2d_1_2",
        "max_pool2d_2",
        "adaptive_max_pool2d",
    ]
    assert sum(isinstance(node, MaxPool) for node in integer) == 6  # and that of the image
    assert "kind=max_pool" in str(graph.metadata["spikec"]["requires"])
    assert all(memoryless(integer, p) for p in maxima) == (name in ("if, layerwise", "signed, layerwise"))
    loaded = tc.load(tc.save(graph, tmp_path / "net.nir"))
    trace, expected = tc.simulate(loaded, images, record="spikes"), execute_nir(loaded, images)
    for layer, spikes in expected.spikes.items():
        np.testing.assert_array_equal(trace.spikes[layer], spikes, err_msg=layer)
    np.testing.assert_array_equal(trace.output, expected.output)


def test_torch_pools_the_counts_alike(lowered, images):
    _, _, _, graph = lowered
    integer = decode(graph)
    trace = tc.simulate(graph, images, record="spikes")
    sent = {p.name: torch.as_tensor(levels_sent(integer, p, trace)).double() for p in integer.populations}
    pools = {"pool": nn.MaxPool2d(3, 2, 1), "max_pool2d_2": nn.MaxPool2d(2, ceil_mode=True)}
    pools |= {f"max_pool2d_1_{i}": nn.MaxPool2d(2, 1, ceil_mode=True) for i in (1, 2)}
    pools["adaptive_max_pool2d"] = nn.AdaptiveMaxPool2d(1)
    for layer, pool in pools.items():
        source = integer.nodes[integer.nodes[layer].sources[0]].sources[0]
        np.testing.assert_array_equal(sent[layer].numpy(), pool(sent[source]).numpy(), err_msg=layer)


def test_certificate_and_accuracy_of_the_float_network(lowered, images):
    name, network, spiking, graph = lowered
    found = tc.certify(graph, images.numpy())
    if name in LOSSLESS:
        assert found.lossless
        assert found.proof
        integer, trace = decode(graph), tc.simulate(graph, images, record="spikes")
        levels, output = integer_levels(graph, images)
        for layer, expected in levels.items():
            np.testing.assert_array_equal(levels_sent(integer, integer.nodes[layer], trace), expected, err_msg=layer)
        np.testing.assert_array_equal(trace.output, output)
    with torch.no_grad():
        exact, float_logits = network(images), spiking(images)
    logits = torch.as_tensor(tc.simulate(graph, images).logits)
    scale = float(exact.abs().max())
    assert float((float_logits - logits).abs().max()) < 0.25 * scale
    assert float((exact - logits).abs().max()) < 0.5 * scale
