"""Reads networks that PyTorch quantised already: their weights exactly, the levels of their activations as
:class:`ClipFloorShift`.

``torch.ao`` (eager and FX; prepared, in training or converted) and tensors of ``torchao``. The rule of both:
``q = clip(round(x / scale) + zero_point, low, high)``, ``y = scale * (q - zero_point)``. With ``zero_point = low``, as
after a ReLU, that is a clip-floor-shift activation of ``high - low`` levels, up to values that lie exactly between two.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from spikec.errors import ConversionError
from spikec.training.activations import ClipFloorShift

_AO = "torch.ao."
_LINEAR = {"Linear": nn.Linear, "LinearReLU": nn.Linear}
_CONV = {"Conv1d": nn.Conv1d, "Conv2d": nn.Conv2d, "Conv3d": nn.Conv3d}
_CONV_RELU = {f"ConvReLU{n}d": _CONV[f"Conv{n}d"] for n in (1, 2, 3)}
#: Converted layers by the name of their class.
_CONVERTED: dict[str, type[nn.Module]] = {**_LINEAR, **_CONV, **_CONV_RELU}
_INPUTS = ("QuantStub", "DeQuantStub", "Quantize", "DeQuantize")
_LARGEST_QUINT8 = 255
#: Functions that give values on, unchanged.
_KEEPING = (nn.Flatten, nn.Identity, nn.Dropout, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def without_quantisation(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """A float network with the numbers of a quantised one, and notes on what it no longer rounds; ``model`` itself
    where nothing is quantised.

    Weights become what the quantised layer multiplies with. Activations that are rounded behind a ReLU become
    :class:`ClipFloorShift` with as many levels. Other rounding, of the image, of sums and of the output, is left out
    and noted by layer: deployments round on their own. Raises :class:`ConversionError` that names a layer which has no
    float counterpart here.
    """
    if not any(_quantised(module) for module in model.modules()):
        return model, ()
    work = _Work()
    made = work.replaced("", copy.deepcopy(model))
    work.check(made)
    return made.eval(), work.notes()


def _quantised(module: nn.Module) -> bool:
    if type(module).__module__.startswith(_AO) or hasattr(module, "weight_fake_quant"):
        return True
    return any(_scaled(value) for value in module.parameters(recurse=False))


def _scaled(value: Tensor) -> bool:
    """Whether a parameter holds whole numbers and scales in place of its numbers, as torchao's tensors do."""
    kind = type(value.data)
    return kind is not Tensor and (kind.dequantize is not Tensor.dequantize or kind.__module__.startswith("torchao."))


