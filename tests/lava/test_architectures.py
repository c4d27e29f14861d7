"""Networks with residual sums and depthwise convolutions: Lava equals the golden model on every spike."""

from __future__ import annotations

import pytest
import torch
from helpers.thorough import every_second
from torch import nn

import spikec as tc
from spikec.models.zoo import REGISTRY


def _with_statistics(network: nn.Module, seed: int) -> nn.Module:
    """Batch norm as after training: running statistics that let about half of the neurons fire."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


@pytest.mark.lava
@pytest.mark.parametrize(
    ("name", "images", "shape"), every_second([("resnet20", 4, (3, 32, 32)), ("mobilenetv1", 2, (3, 16, 16))])
)
def test_lava_equals_the_golden_model(name, images, shape, lava):
    torch.manual_seed(3)
    network = _with_statistics(REGISTRY[name].build(10, 3, nn.ReLU), seed=4)
    x = torch.randint(0, 256, (images, *shape), generator=torch.Generator().manual_seed(5)) / 255
    graph = tc.lower(tc.convert(network, tc.QCFS(timesteps=2), example=x, calibration=x))
    golden = tc.simulate(graph, x, record="spikes")
    assert sum(int(counts.sum()) for counts in golden.counts.values()) > 10_000
    assert tc.compare(golden, lava.compile(graph).run(x, record="spikes")) is None
