"""Max pools: of the image the largest pixels, of emissions what the largest sum of a window gains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spikec.ir.operations import MaxPool
from spikec.targets.c.code.context import Context
from spikec.targets.c.code.layout import View
from spikec.targets.c.code.text import Text

#: Names of the first and behind the last place of a window, along rows and along columns.
_ENDS = ("top", "bottom"), ("left", "right")


def largest(code: Context, node: MaxPool, view: View, e_type: str) -> str:
    """A function that writes the largest value of each window."""
    name, new = code.once(("largest", node.name, view.ctype, view.strides), f"largest_{code.ids[node.name]}")
    if not new:
        return name
    text = code.functions
    text.comment(f"{node.name}: e[c, y, x] = largest a of the window, {node.title}")
    head = f"static void {name}(const {view.ctype} *restrict a, {e_type} *restrict e)"
    with text.function(head), _windows(text, node):
        _best(text, node, view, view.ctype, "a")
        text.line(f"e[n] = ({e_type})best;")
    return name


def gained(code: Context, node: MaxPool, view: View, sum_type: str, e_type: str) -> str:
    """A function that adds emissions to the sums of their senders and writes what the largest sum of each window has
    gained; ``most`` keeps these."""
    name, size = code.name("gain", code.ids[node.name]), 1
    for length in view.shape:
        size *= length
    text, summed = code.functions, View("", sum_type, 0, 0, view.shape, view.order)
    text.comment(f"{node.name}: sums += a; e[c, y, x] = what the largest sum of the window gains, {node.title}")
    with text.function(
        f"static void {name}(const {view.ctype} *restrict a, {sum_type} *restrict sums, {sum_type} *restrict most, "
        f"{e_type} *restrict e)"
    ):
        with text.loop("n", size):
            text.line(f"sums[n] = ({sum_type})(sums[n] + a[n]);")
        with _windows(text, node):
            _best(text, node, summed, sum_type, "sums")
            text.line(f"e[n] = ({e_type})(best - most[n]);")
            text.line("most[n] = best;")
    return name


@contextmanager
def _windows(text: Text, node: MaxPool) -> Iterator[None]:
    """Loops over all windows: row ``y``, column ``x``, channel ``c``, place ``n`` of the result."""
    count, rows, columns = node.output_shape
    with text.loop("y", rows), text.loop("x", columns), text.loop("c", count):
        text.line(f"const int32_t n = (y * {columns} + x) * {count} + c;")
        yield


def _best(text: Text, node: MaxPool, view: View, ctype: str, array: str) -> None:
    """Lines that find ``best``, the largest number of the window of row ``y`` and column ``x`` in channel ``c``."""
    _, height, width = node.input_shape
    strides = view.strides
    assert strides is not None  # the caller arranges what is not regular
    text.line("int32_t any = 0;")
    text.line(f"{ctype} best = 0;")
    if node.adaptive:
        for axis, size, count, ends in zip("yx", (height, width), node.output_shape[1:], _ENDS, strict=True):
            text.line(f"const int32_t {ends[0]} = {axis} * {size} / {count};")
            text.line(f"const int32_t {ends[1]} = (({axis} + 1) * {size} + {count - 1}) / {count};")
        down, over = "1", "1"
    else:
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = node.kernel, node.stride, node.padding, node.dilation
        text.line(f"const int32_t top = y * {sh} - {ph}, bottom = top + {(kh - 1) * dh + 1};")
        text.line(f"const int32_t left = x * {sw} - {pw}, right = left + {(kw - 1) * dw + 1};")
        down, over = str(dh), str(dw)
    with text.block(f"for (int32_t i = top; i < bottom; i += {down})"):
        text.line(f"if (i < 0 || i >= {height}) continue;")
        with text.block(f"for (int32_t j = left; j < right; j += {over})"):
            text.line(f"if (j < 0 || j >= {width}) continue;")
            text.line(f"const {ctype} found = {array}[i * {strides[1]} + j * {strides[2]} + c * {strides[0]}];")
            text.line("if (!any || found > best) best = found;")
            text.line("any = 1;")
