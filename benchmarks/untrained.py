"""Integer graphs of zoo architectures with random weights: for what depends on shapes and widths alone."""

from __future__ import annotations

import torch
from torch import nn

import spikec as tc
from spikec.analysis.formats import load_format
from spikec.ir import IntegerGraph
from spikec.models.zoo import REGISTRY
from spikec.quantization.lowering import integer_graph


def untrained_graph(name: str) -> IntegerGraph:
    """``name`` of the zoo with 10 classes, 4 steps, int8 weights per layer; its ranges are not checked."""
    torch.manual_seed(0)
    architecture = REGISTRY[name]
    model = architecture.build(10, architecture.input_shape[0], nn.ReLU).eval()
    images = torch.rand(1, *architecture.input_shape)
    network = tc.convert(model, tc.QCFS(timesteps=4), example=images, calibration=images)
    return integer_graph(network, tc.Int8(), load_format("generic24"))
