"""Convolutions, and matrices as convolutions of one place: looking for spikes, or reading everything."""

from __future__ import annotations

from dataclasses import dataclass

from spikec.ir.operations import Convolution, Synapse
from spikec.ir.types import Shape
from spikec.targets.c.code.context import Context, Sink
from spikec.targets.c.code.layout import View
from spikec.targets.c.code.numbers import holding, widest
from spikec.targets.c.code.text import Text
from spikec.targets.c.code.weights import Weights, times

#: So many inputs are searched at a time; their numbers fit a byte.
_SEARCHED = 256
Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """z[o, y, x] += w[o, i, u, v] * a[g(o) + i, y*sh - ph + u*dh, x*sw - pw + v*dw]."""

    node: Synapse
    inputs: Shape
    outputs: Shape
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(cls, node: Convolution) -> Geometry:
        kernel = (int(node.weight.shape[2]), int(node.weight.shape[3]))
        return cls(
            node, node.input_shape, node.output_shape, kernel, node.stride, node.padding, node.dilation, node.groups
        )

    @property
    def channels(self) -> int:
        return self.outputs[0]

    @property
    def per_group(self) -> Pair:
        """Inputs and outputs of one group."""
        return self.inputs[0] // self.groups, self.outputs[0] // self.groups

    @property
    def depthwise(self) -> bool:
        return self.groups > 1 and self.per_group == (1, 1)

    @property
    def whole(self) -> bool:
        """Whether there is one place, which meets one tap: a matrix."""
        return self.inputs[1:] == self.outputs[1:] == (1, 1) == self.kernel and self.padding == (0, 0)

    def equation(self) -> str:
        """The sum in words of mathematics."""
        if self.whole:
            return "z[o] += w[o, i] * a[i]"
        places = [
            f"{name}{f'*{s}' if s > 1 else ''}{f' - {p}' if p else ''} + {tap}{f'*{d}' if d > 1 else ''}"
            for name, tap, s, p, d in zip("yx", "uv", self.stride, self.padding, self.dilation, strict=True)
        ]
        source = "i" if self.groups == 1 else f"(o / {self.per_group[1]})*{self.per_group[0]} + i"
        return f"z[o, y, x] += w[o, i, u, v] * a[{source}, {', '.join(places)}]"


def events(code: Context, function: str, name: str, g: Geometry, view: View, sink: Sink, w: Weights) -> None:
    """A function that looks for inputs that are not zero and adds their weights where they are felt."""
    text, (per_input, per_output) = code.functions, g.per_group
    (_, rows, columns), (outputs, out_rows, out_columns) = g.inputs, g.outputs
    text.comment(f"{name}: {g.equation()}, for every a that is not 0")
    with text.function(f"static void {function}(const {view.ctype} *restrict a, {sink.ctype} *restrict z)"):
        text.line(f"uint8_t active[{min(per_input, _SEARCHED)}];")
        with text.loop("y", rows), text.loop("x", columns), text.loop("g", g.groups):
            for first in range(0, per_input, _SEARCHED):
                count = min(per_input - first, _SEARCHED)
                with text.block(""):
                    where = f"(y * {columns} + x) * {g.inputs[0]} + g * {per_input} + {first}"
                    text.line(f"const {view.ctype} *const from = a + {where};")
                    text.line("int32_t found = 0;")
                    with text.loop("i", count):
                        text.line("active[found] = (uint8_t)i;")
                        text.line("found += from[i] != 0;")
                    with text.block("if (found > 0)"):
                        _scatter(text, g, view, sink, w, first, (outputs, out_rows, out_columns), per_output)


def _scatter(
    text: Text, g: Geometry, view: View, sink: Sink, w: Weights, first: int, outputs: Shape, per_output: int
) -> None:
    """Add the weights of the inputs that were found to every place that feels them."""
    count, rows, columns = outputs
    with text.loop("u", g.kernel[0]):
        _felt(text, "row", f"y + {g.padding[0]} - u * {g.dilation[0]}", g.stride[0], rows)
        with text.loop("v", g.kernel[1]):
            _felt(text, "column", f"x + {g.padding[1]} - v * {g.dilation[1]}", g.stride[1], columns)
            at = f"(u * {g.kernel[1]} + v) * {g.inputs[0]} + g * {g.per_group[0]} + {first}"
            text.line(f"const {w.ctype} *const rows = {w.array} + ({at}) * {w.stride};")
            target = f"(row * {columns} + column) * {count} + g * {per_output}"
            text.line(f"{sink.ctype} *const to = z + {target};")
            text.line("int32_t k = 0;")
            together = 4 if view.binary and w.bits == 8 else 1
            if together > 1:
                with text.block(f"for (; k + {together} <= found; k += {together})"):
                    for number in range(together):
                        text.line(f"const {w.ctype} *const w{number} = rows + active[k + {number}] * {w.stride};")
                    with text.loop("o", per_output):
                        total = " + ".join(w.at(f"w{number}", "o") for number in range(together))
                        text.line(f"to[o] = ({sink.ctype})(to[o] + {times(total, w.factor, sink.ctype)});")
            with text.block("for (; k < found; ++k)"):
                text.line(f"const {w.ctype} *const w0 = rows + active[k] * {w.stride};")
                if view.binary:
                    product = times(w.at("w0", "o"), w.factor, sink.ctype)
                else:
                    inner = _multiplier(view, sink, w)
                    text.line(f"const {inner} value = ({inner})({times('from[active[k]]', w.factor, inner)});")
                    product = f"value * ({w.at('w0', 'o')})"
                with text.loop("o", per_output):
                    text.line(f"to[o] = ({sink.ctype})(to[o] + {product});")


