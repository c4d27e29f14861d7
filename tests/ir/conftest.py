"""Small sound deployments that together use every part of the profile."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import nir
import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.ir.profile.hashes import content_sha256


class _Network(nn.Module):
    """Grouped, rectangular and asymmetrically padded convolutions, a residual sum, a pool and a hidden layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, groups=2)
        self.spikes = tc.ClipFloorShift(levels=4, threshold=0.5)
        self.tall = nn.Conv2d(4, 4, (1, 3), padding="same")
        self.padded = nn.Sequential(nn.ZeroPad2d((1, 0, 2, 0)), nn.Conv2d(4, 4, (3, 2)))
        self.merged = tc.ClipFloorShift(levels=4, threshold=0.7)
        self.pool = nn.AvgPool2d(2)
        self.hidden = nn.Linear(36, 5)
        self.last = tc.ClipFloorShift(levels=4, threshold=0.4)
        self.classes = nn.Linear(5, 3)

    def forward(self, x):
        x = self.spikes(self.stem(x))
        x = self.merged(self.tall(x) + self.padded(x) + x)
        return self.classes(self.last(self.hidden(torch.flatten(self.pool(x), 1))))


class _Maxima(nn.Module):
    """Max pools: of the image, with partial windows, dilated, adaptive; one that reads another."""

    def __init__(self):
        super().__init__()
        self.first = nn.MaxPool2d(2, 1)
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.spikes = tc.ClipFloorShift(levels=4, threshold=0.5)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.dilated = nn.MaxPool2d(2, 1, dilation=2)
        self.adaptive = nn.AdaptiveMaxPool2d((3, 2))
        self.classes = nn.Linear(28, 3)

    def forward(self, x):
        x = self.spikes(self.conv(self.first(x)))
        y = self.pool(x)
        return self.classes(torch.cat([self.dilated(y).flatten(1), self.adaptive(x).flatten(1)], 1))


_METHODS = {
    "qcfs": tc.QCFS(timesteps=3),
    "layerwise": tc.QCFS(timesteps=3, schedule="layerwise"),
    "signed": tc.ErrorCompensation(timesteps=3, negative=0.1, drain=2),
    "calibrated": tc.OffsetSpikes(timesteps=2, rho=4),
    "bits": tc.ErrorFree(timesteps=3),
    "graded": tc.Graded(),
}


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    return torch.rand(4, 2, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def _deployments(images):
    torch.manual_seed(0)
    network = _Network().eval()
    graphs = {name: tc.lower(tc.convert(network, method, example=images)) for name, method in _METHODS.items()}
    rectangular = nn.Sequential(
        nn.Conv2d(2, 3, (2, 3)), tc.ClipFloorShift(levels=4, threshold=0.5), nn.Flatten(), nn.Linear(60, 3)
    ).eval()
    spiking = tc.convert(rectangular, _METHODS["qcfs"], example=images)
    maxima = tc.convert(_Maxima().eval(), tc.ErrorCompensation(timesteps=3), example=images)
    return graphs | {
        "rectangular": tc.lower(spiking, tc.Int8(per="channel")),
        "maxima": tc.lower(maxima, tc.Int8(per="channel")),
    }


DEPLOYMENTS = [*_METHODS, "rectangular", "maxima"]


@pytest.fixture(params=DEPLOYMENTS)
def any_deployment(request, _deployments) -> nir.NIRGraph:
    """Each deployment in turn, a copy."""
    return copy.deepcopy(_deployments[request.param])


@pytest.fixture
def deployment(_deployments) -> Callable[[str], nir.NIRGraph]:
    """``deployment(name)``: a copy of one of them."""
    return lambda name: copy.deepcopy(_deployments[name])


def _own(graph, node=None):
    return (graph if node is None else graph.nodes[node]).metadata["spikec"]


def _set(graph, key, value, node=None):
    """Metadata of the graph or of a node."""
    _own(graph, node)[key] = value


def _drop(graph, key, node=None):
    del _own(graph, node)[key]


def _bare(graph):
    graph.metadata.clear()


def _requires(graph, *items):
    _set(graph, "requires", json.dumps(list(items)))


def _reverse(graph):
    _set(graph, "node_order", json.dumps(json.loads(str(_own(graph)["node_order"]))[::-1]))


def _field(graph, node, field, value):
    setattr(graph.nodes[node], field, value)


def _shape(graph, node, shape):
    """The shape a node declares."""
    types = graph.nodes[node].output_type if node == "output" else graph.nodes[node].input_type
    types[next(iter(types))] = np.array(shape)


def _array(graph, node, field, index, value, integers=""):
    """One value of a node, and of its integers in the metadata where they are named."""
    array = np.array(getattr(graph.nodes[node], field))
    array[index] = value
    setattr(graph.nodes[node], field, array)
    if integers:
        stored = np.array(_own(graph, node)[integers])
        stored[index] = value
        _own(graph, node)[integers] = stored


def _connect(graph, *edges):
    graph.edges = [*graph.edges, *edges]


def _disconnect(graph, *edges):
    graph.edges = [edge for edge in graph.edges if tuple(edge) not in edges]


def _rename(graph, old, new):
    graph.nodes = {new if name == old else name: node for name, node in graph.nodes.items()}
    graph.edges = [tuple(new if end == old else end for end in edge) for edge in graph.edges]
    _set(graph, "node_order", json.dumps(list(graph.nodes)))


def _add(graph, name, node, *edges):
    graph.nodes[name] = node
    graph.edges = [*graph.edges, *edges]
    _set(graph, "node_order", json.dumps(list(graph.nodes)))


def _all(graph, *edits):
    for edit in edits:
        _EDITS[edit[0]](graph, *edit[1:])


_EDITS = {
    function.__name__[1:]: function
    for function in (
        *(_set, _drop, _bare, _requires, _reverse, _field, _shape),
        *(_array, _connect, _disconnect, _rename, _add, _all),
    )
}


@pytest.fixture
def edited(deployment) -> Callable[..., nir.NIRGraph]:
    """``edited(name, edit, rehash=True)``: a deployment after an edit, a tuple of a name above and its arguments.

    With ``rehash`` the content hash is made to fit, so that the edit itself must be what is refused.
    """

    def apply(name, edit, rehash=True):
        graph = deployment(name)
        _all(graph, edit)
        if rehash and "content_sha256" in _own(graph):
            _own(graph)["content_sha256"] = content_sha256(graph)
        return graph

    return apply
