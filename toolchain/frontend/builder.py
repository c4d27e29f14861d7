"""The traced graph under construction: named canonical modules, their shapes, and what was refused on the way."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn

from spikec.frontend.modules import ChannelAffine, Convolution, Dense
from spikec.frontend.obstacles import Obstacle
from spikec.frontend.tracing import where
from spikec.ir.types import Shape, lifted


class RefusalError(Exception):
    """Raised by a handler: this operation cannot be converted. ``operation`` and ``hint`` become an obstacle."""

    def __init__(self, operation: str, hint: str) -> None:
        super().__init__(operation)
        self.operation, self.hint = operation, hint


@dataclass
class Call:
    """One operation of the user's network: ``args`` and ``kwargs`` hold canonical nodes, tensors and plain values."""

    node: fx.Node
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    module: nn.Module | None = None

    def bind(self, *names: str, **defaults: Any) -> list[Any]:
        """Values of the named parameters, by position or keyword; those without a default must be given."""
        values = []
        for position, name in enumerate(names):
            if position < len(self.args):
                values.append(self.args[position])
            elif name in self.kwargs:
                values.append(self.kwargs[name])
            elif name in defaults:
                values.append(defaults[name])
            else:
                raise RefusalError(f"a call without {name!r}", "pass it explicitly")
        return values

    @property
    def shape(self) -> Shape:
        """Output shape without the batch axis; signals count as images of height one."""
        return lifted(tuple(self.node.meta.get("shape", ())))

    @property
    def signal(self) -> bool:
        """Whether the first tensor that the user's operation reads is a signal (N, C, L)."""
        return len(self.node.all_input_nodes[0].meta.get("shape", ())) == 2


Handler = Callable[["Builder", Call], Any]
MODULES: dict[type[nn.Module], Handler] = {}
FUNCTIONS: dict[Any, Handler] = {}
METHODS: dict[str, Handler] = {}
_H = TypeVar("_H", bound=Handler)


def handles(*keys: Any) -> Callable[[_H], _H]:
    """Register a handler for module classes, functions, and method names (strings)."""

    def register(handler: _H) -> _H:
        for key in keys:
            if isinstance(key, str):
                METHODS[key] = handler
            elif isinstance(key, type):
                MODULES[key] = handler
            else:
                FUNCTIONS[key] = handler
        return handler

    return register


