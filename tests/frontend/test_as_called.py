"""What is recorded is what the owner of a network calls: hooks, wrappers, any code; and the network stays as it is."""

from __future__ import annotations

import collections
import dataclasses
import functools
import random
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import nn

import spikec as tc
from spikec.frontend import Staircase, canonicalize


class Base(nn.Module):
    """Images [N, 3, 8, 8] to five classes; ``run`` is the forward pass."""

    def __init__(self, run=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.other = nn.Conv2d(3, 4, 3)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
        self.run = run

    def forward(self, x):
        return self.head(F.relu(self.conv(x))) if self.run is None else self.run(self, x)


class Optional(Base):
    def forward(self, x, domain=None, **others):
        y = self.conv(x) if domain is None and not others else self.other(x)
        return self.head(F.relu(y))


class Guarded(Base):
    def forward(self, x):
        if x.shape[-2:] != (8, 8) or not isinstance(x, torch.Tensor):
            raise ValueError("wrong size")
        try:
            y = self.conv(x)
        except TypeError:
            y = self.other(x)
        return self.head(F.relu(y))


class Called(Base):
    def __call__(self, x):
        return super().__call__(x * 0.5) + 1


class Counting(Base):
    def __init__(self):
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x):
        self.passes += 1
        return super().forward(x)


class Held(Base):
    """A layer that is no submodule."""

    def __init__(self):
        super().__init__()
        self.plain = [nn.Conv2d(4, 4, 1)]

    def forward(self, x):
        return self.head(F.relu(self.plain[0](F.relu(self.conv(x)))))


class Printing(Base):
    """What people write to look into a network; it changes nothing of what the network computes."""

    def forward(self, x):
        y = self.conv(x)
        print(y, x.shape, y.mean())
        print(f"{y}", repr(y), "%s" % y, y.is_pinned(), y.dense_dim(), y.is_set_to(x))  # noqa: UP031
        return self.head(F.relu(y))


class Cached(Base):
    @functools.lru_cache(maxsize=1)  # noqa: B019
    def grid(self, size):
        return torch.linspace(0, 1, size)

    def forward(self, x):
        return self.head(F.relu(self.conv(x) + self.grid(6)))


@dataclasses.dataclass
class Result:
    logits: torch.Tensor
    features: torch.Tensor | None = None


def _root_hook():
    network = Base()
    network.register_forward_hook(lambda module, args, out: out * 3 + torch.arange(5))
    return network


def _layer_hooks():
    network = Base()
    network.conv.register_forward_hook(lambda module, args, out: out * 2)
    network.head.register_forward_pre_hook(lambda module, args: (args[0] + 0.1,))
    return network


def _kept_features():
    network = Base()
    network.kept = []
    network.conv.register_forward_hook(lambda module, args, out: network.kept.append(out))
    network(torch.rand(1, 3, 8, 8))
    return network


def _wrapped():
    wrapper = nn.DataParallel(Base())
    wrapper.register_forward_hook(lambda module, args, out: -out)
    return wrapper


def _own_forward():
    network = Base()
    network.forward = types.MethodType(lambda self, x: Base.forward(self, (x - 0.5) / 0.25), network)
    return network


def _inference(n, x):
    with torch.inference_mode():
        y = n.conv(x)
    return n.head(F.relu(y))


def _script():
    return torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), Base().head).eval())


