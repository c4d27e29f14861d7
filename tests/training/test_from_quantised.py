"""Networks that PyTorch quantised, read back: the same numbers, or refused by layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.ao.quantization as ao
from torch import Tensor, nn
from torch.ao.quantization import quantize_fx

from spikec.conversion import Graded, convert
from spikec.errors import ConversionError
from spikec.quantization import lower
from spikec.simulation import simulate
from spikec.training import ClipFloorShift, without_quantisation

pytestmark = pytest.mark.filterwarnings("ignore")
IMAGES = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def net() -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*body, nn.Conv2d(4, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5))


def in_training() -> nn.Module:
    """Eager: fused, trained a little, observers stopped."""
    model = net().train()
    model.qconfig = ao.get_default_qat_qconfig("fbgemm")
    model = ao.prepare_qat(ao.fuse_modules_qat(model, [["0", "1", "2"], ["4", "5"]]))
    return settled(model)


def traced() -> nn.Module:
    mapping = ao.get_default_qat_qconfig_mapping("fbgemm")
    return settled(quantize_fx.prepare_qat_fx(net().train(), mapping, (IMAGES,)))


def settled(model: nn.Module) -> nn.Module:
    for _ in range(5):
        model(IMAGES)
    return model.eval().apply(ao.disable_observer)


def hand_made(model: nn.Module, images: Tensor) -> list[np.ndarray[Any, Any]]:
    """What each rounding of a quantised network gives, by the rule itself in float64."""
    found = []
    for module in model.modules():
        if hasattr(module, "fake_quant_enabled") and module.scale.numel() == 1 and module.fake_quant_enabled:
            module.register_forward_hook(lambda m, x, y: found.append((m, x[0].double().numpy(), y.numpy())))
    with torch.no_grad():
        model(images)
    for rounding, before, after in found:
        scale, zero = rounding.scale.double().item(), rounding.zero_point.item()
        whole = np.clip(np.rint(before / scale) + zero, rounding.quant_min, rounding.quant_max)
        np.testing.assert_allclose(after, scale * (whole - zero), rtol=1e-4, atol=1e-6)
    return [after for _, _, after in found]


def without_other_rounding(model: nn.Module) -> nn.Module:
    """Switch off rounding that is not behind a ReLU: of the image and of the output."""
    for name, module in model.named_modules():
        observed = hasattr(module, "fake_quant_enabled") and module.scale.numel() == 1
        if observed and (int(module.zero_point) != 0 or name == "activation_post_process_0"):
            module.disable_fake_quant()
    return model


@pytest.mark.parametrize("make", [in_training, traced])
def test_networks_in_training_keep_weights_and_levels(make: Callable[[], nn.Module]) -> None:
    model = without_other_rounding(make())
    made, notes = without_quantisation(model)
    assert [m.levels for m in made.modules() if isinstance(m, ClipFloorShift)] == [127, 127]
    assert not any(isinstance(m, nn.ReLU) for m in made.modules())
    wanted = hand_made(model, IMAGES)
    with torch.no_grad():
        torch.testing.assert_close(made(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-4)
    assert len(wanted) >= 2
    assert len(notes) == 1
    assert "keep their levels" in notes[0]


@pytest.mark.parametrize("make", [in_training, traced])
def test_other_rounding_is_noted_and_the_network_given_stays(make: Callable[[], nn.Module]) -> None:
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    made, notes = without_quantisation(model)
    assert "is left out at" in notes[-1]
    with torch.no_grad():
        worst = (made(IMAGES) - model(IMAGES)).abs().max()
    assert worst < 0.05 * model(IMAGES).abs().max()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert without_quantisation(made) == (made, ())


def converted() -> tuple[nn.Module, nn.Module]:
    model = nn.Sequential(ao.QuantStub(), *net(), ao.DeQuantStub()).eval()
    model.qconfig = ao.get_default_qconfig("fbgemm")
    model = ao.prepare(ao.fuse_modules(model, [["1", "2", "3"], ["5", "6"]]))
    model(IMAGES)
    return model, ao.convert(model)


def test_converted_networks_have_the_numbers_of_their_whole_weights() -> None:
    prepared, model = converted()
    made, notes = without_quantisation(model)
    weight = model[1].weight()
    scales, wholes = weight.q_per_channel_scales(), weight.int_repr()
    np.testing.assert_allclose(
        made[1][0].weight.detach().numpy(), wholes * scales[:, None, None, None].numpy(), rtol=1e-6
    )
    assert made[1][1].levels == 255
    assert "0" in notes[1].rpartition("left out at ")[2].split(", ")
    with torch.no_grad():
        wanted = model(IMAGES)
        assert (made(IMAGES) - wanted).abs().max() < 0.05 * wanted.abs().max()
    plain, notes = without_quantisation(prepared)  # observers only: nothing was rounded
    assert not notes
    with torch.no_grad():
        torch.testing.assert_close(plain(IMAGES), prepared(IMAGES))


def test_converted_by_fx_and_dynamic() -> None:
    model = quantize_fx.convert_fx(traced())
    made, notes = without_quantisation(model)
    with torch.no_grad():
        wanted = model(IMAGES)
        assert (made(IMAGES) - wanted).abs().max() < 0.05 * wanted.abs().max()
    assert len(notes) == 2
    dynamic = ao.quantize_dynamic(net().eval(), {nn.Linear})
    made, notes = without_quantisation(dynamic)
    assert torch.equal(made[-1].weight, dynamic[-1].weight().dequantize())
    assert not notes


def test_what_is_read_back_is_deployed_without_loss() -> None:
    made, _ = without_quantisation(in_training())
    graph = lower(convert(made, Graded(), example=IMAGES[:1], calibration=IMAGES))
    with torch.no_grad():
        wanted = made(IMAGES).numpy()
    assert np.abs(simulate(graph, IMAGES.numpy()).logits - wanted).max() < 0.1 * np.abs(wanted).max()


class Whole(Tensor):
    """Integers and a scale, as torchao's tensors are: a subclass that knows how to become a plain tensor."""

    @staticmethod
    def __new__(cls, whole: Tensor, scale: Tensor) -> Whole:
        made = Tensor._make_wrapper_subclass(cls, whole.shape, dtype=torch.float32)
        made.whole, made.scale = whole, scale
        return made

    def dequantize(self) -> Tensor:
        return self.whole * self.scale

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), settings: Any = None) -> Any:
        if function is torch.ops.aten.detach.default:
            return cls(arguments[0].whole, arguments[0].scale)
        raise NotImplementedError(function)

    def __deepcopy__(self, memo: Any) -> Whole:
        return Whole(self.whole.clone(), self.scale.clone())


