"""Where max pools stand in the canonical graph: behind neurons or at the image, whatever was written."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikec as tc
from spikec.frontend import MaxPool, canonicalize, is_activation, module_of


class Net(nn.Module):
    def __init__(self, forward, *, images=True):
        super().__init__()
        torch.manual_seed(0)
        kind = nn.Conv2d if images else nn.Conv1d
        self.conv, self.other = kind(2, 3, 3, padding=1), kind(2, 4, 3, padding=1)
        self.norm, self.one = nn.BatchNorm2d(3), kind(1, 3, 3)
        self.norm.weight.data = torch.tensor([0.5, 1.0, 2.0])
        self.norm.bias.data = torch.tensor([-0.2, 0.1, 0.3])
        self.turned = nn.BatchNorm2d(3)
        self.turned.weight.data = torch.tensor([0.5, -1.0, 2.0])
        self.layer, self.act = nn.MaxPool2d(3, 2, 1), tc.ClipFloorShift(levels=4, threshold=0.7)
        self.small = nn.LazyLinear(5)
        self.does = forward

    def forward(self, x):
        return self.small(self.does(self, x).flatten(1))


#: Network, and what stands before each of its pools.
_NETWORKS = {
    "behind an activation": (lambda n, x: F.max_pool2d(F.relu(n.conv(x)), 2), ["neurons"]),
    "before it": (lambda n, x: F.relu(F.max_pool2d(n.conv(x), 2)), ["neurons"]),
    "before a trained one": (lambda n, x: n.act(n.layer(n.conv(x))), ["neurons"]),
    "between two": (lambda n, x: F.relu(n.layer(F.relu(n.conv(x)))), ["neurons"]),
    "before a batch norm": (lambda n, x: F.relu(n.norm(n.layer(n.conv(x)))), ["neurons"]),
    "before one that turns a channel": (lambda n, x: F.relu(n.turned(n.layer(n.conv(x)))), ["neurons"]),
    "without any": (lambda n, x: n.layer(n.conv(x)), ["neurons"]),
    "of the image": (lambda n, x: F.relu(n.conv(n.layer(x))), ["image"]),
    "of a normalised image": (lambda n, x: F.relu(n.conv(n.layer((x - 0.3) / 0.2))), ["image"]),
    "of a pool": (lambda n, x: F.max_pool2d(n.layer(F.relu(n.conv(x))), 2), ["neurons", "pool"]),
    "of a concatenation": (
        lambda n, x: n.layer(torch.cat([F.relu(n.conv(x)), F.relu(n.other(x))], 1)),
        ["neurons", "neurons"],
    ),
    "of a concatenation, a needless ReLU behind": (
        lambda n, x: F.relu(n.layer(torch.cat([F.relu(n.conv(x)), F.relu(n.other(x))], 1))),
        ["neurons", "neurons"],
    ),
    "of a concatenation of currents": (
        lambda n, x: F.relu(n.layer(torch.cat([n.conv(x), n.other(x)], 1))),
        ["neurons"],
    ),
    "of an average": (lambda n, x: F.max_pool2d(F.avg_pool2d(F.relu(n.conv(x)), 2), 2), ["neurons"]),
    "of a sum": (lambda n, x: n.layer(n.conv(x) + F.relu(n.conv(x))), ["neurons"]),
    "of a sum of pools without any": (
        lambda n, x: n.layer(n.layer(n.conv(x) - 1) + n.layer(n.conv(x))),
        ["neurons", "neurons", "neurons"],
    ),
    "of an average of a pool without any": (
        lambda n, x: n.layer(F.avg_pool2d(n.layer(n.conv(x) - 1), 2)),
        ["neurons", "neurons"],
    ),
    "of a slice of channels": (lambda n, x: n.layer(F.relu(n.conv(x))[:, 1:3]), ["neurons"]),
    "of a slice of the image": (lambda n, x: F.relu(n.one(n.layer(x[:, 1:]))), ["image"]),
    "behind a turned slice": (lambda n, x: F.max_pool2d(F.relu(n.conv(x))[:, ::2] * 2, 2), ["neurons"]),
    "adaptive": (lambda n, x: F.adaptive_max_pool2d(F.relu(n.conv(x)), (3, 2)), ["neurons"]),
    "global": (lambda n, x: F.relu(n.conv(x)).amax((2, 3)), ["neurons"]),
    "read twice": (lambda n, x: (lambda y: y + F.relu(y))(n.layer(n.conv(x))), ["neurons"]),
}  # fmt: skip


def _before(graph, node):
    (source,) = node.all_input_nodes
    if is_activation(module_of(graph, source)):
        return "neurons"
    return "pool" if isinstance(module_of(graph, source), MaxPool) else {"placeholder": "image"}[source.op]


@pytest.mark.parametrize("name", _NETWORKS)
def test_stands_where_it_can_act(name):
    forward, expected = _NETWORKS[name]
    network = Net(forward)
    x = torch.rand(5, 2, 9, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        network(x)
    graph = canonicalize(network.eval(), x)
    pools = [node for node in graph.graph.nodes if isinstance(module_of(graph, node), MaxPool)]
    assert [_before(graph, node) for node in pools] == expected
    torch.testing.assert_close(graph(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("pool", "shape"),
    [
        (nn.MaxPool2d(3, 2, 1), (9, 8)),
        (nn.MaxPool2d((2, 3), (3, 1), padding=(1, 0), dilation=(2, 1)), (9, 8)),
        (nn.MaxPool2d(3, 2, ceil_mode=True), (8, 6)),
        (nn.AdaptiveMaxPool2d((None, 3)), (7, 7)),
        (nn.AdaptiveMaxPool2d(1), (7, 5)),
        (lambda x: F.max_pool2d(x, 2, stride=3), (9, 8)),
        (lambda x: torch.max_pool2d(x, kernel_size=(3, 2)), (9, 8)),
        (lambda x: F.max_pool2d(input=x, kernel_size=2, ceil_mode=True), (9, 7)),
    ],
)
def test_every_geometry_computes_what_torch_does(pool, shape):
    network = Net(lambda n, x: pool(F.relu(n.conv(x))))
    x = torch.rand(3, 2, *shape, generator=torch.Generator().manual_seed(3)) - 0.2
    with torch.no_grad():
        network(x)
    torch.testing.assert_close(canonicalize(network.eval(), x)(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "pool", [nn.MaxPool1d(3, 2, 1), lambda x: F.max_pool1d(x, 2), nn.AdaptiveMaxPool1d(4), lambda x: x.amax(2)]
)
def test_signals(pool):
    network = Net(lambda n, x: pool(F.relu(n.conv(x))), images=False)
    x = torch.rand(3, 2, 11, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        network(x)
    torch.testing.assert_close(canonicalize(network.eval(), x)(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AdaptiveMaxPool2d])
def test_indices_that_nothing_reads_are_left_aside(kind):
    pool = kind(2, return_indices=True)
    network, x = Net(lambda n, x: n.layer(pool(F.relu(n.conv(x)))[0])), torch.rand(2, 2, 8, 8)
    with torch.no_grad():
        network(x)
    torch.testing.assert_close(canonicalize(network.eval(), x)(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (nn.MaxPool2d(2, 8, dilation=9, padding=1), "a window that lies on the padding alone"),
        (lambda x: x.amax(1), "a maximum over these axes"),
    ],
)
def test_what_has_no_maximum_is_refused(pool, message):
    network, x = Net(lambda n, x: pool(F.relu(n.conv(x)))), torch.rand(2, 2, 8, 8)
    with torch.no_grad():
        network(x)
    with pytest.raises(tc.UnsupportedOperation, match=message):
        canonicalize(network.eval(), x)


@pytest.mark.parametrize("pool", [lambda x: x.max(1).values, lambda x: x.amax(1)])
def test_the_way_out_for_a_signal_works(pool):
    """``x.amax(2)`` is what :func:`test_signals` converts."""
    network, x = Net(lambda n, x: pool(F.relu(n.conv(x))), images=False), torch.rand(2, 2, 8)
    with torch.no_grad():
        network(x)
    with pytest.raises(tc.UnsupportedOperation, match=r"signal.* x\.amax\(2\)"):
        canonicalize(network.eval(), x)


def test_many_sums_before_a_pool_take_no_longer():
    def sums(n, x):
        y = F.relu(n.conv(x))
        for _ in range(40):
            y = y * 0.5 + F.avg_pool2d(y, 1) * 0.5
        return n.layer(y)

    network, x = Net(sums), torch.rand(2, 2, 6, 6)
    with torch.no_grad():
        network(x)
    graph = canonicalize(network.eval(), x)
    assert any(isinstance(module_of(graph, node), MaxPool) for node in graph.graph.nodes)
