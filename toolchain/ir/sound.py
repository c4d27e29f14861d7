"""Whether an integer graph that was made in memory is sound: its connections, its shapes, the range of its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from spikec.errors import GraphError
from spikec.ir.coding import ENCODINGS, INPUT_TYPES, InputNode
from spikec.ir.delays import least, most
from spikec.ir.graph import DECODES, Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.integers import VALUE_MAX
from spikec.ir.limits import LIMITS, VALUES_MAX, Limit
from spikec.ir.metadata import SCHEDULES
from spikec.ir.operations import Operation, Synapse
from spikec.ir.pools import pool_problems
from spikec.ir.work import work_problems

_SHOWN = 5
_MARK = "_sound"
_GRAPH = LIMITS["graph"]
#: Numbers of a graph in memory: ``spikec.analysis`` proves what sums of them need, and refuses what int64 cannot hold.
_NUMBER, _THETA = Limit(-VALUE_MAX, VALUE_MAX), Limit(1, VALUE_MAX)
#: Whole numbers of an operation, by the name of its field. Those of other fields are the operation's own.
_GEOMETRY = {
    **{name: LIMITS["Conv2d"][name] for name in ("stride", "padding", "dilation", "groups", "margin", "weight_exp")},
    "kernel": LIMITS["SumPool2d"]["kernel_size"],
}


def check(graph: IntegerGraph) -> IntegerGraph:
    """The graph itself. Looks at each graph once. Raises :class:`GraphError`, which names up to five violations."""
    if _MARK in vars(graph):
        return graph
    problems = list(problems_of(graph))
    if problems:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise GraphError(f"not a sound integer graph: {'; '.join(problems[:_SHOWN])}{more}")
    return checked(graph)


def checked(graph: IntegerGraph) -> IntegerGraph:
    """Note that nobody needs to look at this graph again; a changed copy has no such note."""
    vars(graph)[_MARK] = True
    return graph


def problems_of(graph: IntegerGraph) -> Iterator[str]:
    """What a graph cannot be, one sentence each."""
    found = list(_settings(graph)) + list(_connections(graph))
    yield from found
    if found:
        return  # shapes and pools follow connections
    for node in graph:
        found += (wrong := [f"{node.name}: {problem}" for problem in _of_node(graph, node)])
        yield from wrong
    if not found:
        yield from pool_problems(graph)
        yield from work_problems(graph)


def _settings(graph: IntegerGraph) -> Iterator[str]:
    for name in ("timesteps", "drain"):
        value = getattr(graph, name)
        if not _whole(value) or not _GRAPH[name].holds(value):
            yield f"{name} is {value!r:.40}, it must be {_GRAPH[name]}"
    if graph.schedule not in SCHEDULES:
        yield f"schedule {graph.schedule!r:.40} is none of {', '.join(SCHEDULES)}"


def _connections(graph: IntegerGraph) -> Iterator[str]:
    before: set[str] = set()
    for name, node in cast(dict[str, Any], graph.nodes).items():
        if not isinstance(node, InputNode | Operation | Population | Readout | Delayed):
            yield f"{name}: {type(node).__name__} is no node of an integer graph"
            return
        if node.name != name:
            yield f"{name}: the node calls itself {node.name!r:.40}"
        fed = isinstance(node, InputNode | Delayed)
        if bool(node.sources) == fed or len(set(node.sources)) != len(node.sources):
            yield f"{name}: it has {len(node.sources)} sources, {len(set(node.sources))} of them different"
        late = [source for source in node.sources if source not in before]
        if late:
            yield f"{name}: its source {late[0]!r:.40} does not come before it"
        before.add(name)
    kinds = [type(node) for node in graph]
    if kinds.count(InputNode) != 1 or Readout not in kinds:
        yield f"it has {kinds.count(InputNode)} inputs and {kinds.count(Readout)} readouts; it needs one and some"
    for node in graph.delayed:
        if not isinstance(graph.nodes.get(node.of), Population | InputNode):
            yield f"{node.name}: what it delays, {node.of!r:.40}, is no population and no input"


def _of_node(graph: IntegerGraph, node: Node) -> Iterator[str]:
    shape = node.output_shape
    if not shape or not all(_whole(n) and n >= 1 for n in shape) or math.prod(shape) > VALUES_MAX:
        yield f"its shape is {shape!r:.60}; it must be whole numbers from 1, {VALUES_MAX} values at most"
        return
    wanted = node.input_shape if isinstance(node, Operation) else shape
    for source in node.sources:
        if graph.nodes[source].output_shape != wanted:
            yield f"it takes {wanted}, its source {source} has shape {graph.nodes[source].output_shape}"
            return
    match node:
        case InputNode():
            yield from _input(node)
        case Operation():
            yield from _operation(node)
        case Population():
            yield from _integers("theta", node.theta, shape, _THETA)
            yield from _integers("v_init", node.v_init, shape, _NUMBER)
        case Readout():
            yield from _integers("v_init", node.v_init, shape, _NUMBER)
            if node.decode not in DECODES:
                yield f"decode {node.decode!r:.40} is none of {', '.join(DECODES)}"
            if not _positive(node.scale):
                yield f"scale is {node.scale!r:.40}, it must be a positive number"
        case Delayed():
            delayed, limit = graph.nodes[node.of], _GRAPH["delays"]
            each = (node.steps,) if isinstance(node.steps, int) else node.steps
            if delayed.output_shape != shape or (len(each) not in (1, math.prod(shape))):
                yield f"it has shape {shape} and {len(each)} delays, what it delays {delayed.output_shape}"
            elif not limit.holds((least(node.steps), most(node.steps))):
                yield f"its delays must be {limit}"


def _input(node: InputNode) -> Iterator[str]:
    limits = LIMITS["Input"]
    if node.dtype not in INPUT_TYPES:
        yield f"dtype {node.dtype!r:.40} is none of {', '.join(INPUT_TYPES)}"
    if node.encoding not in ENCODINGS:
        yield f"encoding {node.encoding!r:.40} is none of {', '.join(ENCODINGS)}"
    if not _positive(node.scale):
        yield f"scale is {node.scale!r:.40}, it must be a positive number"
    if node.limit is not None and not (_whole(node.limit) and limits["limit"].holds(node.limit)):
        yield f"limit is {node.limit!r:.40}, it must be {limits['limit']}"


def _operation(node: Operation) -> Iterator[str]:
    wrong = [
        f"{name} is {value!r:.60}, it must be whole numbers {limit}"
        for name, limit in _GEOMETRY.items()
        if (value := getattr(node, name, None)) is not None
        and not (all(map(_whole, np.ravel(value).tolist())) and limit.holds(value))
    ]
    if isinstance(node, Synapse):
        wrong += _integers("weight", node.narrow_weight, None, _NUMBER)
        wrong += _integers("bias", node.bias, node.output_shape[:1], _NUMBER)
    yield from wrong
    if not wrong and (found := _applied(node)) != node.output_shape:
        yield f"it makes {found if found else 'nothing'} of {node.input_shape}, and states {node.output_shape}"


def _applied(node: Operation) -> tuple[int, ...] | None:
    """The shape that the operation makes, found without numbers; None where it does not fit its input."""
    import torch

    weight = torch.empty(node.weight_shape, device="meta") if isinstance(node, Synapse) else None
    try:
        return tuple(node.apply(torch.empty((1, *node.input_shape), device="meta"), weight).shape[1:])
    except (RuntimeError, ValueError, IndexError):  # what torch raises for shapes that do not fit
        return None


def _integers(name: str, values: Any, shape: tuple[int, ...] | None, limit: Limit) -> Iterator[str]:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
        yield f"{name} must be an array of integers, not {getattr(values, 'dtype', type(values).__name__)}"
    elif shape is not None and values.shape != shape:
        yield f"{name} has shape {values.shape}, it must have {shape}"
    elif values.size and not limit.holds(values):
        yield f"{name} lies between {int(values.min())} and {int(values.max())}; it must lie {limit}"


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _positive(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(0 < value < math.inf)