@dataclass
class _Work:
    left_out: list[str] = field(default_factory=list)
    levels: dict[str, int] = field(default_factory=dict)
    #: By the identity of modules, which are kept here so that no other gets it: what became of them.
    made: dict[int, tuple[nn.Module, nn.Module]] = field(default_factory=dict)

    def notes(self) -> tuple[str, ...]:
        found = []
        if self.levels:
            listed = ", ".join(f"{name} ({levels})" for name, levels in self.levels.items())
            found.append(f"the network is quantised: its activations keep their levels: {listed}")
        if self.left_out:
            listed = ", ".join(dict.fromkeys(self.left_out))
            found.append(f"the network is quantised: rounding that is not behind a ReLU is left out at {listed}")
        return tuple(found)

    def replaced(self, name: str, module: nn.Module) -> nn.Module:
        """The float form of a module and of all in it; the same for a module under two names."""
        if id(module) not in self.made:
            self.made[id(module)] = module, self._replaced(name, module)
        return self.made[id(module)][1]

    def _replaced(self, name: str, module: nn.Module) -> nn.Module:
        made = self._layer(name, module)
        if made is not None:
            return made
        if isinstance(module, fx.GraphModule):
            self._graph(name, module)
        for child, inside in list(module._modules.items()):  # also under a second name
            if inside is not None and not _is_rounding(inside):
                setattr(module, child, self.replaced(f"{name}.{child}".lstrip("."), inside))
        self._plain_weights(name, module)
        rounding = _take_rounding(module)
        if isinstance(module, nn.ReLU | nn.ReLU6) and rounding is not None:
            return self._activation(name, rounding, module)
        if rounding is not None and not isinstance(module, _KEEPING):
            self.left_out.append(name or "the output")
        return module

    def _layer(self, name: str, module: nn.Module) -> nn.Module | None:
        """The counterpart of a single quantised layer; None for everything else."""
        kind, place = type(module).__name__, type(module).__module__
        if hasattr(module, "weight_fake_quant"):
            rounding, rectified = _take_rounding(module), "ReLU" in kind
            layer = _trained(name, module)
        elif place.startswith(_AO) and "quantized" in place and kind in _CONVERTED:
            rounding, rectified = _converted_rounding(module), "ReLU" in kind
            layer = _dequantised(name, module, _CONVERTED[kind])
        elif place.startswith(_AO) and kind in _INPUTS:
            if kind in ("Quantize", "QuantStub") and (kind == "Quantize" or _take_rounding(module) is not None):
                self.left_out.append(name)
            return nn.Identity()
        elif place.startswith(_AO) and kind in ("QFunctional", "FloatFunctional"):
            if kind == "QFunctional" or _take_rounding(module) is not None:
                self.left_out.append(name)
            plain: Any = torch.ao.nn.quantized.FloatFunctional
            made: nn.Module = plain()
            return made
        else:
            return None
        if rectified:
            after = nn.ReLU() if rounding is None else self._activation(name, rounding, nn.ReLU())
            return nn.Sequential(layer, after)
        if rounding is not None:
            self.left_out.append(name)
        return layer

    def _activation(self, name: str, rounding: _Rounding, activation: nn.Module) -> nn.Module:
        """The activation with its levels, if they are those of a clip-floor-shift; else the activation alone."""
        top = rounding.scale * rounding.levels
        if not rounding.from_zero or (isinstance(activation, nn.ReLU6) and top > 6):
            self.left_out.append(name)
            return activation
        self.levels[name] = rounding.levels
        return ClipFloorShift(rounding.levels, top)

    def _graph(self, name: str, module: fx.GraphModule) -> None:
        """Take rounding out of a traced graph, before its modules are replaced."""
        graph, modules = module.graph, dict(module.named_modules(remove_duplicate=False))
        for node in list(graph.nodes):
            target, label = node.target, f"{name}.{node.name}".lstrip(".")
            if node.op == "call_function" and getattr(target, "__module__", "").startswith("torch._ops.quantized"):
                raise ConversionError(_no_counterpart(label, str(target)))
            rounds = node.op == "call_function" and target in (torch.quantize_per_tensor, torch.quantize_per_channel)
            if rounds or (node.op == "call_method" and target == "dequantize"):
                if rounds:
                    self.left_out.append(label)
            elif node.op == "call_module" and _is_rounding(modules[str(target)]):
                self._rounding_node(module, node, modules, label)
            else:
                continue
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
        graph.eliminate_dead_code()
        module.delete_all_unused_submodules()
        for child, inside in list(module._modules.items()):  # and those that a layer has taken in
            if _is_rounding(inside):
                delattr(module, child)
        module.recompile()

    def _rounding_node(self, module: fx.GraphModule, node: fx.Node, modules: dict[str, nn.Module], label: str) -> None:
        rounding, before = _rounding_of(modules[str(node.target)]), node.args[0]
        layer = modules.get(str(before.target)) if isinstance(before, fx.Node) and before.op == "call_module" else None
        if rounding is None or isinstance(layer, _KEEPING):
            return
        if layer is None or len(before.users) > 1:  # type: ignore[union-attr]
            self.left_out.append(label)
        elif isinstance(layer, nn.ReLU | nn.ReLU6):
            path, _, last = str(before.target).rpartition(".")  # type: ignore[union-attr]
            setattr(module.get_submodule(path), last, self._activation(label, rounding, layer))
        elif hasattr(layer, "weight_fake_quant") and "ReLU" in type(layer).__name__:
            layer.activation_post_process = modules[str(node.target)]  # which the layer then takes in
        else:
            self.left_out.append(label)

    @staticmethod
    def _plain_weights(name: str, module: nn.Module) -> None:
        for key, value in list(module.named_parameters(recurse=False)):
            if _scaled(value):
                kind = type(value.data)
                if kind.dequantize is Tensor.dequantize:
                    raise ConversionError(_no_counterpart(f"{name}.{key}".lstrip("."), kind.__name__))
                setattr(module, key, nn.Parameter(value.data.dequantize().detach().float().clone()))

    @staticmethod
    def check(model: nn.Module) -> None:
        for name, module in model.named_modules():
            place, kind = type(module).__module__, type(module).__name__
            if place.startswith(_AO) and kind not in ("FloatFunctional", "QuantWrapper") and not _harmless(module):
                raise ConversionError(_no_counterpart(name, f"{place}.{kind}"))
            if place.startswith("torchao."):
                raise ConversionError(_no_counterpart(name, f"{place}.{kind}"))


