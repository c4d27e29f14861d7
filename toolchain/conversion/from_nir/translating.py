"""NIR nodes as operations of the traced graph: the second half of :mod:`spikec.conversion.from_nir.importing`."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from spikec.conversion.from_nir import REFUSED
from spikec.conversion.from_nir.shapes import aligned, kernel_of, pads_of, pair, read_shape, strides_of
from spikec.conversion.neurons import Neuron, NeuronSpec
from spikec.errors import GraphError
from spikec.frontend import AveragePool, ChannelAffine, Convolution, Dense, FlattenAll, Lift, LinearMap
from spikec.ir.kinds import IF
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
    """Builds a traced graph node by node, in topological order: ``graph`` and its ``modules`` by name.

    ``names``: what each node is called, by its name in the file; ``shapes``: what leaves it.
    """

    def __init__(
        self, *, timesteps: int, half: bool, dt: float | None, names: Mapping[str, str], shapes: Mapping[str, Shape]
    ) -> None:
        self.graph = fx.Graph()
        self.modules: dict[str, nn.Module] = {}
        self._timesteps, self._half, self._dt = timesteps, half, dt
        self._names, self._shapes = names, shapes
        self._values: dict[str, _Value] = {}
        self._outputs: dict[str, fx.Node] = {}

    def add(self, original: str, node: nir.NIRNode, sources: Sequence[str], *, lift: bool) -> None:
        """Translate the node called ``original`` in the file. ``lift``: images come without the axis of height."""
        self._original, self._name, self._shape = original, self._names[original], self._shapes[original]
        if isinstance(node, nir.Input):
            image = self._finish(self.graph.placeholder("input"))
            if lift:
                image = self._call(Lift(), image, suffix="_lift")
            self._values[original] = _Value(image, self._shape, np.ones(self._shape[0]), bare=True)
            return
        value = self._gather([self._values[source] for source in sources])
        match node:
            case nir.Conv1d() | nir.Conv2d():
                self._values[original] = self._convolution(node, value)
            case nir.Affine() | nir.Linear():
                self._values[original] = self._dense(node, value)
            case nir.Scale():
                self._values[original] = self._scale(node, value)
            case nir.SumPool2d() | nir.AvgPool2d():
                self._values[original] = self._pool(node, value)
            case nir.Flatten():
                self._values[original] = self._flatten(value)
            case nir.IF():
                self._values[original] = self._neurons(node, value)
            case nir.I():
                self._values[original] = value  # the readout, which integrates in any case
            case nir.Output():
                self._outputs[self._name] = self._output(value)
            case _:
                raise self._error(f"{type(node).__name__} has no counterpart here")

    def _error(self, phrase: str) -> GraphError:
        return GraphError(f"{REFUSED}{self._original}: {phrase}")

    def _finish(self, node: fx.Node, shape: Shape | None = None) -> fx.Node:
        node.meta["shape"] = self._shape if shape is None else shape
        node.meta["where"] = f"NIR node {self._original}"
        return node

    def _call(self, module: nn.Module, source: fx.Node, shape: Shape | None = None, suffix: str = "") -> fx.Node:
        """Append a module; one with a ``suffix`` stands beside that of the node itself."""
        name, number = f"{self._name}{suffix}", 1
        while suffix and self._taken(name):
            name, number = f"{self._name}{suffix}_{number}", number + 1
        self.modules[name] = module
        return self._finish(self.graph.call_module(name, (source,)), shape)

    def _taken(self, name: str) -> bool:
        """Whether a module is called so, will be, or lies beneath."""
        return any(f"{each}.".startswith(f"{name}.") for each in (*self.modules, *self._names.values()))

    def _gather(self, values: list[_Value]) -> _Value:
        """The sum of what feeds a node."""
        if len(values) == 1:
            return values[0]
        shape = values[0].shape
        nodes = [self._weighted(value).node for value in values]
        total = reduce(lambda a, b: self._finish(self.graph.call_function(operator.add, (a, b)), shape), nodes)
        return _Value(total, shape, np.ones(shape[0]), bare=False)

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
        return _Value(self._call(module, value.node, value.shape, "_gain"), value.shape, ones, bare=False)

    def _convolution(self, node: nir.Conv1d | nir.Conv2d, value: _Value) -> _Value:
        (weight, bias), groups = kernel_of(node), int(np.asarray(node.groups))
        stride, dilation = strides_of(node)
        rows = weight.shape[0] // groups
        gain = np.repeat(value.gain.reshape(groups, 1, -1), rows, axis=1).reshape(weight.shape[0], -1, 1, 1)
        layer = Convolution(
            _float32(weight * gain),
            _float32(bias),
            stride=stride,
            pads=pads_of(node),
            dilation=dilation,
            groups=groups,
        )
        return self._weights(layer, value)

    def _weights(self, layer: nn.Module, value: _Value) -> _Value:
        """What a layer with weights, which took in the gain, makes of a value."""
        return _Value(self._call(layer, value.node), self._shape, np.ones(self._shape[0]), bare=False)

    def _dense(self, node: nir.Affine | nir.Linear, value: _Value) -> _Value:
        weight = np.asarray(node.weight, dtype=np.float64)
        given = np.asarray(getattr(node, "bias", 0.0), dtype=np.float64).reshape(-1)
        bias = np.broadcast_to(given, weight.shape[:1])
        return self._weights(Dense(_float32(weight * value.gain), _float32(bias)), value)

    def _scale(self, node: nir.Scale, value: _Value) -> _Value:
        factors = np.broadcast_to(aligned(node.scale, self._shape), self._shape).reshape(self._shape[0], -1)
        if (factors == factors[:, :1]).all():
            return _Value(value.node, value.shape, value.gain * factors[:, 0], value.bare)
        places = torch.arange(factors.size).expand(2, -1)
        diagonal = _float32((factors * value.gain[:, None]).reshape(-1))
        return self._weights(LinearMap(places, diagonal, self._shape, self._shape), value)

    def _pool(self, node: nir.SumPool2d | nir.AvgPool2d, value: _Value) -> _Value:
        kernel, stride, padding = pair(node.kernel_size), pair(node.stride), pair(node.padding)
        area = kernel[0] * kernel[1]
        gain = value.gain * area if isinstance(node, nir.SumPool2d) else value.gain
        if kernel == stride and not any(padding):
            return _Value(self._call(AveragePool(kernel), value.node), self._shape, gain, value.bare)
        weight = (gain / area).reshape(-1, 1, 1, 1) * np.ones((1, 1, *kernel))
        pads = (padding[0], padding[0], padding[1], padding[1])
        return self._weights(Convolution(_float32(weight), stride=stride, pads=pads, groups=len(gain)), value)

    def _flatten(self, value: _Value) -> _Value:
        if self._shape == value.shape:
            return value
        return self._flat(value, self._shape)

    def _flat(self, value: _Value, shape: Shape, suffix: str = "") -> _Value:
        gain = np.repeat(value.gain, int(np.prod(value.shape[1:])))
        return _Value(self._call(FlattenAll(), value.node, shape, suffix), shape, gain, value.bare)

    def _neurons(self, node: nir.IF, value: _Value) -> _Value:
        threshold = aligned(node.v_threshold, value.shape)
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
        emitted = self._call(neuron, source)
        return _Value(emitted, value.shape, np.broadcast_to(1 / scaled, (value.shape[0],)), bare=True)

    def end(self) -> None:
        """Return what the Output nodes read, by name where there are several."""
        several = len(self._outputs) > 1
        self.graph.output(self._outputs if several else next(iter(self._outputs.values())))

    def _output(self, value: _Value) -> fx.Node:
        shape = read_shape(value.shape)
        if value.shape != shape:
            value = self._flat(value, shape, "_flatten")
        return self._weighted(value).node


def _float32(values: Float64) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
