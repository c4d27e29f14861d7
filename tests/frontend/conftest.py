"""A network whose forward pass is given as a function, with layers a test may use."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

import pytest
import torch
from torch import fx, nn

import spikec as tc
from spikec.frontend import canonicalize
from spikec.frontend.modules import (
    AveragePool,
    ChannelAffine,
    Convolution,
    Dense,
    FlattenAll,
    Lift,
    LinearMap,
    Lower,
    Rectifier,
    Staircase,
)


class Network(nn.Module):
    """``run(network, x)`` is the forward pass; images are [N, 4, 8, 6]."""

    def __init__(self, run, **layers):
        super().__init__()
        self.run = run
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.other = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = _random_statistics(nn.BatchNorm2d(4))
        self.relu = nn.ReLU()
        self.linear = nn.Linear(4 * 8 * 6, 3)
        self.small = nn.Linear(4, 3)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.run(self, x)

    def head(self, x):
        """ReLU, flatten, readout."""
        return self.linear(torch.flatten(self.relu(x), 1))


def _random_statistics(norm):
    with torch.no_grad():
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.3, 2)
        if norm.affine:
            norm.weight.normal_()
            norm.bias.normal_()
    return norm


@pytest.fixture
def network() -> Callable[..., nn.Module]:
    """``network(run, **layers)``: a network in evaluation mode, the same weights every time."""

    def build(run, **layers):
        torch.manual_seed(0)
        return Network(run, **layers).eval()

    return build


@pytest.fixture
def random_statistics() -> Callable[[nn.Module], nn.Module]:
    """Batch normalisation as after training: random means, variances, scales and shifts."""
    return _random_statistics


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 4, 8, 6, generator=torch.Generator().manual_seed(1)) - 0.3


_CLOSED_LIST = (
    AveragePool, ChannelAffine, Convolution, Dense, FlattenAll, Lift, LinearMap, Lower, Rectifier, Staircase,
)  # fmt: skip


@pytest.fixture
def assert_equal() -> Callable[..., fx.GraphModule]:
    """``assert_equal(module, images)``: the canonical graph, traced with two of the images, equals the module on all.

    Nothing but the closed list of operations is in it. Returns the canonical graph.
    """

    def check(module, images):
        graph = canonicalize(module, images[:2])
        with torch.no_grad():
            expected, found = module(images.clone()), graph(images)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
        for node in graph.graph.nodes:
            if node.op == "call_module":
                assert isinstance(graph.get_submodule(node.target), _CLOSED_LIST)
            else:
                assert node.op in ("placeholder", "output") or node.target in (torch.cat, operator.add)
        return graph

    return check


@pytest.fixture
def assert_refused(network, images) -> Callable[..., None]:
    """``assert_refused(hint, operation, run, layer, file=...)``: a network is refused with this sentence and its line.

    ``layer`` stands at ``n.layer``; ``n`` has some constants too.
    """

    def check(hint, operation, run, layer=None, *, file):
        constants = {
            "matrix": torch.rand(6, 6),
            "square": torch.rand(4, 4),
            "pixels": torch.rand(1, 1, 8, 6),
            "mask": torch.rand(8, 6) > 0.5,
            "zeros": torch.zeros(2, 1, 8, 6),
            "low": torch.zeros(4, 1, 1),
            "high": torch.rand(4, 1, 1),
            "mix": nn.Conv2d(2, 4, 1),
        }
        model = network(run, **constants, **({} if layer is None else {"layer": layer}))
        with pytest.raises(tc.UnsupportedOperation) as error:
            tc.convert(model, tc.QCFS(timesteps=4), example=images, calibration=images)
        pattern = rf"  {re.escape(file)}:\d+( \(\S+\))?: {re.escape(operation)}: {re.escape(hint)}"
        assert any(re.fullmatch(pattern, line) for line in str(error.value).splitlines()[1:]), str(error.value)

    return check