def _harmless(module: nn.Module) -> bool:
    """``torch.ao.nn.intrinsic`` before any quantisation: sequences of a layer and its activation."""
    return isinstance(module, nn.Sequential)


def _no_counterpart(name: str, what: str) -> str:
    return (
        f"{name} is quantised as {what}, which has no float counterpart here: give the float network, before it was "
        "prepared or converted for quantisation; spikec quantises it itself"
    )


@dataclass(frozen=True)
class _Rounding:
    """``levels`` above the lowest value; ``from_zero``: whether that value stands for 0."""

    scale: float
    levels: int
    from_zero: bool


def _is_rounding(module: nn.Module | None) -> bool:
    """Whether the module observes or rounds what passes through."""
    kind = "" if module is None else type(module).__module__
    return kind.startswith((f"{_AO}quantization.fake_quantize", f"{_AO}quantization.observer"))


def _take_rounding(module: nn.Module) -> _Rounding | None:
    """Remove observer, rounding and their hooks from a module; what it rounded to, None if it did not."""
    for hooks in (module._forward_hooks, module._forward_pre_hooks):
        for key, hook in list(hooks.items()):
            if getattr(hook, "__module__", "").startswith(f"{_AO}quantization"):
                del hooks[key]
    found = module._modules.pop("activation_post_process", None)
    return _rounding_of(found) if _is_rounding(found) else None


def _rounding_of(module: Any) -> _Rounding | None:
    """None for observers, which round nothing, and for rounding that is switched off."""
    if not hasattr(module, "fake_quant_enabled") or not bool(module.fake_quant_enabled):
        return None
    scale, zero = module.scale.reshape(-1), module.zero_point.reshape(-1)
    low, high = int(module.quant_min), int(module.quant_max)
    return _Rounding(float(scale[0]), high - low, scale.numel() == 1 and int(zero[0]) == low)


def _converted_rounding(layer: Any) -> _Rounding | None:
    """Dynamic layers round no output."""
    if "dynamic" in type(layer).__module__:
        return None
    zero = int(layer.zero_point)
    return _Rounding(float(layer.scale), _LARGEST_QUINT8, zero == 0)


@torch.no_grad()
def _trained(name: str, layer: Any) -> nn.Module:
    """A layer of quantisation-aware training with the weights that its forward uses, batch norm folded."""
    weight, bias = layer.weight, layer.bias
    norm = getattr(layer, "bn", None)
    if norm is not None:
        weight, bias = fuse_conv_bn_weights(
            weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
    rounding = copy.deepcopy(layer.weight_fake_quant)  # moving averages change when it is called
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    kind = next((each for each in kinds if isinstance(layer, each)), None)
    if kind is None:
        raise ConversionError(_no_counterpart(name, f"{type(layer).__module__}.{type(layer).__name__}"))
    return _plain(kind, layer, rounding(weight), bias)


@torch.no_grad()
def _dequantised(name: str, layer: Any, kind: type[nn.Module]) -> nn.Module:
    """A converted layer with the numbers that its whole weights stand for."""
    weight, bias = layer.weight(), layer.bias()
    if not weight.is_quantized:
        raise ConversionError(_no_counterpart(name, f"weights of {weight.dtype}"))
    return _plain(kind, layer, weight.dequantize(), bias)


def _plain(kind: Any, layer: Any, weight: Tensor, bias: Tensor | None) -> nn.Module:
    if kind is nn.Linear:
        made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    else:
        settings = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
        made = kind(layer.in_channels, layer.out_channels, *settings, bias is not None, layer.padding_mode)
    made.weight = nn.Parameter(weight.detach().float().clone())
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().float().clone())
    return made
