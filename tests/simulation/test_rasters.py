"""Types of recorded rasters: int8 wherever it holds every emission."""

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc


@pytest.mark.parametrize(("levels", "dtype"), [(4, np.int8), (127, np.int8), (128, np.int16), (1000, np.int16)])
def test_graded_spikes_are_int8_where_they_fit(levels, dtype):
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), tc.ClipFloorShift(4, 1.0), nn.Linear(3, 2)).eval()
    images = torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    graph = tc.lower(tc.convert(network, tc.Graded(levels=levels), example=images))
    trace = tc.simulate(graph, images, record="spikes")
    assert trace.spikes["2"].dtype == dtype
    np.testing.assert_array_equal(trace.spikes["2"].sum(1), trace.counts["2"])
