"""Layers that cannot be converted: each is refused in one sentence that says what to write instead."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikec as tc

_ACTIVATION = "use ReLU, ReLU6 or tc.ClipFloorShift and fine-tune"
_NORM = "use BatchNorm, which folds into the layer before it"

#: hint: {name: (operation, forward pass, layer)}
_REFUSED = {
    _ACTIVATION: {
        "Sigmoid": ("sigmoid", lambda n, x: n.head(n.layer(n.conv(x))), nn.Sigmoid()),
        "Tanh": ("tanh", lambda n, x: n.head(n.layer(n.conv(x))), nn.Tanh()),
        "GELU": ("GELU", lambda n, x: n.head(n.layer(n.conv(x))), nn.GELU()),
        "SiLU": ("SiLU or Mish", lambda n, x: n.head(n.layer(n.conv(x))), nn.SiLU()),
        "Softplus": ("a smooth activation", lambda n, x: n.head(n.layer(n.conv(x))), nn.Softplus()),
    },
    "attention multiplies two branches; convolutional networks are converted": {
        "attention": (
            "attention",
            lambda n, x: n.linear(n.layer(x.flatten(1), x.flatten(1), x.flatten(1))[0]),
            nn.MultiheadAttention(192, 2),
        ),
    },
    "only feed-forward networks are converted": {
        "LSTM": ("a recurrent layer", lambda n, x: n.linear(n.layer(x.flatten(1))[0]), nn.LSTM(192, 192)),
        "GRUCell": ("a recurrent layer", lambda n, x: n.linear(n.layer(x.flatten(1))), nn.GRUCell(192, 192)),
    },
    _NORM: {
        "GroupNorm": (
            "normalisation computed from the data",
            lambda n, x: n.head(n.layer(n.conv(x))),
            nn.GroupNorm(2, 4),
        ),
        "LayerNorm": (
            "normalisation computed from the data",
            lambda n, x: n.head(n.layer(n.conv(x))),
            nn.LayerNorm([4, 8, 6]),
        ),
        "InstanceNorm2d": (
            "normalisation computed from the data",
            lambda n, x: n.head(n.layer(n.conv(x))),
            nn.InstanceNorm2d(4),
        ),
        "LocalResponseNorm": (
            "normalisation computed from the data",
            lambda n, x: n.head(n.layer(n.conv(x))),
            nn.LocalResponseNorm(2),
        ),
    },
    "use track_running_stats=True and train it": {
        "BatchNorm without statistics": (
            "batch normalisation without running statistics",
            lambda n, x: n.head(n.layer(n.conv(x))),
            nn.BatchNorm2d(4, track_running_stats=False),
        ),
    },
}
_CASES = {name: (hint, *case) for hint, cases in _REFUSED.items() for name, case in cases.items()}


@pytest.mark.parametrize("name", _CASES)
def test_refused(name, assert_refused):
    assert_refused(*_CASES[name], file=__file__)


def test_every_obstacle_is_listed_at_once_with_its_own_line(network, images):
    def run(n, x):
        x = torch.tanh(n.conv(x))
        x = n.gelu(n.other(x))
        return n.head(F.group_norm(x, 2))

    with pytest.raises(tc.UnsupportedOperation) as error:
        tc.convert(network(run, gelu=nn.GELU()), tc.QCFS(timesteps=4), example=images)
    first = run.__code__.co_firstlineno
    headline, *lines = str(error.value).splitlines()
    assert headline == "3 operations cannot be converted:"
    assert [line.split(": ")[0].strip() for line in lines] == [
        f"{__file__}:{first + 1} (tanh)",
        f"{__file__}:{first + 2} (gelu)",
        f"{__file__}:{first + 3} (group_norm)",
    ]


def test_obstacles_of_one_kind_stand_together(network, images):
    def run(n, x):
        x = torch.tanh(n.conv(x))
        x = F.gelu(n.other(x))
        return n.head(torch.tanh(x * 2))

    with pytest.raises(tc.UnsupportedOperation) as error:
        tc.convert(network(run), tc.QCFS(timesteps=4), example=images)
    first = run.__code__.co_firstlineno
    places = [line.split(": ")[0].strip() for line in str(error.value).splitlines()[1:]]
    assert [int(place.rsplit(":", 1)[1].split()[0]) - first for place in places] == [1, 3, 2]


class Volumes(nn.Module):
    """A 3-d convolution, from volumes or from images that are reshaped, to volumes or to vectors."""

    def __init__(self, reshaped, flat):
        super().__init__()
        self.conv, self.last, self.reshaped, self.flat = nn.Conv3d(1, 2, 3), nn.Conv3d(2, 1, 2), reshaped, flat

    def forward(self, x):
        x = F.relu(self.conv(x.view(len(x), 1, 4, 4, 4) if self.reshaped else x))
        x = self.last(x)
        return x.flatten(1) if self.flat else x


def test_volumes_stay_inside_the_network():
    first = Volumes.forward.__code__.co_firstlineno
    settings, inside = tc.QCFS(timesteps=2), torch.rand(4, 4, 4, 4)
    tc.lower(tc.convert(Volumes(True, True), settings, example=inside, calibration=inside))
    for network, shape, says in (
        (
            Volumes(False, True),
            (4, 1, 4, 4, 4),
            rf":{first + 1} \(conv\): images of shape \(1, 4, 4, 4\): give them as",
        ),
        (Volumes(True, False), (4, 4, 4, 4), rf":{first + 2} \(last\): an output of shape \(1, 1, 1, 1\): return"),
    ):
        with pytest.raises(tc.UnsupportedOperation, match=says):
            tc.convert(network, settings, example=torch.rand(shape), calibration=torch.rand(shape))


def test_layers_of_sequential_are_named_where_there_is_no_line(images):
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Sequential(nn.Sigmoid()), nn.Flatten(), nn.Linear(96, 3))
    with pytest.raises(tc.UnsupportedOperation, match=r"\n  layer 1\.0: sigmoid: "):
        tc.convert(network, tc.QCFS(timesteps=4), example=images)


def test_refused_operation_called_twice_on_one_line_counts_once(network, images):
    def run(n, x):
        return n.head(torch.cat([n.tanh(n.conv(part)) for part in (x[:, :2], x[:, 2:])], 1))

    layers = {"tanh": nn.Tanh(), "conv": nn.Conv2d(2, 2, 1)}
    with pytest.raises(tc.UnsupportedOperation, match=r"^1 operation cannot be converted"):
        tc.convert(network(run, **layers), tc.QCFS(timesteps=4), example=images)
