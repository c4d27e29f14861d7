"""Rewrites what a network executes to the closed list of operations, folds batch norm, and collects every obstacle."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten, tree_map

import spikec.frontend.operators  # noqa: F401  (importing registers the handlers)
from spikec.calls import outside
from spikec.errors import ConversionError
from spikec.frontend.builder import HANDLERS, Builder, Call
from spikec.frontend.concatenations import activate_parts
from spikec.frontend.equivalence import require_equal
from spikec.frontend.final import drop_final, keep_dropped
from spikec.frontend.max_places import settle_max_pools
from spikec.frontend.modules import Lift, Lower
from spikec.frontend.obstacles import Obstacle, RefusalError, refuse
from spikec.frontend.operators.refusals import refused_layer
from spikec.frontend.operators.stairs import RECOGNISED, Stairs, finished, followed
from spikec.frontend.outputs import named_outputs
from spikec.frontend.recorder import record
from spikec.frontend.recording import Place, Recording, Ref, Step, spoken
from spikec.frontend.relays import insert_relays
from spikec.frontend.schemas import out_arguments
from spikec.frontend.values import Value
from spikec.ir.types import lifted

_UNKNOWN = "this operation has no spiking counterpart here"
_NOISE = "add noise in training mode only, and make layers in __init__"
_OUTPUT = -1


def canonicalize(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """Run ``model``, record the operators it executes and rewrite them to the closed list of operations.

    The result holds only the modules of ``spikec.frontend.modules``, activations, ``operator.add`` and ``torch.cat``.
    Nodes carry ``meta["shape"]`` (without batch) and ``meta["where"]`` (the user's source line). ``example`` is float
    [N, C, H, W]. A softmax or sigmoid at the very end is left out; ``spikec.frontend.dropped`` says so. ``model`` is
    left as it is. Raises ``UnsupportedOperation`` that lists every obstacle, and ``ConversionError`` if the result
    does not compute what ``model`` computes, on the example or on other values.
    """
    recording = record(model, example)
    left_out = drop_final(recording)
    steps = recording.live()
    builder = Builder(recording.batch, _readers(recording, steps), obstacles=list(recording.obstacles))
    values: dict[int, Any] = {recording.image: _image(builder, recording)}
    for number, step in enumerate(steps):
        _convert(builder, recording, step, number, values)
    output = None
    if not builder.obstacles:
        output = _output(builder, recording, values)
    refuse(builder.obstacles)
    builder.graph.output(output)
    graph: fx.GraphModule = fx.GraphModule(builder.root, builder.graph).eval()
    keep_dropped(graph, left_out)
    if builder.recognised:
        graph.meta[RECOGNISED] = builder.recognised
        warnings.warn(
            f"{', '.join(builder.recognised)}: floor and clip were recognised as the activation of QCFS, "
            "tc.ClipFloorShift", stacklevel=outside(),
        )  # fmt: skip
    graph.graph.eliminate_dead_code()
    settle_max_pools(graph, example)
    activate_parts(graph)
    insert_relays(graph)
    require_equal(model, graph, example, recording, left_out)
    return graph


def _readers(recording: Recording, steps: list[Step]) -> dict[int, set[int]]:
    readers: dict[int, set[int]] = {}
    for number, step in enumerate(steps):
        for read in step.refs():
            readers.setdefault(read, set()).add(number)
    for each in tree_flatten(recording.output)[0]:
        if isinstance(each, Ref):
            readers.setdefault(each.number, set()).add(_OUTPUT)
    return readers


def _image(b: Builder, recording: Recording) -> Value:
    shape = recording.shapes[recording.image]
    if len(shape) not in _AXES:
        reader = next((step for step in recording.steps if recording.image in step.refs()), _IMAGE)
        b.obstacles.append(
            Obstacle(
                reader.place.named(reader.name),
                f"images of shape {tuple(shape[1:])}",
                "give them as (N, features), (N, C, L) or (N, C, H, W), and reshape them inside the network",
            )
        )
    node = b.graph.placeholder("input")
    node.meta["shape"], node.meta["where"] = lifted(shape[1:]), "layer input"
    if len(shape) == 3:
        b.root.add_module("input_lift", Lift())
        lift = b.graph.call_module("input_lift", (node,))
        lift.meta.update(node.meta)
        node = lift
    value = Value(shape, (node,))
    b.know(recording.image, value, _OUTPUT - 1)
    return value


def _convert(b: Builder, recording: Recording, step: Step, number: int, values: dict[int, Any]) -> None:
    """Handle one step; what it gives goes into ``values`` under the numbers of its results."""
    given = tree_map(lambda each: values[each.number] if isinstance(each, Ref) else each, step.arguments)
    shapes = [() if each is None else recording.shapes[each] for each in step.results]
    call = Call(step, given, shapes[0] if shapes else (), number)
    found: list[Any]
    try:
        result = _handled(b, call)
        found = list(result) if isinstance(result, list | tuple) else [result]
    except RefusalError as refusal:
        b.refuse(call, refusal)
        found = [_LOST if step.random else _stand_in(b, call, shape) for shape in shapes]
    for each, value, shape in zip(step.results, [*found, *[None] * len(shapes)], shapes, strict=False):
        if each is None:
            continue
        if isinstance(value, Value) and value.shape != shape:
            raise AssertionError(f"{call.where}: {step.name} gave {value.shape}, not {shape}")
        if isinstance(value, Value) and value.index is not None and not bool(value.index.any()):
            value = torch.zeros(shape) if value.shift is None else value.shift.float()  # nothing of the image is left
        if isinstance(value, Value):
            value = replace(value, call=call)
        values[each] = value
        if isinstance(value, Value):
            b.know(each, value, number)


def _handled(b: Builder, call: Call) -> Any:
    step = call.step
    refused = [each for each in tree_flatten(call.given)[0] if isinstance(each, RefusalError)]
    if refused:
        raise refused[0]
    if any(each is _LOST for each in tree_flatten(call.given)[0]):
        return [_stand_in(b, call, call.full_shape), *[_LOST] * len(step.results)]
    if step.random and step.name not in HANDLERS:
        what = "dropout that is always on" if "bernoulli" in step.name or "dropout" in step.name else "a random tensor"
        dropout = what.startswith("dropout")
        raise RefusalError(what, "pass training=self.training" if dropout else _NOISE)
    if not any(isinstance(each, Value | Stairs) for each in tree_flatten(call.given)[0]):
        return _constant(call)
    layer = refused_layer(call)
    if layer is not None:
        raise layer
    if any(isinstance(each, Stairs) for each in tree_flatten(call.given)[0]):
        stairs = followed(call)
        if stairs is not None:
            return stairs
        call.given = tree_map(lambda each: _finished(b, call, each) if isinstance(each, Stairs) else each, call.given)
    if step.name not in HANDLERS:
        raise RefusalError(spoken(step.name), _UNKNOWN)
    try:
        return HANDLERS[step.name](b, call)
    except (RuntimeError, ValueError, IndexError, KeyError, TypeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RefusalError(f"{spoken(step.name)} in this form ({reason})", _UNKNOWN) from error


def _finished(b: Builder, call: Call, stairs: Stairs) -> Any:
    try:
        return finished(b, call, stairs)
    except RefusalError as refusal:
        b.refuse(stairs.call, refusal)
        return _stand_in(b, stairs.call, stairs.value.shape)


def _constant(call: Call) -> Any:
    """The result of an operator that reads only parameters and numbers: the same for every image."""
    with torch.no_grad():
        given = tree_map(lambda each: each.clone() if isinstance(each, Tensor) else each, call.given)
        for name in out_arguments(call.step.function):
            given[name] = torch.empty(call.full_shape)
        return call.step.function(**given)


#: Stands for a result whose shape says nothing of images, after a refusal.
_LOST = object()


def _stand_in(b: Builder, call: Call, shape: tuple[int, ...]) -> Any:
    """A value of the right shape after a refusal, so that the rest of the network can be examined."""
    if not shape or shape[0] != b.batch:
        return _LOST
    node: fx.Node = b.graph.call_function(_refused)
    node.meta["shape"], node.meta["where"] = lifted(shape[1:]) or (math.prod(shape[1:]),), call.where
    return Value(shape, (node,))


def _refused() -> None:
    raise AssertionError("a refused operation was executed")


def _output(b: Builder, recording: Recording, values: dict[int, Any]) -> Any:
    """What the canonical graph returns: a node, or nodes by the name of the output."""
    named = named_outputs(recording.output)
    if named is None:
        return _returned(b, recording, recording.output, values, "")
    if not named:
        raise ConversionError("the network returns nothing; it must return one tensor, or several")
    return {name: _returned(b, recording, each, values, " among its outputs") for name, each in named.items()}


def _returned(b: Builder, recording: Recording, returned: Any, values: dict[int, Any], among: str) -> fx.Node | None:
    """The node of one output; None after a refusal."""
    value = values[returned.number] if isinstance(returned, Ref) else returned
    if isinstance(value, Tensor):
        raise ConversionError("the network returns a constant: its output does not depend on the image")
    if not isinstance(returned, Ref):
        raise ConversionError(
            f"the network returns a {type(returned).__name__}{among}; it must return one tensor, or tensors in a "
            "tuple, list or dictionary"
        )
    step = next((each for each in recording.steps if returned.number in each.results), _IMAGE)
    call = Call(step, {"self": value}, recording.shapes[returned.number], _OUTPUT)
    try:
        if len(call.full_shape) not in (1, *_AXES):
            raise RefusalError(
                f"an output of shape {tuple(call.full_shape[1:])}",
                "return (N, ...) with at most three further axes, such as x.flatten(1)",
            )
        if isinstance(value, Stairs):
            value = finished(b, call, value)
        node = b.node(call, value)
    except RefusalError as refusal:
        b.obstacles.append(Obstacle(call.where, refusal.operation, refusal.hint))
        return None
    if len(call.full_shape) == 3:  # a signal
        node = b.emit(call, Lower(), node, b.shape(node), "_lower")
        node.meta["shape"] = call.full_shape[1:]
    return node


#: Axes that images and outputs may have, with that of the batch.
_AXES = (2, 3, 4)
#: Stands for the step that gave the image, where a network returns it.
_IMAGE = Step("input", _refused, {}, [], Place("", "", None, False))
