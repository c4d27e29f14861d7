"""What a network calls, in order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikec.frontend.calls import calls_of, constants


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.pool = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.MaxPool2d(2)
        self.scale = nn.Parameter(torch.ones(2, 1, 1))
        self.norm.register_forward_hook(lambda module, given, result: torch.sigmoid(result))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.pool(self.norm(self.conv(x)))
        x = x * F.relu(self.scale) + F.relu(x)
        x[:, 0] = 0
        return {"a": x, "b": self.pool(x)}


def test_layers_and_functions_in_order() -> None:
    net = Net().eval()
    calls, result = calls_of(net, torch.rand(2, 1, 12, 12))
    names = [call.name for call in calls]
    assert names == ["conv", "sigmoid", "norm", "pool", "relu", "mul", "relu_1", "add", "setitem", "pool"]
    assert sorted(result) == ["a", "b"]
    by_name = dict(zip(names, calls, strict=True))
    assert by_name["norm"].gives(by_name["pool"].inputs[0]) is False  # the second use of the pool
    assert calls[2].gives(calls[3].inputs[0])
    assert calls[3].module is net.pool
    assert calls[6].line.partition(":")[0].endswith("test_calls.py")
    assert calls[6].where.endswith("(relu_1)")
    assert calls[0].where == f"{calls[0].line} (conv)"
    assert calls[-2].gives(result["a"])
    assert {names[number] for number in constants(net, calls)} == {"relu"}
    assert not net.conv._forward_hooks
    assert not net.conv._forward_pre_hooks


def test_calls_at_two_places_have_two_sites() -> None:
    calls, _ = calls_of(nn.Sequential(Net(), nn.Identity()).eval(), torch.rand(2, 1, 12, 12))
    sites = [call.site for call in calls]
    assert len(set(sites[:4])) == 4
    assert sites[4] == sites[6]  # two on one line: told by their order
    assert sites[3] != sites[-2]