_TAKEN = {
    "hook on the network": _root_hook,
    "hooks on layers": _layer_hooks,
    "hook that keeps": _kept_features,
    "hook on a wrapper": _wrapped,
    "forward on the instance": _own_forward,
    "overridden call": Called,
    "optional arguments": Optional,
    "guards and try": Guarded,
    "layer in a list": Held,
    "cached constant": Cached,
    "printing": Printing,
    "counter": Counting,
    "scripted": _script,
    "frozen": lambda: torch.jit.freeze(_script()),
    "scripted part": lambda: nn.Sequential(torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), Base().head),
    "compiled part": lambda: nn.Sequential(torch.compile(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), Base().head),
    "traced": lambda: torch.jit.trace(Base().eval(), torch.rand(2, 3, 8, 8)),
    "inference mode": lambda: Base(_inference),
    "vmap": lambda: Base(lambda n, x: n.head(F.relu(torch.func.vmap(lambda image: n.conv(image[None])[0])(x)))),
    "checkpointing": lambda: Base(
        lambda n, x: n.head(F.relu(torch.utils.checkpoint.checkpoint(n.conv, x, use_reentrant=False)))
    ),
    "spectral norm": lambda: nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), Base().head
    ),
    "channels last": lambda: Base().to(memory_format=torch.channels_last),
    "double": lambda: Base().double(),
    "sum with Python": lambda: Base(lambda n, x: sum([n.head(F.relu(n.conv(x))), n.head(F.relu(n.other(x)))])),
    "input written into": lambda: Base(lambda n, x: n.head(F.relu(n.conv(x.sub_(0.5).div_(0.25))))),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.thorough] if name == "compiled part" else []) for name in _TAKEN]
)
def test_taken_as_it_is_called(name):
    torch.manual_seed(0)
    network = _TAKEN[name]()
    if not isinstance(network, torch.jit.ScriptModule):
        network.train()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [getattr(module, "training", None) for module in network.modules()]
    example, images = torch.rand(4, 3, 8, 8), torch.randn(3, 3, 8, 8)
    kept = example.clone()
    graph = canonicalize(network, example)
    assert torch.equal(example, kept)
    assert [getattr(module, "training", None) for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    with torch.no_grad():
        expected = network.eval()(images.clone().to(next(iter(state.values()), images).dtype)).float()
        torch.testing.assert_close(graph(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "output",
    [
        lambda y: Result(y),
        lambda y: collections.namedtuple("Output", "logits aux")(y, None),
        lambda y: {"logits": y, "aux": None},
        lambda y: [y],
    ],
)
def test_one_output_in_whatever_form(output):
    torch.manual_seed(0)
    network = Base(lambda n, x: output(n.head(F.relu(n.conv(x))))).eval()
    images = torch.rand(2, 3, 8, 8)
    (found,) = canonicalize(network, images)(images).values()
    with torch.no_grad():
        torch.testing.assert_close(found, network.head(F.relu(network.conv(images))))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda n, x: n.head(F.relu(n.conv(x) * random.random())), r"differs .*first at .* \(conv\): something there"),
        (lambda n, x: n.head(F.relu(n.conv(x) + float(np.random.rand()))), r"differs .*first at"),
        (lambda n, x: n.head(F.relu(n.conv(x) / len(x))), r"the first example image alone .*first at"),
        (lambda n, x: n.head(F.relu((n.conv, n.other)[len(x) % 2](x))), "the first example image alone"),
    ],
)
def test_what_depends_on_chance_or_on_the_batch_is_noticed(run, message):
    torch.manual_seed(0)
    with pytest.raises(tc.ConversionError, match=message):
        canonicalize(Base(run).eval(), torch.rand(2, 3, 8, 8))


class _Alternating(Base):
    """Adds something at every second call."""

    calls = 0

    def forward(self, x):
        type(self).calls += 1
        return super().forward(x) + type(self).calls % 2


@pytest.mark.parametrize(
    "make",
    [
        _Alternating,
        lambda: Base(lambda n, x: n.head(F.relu(n.conv(x * len(x))))),
        lambda: Base(lambda n, x: n.head(F.relu(n.conv(x) if len(x) > 1 else n.other(x)))),
        lambda: Base(lambda n, x: n.head(F.relu(n.conv(x - x[0])))),
    ],
    ids=["every second call", "factor", "branch", "the first image"],
)
def test_an_example_of_one_image_is_no_excuse(make):
    torch.manual_seed(0)
    network = make()
    with pytest.raises(tc.ConversionError, match=r"differs from the network"):
        canonicalize(network.eval(), torch.rand(1, 3, 8, 8))


