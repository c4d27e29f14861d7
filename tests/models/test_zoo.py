"""Reference architectures: published sizes, parameter names that published weights have, and what the options do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from spikec.errors import DataError
from spikec.models import load_weights, resolve
from spikec.models.zoo import REGISTRY
from spikec.models.zoo.mobilenet_v2 import MobileNetV2
from spikec.models.zoo.resnet_cifar import CifarResNet, ZeroPaddedShortcut

# Published or torchvision's numbers of parameters for 10 classes.
PARAMETERS = {
    "lenet5": 61_706,
    "vgg16-imagenet": 138_365_992 - 990 * 4_097,
    "resnet18-imagenet": 11_689_512 - 990 * 513,
    "resnet34-imagenet": 21_797_672 - 990 * 513,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet56-b": 855_770,
    "mobilenetv1-imagenet": 4_231_976 - 990 * 1_025,
    "mobilenetv2-imagenet": 3_504_872 - 990 * 1_281,
}
TORCHVISION = {
    "vgg11-imagenet": "vgg11_bn",
    "vgg13-imagenet": "vgg13_bn",
    "vgg16-imagenet": "vgg16_bn",
    "resnet18-imagenet": "resnet18",
    "resnet34-imagenet": "resnet34",
    "mobilenetv2-imagenet": "mobilenet_v2",
}


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_size_is_the_published_one(name: str) -> None:
    with torch.device("meta"):
        assert parameters(resolve(name, num_classes=10, activation=nn.ReLU)) == PARAMETERS[name]


@pytest.mark.parametrize("name", list(TORCHVISION))
def test_parameters_are_named_as_in_torchvision(name: str) -> None:
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        pytest.skip(f"torchvision is not usable here: {error}")
    with torch.device("meta"):
        own = resolve(name, num_classes=1000, activation=nn.ReLU).state_dict()
        other = getattr(models, TORCHVISION[name])(weights=None).state_dict()
    assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in other.items()}


def test_every_network_is_free_of_max_pools() -> None:
    with torch.device("meta"):
        for name in REGISTRY:
            kinds = {type(m).__name__ for m in resolve(name, activation=nn.ReLU).modules()}
            assert not any("MaxPool" in kind for kind in kinds), name


def test_every_activation_is_a_module_of_its_own() -> None:
    """A threshold belongs to one layer: calling the activation twice would share it."""
    for name in ("lenet5", "vgg11", "resnet18", "resnet20", "mobilenetv1", "mobilenetv2", "squeezenet"):
        made: list[nn.Module] = []

        def activation(made: list[nn.Module] = made) -> nn.Module:
            made.append(nn.ReLU())
            return made[-1]

        with torch.device("meta"):
            model = resolve(name, activation=activation).eval()
        calls: list[nn.Module] = []
        for module in made:
            module.register_forward_hook(lambda m, *_, calls=calls: calls.append(m))
        with torch.no_grad():
            model(torch.empty(1, *REGISTRY[name].input_shape, device="meta"))
        assert sorted(map(id, calls)) == sorted(map(id, made)), name


def idelbayev_file(path: Path, model: nn.Module) -> None:
    """As ``akamaster/pytorch_resnet_cifar10`` saves: data-parallel names, no batch counters, under ``state_dict``."""
    state = {f"module.{k}": v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save({"state_dict": state, "best_prec1": 91.73}, path)


def test_published_cifar_resnet_files_load(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = CifarResNet(20, 10, 3, nn.ReLU)
    assert len(source.state_dict()) == 97 + 19  # the published file has 97 tensors and no batch counters
    assert [k for k in source.state_dict() if k.startswith("layer3.2")][:3] == [
        "layer3.2.conv1.weight",
        "layer3.2.bn1.weight",
        "layer3.2.bn1.bias",
    ]
    idelbayev_file(tmp_path / "resnet20.th", source)
    images = torch.rand(2, 3, 32, 32)
    # torchvision's transforms.Normalize with the numbers of that repository
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalized = (images - mean[:, None, None]) / std[:, None, None]
    for name, fed in (("resnet20", normalized), ("resnet20-normalized", images)):
        target = resolve(name, activation=nn.ReLU)
        load_weights(target, tmp_path / "resnet20.th")
        with torch.no_grad():
            torch.testing.assert_close(target(fed), source.eval()(normalized))


def test_option_a_shortcut_has_no_parameters_and_takes_every_second_pixel() -> None:
    x = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)
    y = ZeroPaddedShortcut(4, 2)(x)
    assert y.shape == (2, 7, 2, 2)
    assert not y[:, :2].any()
    assert not y[:, 5:].any()
    for row in range(2):
        for column in range(2):
            assert torch.equal(y[:, 2:5, row, column], x[:, :, 2 * row, 2 * column])
    a, b = (CifarResNet(20, 10, 3, nn.ReLU, option=option) for option in ("A", "B"))
    assert parameters(b) - parameters(a) == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_impossible_depth(depth: int) -> None:
    with pytest.raises(DataError, match=r"6 n \+ 2 layers"):
        CifarResNet(depth, 10, 3, nn.ReLU)


def test_mobilenet_v2_takes_relu_as_its_own_relu6() -> None:
    kinds = {type(m) for m in MobileNetV2(10, 3, nn.ReLU, width=8).modules()}
    assert nn.ReLU6 in kinds
    assert nn.ReLU not in kinds
