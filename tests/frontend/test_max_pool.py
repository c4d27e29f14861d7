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


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.MaxPool2d(2, return_indices=True)), "layer 0: max pooling with indices"),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2, dilation=2)), "layer 1: dilated max pooling"),
        (Indices(), r"test_max_pool\.py:\d+ .*indices"),
        (Dilated(), r"test_max_pool\.py:\d+ .*dilated"),
    ],
)
def test_refusals_name_the_place(model: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedOperation, match=message):
        tc.replace_max_pool(model)


def test_both_obstacles_at_once() -> None:
    model = nn.Sequential(nn.MaxPool2d(2, return_indices=True), nn.MaxPool2d(2, dilation=2))
    with pytest.raises(UnsupportedOperation, match=r"^2 operations"):
        tc.replace_max_pool(model)


class Global(nn.Module):
    """Pools as functions at whatever size comes, one over all of the image, and one that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(x, 2) if x.sum() > 0 else x
        return self.fc(F.relu(x).amax((-2, -1)))


def test_a_maximum_over_the_image_is_a_mean() -> None:
    model, x = Global(), torch.rand(2, 3, 8, 8)
    with pytest.warns(UserWarning, match=r"2 max pools .*\(max_pool2d, amax\)"):
        replaced = tc.replace_max_pool(model)
    torch.testing.assert_close(replaced(x), model.fc(F.relu(F.avg_pool2d(x, 2)).mean((2, 3))))
    torch.testing.assert_close(replaced(-x), model.fc(F.relu(-x).mean((2, 3))))
    with pytest.raises(UnsupportedOperation, match=r"test_max_pool\.py:\d+: max pooling with indices"):
        nn.Module.__call__(_with_indices(replaced), x)


def _with_indices(twin: nn.Module) -> nn.Module:
    """A call that comes later, since another value needs it."""
    twin.original.forward = lambda x: F.max_pool2d(x, 2, return_indices=True)[0]  # type: ignore[union-attr]
    return twin


def test_no_usual_size() -> None:
    """Without images that it takes, functions are replaced as they are called; with them, they are listed."""
    model = nn.Sequential(Calls.Inner(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 5 * 7, 2)).eval()
    x = torch.randn(2, 3, 20, 28)
    with torch.no_grad():
        pooled = F.avg_pool2d(F.avg_pool2d(torch.relu(model[0].conv(x)), 2), 2)
        expected = model[3](pooled.flatten(1))
    with pytest.warns(UserWarning, match=r"runs on no usual size|1 max pool is an average pool now \(1\)"):
        replaced = tc.replace_max_pool(model)
    torch.testing.assert_close(replaced(x), expected)
    with pytest.warns(UserWarning, match=r"2 max pools are an average pool now \(1, max_pool2d\)"):
        replaced = tc.replace_max_pool(model, example=x)
    torch.testing.assert_close(replaced(x), expected)
    with pytest.warns(UserWarning, match="runs on no usual size"):
        tc.replace_max_pool(model, example=x[:, :1], fine_tuned=True)


def test_wrappers_and_hooks_stay() -> None:
    model = nn.DataParallel(layers())
    model.register_forward_hook(lambda module, given, result: result * 3)
    x = torch.randn(2, 3, 12, 12)
    with pytest.warns(UserWarning, match="3 max pools"):
        replaced = tc.replace_max_pool(model)
    inner = tc.replace_max_pool(model.module, fine_tuned=True)
    torch.testing.assert_close(replaced(x), inner(x) * 3)
    assert list(replaced.state_dict()) == list(model.module.state_dict())


def test_a_network_that_cannot_be_copied() -> None:
    """The copy runs the layers of the network itself, and they stay as they are."""
    model = nn.Sequential(*layers().eval(), nn.Identity())
    forward = model.forward
    model.forward = lambda x: forward(x) * 2  # type: ignore[method-assign]
    x = torch.randn(2, 3, 12, 12)
    with pytest.warns(UserWarning, match="3 max pools"):
        replaced, expected = tc.replace_max_pool(model), tc.replace_max_pool(layers())
    expected.load_state_dict(model.state_dict())
    torch.testing.assert_close(replaced(x), expected.eval()(x) * 2)
    assert isinstance(model[2], nn.MaxPool2d)


def test_only_modules() -> None:
    with pytest.raises(ConversionError, match=r"expected a torch\.nn\.Module"):
        tc.replace_max_pool("vgg")  # type: ignore[arg-type]


def test_a_window_that_is_cut_off_is_the_mean_of_what_it_holds() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten())
    with pytest.warns(UserWarning, match="fine-tuning"):
        replaced = tc.replace_max_pool(model)
    for size in (8, 9):
        images = torch.randn(2, 1, size, size)
        torch.testing.assert_close(canonicalize(replaced, images)(images), replaced(images))