def test_tensors_of_other_kinds_become_plain() -> None:
    model = net().eval()
    whole, scale = torch.randint(-127, 128, (5, 16)), torch.rand(5, 1)
    model[-1].weight = nn.Parameter(Whole(whole, scale), requires_grad=False)
    made, notes = without_quantisation(model)
    assert type(made[-1].weight.data) is Tensor
    assert torch.equal(made[-1].weight, whole * scale)
    assert not notes
    made(IMAGES)


def test_layers_without_a_counterpart_are_named() -> None:
    model = nn.Sequential(ao.QuantStub(), nn.Conv2d(1, 4, 3), nn.Hardswish(), ao.DeQuantStub()).eval()
    model.qconfig = ao.get_default_qconfig("fbgemm")
    model = ao.prepare(model)
    model(IMAGES)
    with pytest.raises(
        ConversionError, match=r"^2 is quantised as torch.ao.nn.quantized.*Hardswish.*the float network"
    ):
        without_quantisation(ao.convert(model))


class Named(Tensor):
    """A subclass that holds plain numbers."""


def test_plain_networks_are_given_back() -> None:
    model = net()
    model[-1].weight = nn.Parameter(torch.ones(5, 16).as_subclass(Named))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert without_quantisation(model) == (model, ())


def test_conversion_warns_of_it() -> None:
    with pytest.warns(UserWarning, match="keep their levels") as heard:
        convert(in_training(), Graded(), example=IMAGES[:1], calibration=IMAGES)
    assert any("is left out at" in str(each.message) for each in heard)
