"""NIR nodes as operations of the traced graph: the second half of :mod:`spikec.conversion.from_nir.importing`."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import reduce

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from spikec.conversion.from_nir import REFUSED
from spikec.conversion.from_nir.shapes import check_numbers, read_shape
from spikec.conversion.neurons import Neuron, NeuronSpec
from spikec.errors import GraphError
from spikec.frontend import AveragePool, ChannelAffine, Convolution, Dense, FlattenAll
from spikec.frontend.pads import convolution_pads
from spikec.ir.kinds import IF
from spikec.ir.operations import SumPool
from spikec.ir.operations.windows import output_size
from spikec.ir.types import Shape

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Value:
    """The output of a NIR node: ``gain`` (one number per channel) times a node of the traced graph.

    Neurons of the traced graph emit their threshold, those of NIR emit 1; pools of the traced graph average, those of
    NIR may sum. ``gain`` keeps the factor until the next weights take it in. ``bare``: no weights since the last
    neurons or the input.
    """

    node: fx.Node
    shape: Shape
    gain: Float64
    bare: bool


class Translator:
    """Builds a traced graph node by node, in topological order: ``graph`` and its ``modules`` by name."""

    def __init__(self, *, timesteps: int, half: bool, dt: float | None) -> None:
        self.graph = fx.Graph()
        self.modules: dict[str, nn.Module] = {}
        self.input_shape: Shape = ()
        self._timesteps, self._half, self._dt = timesteps, half, dt
        self._values: dict[str, _Value] = {}
        self._outputs: dict[str, fx.Node] = {}

    def add(self, original: str, name: str, node: nir.NIRNode, sources: list[str]) -> None:
        """Translate one node; ``original`` is its name in the file, ``name`` the one it gets."""
        self._original, self._name = original, name
        if isinstance(node, nir.Input):
            self.input_shape = tuple(int(n) for n in np.asarray(node.input_type["input"]).reshape(-1))
            if len(self.input_shape) not in (1, 3):
                raise self._error(f"the input has shape {self.input_shape}; it must be (C, H, W) or flat")
            placeholder = self._finish(self.graph.placeholder("input"), self.input_shape)
            self._values[original] = _Value(placeholder, self.input_shape, np.ones(self.input_shape[0]), bare=True)
            return
        for field in ("weight", "bias", "r", "v_threshold"):
            if not np.isfinite(np.asarray(getattr(node, field, 0), dtype=np.float64)).all():
                raise self._error(f"{field} holds values that are not finite")
        check_numbers(original, node)
        value = self._gather([self._values[source] for source in sources])
        match node:
            case nir.Conv2d():
                self._values[original] = self._convolution(node, value)
            case nir.Affine() | nir.Linear():
                self._values[original] = self._dense(node, value)
            case nir.SumPool2d() | nir.AvgPool2d():
                self._values[original] = self._pool(node, value)
            case nir.Flatten():
                self._values[original] = self._flatten(node, value)
            case nir.IF():
                self._values[original] = self._neurons(node, value)
            case nir.I():
                self._values[original] = value  # the readout, which integrates in any case
            case nir.Output():
                self._outputs[name] = self._output(value)
            case _:
                raise self._error(f"{type(node).__name__} has no counterpart here")

    def _error(self, phrase: str) -> GraphError:
        return GraphError(f"{REFUSED}{self._original}: {phrase}")

    def _finish(self, node: fx.Node, shape: Shape) -> fx.Node:
        node.meta["shape"], node.meta["where"] = shape, f"NIR node {self._original}"
        return node

    def _call(self, module: nn.Module, source: fx.Node, shape: Shape, suffix: str = "") -> fx.Node:
        name, number = f"{self._name}{suffix}", 1
        while name in self.modules:
            name, number = f"{self._name}{suffix}_{number}", number + 1
        self.modules[name] = module
        return self._finish(self.graph.call_module(name, (source,)), shape)

    def _gather(self, values: list[_Value]) -> _Value:
        """The sum of what feeds a node."""
        if len(values) == 1:
            return values[0]
        shapes = sorted({value.shape for value in values})
        if len(shapes) > 1:
            raise self._error(f"its sources have different shapes: {', '.join(map(str, shapes))}")
        nodes = [self._weighted(value).node for value in values]
        total = reduce(lambda a, b: self._finish(self.graph.call_function(operator.add, (a, b)), shapes[0]), nodes)
        return _Value(total, shapes[0], np.ones(shapes[0][0]), bare=False)

    def _weighted(self, value: _Value) -> _Value:
        """The value with its gain moved into a layer of its own; flat values without weights always need one."""
        ones = np.ones_like(value.gain)
        flat = len(value.shape) == 1
        if (value.gain == 1).all() and not (flat and value.bare):
            return value
        if flat and value.bare:
            module: nn.Module = Dense(_float32(np.diag(value.gain)))
        else:
            module = ChannelAffine(_float32(value.gain), _float32(np.zeros_like(value.gain)))
        return _Value(self._call(module, value.node, value.shape, ".gain"), value.shape, ones, bare=False)

    def _convolution(self, node: nir.Conv2d, value: _Value) -> _Value:
        weight = np.asarray(node.weight, dtype=np.float64)
        groups = int(np.asarray(node.groups))
        if len(value.shape) != 3 or weight.ndim != 4 or weight.shape[1] * groups != value.shape[0]:
            raise self._error(f"weights of shape {weight.shape} in {groups} groups do not fit {value.shape}")
        kernel = (weight.shape[2], weight.shape[3])
        stride, dilation = _pair(node.stride), _pair(node.dilation)
        if isinstance(node.padding, str) and node.padding == "same" and stride != (1, 1):
            raise self._error("padding 'same' needs stride 1")
        padding = node.padding if isinstance(node.padding, str) else _pair(node.padding)
        pads = convolution_pads(padding, kernel, dilation, stride)
        rows = weight.shape[0] // groups
        gain = np.repeat(value.gain.reshape(groups, 1, -1), rows, axis=1).reshape(weight.shape[0], -1, 1, 1)
        layer = Convolution(
            _float32(weight * gain),
            _float32(np.asarray(node.bias).reshape(-1)),
            stride=stride,
            pads=pads,
            dilation=dilation,
            groups=groups,
        )
        return self._convolved(layer, value)

    def _convolved(self, layer: Convolution, value: _Value) -> _Value:
        (top, bottom, left, right), (channels, _, *kernel) = layer.pads, layer.weight.shape
        sizes = zip(value.shape[1:], kernel, layer.stride, (top + bottom, left + right), layer.dilation, strict=True)
        spatial = [output_size(*each) for each in sizes]
        if min(spatial) < 1:
            raise self._error(f"the kernel {tuple(kernel)} is larger than its padded input {value.shape}")
        shape = (int(channels), *spatial)
        return _Value(self._call(layer, value.node, shape), shape, np.ones(channels), bare=False)

    def _dense(self, node: nir.Affine | nir.Linear, value: _Value) -> _Value:
        weight = np.asarray(node.weight, dtype=np.float64)
        if weight.ndim != 2 or value.shape != (weight.shape[1],):
            raise self._error(f"weights of shape {weight.shape} do not fit its input {value.shape}; flatten it first")
        bias = None if isinstance(node, nir.Linear) else _float32(np.asarray(node.bias).reshape(-1))
        layer = Dense(_float32(weight * value.gain), bias)
        shape = (weight.shape[0],)
        return _Value(self._call(layer, value.node, shape), shape, np.ones(shape), bare=False)

    def _pool(self, node: nir.SumPool2d | nir.AvgPool2d, value: _Value) -> _Value:
        kernel, stride, padding = _pair(node.kernel_size), _pair(node.stride), _pair(node.padding)
        summing = isinstance(node, nir.SumPool2d)
        if len(value.shape) != 3 or any(
            k > n + 2 * p for k, n, p in zip(kernel, value.shape[1:], padding, strict=True)
        ):
            raise self._error(f"a pool of {kernel} does not fit {value.shape}")
        if any(padding) and not summing:
            raise self._error("NIR does not say whether an average counts its padding; use no padding or a SumPool2d")
        area = kernel[0] * kernel[1]
        gain = value.gain * area if summing else value.gain
        if kernel == stride and not any(padding):
            shape = SumPool.pooled(value.shape, kernel)
            return _Value(self._call(AveragePool(kernel), value.node, shape), shape, gain, value.bare)
        weight = (gain / area).reshape(-1, 1, 1, 1) * np.ones((1, 1, *kernel))
        pads = (padding[0], padding[0], padding[1], padding[1])
        return self._convolved(Convolution(_float32(weight), stride=stride, pads=pads, groups=len(gain)), value)

    def _flatten(self, node: nir.Flatten, value: _Value) -> _Value:
        start, end = int(np.asarray(node.start_dim)), int(np.asarray(node.end_dim))
        rank = len(value.shape)
        if start % rank >= end % rank:
            return value
        if (start % rank, end % rank) != (0, rank - 1):
            raise self._error(
                f"it flattens axes {start} to {end} of {value.shape}; only all axes, 0 to -1 (NIR counts no batch "
                "axis), leave what a weight matrix can read"
            )
        flat = (int(np.prod(value.shape)),)
        gain = np.repeat(value.gain, int(np.prod(value.shape[1:])))
        return _Value(self._call(FlattenAll(), value.node, flat), flat, gain, value.bare)

    def _neurons(self, node: nir.IF, value: _Value) -> _Value:
        threshold = np.asarray(node.v_threshold, dtype=np.float64)
        if threshold.shape != value.shape and threshold.size != 1:
            raise self._error(f"it has {threshold.shape} neurons, its source has shape {value.shape}")
        by_channel = np.broadcast_to(threshold, value.shape).reshape(value.shape[0], -1)
        if (by_channel != by_channel[:, :1]).any():
            raise self._error("thresholds differ within a channel; one threshold per channel is the most there is")
        # Comparing r * dt times the input with a threshold is comparing the input with threshold / (r * dt).
        scaled = by_channel[:, 0] / (float(np.asarray(node.r).flat[0]) * (self._dt or 1.0))
        thresholds = _float32(scaled[:1].reshape(()) if (scaled == scaled[0]).all() else scaled)
        neuron = Neuron(NeuronSpec(IF()), thresholds, self._timesteps, "pipelined")
        if not self._half:
            # Slightly less than half: for an odd integer threshold, lowering then subtracts the floor of the half.
            half = torch.nextafter(thresholds / 2, torch.zeros_like(thresholds))
            neuron.offset = -half.reshape(-1, *([1] * (len(value.shape) - 1))).expand(value.shape).clone()
        source = self._weighted(value).node
        emitted = self._call(neuron, source, value.shape)
        return _Value(emitted, value.shape, np.broadcast_to(1 / scaled, (value.shape[0],)), bare=True)

    def end(self) -> None:
        """Return what the Output nodes read, by name where there are several."""
        several = len(self._outputs) > 1
        self.graph.output(self._outputs if several else next(iter(self._outputs.values())))

    def _output(self, value: _Value) -> fx.Node:
        if value.shape != read_shape(value.shape):
            flat = (int(np.prod(value.shape)),)
            node = self._call(FlattenAll(), value.node, flat, ".flatten")
            value = _Value(node, flat, np.repeat(value.gain, int(np.prod(value.shape[1:]))), value.bare)
        return self._weighted(value).node


def _float32(values: Float64) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _pair(value: object) -> tuple[int, int]:
    first, second = np.broadcast_to(np.asarray(value), 2)
    return int(first), int(second)
