"""``scale="spikes"``: finer units, where they change spike counts less than those that hold the largest weight."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import spikec as tc


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_counts_change_less_than_with_the_largest_weight(per):
    """Of the first layer, whose input is the same at every step: squared differences to the real weights."""
    lost = {"max": 0, "spikes": 0}
    for seed in range(3):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(40, 12), tc.ClipFloorShift(8, 0.5), nn.Linear(12, 3)).eval()
        with torch.no_grad():
            network[0].weight[:, 0] = 0.6  # one weight far beyond the others sets a unit that is coarse for these
        images = torch.randint(0, 256, (60, 40), generator=torch.Generator().manual_seed(seed)) / 255
        images[:, 0] = 0
        spiking = tc.convert(network, tc.QCFS(timesteps=8), example=images)
        with torch.no_grad():
            wanted = torch.floor(8 * network[0](images) / 0.5 + 0.5).clamp(0, 8).numpy()
        units = {}
        for scale in lost:
            graph = tc.decode(tc.lower(spiking, tc.Int8(bits=3, per=per, scale=scale)))
            lost[scale] += ((tc.simulate(graph, images).counts["1"] - wanted) ** 2).sum()
            units[scale] = (graph.populations[0].scale / graph.populations[0].theta).mean()
        assert units["spikes"] < units["max"]
    assert lost["spikes"] < 0.7 * lost["max"]
