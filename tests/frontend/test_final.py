"""A last softmax or sigmoid is left out, in any spelling, where it changes no order over the classes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikec as tc
from spikec.frontend import canonicalize, dropped
from spikec.ir import as_integer


class Net(nn.Module):
    def __init__(self, last) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(16, 5)
        self.layer = last if isinstance(last, nn.Module) else nn.Identity()
        self.last = None if isinstance(last, nn.Module) else last

    def logits(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.conv(x)).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        logits = self.logits(x)
        return self.layer(logits) if self.last is None else self.last(self, logits)


SPELLINGS = {
    "F.log_softmax": (lambda n, y: F.log_softmax(y, dim=1), ["log_softmax"]),
    "by position": (lambda n, y: F.softmax(y, -1), ["softmax"]),
    "by keyword": (lambda n, y: F.softmax(input=y, dim=1), ["softmax"]),
    "torch": (lambda n, y: torch.log_softmax(y, 1), ["log_softmax"]),
    "method": (lambda n, y: y.softmax(dim=1), ["softmax"]),
    "layer": (nn.LogSoftmax(dim=1), ["LogSoftmax"]),
    "sigmoid layer": (nn.Sigmoid(), ["Sigmoid"]),
    "sigmoid method": (lambda n, y: y.sigmoid(), ["sigmoid"]),
    "logsigmoid": (lambda n, y: F.logsigmoid(y), ["log_sigmoid"]),
    "log of softmax": (lambda n, y: torch.log(F.softmax(y, 1)), ["log", "softmax"]),
    "behind a dropout": (lambda n, y: F.dropout(torch.sigmoid(y), training=n.training), ["sigmoid"]),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_left_out(name: str) -> None:
    last, said = SPELLINGS[name]
    model, images = Net(last).eval(), torch.rand(6, 1, 4, 4)
    graph = canonicalize(model, images)
    assert [text.split()[0] for text in dropped(graph)] == said
    torch.testing.assert_close(graph(images), model.logits(images))
    assert torch.equal(graph(images).argmax(1), model(images).argmax(1))


def test_networks_without_one_say_nothing() -> None:
    assert dropped(canonicalize(Net(nn.Identity()), torch.rand(2, 1, 4, 4))) == []


def test_convert_says_so_and_the_file_keeps_it() -> None:
    images = torch.rand(8, 1, 4, 4)
    with pytest.warns(UserWarning, match=r"left out at the end of the network: log_softmax at .*test_final\.py:\d+"):
        network = tc.convert(
            Net(SPELLINGS["F.log_softmax"][0]), tc.QCFS(timesteps=2), example=images, calibration=images
        )
    assert as_integer(tc.lower(network)).info["left_out"] == "log_softmax"


@pytest.mark.parametrize(
    "last",
    [
        lambda n, y: F.softmax(y, 0),
        lambda n, y: F.softmax(y, 1) + y,
        lambda n, y: F.softmax(-y, 1) * 0.5,
        lambda n, y: torch.log(y),
        lambda n, y: y.sigmoid() * 2,
    ],
)
def test_elsewhere_it_is_refused(last) -> None:
    with pytest.raises((tc.UnsupportedOperation, tc.ConversionError)):
        canonicalize(Net(last), torch.rand(2, 1, 4, 4))