@dataclass
class Builder:
    """Collects the canonical graph; handlers call :meth:`emit` and :meth:`function`."""

    root: nn.Module = field(default_factory=nn.Module)
    graph: fx.Graph = field(default_factory=fx.Graph)
    obstacles: list[Obstacle] = field(default_factory=list)
    #: Operations of the user's network that a canonical node stands for (a fold or a dropout adds one).
    origins: dict[fx.Node, set[fx.Node]] = field(default_factory=dict)

    def shape(self, value: Any) -> Shape:
        """Shape of a canonical node without the batch axis."""
        return tuple(value.meta["shape"])

    def emit(self, call: Call, module: nn.Module, source: fx.Node, shape: Shape | None = None) -> fx.Node:
        """Append a canonical module fed by ``source``, named after the user's layer."""
        name = self._unique(self._base_name(call.node))
        self._attach(name, module)
        node = self.graph.call_module(name, (source,))
        return self._finish(node, call, call.shape if shape is None else shape)

    def function(
        self, call: Call, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
    ) -> fx.Node:
        """Append ``operator.add`` or ``torch.cat`` on canonical nodes."""
        return self._finish(self.graph.call_function(function, args, kwargs or {}), call, call.shape)

    def module(self, node: Any) -> nn.Module | None:
        """The canonical module behind a node, if it is one."""
        return self.root.get_submodule(str(node.target)) if self.is_node(node) and node.op == "call_module" else None

    def only_reader(self, call: Call, source: fx.Node) -> bool:
        """Whether nothing but ``call`` reads what ``source`` stands for, so that ``call`` may be folded into it."""
        origins = self.origins.get(source, set())
        readers = {user for origin in origins for user in origin.users} - origins
        return readers == {call.node}

    def is_node(self, value: Any) -> bool:
        return isinstance(value, fx.Node)

    def affine(self, call: Call, source: fx.Node, scale: Tensor, shift: Tensor) -> fx.Node:
        """``source * scale + shift`` per channel, folded into the linear layer before it if nothing else reads that."""
        channels = self.shape(source)[0]
        scale, shift = scale.detach().expand(channels), shift.detach().expand(channels)
        before = self.module(source)
        if isinstance(before, Convolution | Dense) and self.only_reader(call, source):
            shaped = scale.reshape(-1, *([1] * (before.weight.ndim - 1)))
            before.weight, before.bias = before.weight * shaped, before.bias * scale + shift
            return source
        if isinstance(before, ChannelAffine) and self.only_reader(call, source):
            before.scale, before.shift = before.scale * scale, before.shift * scale + shift
            return source
        return self.emit(call, ChannelAffine(scale, shift), source, self.shape(source))

    def absorb(self, source: fx.Node, layer: Convolution | Dense) -> fx.Node:
        """Fold a :class:`ChannelAffine` before ``layer`` into it where that is exact; returns what feeds the layer."""
        before = self.module(source)
        if not isinstance(before, ChannelAffine):
            return source
        padded = isinstance(layer, Convolution) and any(layer.pads)
        if padded and bool(before.shift.any()):
            return source  # padded zeros do not get the shift, and no kernel can express that
        scale, shift = before.scale, before.shift
        if isinstance(layer, Dense):
            layer.bias = layer.bias + layer.weight @ shift
            layer.weight = layer.weight * scale
        else:
            per_group = layer.weight.shape[1]
            rows = layer.weight.shape[0] // layer.groups
            grouped = scale.reshape(layer.groups, 1, per_group, 1, 1)
            weight = layer.weight.reshape(layer.groups, rows, *layer.weight.shape[1:])
            shifted = (weight * shift.reshape(layer.groups, 1, per_group, 1, 1)).sum((2, 3, 4)).reshape(-1)
            layer.bias = layer.bias + shifted
            layer.weight = (weight * grouped).reshape(layer.weight.shape)
        return source.all_input_nodes[0]

    def refuse(self, call: Call, refusal: RefusalError) -> None:
        self.obstacles.append(Obstacle(where(call.node), refusal.operation, refusal.hint))

    def _finish(self, node: fx.Node, call: Call, shape: Shape) -> fx.Node:
        node.meta["shape"], node.meta["where"] = lifted(tuple(shape)), where(call.node)
        return node

    @staticmethod
    def _base_name(node: fx.Node) -> str:
        name = str(node.target) if node.op == "call_module" else node.name
        return re.sub(r"[^A-Za-z0-9_.]", "_", name)

    def _unique(self, name: str) -> str:
        candidate, number = name, 1
        while self._taken(candidate):
            candidate, number = f"{name}_{number}", number + 1
        return candidate

    def _taken(self, name: str) -> bool:
        if name in ("input", "output", "readout"):  # names that deployment files use themselves
            return True
        owner: Any = self.root
        for part in name.split("."):
            owner = getattr(owner, part, None)
            if owner is None:
                return False
            if type(owner) is not nn.Module:
                return True  # a layer stands here already, nothing can be put beneath it
        return True

    def _attach(self, name: str, module: nn.Module) -> None:
        owner = self.root
        *path, last = name.split(".")
        for part in path:
            if not hasattr(owner, part):
                owner.add_module(part, nn.Module())
            owner = getattr(owner, part)
        owner.add_module(last, module)


def constant(value: Any) -> Tensor | None:
    """A number or constant tensor as tensor; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return torch.tensor(float(value)) if math.isfinite(value) else None
    return value.detach() if isinstance(value, Tensor) else None
