"""Every operation as a function of C that adds what its input sends to the sums behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from spikec.errors import DoesNotFit, MissingImplementation, ToolchainError
from spikec.implementations import Implementations
from spikec.ir.operations import Affine, Convolution, Flatten, MaxPool, Operation, SumPool, Unflatten
from spikec.ir.types import Int64
from spikec.targets.c.code.context import Context, Sink
from spikec.targets.c.code.convolution import TAKEN, depthwise, scattered
from spikec.targets.c.code.geometry import Geometry
from spikec.targets.c.code.layout import View, order_of, same
from spikec.targets.c.code.rows import multiple
from spikec.targets.c.code.sparse import by_input
from spikec.targets.c.code.weights import Weights

#: Writes a function that adds the operation on a view to a sink; its C name.
Add = Callable[[Context, Operation, View, Sink], str]
ADD: Implementations[Add] = Implementations("form in C", "spikec.targets.c.code.operations.ADD", Operation)

ADD.refuse(
    lambda operation: MissingImplementation(f"{operation} is no sum: flow.py has its form in C"),
    Flatten,
    MaxPool,
    Unflatten,
)

Code = TypeVar("Code")


def written(table: Implementations[Code], value: object, name: str) -> Code:
    """The code for a value of the node ``name``. Raises ``DoesNotFit``, which names the node, where there is none."""
    try:
        return table(value)
    except ToolchainError as error:
        raise DoesNotFit(f"{name} cannot be written in C: {error}") from error


#: Where fewer weights than this share are not zero, a matrix is stored as the list of them.
_SPARSE_BELOW = 0.2


@ADD.register(Convolution)
def _convolution(code: Context, node: Operation, view: View, sink: Sink) -> str:
    assert isinstance(node, Convolution)
    geometry = Geometry.of(node)
    # [O, I/G, kH, kW] to [kH, I, kW, O/G]: what one input meets in an output row lies side by side
    per_input, per_group = node.weight_shape[1], geometry.channels // node.groups
    split = node.mantissas.reshape(node.groups, per_group, per_input, *node.weight_shape[2:])
    if geometry.depthwise:
        arranged = node.mantissas.transpose(2, 3, 1, 0)
        return _written(code, node.name, geometry, view, sink, arranged, node.weight_exp)
    arranged = split.transpose(3, 0, 2, 4, 1).reshape(geometry.kernel[0], node.input_shape[0], -1, per_group)
    return _written(code, node.name, geometry, view, sink, arranged, node.weight_exp)


@ADD.register(Affine)
def _affine(code: Context, node: Operation, view: View, sink: Sink) -> str:
    assert isinstance(node, Affine)
    columns = node.mantissas if view.order is None else node.mantissas[:, view.order]
    if np.count_nonzero(columns) < _SPARSE_BELOW * columns.size:
        return by_input(code, node, view, sink, columns)
    size = columns.shape[1]
    geometry = Geometry(node, (size, 1, 1), (columns.shape[0], 1, 1), (1, 1), (1, 1), (0, 0), (1, 1), 1)
    flat = View(view.at, view.ctype, view.low, view.high, (size, 1, 1), None, view.sender)
    return _written(code, node.name, geometry, flat, sink, columns.T[None, :, None], node.weight_exp, view.key)


def _written(
    code: Context,
    name: str,
    geometry: Geometry,
    view: View,
    sink: Sink,
    arranged: Int64,
    exponent: int,
    order: tuple[object, ...] = (),
) -> str:
    """``order``: what else the arrangement of the weights depends on."""
    per_input = geometry.per_group[0]
    together = per_input if geometry.groups > 1 else min(per_input, TAKEN)
    weights = Weights.kept(code, ("weights", name, order), name, arranged, exponent, together)
    key = "synapse", weights.array, view.ctype, view.low, view.high, view.strides, view.sender is None, sink.ctype
    function, new = code.once(key, f"add_{code.ids[name]}")
    if not new:
        return function
    if geometry.depthwise:
        depthwise(code, function, name, geometry, view, sink, weights)
        return function
    if view.sender is None:
        scattered(code, function, name, geometry, view, sink, weights, search=False)
        return function
    switch = code.name("ALL", code.ids[name])
    text = code.functions
    text.comment(f"{name}: 1 takes all inputs, 0 looks for those that are not 0")
    text.verbatim(f"#ifndef {switch}\n#define {switch} {int(code.choices.dense(view.sender))}\n#endif\n#if {switch}")
    scattered(code, function, name, geometry, view, sink, weights, search=False)
    text.verbatim("#else")
    scattered(code, function, name, geometry, view, sink, weights, search=True)
    text.verbatim("#endif\n")
    return function


@ADD.register(SumPool)
def _sum_pool(code: Context, node: Operation, view: View, sink: Sink) -> str:
    assert isinstance(node, SumPool)
    text, strides = code.functions, view.strides
    assert strides is not None  # the caller arranges what is not regular
    name, new = code.once(("sum pool", node.name, view.ctype, view.key, sink.ctype), f"add_{code.ids[node.name]}")
    if not new:
        return name
    (channel, row, column), (kh, kw), (count, rows, columns) = strides, node.kernel, node.output_shape
    text.comment(f"{node.name}: z[c, y, x] += sum of a[c, y*{kh} + u, x*{kw} + v], {kh} x {kw} places")
    head = f"static void {name}(const {view.ctype} *restrict a, {sink.ctype} *restrict z)"
    places = text.loop("y", rows), text.loop("x", columns)
    with text.function(head), places[0], places[1], text.loop("u", kh), text.loop("v", kw):
        text.line(f"const {view.ctype} *const from = a + (y * {kh} + u) * {row} + (x * {kw} + v) * {column};")
        text.line(f"{sink.ctype} *const to = z + (y * {columns} + x) * {count};")
        with text.loop("c", count):
            text.line(f"to[c] = ({sink.ctype})(to[c] + from[{multiple('c', channel)}]);")
    return name


def pass_on(code: Context, wanted: str, view: View, sink: Sink) -> str:
    """A function that adds numbers as they are, place by place."""
    name, new = code.once(("pass on", view.ctype, view.key, sink.ctype, sink.shape), f"pass_on_{wanted}")
    if not new:
        return name
    text, size = code.functions, int(np.prod(sink.shape))
    target, strides = order_of(sink.shape), view.strides
    text.comment(f"{wanted}: z += a")
    with text.function(f"static void {name}(const {view.ctype} *restrict a, {sink.ctype} *restrict z)"):
        if same(view.order, target):
            with text.loop("n", size):
                text.line(f"z[n] = ({sink.ctype})(z[n] + a[n]);")
        elif strides is not None and view.shape == sink.shape:
            count, rows, columns = view.shape
            channel, row, column = strides
            with text.loop("y", rows), text.loop("x", columns), text.loop("c", count):
                text.line(f"const int32_t n = (y * {columns} + x) * {count} + c;")
                text.line(f"z[n] = ({sink.ctype})(z[n] + a[y * {row} + x * {column} + c * {channel}]);")
        else:
            table = _places(code, name.removeprefix(f"{code.prefix}_pass_on_"), view, sink)
            with text.loop("n", size):
                text.line(f"z[n] = ({sink.ctype})(z[n] + a[{table}[n]]);")
    return name


def _places(code: Context, name: str, view: View, sink: Sink) -> str:
    """A table: where the number of each place of the sink lies in the view."""
    flat = np.arange(int(np.prod(sink.shape)))
    where = np.empty_like(flat)
    where[flat if view.order is None else view.order] = flat
    target = order_of(sink.shape)
    return code.tables.array(f"places_{name}", where if target is None else where[target], "where the numbers lie")[0]
