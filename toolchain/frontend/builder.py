"""The canonical graph under construction: named canonical modules, their shapes, and what was refused on the way."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten

from spikec.frontend.modules import ChannelAffine, Convolution, Dense
from spikec.frontend.obstacles import Obstacle, RefusalError
from spikec.frontend.placing import placed, settled
from spikec.frontend.recording import Step, spoken
from spikec.frontend.values import Value
from spikec.ir.types import Shape, lifted

#: What a handler gives: a value, a constant, something for each result, or None for a result that nothing may read.
Result = Value | Tensor | None
#: Operators that are a factor and a summand themselves; others only bring some along.
_AFFINE = ("mul", "div", "add", "sub", "rsub", "neg", "native_batch_norm", "_native_batch_norm_legit_no_training")
#: Layers of weights, and the operators that they are.
_WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)
_MAIN = ("convolution", "addmm", "mm")
#: Names that deployment files use themselves.
_RESERVED = ("input", "output", "readout")


@dataclass
class Call:
    """One recorded operator. ``given``: arguments by the names of its schema; values, constants and plain numbers.
    ``full_shape``: of its first result, with the batch axis. ``number``: its position in the recording."""

    step: Step
    given: dict[str, Any]
    full_shape: Shape
    number: int
    #: Whether the handler reads a value more than once, so that nothing may be folded into what gives it.
    repeats: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.given[name]

    @property
    def shape(self) -> Shape:
        """Output shape without the batch axis; signals count as images of height one."""
        return lifted(self.full_shape[1:])

    @property
    def where(self) -> str:
        return self.step.place.named(self.step.name)

    def value(self, name: str = "self") -> Value:
        """An argument that must depend on the image."""
        found = self.given[name]
        if not isinstance(found, Value):
            raise RefusalError(
                f"{self.step.name} of a constant with something computed", "use fixed parameters as weights"
            )
        return found

    def constant(self, name: str, operation: str, hint: str = "use fixed parameters as weights") -> Tensor | None:
        """An argument that must be a constant tensor or None."""
        found = self.given.get(name)
        if found is not None and not isinstance(found, Tensor):
            raise RefusalError(operation, hint)
        return found


#: Key of a canonical node's ``meta``: number of the recorded value that it equals.
RECORDED = "recorded"

Handler = Callable[["Builder", Call], Any]
HANDLERS: dict[str, Handler] = {}
_H = TypeVar("_H", bound=Handler)


def handles(*names: str) -> Callable[[_H], _H]:
    """Register a handler for operators by their ATen names, without namespace, overload and trailing underscore."""

    def register(handler: _H) -> _H:
        for name in names:
            assert name not in HANDLERS, name
            HANDLERS[name] = handler
        return handler

    return register


@dataclass
class Builder:
    """Collects the canonical graph; handlers call :meth:`emit`, :meth:`function`, :meth:`node` and :meth:`apply`."""

    batch: int
    #: Steps that read a recorded value, by its number.
    readers: dict[int, set[int]] = field(default_factory=dict)
    root: nn.Module = field(default_factory=nn.Module)
    graph: fx.Graph = field(default_factory=fx.Graph)
    obstacles: list[Obstacle] = field(default_factory=list)
    #: Staircases that the user wrote: what was made of each, by the step of its floor and its levels; and where.
    stairs: dict[tuple[int, int], Value] = field(default_factory=dict)
    recognised: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    #: Numbers of the recorded values that consist of a node's elements, and the steps that gave them.
    origins: dict[fx.Node, set[int]] = field(default_factory=dict)
    makers: dict[int, int] = field(default_factory=dict)
    _numbers: dict[int, set[int]] = field(default_factory=dict)
    _placed: dict[int, tuple[Value, fx.Node]] = field(default_factory=dict)

    def shape(self, node: fx.Node) -> Shape:
        """Shape of a canonical node without the batch axis."""
        return tuple(node.meta["shape"])

    def emit(self, call: Call, module: nn.Module, source: fx.Node, shape: Shape, suffix: str = "") -> fx.Node:
        """Append a canonical module fed by ``source``, named after the user's layer."""
        name = self._unique(self._base_name(call) + suffix)
        self._attach(name, module)
        return self._finish(self.graph.call_module(name, (source,)), call, shape)

    def function(self, call: Call, function: Any, args: tuple[Any, ...], shape: Shape) -> fx.Node:
        """Append ``operator.add`` or ``torch.cat`` on canonical nodes."""
        return self._finish(self.graph.call_function(function, args), call, shape)

    def node(self, call: Call, value: Value) -> fx.Node:
        """A node of the lifted shape of ``value`` that holds its elements."""
        if value.plain and self.shape(value.sources[0]) == lifted(value.shape[1:]) and value.shape[0] == self.batch:
            return value.sources[0]
        if id(value) not in self._placed:
            node = placed(self, call, value)
            self.origins.setdefault(node, set()).update(self._numbers.get(id(value), ()))
            self._placed[id(value)] = (value, node)
        return self._placed[id(value)][1]

    def apply(self, call: Call, value: Value, make: Callable[[fx.Node], fx.Node]) -> Value:
        """An elementwise operation, in whatever layout the elements have."""
        node, bare = settled(self, call, value)
        self.origins.setdefault(node, set()).update(self._numbers.get(id(value), ()))
        return Value(bare.shape, (make(node),), bare.index)

    def whole(self, call: Call, node: fx.Node) -> Value:
        """A node of the recorded shape as value."""
        return Value(call.full_shape, (node,))

    def module(self, node: fx.Node) -> nn.Module | None:
        """The canonical module behind a node, if it is one."""
        return self.root.get_submodule(str(node.target)) if node.op == "call_module" else None

    def know(self, number: int, value: Value, step: int) -> None:
        """``value`` is the recorded value of this number, which the step gave."""
        self._numbers.setdefault(id(value), set()).add(number)
        self.makers[number] = step
        for source in value.sources:
            self.origins.setdefault(source, set()).add(number)
        if value.plain:
            value.sources[0].meta[RECORDED] = number

    def only_reader(self, call: Call, source: fx.Node) -> bool:
        """Whether nothing but ``call`` reads what ``source`` stands for, so that ``call`` may be folded into it."""
        given = [each for each in tree_flatten(call.given)[0] if isinstance(each, Value) and source in each.sources]
        if call.repeats or source.users or len(given) > 1:
            return False
        origins = self.origins.get(source, set())
        readers = {reader for origin in origins for reader in self.readers.get(origin, ())}
        return readers - {self.makers[origin] for origin in origins} == {call.number}

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
        suffix = "" if call.step.name in _AFFINE else "_affine"
        return self.emit(call, ChannelAffine(scale, shift), source, self.shape(source), suffix)

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
        self.obstacles.append(Obstacle(call.where, refusal.operation, refusal.hint))

    def _finish(self, node: fx.Node, call: Call, shape: Shape) -> fx.Node:
        node.meta["shape"], node.meta["where"] = lifted(tuple(shape)), call.where
        return node

    @staticmethod
    def _base_name(call: Call) -> str:
        place, operator = call.step.place, spoken(call.step.name)
        name = place.module if place.leaf and place.module else ".".join(filter(None, (place.module, operator)))
        own = place.kind is not None and issubclass(place.kind, _WEIGHTED)
        if place.leaf and own and call.step.name not in _MAIN:  # padding in a convolution, say, is not the layer
            name = f"{place.module}_{operator}"
        parts = re.sub(r"[^A-Za-z0-9_.]", "_", name).split(".")
        return ".".join(f"{part}_" if keyword.iskeyword(part) else part for part in parts)

    def _unique(self, name: str) -> str:
        candidate, number = name, 1
        while self._taken(candidate):
            candidate, number = f"{name}_{number}", number + 1
        return candidate

    def _taken(self, name: str) -> bool:
        if name in _RESERVED:
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
