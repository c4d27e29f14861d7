"""``tc.replace_max_pool``: layers, calls, and what it refuses."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikec as tc
from spikec.errors import ConversionError, UnsupportedOperation
from spikec.frontend import canonicalize


class Calls(nn.Module):
    """Max pools as functions, in a layer of their own and in the network."""

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return F.max_pool2d(torch.relu(self.conv(x)), 2)

    def __init__(self) -> None:
        super().__init__()
        self.inner = self.Inner()
        self.conv = nn.Conv2d(4, 5, 3, padding=1)
        self.fc = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(self.inner(x)))
        x = torch.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        return self.fc(F.adaptive_max_pool2d(x, 1).flatten(1))


def averaged_calls(net: Calls, x: Tensor) -> Tensor:
    x = F.avg_pool2d(torch.relu(net.inner.conv(x)), 2)
    x = F.avg_pool2d(torch.relu(net.conv(x)), 3, 2, 1)
    return net.fc(x.mean((2, 3)))


def layers() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d((2, 3), (2, 1), padding=(1, 0)),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        nn.AdaptiveMaxPool2d((1, 1)),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def test_layers_are_replaced_in_a_copy() -> None:
    model = layers().train()
    with pytest.warns(UserWarning, match=r"3 max pools are an average pool now \(2, 4, 3.2\).*fine-tuning"):
        replaced = tc.replace_max_pool(model)
    assert isinstance(model[2], nn.MaxPool2d)
    assert type(replaced) is nn.Sequential
    first, second, last = replaced[2], replaced[3][2], replaced[4]
    assert isinstance(first, nn.AvgPool2d)
    assert (first.kernel_size, first.stride, first.padding) == ((2, 3), (2, 1), (1, 0))
    assert first.count_include_pad
    assert isinstance(second, nn.AvgPool2d)
    assert (second.kernel_size, second.stride, second.ceil_mode) == (2, 2, True)
    assert isinstance(last, nn.AdaptiveAvgPool2d)
    assert replaced.training
    assert list(replaced.state_dict()) == list(model.state_dict())
    assert replaced[0].weight is not model[0].weight


def test_calls_are_replaced() -> None:
    model = Calls().eval()
    with pytest.warns(UserWarning, match="3 max pools"):
        replaced = tc.replace_max_pool(model)
    x = torch.randn(2, 3, 12, 12)
    torch.testing.assert_close(replaced(x), averaged_calls(model, x))
    assert set(replaced.state_dict()) == set(model.state_dict())
    torch.testing.assert_close(canonicalize(replaced, x)(x), averaged_calls(model, x))


def test_layer_under_two_names_and_the_pool_itself() -> None:
    pool = nn.MaxPool2d(2)
    with pytest.warns(UserWarning, match="fine-tuning"):
        replaced = tc.replace_max_pool(nn.Sequential(pool, nn.ReLU(), pool))
    assert [type(m) for m in replaced] == [nn.AvgPool2d, nn.ReLU, nn.AvgPool2d]
    with pytest.warns(UserWarning, match="1 max pool is an average pool now"):
        assert isinstance(tc.replace_max_pool(pool), nn.AvgPool2d)


def test_nothing_to_replace_says_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replaced = tc.replace_max_pool(model)
    assert type(replaced) is nn.Sequential
    assert replaced is not model


class Indices(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2, return_indices=True)[0]


class Dilated(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2, dilation=2)


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.MaxPool2d(2, return_indices=True)), "layer 0: max pooling with indices"),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2, dilation=2)), "layer 1: dilated max pooling"),
        (Indices(), r"test_max_pool\.py:\d+ .*indices"),
        (Dilated(), r"test_max_pool\.py:\d+ .*dilated"),
        (Branches(), r"test_max_pool\.py:\d+: control flow"),
    ],
)
def test_refusals_name_the_place(model: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedOperation, match=message):
        tc.replace_max_pool(model)


def test_both_obstacles_at_once() -> None:
    model = nn.Sequential(nn.MaxPool2d(2, return_indices=True), nn.MaxPool2d(2, dilation=2))
    with pytest.raises(UnsupportedOperation, match=r"^2 operations"):
        tc.replace_max_pool(model)


def test_only_modules() -> None:
    with pytest.raises(ConversionError, match=r"expected a torch\.nn\.Module"):
        tc.replace_max_pool("vgg")  # type: ignore[arg-type]


def test_a_window_that_is_cut_off_is_refused_later() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten())
    with pytest.warns(UserWarning, match="fine-tuning"):
        replaced = tc.replace_max_pool(model)
    canonicalize(replaced, torch.randn(1, 1, 8, 8))
    with pytest.raises(UnsupportedOperation, match="ceil_mode"):
        canonicalize(replaced, torch.randn(1, 1, 9, 9))
