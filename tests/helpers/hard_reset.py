"""An independent simulation of the hard-reset approximation: plain numpy, and convolutions of torch in float64."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F

from spikec.ir.coding import InputNode
from spikec.ir.graph import Population, Readout
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool


def hard_reset(graph, integers) -> SimpleNamespace:
    """``output, counts, spikes`` of a chain of layers whose neurons fire at theta, reset to 0 and start at 0."""
    steps = graph.timesteps
    values = {}
    spikes = {}
    for node in graph:
        x = values[node.sources[0]] if node.sources else None  # [N, T, ...]
        if isinstance(node, InputNode):
            out = np.repeat(np.asarray(integers)[:, None], steps, axis=1)
        elif isinstance(node, Convolution):
            flat = torch.from_numpy(x.reshape(-1, *x.shape[2:])).double()
            weight, bias = torch.from_numpy(node.weight).double(), torch.from_numpy(node.bias).double()
            maps = F.conv2d(flat, weight, bias, node.stride, node.padding, node.dilation, node.groups)
            out = maps.numpy().astype(np.int64).reshape(*x.shape[:2], *node.output_shape)
        elif isinstance(node, Affine):
            out = np.array([[node.weight @ step + node.bias for step in image] for image in x])
        elif isinstance(node, SumPool):
            (kh, kw), (_, rows, columns) = node.kernel, node.output_shape
            cut = x[..., : rows * kh, : columns * kw]
            out = cut.reshape(*cut.shape[:3], rows, kh, columns, kw).sum(axis=(4, 6))
        elif isinstance(node, Flatten):
            out = x.reshape(*x.shape[:2], -1)
        elif isinstance(node, Population):
            out = spikes[node.name] = _fired(x, node.theta)
        elif isinstance(node, Readout):
            out = output = x.sum(axis=1)
        else:
            raise AssertionError(
                f"the oracle does not know the operation {type(node).__name__}: write it in {__name__}"
            )
        assert isinstance(node, InputNode) or np.abs(x).sum(axis=1).max() < 2**17  # nothing wraps or saturates
        values[node.name] = out
    return SimpleNamespace(output=output, spikes=spikes, counts={k: s.sum(axis=1) for k, s in spikes.items()})


def _fired(x, theta):
    """Spikes [N, T, *shape] for the input ``x`` of every step."""
    out = np.zeros_like(x)
    for image, train in zip(x, out, strict=True):
        v = np.zeros(x.shape[2:], np.int64)
        for z, sent in zip(image, train, strict=True):
            v = v + z
            sent[...] = v >= theta
            v[sent == 1] = 0
    return out