def _felt(text: Text, name: str, position: str, stride: int, size: int) -> None:
    """Where an input is felt through a tap, or on to the next tap where it is not."""
    position = position.replace(" + 0 ", " ").replace(" * 1", "")
    if stride == 1:
        text.line(f"const int32_t {name} = {position};")
        text.line(f"if ({name} < 0 || {name} >= {size}) continue;")
        return
    text.line(f"const int32_t {name}_by_{stride} = {position};")
    text.line(f"if ({name}_by_{stride} < 0 || {name}_by_{stride} % {stride} != 0) continue;")
    text.line(f"const int32_t {name} = {name}_by_{stride} / {stride};")
    text.line(f"if ({name} >= {size}) continue;")


def dense(code: Context, function: str, name: str, g: Geometry, view: View, sink: Sink, w: Weights) -> None:
    """A function that goes from output to output and reads all its inputs."""
    text, (per_input, per_output), strides = code.functions, g.per_group, view.strides
    assert strides is not None  # the caller arranges what is not regular
    (_, rows, columns), (outputs, out_rows, out_columns) = g.inputs, g.outputs
    inner = _multiplier(view, sink, w)
    text.comment(f"{name}: {g.equation()}")
    with text.function(f"static void {function}(const {view.ctype} *restrict a, {sink.ctype} *restrict z)"):
        with text.loop("y", out_rows), text.loop("x", out_columns):
            text.line(f"{sink.ctype} *const to = z + (y * {out_columns} + x) * {outputs};")
            with text.loop("u", g.kernel[0]):
                _met(text, "row", f"y * {g.stride[0]} - {g.padding[0]} + u * {g.dilation[0]}", rows, g.padding[0])
                with text.loop("v", g.kernel[1]):
                    _met(text, "column", f"x * {g.stride[1]} - {g.padding[1]} + v * {g.dilation[1]}", columns, g.padding[1])
                    text.line(f"const {view.ctype} *const from = a + row * {strides[1]} + column * {strides[2]};")
                    tap = f"(u * {g.kernel[1]} + v) * {g.inputs[0]}"
                    text.line(f"const {w.ctype} *const rows = {w.array} + {tap} * {w.stride};")
                    if g.depthwise:
                        with text.loop("c", outputs):
                            value = times(f"({inner})from[c * {strides[0]}]", w.factor, inner)
                            weight = w.at(f"(rows + c * {w.stride})", "0")
                            text.line(f"to[c] = ({sink.ctype})(to[c] + {value} * ({weight}));")
                    else:
                        with text.loop("g", g.groups), text.loop("i", per_input):
                            taken = f"from[(g * {per_input} + i) * {strides[0]}]"
                            text.line(f"const {inner} value = ({inner})({times(taken, w.factor, inner)});")
                            text.line(f"const {w.ctype} *const w0 = rows + (g * {per_input} + i) * {w.stride};")
                            with text.loop("o", per_output):
                                target = f"to[g * {per_output} + o]"
                                text.line(f"{target} = ({sink.ctype})({target} + value * ({w.at('w0', 'o')}));")


def _multiplier(view: View, sink: Sink, w: Weights) -> str:
    """The type in which values are multiplied by weights: it holds a value with the factor, and the sums."""
    return widest(holding(view.low * w.factor, view.high * w.factor, signed=True), sink.ctype)


def _met(text: Text, name: str, position: str, size: int, padding: int) -> None:
    """Which input a tap meets, or on to the next tap where it meets padding."""
    position = position.replace(" * 1 ", " ").replace(" - 0 ", " ").removesuffix(" * 1")
    text.line(f"const int32_t {name} = {position};")
    text.line(f"if ({name} < 0 || {name} >= {size}) continue;")
