"""``with_layers``: functional, repeated and in-place activations become layers of their own; parameters keep names."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikec as tc
from spikec.frontend import with_layers
from spikec.training import ClipFloorShift, replace_relu

X = torch.rand(3, 1, 8, 8)


class Calls(nn.Module):
    """Every spelling that export takes, one of them in place with its result thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(36, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        F.relu(x, inplace=True)
        x = torch.clamp(self.b(F.max_pool2d(x, 2)), 0, 3)
        x = F.dropout(self.relu(self.b(x)), 0.5, training=self.training)
        x = self.relu(self.b(x) + 0.1)
        return F.log_softmax(self.head(self.b(x).relu_().flatten(1)), dim=1)


def test_activations_become_layers() -> None:
    model = Calls().eval()
    with pytest.warns(UserWarning, match="left out at the end of the network: log_softmax"):
        made = with_layers(model, X)
    layers = {name: type(m) for name, m in made.named_modules() if isinstance(m, nn.ReLU | nn.Hardtanh)}
    assert layers == {"relu_1": nn.ReLU, "relu_2": nn.Hardtanh, "relu": nn.ReLU, "relu_2_": nn.ReLU, "relu_3": nn.ReLU}
    assert list(made.state_dict()) == list(model.state_dict())
    torch.testing.assert_close(F.log_softmax(made(X), 1), model(X))
    assert replace_relu(made, ClipFloorShift) == 5


def test_dropout_still_depends_on_the_mode() -> None:
    with pytest.warns(UserWarning, match="left out"):
        made = with_layers(Calls(), X)
    assert not torch.equal(made.train()(X), made(X))
    assert torch.equal(made.eval()(X), made(X))
    model = Calls()
    with pytest.warns(UserWarning, match="max pool"):
        pooled = tc.replace_max_pool(model.train())
    assert not torch.equal(pooled(X), pooled(X))


def test_a_network_of_layers_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_layers(model, X) is model


def test_other_forward_pass_in_training() -> None:
    class Noisy(Calls):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + 0.1 * torch.ones(1) if self.training else x)

    with pytest.warns(UserWarning, match="something else in training"):
        with_layers(Noisy(), X)


def test_layers_that_clip_at_zero_are_replaced() -> None:
    model = nn.Sequential(nn.ReLU6(), nn.Hardtanh(0, 2), nn.Threshold(0, 0), nn.Hardtanh(), nn.Threshold(1, 0))
    assert replace_relu(model, ClipFloorShift) == 3
