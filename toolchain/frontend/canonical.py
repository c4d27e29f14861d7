"""Rewrites a raw traced graph to the closed list of operations, folds batch norm, and collects every obstacle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

import spikec.frontend.arithmetic
import spikec.frontend.max_pool_handlers
import spikec.frontend.module_handlers
import spikec.frontend.refusals
import spikec.frontend.shapes  # noqa: F401  (importing registers the handlers)
from spikec.errors import ConversionError
from spikec.frontend.builder import FUNCTIONS, METHODS, MODULES, Builder, Call, Handler, RefusalError
from spikec.frontend.equivalence import require_equal
from spikec.frontend.final import DROPPED, drop_final
from spikec.frontend.max_places import settle_max_pools
from spikec.frontend.modules import Lift, Lower
from spikec.frontend.obstacles import refuse
from spikec.frontend.outputs import named_outputs
from spikec.frontend.relays import insert_relays
from spikec.frontend.tracing import is_trained_activation, trace, where
from spikec.ir.types import lifted

#: Values that do not depend on the pixels: sizes, and what is computed from them.
_PLAIN = (bool, int, float, str, torch.Size, torch.dtype, torch.device)


def canonicalize(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """Trace ``model`` and rewrite it to the closed list of operations.

    The result holds only the modules of ``spikec.frontend.modules``, activations, ``operator.add`` and ``torch.cat``.
    Nodes carry ``meta["shape"]`` (without batch) and ``meta["where"]`` (the user's source line). ``example`` is float
    [N, C, H, W]. A softmax or sigmoid at the very end is left out; ``spikec.frontend.dropped`` says so. Raises
    ``UnsupportedOperation`` that lists every obstacle, and ``ConversionError`` if the result
    does not compute what ``model`` computes.
    """
    raw = trace(model, example)
    left_out = drop_final(raw)
    builder = Builder()
    values: dict[fx.Node, Any] = {}
    for node in raw.graph.nodes:
        values[node] = _convert(builder, raw, node, values)
        _write_in_place(builder, node, values)
        if isinstance(values[node], fx.Node):
            builder.origins.setdefault(values[node], set()).add(node)
    refuse(builder.obstacles)
    graph: fx.GraphModule = fx.GraphModule(builder.root, builder.graph).eval()
    if left_out:
        graph.meta[DROPPED] = left_out
    graph.graph.eliminate_dead_code()
    settle_max_pools(graph, example)
    insert_relays(graph)
    require_equal(raw, graph, example)
    return graph


def _write_in_place(b: Builder, node: fx.Node, values: dict[fx.Node, Any]) -> None:
    """Where ``node`` changed a tensor in place, every later reader of that tensor reads the result of ``node``."""
    for other in node.meta.get("overwrites", ()):
        values[other] = values[node]
        if isinstance(values[node], fx.Node):
            b.origins.setdefault(values[node], set()).add(other)
    if any(user not in values for other in node.meta.get("overlaps", ()) for user in other.users):
        obstacle = "an in-place operation on a tensor that another view of it is read from later"
        b.refuse(Call(node, (), {}), RefusalError(obstacle, "write it without in-place operations"))


def _convert(b: Builder, raw: fx.GraphModule, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
    look_up = lambda n: values[n]  # noqa: E731
    if node.op == "placeholder":
        if node.args:  # an optional input keeps its default
            return node.args[0]
        created = b.graph.placeholder("input")
        created.meta["shape"], created.meta["where"] = lifted(node.meta["shape"]), where(node)
        return b.emit(Call(node, (), {}), Lift(), created) if len(node.meta["shape"]) == 2 else created
    if node.op == "get_attr":
        return node.meta.get("value", _attribute(raw, str(node.target)))
    args, kwargs = fx.map_arg(node.args, look_up), fx.map_arg(node.kwargs, look_up)
    if node.op == "output":
        return _output(b, args[0], node.args[0])
    if not _nodes_in((args, kwargs)):
        return _constant(raw, node, args, kwargs)
    if not args and "input" in kwargs:  # torch.flatten(input=x)
        args, kwargs = (kwargs["input"],), {k: v for k, v in kwargs.items() if k != "input"}
    call = Call(node, args, kwargs)
    try:
        return _handler(b, raw, call)(b, call)
    except RefusalError as refusal:
        b.refuse(call, refusal)
        return _stand_in(b, call)


def _attribute(raw: fx.GraphModule, target: str) -> Any:
    owner: Any = raw
    for part in target.split("."):
        owner = getattr(owner, part)
    return owner.detach() if isinstance(owner, Tensor) else owner


def _nodes_in(values: Any) -> list[fx.Node]:
    found: list[fx.Node] = []

    def keep(node: fx.Node) -> fx.Node:
        found.append(node)
        return node

    fx.map_arg(values, keep)
    return found


def _constant(raw: fx.GraphModule, node: fx.Node, args: Any, kwargs: Any) -> Any:
    """The result of an operation that reads only parameters and numbers: the same for every image."""
    with torch.no_grad():
        if node.op == "call_module":
            return raw.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return cast(Callable[..., Any], node.target)(*args, **kwargs)


def _stand_in(b: Builder, call: Call) -> Any:
    """A node of the right shape after a refusal, so that the rest of the network can be examined."""
    if "shape" in call.node.meta:
        return _placeholder(b, call, call.shape)
    value = call.node.meta.get("value")
    if isinstance(value, tuple | list):
        return tuple(_placeholder(b, call, lifted(v.shape[1:])) if isinstance(v, Tensor) else v for v in value)
    return value


def _placeholder(b: Builder, call: Call, shape: tuple[int, ...]) -> fx.Node:
    node: fx.Node = b.graph.call_function(_refused)
    node.meta["shape"], node.meta["where"] = tuple(shape), where(call.node)
    return node


def _refused() -> None:
    raise AssertionError("a refused operation was executed")


def _handler(b: Builder, raw: fx.GraphModule, call: Call) -> Handler:
    node = call.node
    if node.op == "call_module":
        call.module = raw.get_submodule(str(node.target))
        if is_trained_activation(call.module):
            return _trained_activation
        for cls in type(call.module).__mro__:
            if cls in MODULES:
                return MODULES[cls]
        raise RefusalError(f"{type(call.module).__name__}", "this layer has no spiking counterpart here")
    table: dict[Any, Handler] = FUNCTIONS if node.op == "call_function" else METHODS
    if node.target in table:
        return table[node.target]
    if "shape" not in node.meta and isinstance(node.meta.get("value"), _PLAIN):
        return lambda _b, c: c.node.meta["value"]  # arithmetic on sizes
    shown = getattr(node.target, "__name__", str(node.target))
    raise RefusalError(f"{shown}", "this operation has no spiking counterpart here")


def _trained_activation(b: Builder, call: Call) -> fx.Node:
    assert call.module is not None
    return b.emit(call, call.module, call.args[0])


def _output(b: Builder, value: Any, raw: Any) -> fx.Node:
    """The output node for what the network returns, ``raw`` in its own graph."""
    named = named_outputs(value)
    for each in [value] if named is None else named.values():
        if isinstance(each, Tensor):
            raise ConversionError("the network returns a constant: its output does not depend on the image")
        if not isinstance(each, fx.Node):
            found = f"a {type(each).__name__}" + ("" if named is None else " among its outputs")
            raise ConversionError(
                f"the network returns {found}; it must return one tensor, or tensors in a tuple, list or dictionary"
            )
    if named is not None and not named:
        raise ConversionError("the network returns nothing; it must return one tensor, or several")
    if named is None:
        returned: Any = _as_returned(b, value, raw)
    else:
        origins = named_outputs(raw.meta["value"] if isinstance(raw, fx.Node) else raw) or {}  # it knows all names
        pairs = zip(named.values(), origins.items(), strict=True)
        returned = {name: _as_returned(b, each, origin) for each, (name, origin) in pairs}
    result: fx.Node = b.graph.output(returned)
    return result


def _as_returned(b: Builder, value: fx.Node, raw: fx.Node | Tensor) -> fx.Node:
    """An output without the axis that signals have while they run as images of height one."""
    shape = tuple(raw.shape[1:]) if isinstance(raw, Tensor) else raw.meta["shape"]
    if len(shape) != 2:
        return value
    lowered = b.emit(Call(value, (), {}), Lower(), value)
    lowered.meta["shape"], lowered.meta["where"] = shape, value.meta["where"]
    return lowered