def test_what_is_not_a_number_is_no_equality():
    torch.manual_seed(0)
    hole = torch.zeros(4, 1, 1)
    hole[2] = torch.nan
    network = Base(lambda n, x: n.head(F.relu(torch.nan_to_num(n.conv(x) + hole)))).eval()
    with pytest.raises(tc.UnsupportedOperation, match="no finite number"):
        canonicalize(network, torch.rand(2, 3, 8, 8))


class _Restless(Base):
    """Writes into all that it has."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(2))
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        self.total.data.add_(1)
        self.total = self.total + 1
        self.norm.train()
        self.norm(torch.rand(2, 4, 3, 3))
        self.norm.eval()
        return self.head(F.relu(self.norm(self.conv(x))))


def test_state_that_a_network_writes_is_as_before():
    torch.manual_seed(0)
    network = _Restless().eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    buffer, generator = network.total, torch.random.get_rng_state()
    with pytest.raises(tc.ToolchainError):  # its statistics come from chance
        canonicalize(network, torch.rand(2, 3, 8, 8, generator=torch.Generator()))
    assert network.total is buffer
    assert torch.equal(torch.random.get_rng_state(), generator)
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_three_hundred_residual_blocks_are_no_recursion():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.head = nn.Conv2d(3, 2, 3), nn.Linear(72, 3)
            self.blocks = nn.ModuleList(nn.Conv2d(2, 2, 3, padding=1) for _ in range(300))

        def forward(self, x):
            y = F.relu(self.first(x))
            for block in self.blocks:
                y = y + 0.01 * block(y)
            return self.head(F.relu(y).flatten(1))

    torch.manual_seed(0)
    images = torch.rand(2, 3, 8, 8)
    network = Deep().eval()
    with torch.no_grad():
        torch.testing.assert_close(canonicalize(network, images)(images), network(images), rtol=1e-3, atol=1e-4)


class _Floor(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.floor()


class _Published(nn.Module):
    """The activation of the published QCFS codes: floor before or behind the clip."""

    def __init__(self, first, levels=4, up=0.7):
        super().__init__()
        self.first, self.levels, self.up = first, levels, nn.Parameter(torch.tensor([up]))

    def forward(self, x):
        x = x / self.up
        if self.first == "clip":
            return _Floor.apply(x.clamp(0, 1) * self.levels + 0.5) / self.levels * self.up
        return torch.clamp(_Floor.apply(x * self.levels + 0.5) / self.levels, 0, 1) * self.up


class _Residual(nn.Module):
    def __init__(self, first):
        super().__init__()
        self.conv, self.second, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(144, 3)
        self.one, self.two = _Published(first), _Published(first, 8, 0.3)

    def forward(self, x):
        y = self.one(self.conv(x))
        return self.head(self.two(self.second(y) + y).flatten(1))


@pytest.mark.parametrize("first", ["clip", "floor"])
def test_the_published_activation_is_recognised(first):
    torch.manual_seed(0)
    images = torch.randn(4, 3, 8, 8)
    network = _Residual(first).eval()
    with pytest.warns(UserWarning, match="recognised as the activation of QCFS"):
        graph = canonicalize(network, images)
    stairs = [module for module in graph.modules() if isinstance(module, Staircase)]
    assert [module.levels for module in stairs] == [4, 8]  # once each, however often they are read
    with torch.no_grad():
        assert float(((graph(images) - network(images)).abs() > 1e-5).float().mean()) < 0.1  # but at a step's edge


def test_an_activation_is_one_of_ours_only_where_it_runs_as_one():
    class Double(tc.ClipFloorShift):
        def forward(self, x):
            return super().forward(x) * 2

    class Unlike(nn.Module):
        """Has levels and a threshold, and computes something else."""

        def __init__(self):
            super().__init__()
            self.levels, self.threshold = 4, nn.Parameter(torch.tensor(1.0))

        def forward(self, x):
            return F.relu(x) * 2

    torch.manual_seed(0)
    images = torch.rand(2, 3, 8, 8)
    for activation in (Double(4, 0.5), Unlike()):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), activation, Base().head).eval()
        with torch.no_grad():
            torch.testing.assert_close(canonicalize(network, images)(images), network(images))
