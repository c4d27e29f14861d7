"""Convolutions, and matrices as convolutions of one place: looking for spikes, or reading everything."""

from __future__ import annotations

from contextlib import nullcontext

from spikec.targets.c.code.context import Context, Sink
from spikec.targets.c.code.geometry import Geometry
from spikec.targets.c.code.layout import View
from spikec.targets.c.code.rows import Rows, felt, multiple, multiplier
from spikec.targets.c.code.text import Text
from spikec.targets.c.code.weights import Weights, times

#: So many inputs are taken at a time; their numbers fit a byte.
TAKEN = 256


def scattered(
    code: Context, function: str, name: str, g: Geometry, view: View, sink: Sink, w: Weights, *, search: bool
) -> None:
    """A function that goes from input to input and adds its weights where it is felt. ``search``: it first looks for
    the inputs of a place that are not 0; otherwise it takes all of them."""
    text, (per_input, _), strides = code.functions, g.per_group, view.strides
    assert strides is not None  # the caller arranges what is not regular
    _, rows, columns = g.inputs
    rule = ", for every a that is not 0" if search else ""
    text.comment(f"{name}: {g.equation()}{rule}")
    body = Rows(text, g, view, sink, w, search=search)
    with text.function(f"static void {function}(const {view.ctype} *restrict a, {sink.ctype} *restrict z)"):
        body.declare(min(per_input, TAKEN))
        if g.whole:
            _by_parts(text, body, per_input, 1, "a", "return")
            return
        groups = text.loop("g", g.groups) if g.groups > 1 else nullcontext()
        with text.loop("y", rows), text.loop("x", columns), groups:
            group = f" + g * {per_input * strides[0]}" if g.groups > 1 else ""
            here = f"a + {multiple('y', strides[1])} + {multiple('x', strides[2])}{group}"
            _by_parts(text, body, per_input, strides[0], here, "continue", g)


def _by_parts(
    text: Text, body: Rows, count: int, apart: int, here: str, otherwise: str, g: Geometry | None = None
) -> None:
    """Take the inputs of one place, some at a time, and add their rows wherever they are felt."""
    parts = count > TAKEN
    with text.block(f"for (int32_t first = 0; first < {count}; first += {TAKEN})") if parts else nullcontext():
        start = f" + {multiple('first', apart)}" if parts else ""
        text.line(f"const {body.view.ctype} *const from = {here}{start};")
        most = f"{count} - first < {TAKEN} ? {count} - first : {TAKEN}"
        if parts:
            text.line(f"const int32_t count = {most};")
        body.take("count" if parts else str(count), apart, "continue" if parts else otherwise)
        first = "first" if parts else ""
        if g is None:
            body.add(first)
            return
        with text.loop("u", g.kernel[0]) if g.kernel[0] > 1 else nullcontext():
            tap = f" - {multiple('u', g.dilation[0])}" if g.kernel[0] > 1 else ""
            felt(text, "row", f"y{f' + {g.padding[0]}' if g.padding[0] else ''}{tap}", g.stride[0], g.outputs[1])
            body.add(first)


def depthwise(code: Context, function: str, name: str, g: Geometry, view: View, sink: Sink, w: Weights) -> None:
    """A function for a convolution in which every channel has a kernel of its own: from output to output."""
    text, strides = code.functions, view.strides
    assert strides is not None  # the caller arranges what is not regular
    (_, rows, columns), (outputs, out_rows, out_columns) = g.inputs, g.outputs
    inner = multiplier(view, sink, w)
    text.comment(f"{name}: {g.equation()}")
    head = f"static void {function}(const {view.ctype} *restrict a, {sink.ctype} *restrict z)"
    with text.function(head), text.loop("y", out_rows), text.loop("x", out_columns):
        text.line(f"{sink.ctype} *const to = z + (y * {out_columns} + x) * {outputs};")
        with text.loop("u", g.kernel[0]):
            _met(text, "row", f"y * {g.stride[0]} - {g.padding[0]} + u * {g.dilation[0]}", rows)
            with text.loop("v", g.kernel[1]):
                _met(text, "column", f"x * {g.stride[1]} - {g.padding[1]} + v * {g.dilation[1]}", columns)
                text.line(f"const {view.ctype} *const from = a + row * {strides[1]} + column * {strides[2]};")
                text.line(f"const {w.ctype} *const rows = {w.array} + (u * {g.kernel[1]} + v) * {w.apart};")
                with text.loop("c", outputs):
                    value = times(f"({inner})from[{multiple('c', strides[0])}]", w.factor, inner)
                    text.line(f"to[c] = ({sink.ctype})(to[c] + {value} * ({w.at('rows', 'c')}));")


def _met(text: Text, name: str, position: str, size: int) -> None:
    """Which input a tap meets, or on to the next tap where it meets padding."""
    position = position.replace(" * 1 ", " ").replace(" - 0 ", " ").removesuffix(" * 1")
    text.line(f"const int32_t {name} = {position};")
    text.line(f"if ({name} < 0 || {name} >= {size}) continue;")
