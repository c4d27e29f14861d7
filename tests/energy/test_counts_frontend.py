"""Counts of networks as people write them, from torch modules, against explicit lists of synapses."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.energy.counts import count
from spikec.ir.operations import Affine, Convolution, Flatten, SumPool


class Signal(nn.Module):
    """1-d convolutions, one with stride and dilation, then a concatenation."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(2, 4, 3, padding=1)
        self.left, self.right = nn.Conv1d(4, 3, 3, stride=2, padding=2, dilation=2), nn.Conv1d(4, 3, 1, stride=2)
        self.acts = nn.ModuleList(tc.ClipFloorShift(4, 0.8) for _ in range(3))
        self.head = nn.Linear(6 * 6, 3)

    def forward(self, x):
        x = self.acts[0](self.stem(x))
        both = torch.cat([self.acts[1](self.left(x)), self.acts[2](self.right(x))], dim=1)
        return self.head(both.flatten(1))


class Image(nn.Module):
    """Grouped and depthwise convolutions, an identity skip, a concatenation, a pool before a convolution."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.grouped, self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.merge = nn.Conv2d(8, 3, 1)
        self.acts = nn.ModuleList(tc.ClipFloorShift(4, 0.8) for _ in range(4))
        self.head = nn.Linear(3 * 9, 3)

    def forward(self, x):
        x = self.acts[0](self.stem(x))
        skipped = self.acts[1](self.grouped(x) + x)
        other = self.acts[2](self.depthwise(x))
        merged = self.acts[3](self.merge(nn.functional.avg_pool2d(torch.cat([skipped, other], 1), 2)))
        return self.head(merged.flatten(1))


def synapses(node):
    """(source index, target index, weight) of every connection, flat, by the definition of each operation."""
    if isinstance(node, Affine):
        for o, i in itertools.product(*map(range, node.weight.shape)):
            yield i, o, int(node.weight[o, i])
    elif isinstance(node, Flatten):
        for i in range(int(np.prod(node.input_shape))):
            yield i, i, 1
    elif isinstance(node, SumPool):
        (kh, kw), (channels, rows, columns) = node.kernel, node.output_shape
        for c, y, x, u, v in itertools.product(*map(range, (channels, rows, columns, kh, kw))):
            source = (c, y * node.stride[0] + u, x * node.stride[1] + v)
            yield _flat(source, node.input_shape), _flat((c, y, x), node.output_shape), 1
    else:
        assert isinstance(node, Convolution)
        inputs, outputs = node.weight.shape[1], node.weight.shape[0] // node.groups
        top, bottom, left, right = node.margin  # rows and columns of the kernel that are no synapses
        taps = range(top, node.weight.shape[2] - bottom), range(left, node.weight.shape[3] - right)
        for o, y, x in itertools.product(*map(range, node.output_shape)):
            for i, u, v in itertools.product(range(inputs), *taps):
                row = y * node.stride[0] - node.padding[0] + u * node.dilation[0]
                column = x * node.stride[1] - node.padding[1] + v * node.dilation[1]
                if 0 <= row < node.input_shape[1] and 0 <= column < node.input_shape[2]:
                    source = (o // outputs * inputs + i, row, column)
                    yield (
                        _flat(source, node.input_shape),
                        _flat((o, y, x), node.output_shape),
                        int(node.weight[o, i, u, v]),
                    )


def _flat(index, shape):
    return int(np.ravel_multi_index(index, shape))


def entering(graph, trace, name, times, only_nonzero):
    """Events per input cell of a node: spikes of populations, or what sums and pools without neurons pass on."""
    total = Counter()
    for source in graph.nodes[name].sources:
        node = graph.nodes[source]
        if node is graph.input:
            total.update({i: times * int(n) for i, n in enumerate(trace.input_events.ravel())})
        elif source in trace.events:
            total.update({i: int(n) for i, n in enumerate(trace.events[source].sum(axis=0).ravel())})
        else:
            before = entering(graph, trace, source, times, only_nonzero)
            for pre, post, weight in synapses(node):
                if weight or not only_nonzero:
                    total[post] += before[pre]
    return total


@pytest.mark.parametrize(
    ("network", "shape"), [(Signal, (2, 12)), (Image, (1, 6, 6))], ids=["1-d, concatenation", "groups, skip, pool"]
)
@pytest.mark.parametrize(
    "method",
    [tc.QCFS(timesteps=3), tc.ErrorCompensation(timesteps=3), tc.Graded(), tc.QCFS(timesteps=3, schedule="layerwise")],
    ids=lambda m: f"{m.name} {m.schedule}",
)
def test_every_synop_is_an_event_on_a_connection(network, shape, method):
    torch.manual_seed(0)
    images = torch.rand(3, *shape).mul(255).round().div(255)
    graph = tc.decode(tc.lower(tc.convert(network().eval(), method, example=images)))
    trace = tc.simulate(graph, images.numpy())
    counts = count(graph, trace)
    assert {type(graph.nodes[name]) for name in counts.synapses} <= {Convolution, Affine}
    assert counts.synapses
    for name, found in counts.synapses.items():
        connections = list(synapses(graph.nodes[name]))
        for total, only_nonzero in ((found.synops, False), (found.synops_nonzero, True)):
            events = entering(graph, trace, name, method.timesteps, only_nonzero)
            assert total == sum(events[pre] for pre, _, weight in connections if weight or not only_nonzero), name
