"""Several outputs, of any shape, in Lava: random graphs against plain loops, and converted networks."""

import numpy as np
import pytest
import torch
from helpers.graphs import random_images, random_outputs
from helpers.oracle import oracle
from helpers.traces import equals_loops
from torch import nn
from torch.nn import functional as F

import spikec as tc
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import IF
from spikec.ir.operations import Affine

pytestmark = pytest.mark.lava

CASES = [
    # seed, graph, options
    (1, {"kind": "if"}, {"input": "graded"}),
    (2, {"kind": "if", "small": False, "constant": False}, {}),
    (4, {"kind": "if", "schedule": "layerwise"}, {"input": "graded"}),
    (6, {"kind": "graded", "schedule": "layerwise", "timesteps": 1, "maxima": True}, {"input": "graded"}),
    (7, {"kind": "calibrated_if", "maxima": True}, {"input": "graded"}),
]


@pytest.mark.parametrize(("seed", "kwargs", "options"), CASES, ids=lambda c: str(c) if isinstance(c, int) else None)
def test_equals_plain_loops(lava, seed, kwargs, options):
    rng = np.random.default_rng(seed)
    graph = random_outputs(rng, **kwargs)
    integers = random_images(rng, graph, 3)
    trace = lava.compile(graph, **options).run(integers * graph.input.scale, record="spikes")
    expected = oracle(graph, integers)
    equals_loops(trace, graph, expected)
    assert trace.overflows == expected.overflows


class Heads(nn.Module):
    """Small images to a mask of the same size, classes and features: a trunk with a skip, and three heads."""

    def __init__(self, *kept):
        super().__init__()
        self.kept = kept
        self.first, self.down = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.mask, self.fc = nn.Conv2d(4, 3, 3, padding=1), nn.Linear(6 * 3 * 2, 5)

    def forward(self, x):
        fine = F.relu(self.first(x))
        coarse = F.relu(self.down(fine))
        found = {"mask": self.mask(fine), "classes": self.fc(coarse.flatten(1)), "features": coarse}
        return found[self.kept[0]] if len(self.kept) == 1 else {name: found[name] for name in self.kept}


@pytest.mark.parametrize(
    ("kept", "method"),
    [
        (("mask", "classes", "features"), tc.QCFS(timesteps=3)),
        (("mask",), tc.ErrorCompensation(timesteps=3, schedule="layerwise")),
    ],
    ids=["three", "one"],
)
def test_converted_networks(lava, kept, method):
    torch.manual_seed(0)
    images = torch.rand(4, 2, 6, 4)
    graph = tc.lower(tc.convert(Heads(*kept).eval(), method, example=images, calibration=images))
    trace = lava.compile(graph).run(images.numpy(), record="spikes")
    golden = tc.simulate(graph, images, record="spikes")
    assert tc.compare(golden, trace) is None
    names = ("output",) if len(kept) == 1 else kept
    assert list(trace.outputs) == list(names)
    for name in names:
        np.testing.assert_array_equal(trace.logits_of(name), golden.logits_of(name))


def test_signals(lava):
    torch.manual_seed(0)
    signals = torch.rand(2, 2, 6)
    model = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 3, 1)).eval()
    graph = tc.lower(tc.convert(model, tc.QCFS(timesteps=2), example=signals, calibration=signals))
    trace = lava.compile(graph).run(signals.numpy(), record="spikes")
    assert trace.output.shape == (2, 3, 6)
    assert tc.compare(tc.simulate(graph, signals, record="spikes"), trace) is None


def test_parts_that_share_nothing_but_the_image(lava):
    rng = np.random.default_rng(0)
    nodes = [InputNode("input", (3,), "int8", 1.0)]
    for name in ("a", "b"):
        weight, theta = rng.integers(-9, 10, (4, 3)), np.full(4, 9)
        nodes += [
            Affine(f"w.{name}", ("input",), (3,), (4,), weight, rng.integers(-9, 10, 4)),
            Population(name, (f"w.{name}",), (4,), IF(), theta, theta // 2),
            Readout(f"readout.{name}", (name,), (4,), np.zeros(4, np.int64), 1.0, output=name),
        ]
    graph = IntegerGraph({node.name: node for node in nodes}, 3, "pipelined")
    integers = rng.integers(-99, 100, (2, 3))
    images = integers.astype(float)
    with pytest.raises(tc.DoesNotFit, match=r"share nothing but the image \(a and b\), .*\(input='graded'\)"):
        lava.compile(graph).run(images)
    trace = lava.compile(graph, input="graded").run(images, record="spikes")
    equals_loops(trace, graph, oracle(graph, integers))
