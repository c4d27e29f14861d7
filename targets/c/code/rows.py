"""The inner loops: rows of weights, each times its value, added to the sums of one output place."""

from __future__ import annotations

from contextlib import nullcontext

from spikec.targets.c.code.context import Sink
from spikec.targets.c.code.geometry import Geometry
from spikec.targets.c.code.layout import View
from spikec.targets.c.code.numbers import holding, widest
from spikec.targets.c.code.text import Text
from spikec.targets.c.code.weights import LANES, Weights, times

#: How many rows are added in one pass over the sums where they stay in memory.
_TOGETHER = 4
#: How many vectors of sums are held at a time: fewer than there are registers for them.
_VECTORS = 12


def multiplier(view: View, sink: Sink, w: Weights) -> str:
    """The type in which values are multiplied by weights: it holds a value with the factor, and the sums."""
    return widest(holding(view.low * w.factor, view.high * w.factor, signed=True), sink.ctype)


class Rows:
    """Writes, for one input place: which inputs are taken, and their rows added at one output place.

    ``search``: only inputs that are not 0. Where the weights are made for it, sums are held in vectors; otherwise they
    stay in memory, and some rows are added in one pass.
    """

    def __init__(self, text: Text, g: Geometry, view: View, sink: Sink, w: Weights, *, search: bool) -> None:
        self.view, self._text, self._g, self._sink, self._w = view, text, g, sink, w
        self._search, self._vectors = search, w.vectors
        self._valued = not (view.binary and search)
        self._at_once = w.vectors and g.stride[1] == 1 and g.kernel[1] > 1  # all taps of a row: they lie side by side
        self._held = self._at_once or (w.vectors and w.width > LANES)
        self._known: int | None = None  # how many inputs are taken, where that does not depend on them
        reach = max(-view.low, view.high) * w.factor
        self._short = w.vectors and w.total * reach < 2**15  # all that one place adds to an output fits 16 bits
        self._inner = "int16_t" if self._short else multiplier(view, sink, w)

    def declare(self, count: int) -> None:
        """Local memory for so many inputs."""
        if self._search:
            self._text.line(f"uint8_t active[{count}];")
        if self._valued:
            self._text.line(f"{self._inner} value[{count}];")

    def take(self, count: str, apart: int, otherwise: str) -> None:
        """Lines that find the inputs ``from[0]``, ``from[apart]`` and so on, ``count`` of them; ``otherwise``: what to
        do where there are none."""
        text, read = self._text, "from[i]" if apart == 1 else f"from[i * {apart}]"
        value = f"({self._inner})({times(read, self._w.factor, self._inner)})"
        if not self._search:
            self._known = int(count) if count.isdigit() else None
            with text.loop("i", count):
                text.line(f"value[i] = {value};")
            if self._known is None or self._held:
                text.line(f"const int32_t found = {count};")
            return
        text.line("int32_t found = 0;")
        with text.loop("i", count):
            text.line("active[found] = (uint8_t)i;")
            if self._valued:
                text.line(f"value[found] = {value};")
            text.line(f"found += {read} != 0;")
        text.line(f"if (found == 0) {otherwise};")

    def add(self, first: str) -> None:
        """Lines that add their rows at output ``row``, through the taps (u, v) of all columns; ``first``: number of the
        first input that was looked at, where that is not 0."""
        text, g, w = self._text, self._g, self._w
        tap = multiple("u", g.inputs[0]) if g.kernel[0] > 1 else ""
        group = f"g * {g.per_group[0]}" if g.groups > 1 else ""
        start = " + ".join(each for each in (tap, group, first) if each)
        start = f"{w.array} + ({start}) * {w.stride}" if start else w.array
        text.line(f"const {w.ctype} *const rows = {start};")
        taps = g.kernel[1]
        if self._at_once:
            self._in_vectors(tuple(range(taps)))
            return
        with text.loop("v", taps) if taps > 1 else nullcontext():
            if not g.whole:
                tap = f" - {multiple('v', g.dilation[1])}" if taps > 1 else ""
                with_padding = f" + {g.padding[1]}" if g.padding[1] else ""
                felt(text, "column", f"x{with_padding}{tap}", g.stride[1], g.outputs[2])
            text.line(f"{self._sink.ctype} *const to = {self._target('column')};")
            if self._held:
                self._in_vectors(None)
            else:
                self._in_memory()

    def _target(self, column: str) -> str:
        """Where the sums of an output column begin."""
        g = self._g
        group = f" + g * {g.per_group[1]}" if g.groups > 1 else ""
        return "z" if g.whole else f"z + (row * {g.outputs[2]} + {column}) * {g.outputs[0]}{group}"

    def _row(self, k: str) -> str:
        number = f"active[{k}]" if self._search else f"({k})" if " " in k else k
        return f"rows + {number} * {self._w.stride}"

    def _in_memory(self) -> None:
        """Sums stay where they are, and some rows are added in one pass over them."""
        text, w, count = self._text, self._w, self._g.per_group[1]
        tap = f" + v * {w.apart}" if self._g.kernel[1] > 1 else ""
        whole = None if self._known is None else self._known - self._known % _TOGETHER
        if whole is None:
            text.line("int32_t k = 0;")
            heads = {_TOGETHER: f"for (; k + {_TOGETHER} <= found; k += {_TOGETHER})", 1: "for (; k < found; ++k)"}
        else:  # how many there are is known: the loops say so
            heads = {_TOGETHER: f"for (int32_t k = 0; k < {whole}; k += {_TOGETHER})"} if whole else {}
            if whole != self._known:
                heads[1] = f"for (int32_t k = {whole}; k < {self._known}; ++k)"
        if self._g.per_group[0] < _TOGETHER:
            heads.pop(_TOGETHER, None)  # there are never so many
        for together, head in heads.items():
            places = [f"k + {number}" if number else "k" for number in range(together)]
            with text.block(head):
                for number, place in enumerate(places):
                    text.line(f"const {w.ctype} *const w{number} = {self._row(place)}{tap};")
                weights = [w.at(f"w{number}", "o") for number in range(together)]
                if self._valued:
                    pairs = zip(places, weights, strict=True)
                    total = " + ".join(f"value[{place}] * {weight}" for place, weight in pairs)
                else:
                    total = times(" + ".join(weights), w.factor, self._sink.ctype)
                with text.loop("o", count):
                    text.line(f"to[o] = ({self._sink.ctype})(to[o] + {total});")

    def _in_vectors(self, taps: tuple[int, ...] | None) -> None:
        """Sums are held in local arrays as long as a vector of 256 bits: of 16 bits where they fit, else of the type of
        the products. ``taps``: those of all columns; None: of tap ``v``."""
        text, w = self._text, self._w
        ctype = "int16_t" if self._short else self._inner
        lanes = {"int16_t": LANES, "int32_t": LANES // 2, "int64_t": LANES // 4}[ctype]
        vectors = [(v, part) for v in taps or (None,) for part in range(0, w.apart, lanes)]
        passes = -(-len(vectors) // _VECTORS)
        size = -(-len(vectors) // passes)
        for start in range(0, len(vectors), size):
            with text.block(""):
                self._one_pass(vectors[start : start + size], ctype, lanes)

    def _one_pass(self, vectors: list[tuple[int | None, int]], ctype: str, lanes: int) -> None:
        text, w = self._text, self._w
        for number in range(len(vectors)):
            text.line(f"{vector(ctype, lanes)} s{number} = {{0}};")
        with text.block("for (int32_t k = 0; k < found; ++k)"):
            tap = "" if vectors[0][0] is not None or self._g.kernel[1] == 1 else f" + v * {w.apart}"
            text.line(f"const {w.ctype} *const w = {self._row('k')}{tap};")
            if self._valued:
                text.line(f"const {ctype} by = ({ctype})value[k];")
            for number, (v, part) in enumerate(vectors):
                offset = (v or 0) * w.apart + part
                weight = f"*(const {vector(w.ctype, lanes)} *)(w{f' + {offset}' if offset else ''})"
                if w.ctype != ctype:
                    weight = f"__builtin_convertvector({weight}, {vector(ctype, lanes)})"
                factor = "by * " if self._valued else f"({ctype}){w.factor} * " if w.factor > 1 else ""
                text.line(f"s{number} += {factor}{weight};")
        for v in dict.fromkeys(v for v, _ in vectors):
            if v is None:
                self._flush([(n, part) for n, (_, part) in enumerate(vectors)], ctype, lanes)
                continue
            g = self._g
            with text.block(""):
                shift = g.padding[1] - v * g.dilation[1]
                text.line(
                    f"const int32_t column = x{f' {shift:+d}'.replace('+', '+ ').replace('-', '- ') if shift else ''};"
                )
                with text.block(f"if (column >= 0 && column < {g.outputs[2]})"):
                    text.line(f"{self._sink.ctype} *const to = {self._target('column')};")
                    self._flush([(n, part) for n, (tap, part) in enumerate(vectors) if tap == v], ctype, lanes)

    def _flush(self, parts: list[tuple[int, int]], ctype: str, lanes: int) -> None:
        """Add local sums to those in memory; what lies behind the last output is no sum."""
        sink = self._sink.ctype
        for number, part in parts:
            left = min(lanes, self._g.per_group[1] - part)
            if left <= 0:
                continue
            place = f"to + {part}" if part else "to"
            if left == lanes:
                wide = vector(sink, lanes)
                sums = f"s{number}" if sink == ctype else f"__builtin_convertvector(s{number}, {wide})"
                self._text.line(f"*({wide} *)({place}) += {sums};")
                continue
            target = f"to[o + {part}]" if part else "to[o]"
            self._text.line(f"for (int32_t o = 0; o < {left}; ++o) {target} = ({sink})({target} + s{number}[o]);")


def multiple(name: str, factor: int) -> str:
    """``u * 3``, or ``u``."""
    return name if factor == 1 else f"{name} * {factor}"


def vector(ctype: str, lanes: int) -> str:
    """The name of a vector of so many numbers."""
    return f"vec_{ctype.removesuffix('_t')}x{lanes}"


#: Vectors of 8, 16 and 4 numbers, as gcc and clang have them: of any alignment, over any array.
VECTORS = "".join(
    f"typedef {ctype} {vector(ctype, lanes)} "
    f"__attribute__((vector_size({lanes * size}), aligned({size}), may_alias));\n"
    for lanes in (4, 8, 16)
    for ctype, size in (("int8_t", 1), ("int16_t", 2), ("int32_t", 4), ("int64_t", 8))
)


def felt(text: Text, name: str, position: str, stride: int, size: int) -> None:
    """Where an input is felt through a tap, or on to the next tap or input where it is not."""
    if stride == 1:
        text.line(f"const int32_t {name} = {position};")
        text.line(f"if ({name} < 0 || {name} >= {size}) continue;")
        return
    text.line(f"const int32_t {name}_by_{stride} = {position};")
    text.line(f"if ({name}_by_{stride} < 0 || {name}_by_{stride} % {stride} != 0) continue;")
    text.line(f"const int32_t {name} = {name}_by_{stride} / {stride};")
    text.line(f"if ({name} >= {size}) continue;")
