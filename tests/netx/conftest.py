"""Random networks that netx can hold, and an independent simulation of the hard-reset approximation."""

import importlib.util
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from targets.lava import LavaTarget
from targets.netx import as_chain
from toolchain.errors import DoesNotFit
from toolchain.ir.integer import Affine, Convolution, Flatten, InputNode, Population, SumPool


@pytest.fixture(scope="session")
def lava_dl():
    """Skips the test where Lava or lava-dl is not installed."""
    missing = LavaTarget.available()
    if missing is not None or importlib.util.find_spec("lava.lib") is None:
        pytest.skip(missing or "lava-dl is not installed")


@pytest.fixture(scope="session")
def feedforward(random_graph):
    """``feedforward(rng, pools=None, uniform=False, **random_graph options)``: the first that netx can hold.

    ``pools``: with a pool, or without; ``uniform``: one threshold per layer, readout from 0.
    """

    def draw(rng, *, pools=None, uniform=False, **options):
        while True:
            graph = random_graph(rng, **options)
            found = any(isinstance(node, SumPool) for node in graph)
            if uniform:
                graph = replace(graph, nodes={name: _uniform(node) for name, node in graph.nodes.items()})
            try:
                as_chain(graph)
            except DoesNotFit:
                continue
            if pools in (None, found):
                return graph

    return draw


def _uniform(node):
    if isinstance(node, Population):
        return replace(node, theta=np.full_like(node.theta, node.theta.max()))
    return replace(node, v_init=np.zeros_like(node.v_init)) if node.name == "readout" else node


@pytest.fixture(scope="session")
def hard_reset_oracle():
    """``hard_reset_oracle(graph, integers) -> output, counts, spikes``: fires at theta, resets to 0, starts at 0."""

    def run(graph, integers):
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
                out = np.zeros_like(x)
                for image, train in zip(x, out, strict=True):
                    v = np.zeros(node.shape, np.int64)
                    for z, sent in zip(image, train, strict=True):
                        v = v + z
                        sent[...] = v >= node.theta
                        v[sent == 1] = 0
                spikes[node.name] = out
            else:
                output = x.sum(axis=1)
            assert isinstance(node, InputNode) or np.abs(x).sum(axis=1).max() < 2**17  # nothing wraps or saturates
            values[node.name] = out
        return SimpleNamespace(output=output, spikes=spikes, counts={k: s.sum(axis=1) for k, s in spikes.items()})

    return run
