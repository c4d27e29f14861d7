"""Fixtures of all folders: random integer graphs, and an oracle that executes them straight from the contract.

What they hand out lives in ``tests/helpers``, where tests may import it from as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import nn

from spikec.ir.graph import IntegerGraph

pytest.register_assert_rewrite("helpers")

from helpers import graphs, networks  # noqa: E402
from helpers import oracle as loops  # noqa: E402
from helpers.drawn import drawn  # noqa: E402

# Of tests that do not say how many cases they draw.
settings.register_profile("drawn", parent=settings(), max_examples=drawn(100))
settings.load_profile("drawn")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Networks this small run many times slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _randomized(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.2)
                layer.running_var.uniform_(0.5, 1.5)
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.normal_(0, 0.2)
            elif isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model.eval()


@pytest.fixture
def randomized() -> Callable[[nn.Module], nn.Module]:
    """``randomized(model) -> model``: random batch norms, and weights that keep a signal alive through many layers.
    Seeds what the test draws."""
    torch.manual_seed(0)
    return _randomized


@pytest.fixture(scope="session")
def random_graph() -> Callable[..., IntegerGraph]:
    """``random_graph(rng, kind=, schedule=, timesteps=, drain=, small=) -> IntegerGraph``."""
    return graphs.random_graph


@pytest.fixture(scope="session")
def random_images() -> Callable[..., np.ndarray]:
    """``random_images(rng, graph, n) -> int64``; real images are ``integers * graph.input.scale``."""
    return graphs.random_images


@pytest.fixture(scope="session")
def one_layer() -> Callable[..., IntegerGraph]:
    """``one_layer(weight=, bias=, theta=, kind=, timesteps=, ...) -> IntegerGraph`` with nodes dense, neurons, copy."""
    return networks.one_layer


@pytest.fixture(scope="session")
def oracle() -> Callable[..., SimpleNamespace]:
    """``oracle(graph, integers) -> output, curve, counts, events, spikes, membrane, overflows`` (plain int64 loops)."""
    return loops.oracle


@pytest.fixture
def reader_code(monkeypatch):
    """``reader_code(code)``: the process that reads files runs ``code`` first, as ``child`` its own module, and warms
    nothing up; it is ended after the test."""
    from spikec.hdf5 import starting

    def start(code: str) -> None:
        starting.close()
        words = (starting._START_IMPORTS, "child._warm_up = lambda: None", code, starting._START_MAIN)
        monkeypatch.setattr(starting, "_START", "\n".join(words))

    yield start
    starting.close()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; tests that ask for it are skipped where there is none."""
    from helpers import chromium

    if chromium.program() is None:
        pytest.skip("no Chromium found: install one (apt install chromium) to test the pages in a browser")
    found = chromium.Chromium()
    yield found
    found.close()
