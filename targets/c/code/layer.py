"""A population or readout while its code is written: where its numbers are, and how large they get."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from spikec.ir.graph import Population, Readout
from spikec.ir.types import Int64
from spikec.targets.c.code.context import Context, Sink
from spikec.targets.c.code.layout import channels
from spikec.targets.c.code.memory import Member
from spikec.targets.c.code.numbers import holding, literal, size_of
from spikec.targets.c.code.tables import Table
from spikec.targets.c.code.text import Text


@dataclass(frozen=True)
class Arriving:
    """What one step adds to a membrane: C text at place ``n``, each within its range."""

    terms: tuple[str, ...]
    low: int
    high: int


class Layer:
    """``station``: its place in the order of a run. Names in C: ``v`` its membranes, ``z`` what spikes add in a step,
    ``x`` what image and biases add in every step."""

    def __init__(self, code: Context, node: Population | Readout, station: int) -> None:
        self.code, self.node, self.station = code, node, station
        self.id = code.ids[node.name]
        self.positions, self.channels = channels(node.shape)
        self.size = self.positions * self.channels
        self._driven = code.bounds.driven.get(node.name) if self._reached("driven") else None
        self._image = code.bounds.image.get(node.name)
        self.bias = code.bounds.bias(node)

    def _reached(self, part: str) -> bool:
        return self.node.name in getattr(self.code.bounds, part)

    @property
    def layerwise(self) -> bool:
        return self.code.graph.schedule == "layerwise"

    @cached_property
    def v_init(self) -> Table:
        what = f"{self.node.name}: membranes at the start"
        return self.code.tables.table(f"start_{self.id}", self.node.v_init, self.node.shape, what)

    def table(self, name: str, values: Int64, about: str) -> Table:
        """A table of one number for each of its neurons."""
        return self.code.tables.table(f"{name}_{self.id}", values, self.node.shape, f"{self.node.name}: {about}")

    def keep(self, name: str, ctype: str, about: str) -> str:
        """A member of the state with a number for each neuron, kept from step to step."""
        return self.code.state.add(Member(f"{name}_{self.id}", ctype, self.size, f"{self.node.name}: {about}"))

    def pass_by(self, name: str, ctype: str, about: str) -> str:
        """A member that this layer uses alone."""
        about = f"{self.node.name}: {about}"
        member = Member(f"{name}_{self.id}", ctype, self.size, about, self.station, self.station)
        return self.code.state.add(member)

    # What arrives.

    @cached_property
    def driven(self) -> tuple[int, int]:
        """Range of what spikes add in one step (layerwise: in all), partial sums included; (0, 0) for nothing."""
        return (self._driven.low, self._driven.high) if self._driven is not None else (0, 0)

    @property
    def has_driven(self) -> bool:
        return self._driven is not None

    @property
    def has_image(self) -> bool:
        return self._image is not None

    @cached_property
    def steady(self) -> tuple[int, int]:
        """Range of what image and biases add in one step."""
        if self._image is None:
            return int(self.bias.min()), int(self.bias.max())
        low, high = self._image.lowest + self.bias, self._image.highest + self.bias
        return int(low.min()), int(high.max())

    @cached_property
    def membrane(self) -> tuple[int, int]:
        """Range of the membrane before reset, the start included."""
        found = self.code.bounds.ranges.membranes[self.node.name]
        return min(found.low, self.v_init.low), max(found.high, self.v_init.high)

    @cached_property
    def x(self) -> str | None:
        """Where the sum of image and biases is kept, None where no image arrives."""
        if not self.has_image or self.layerwise:
            return None
        return self.keep("x", self.x_type, "what image and biases add in each step")

    @cached_property
    def x_type(self) -> str:
        """A type that also holds the part of the image alone."""
        assert self._image is not None
        low, high = self.steady
        return holding(min(low, self._image.low), max(high, self._image.high), signed=True)

    @cached_property
    def bias_table(self) -> Table | None:
        """Biases, where they are not in ``x``."""
        if self.has_image or not self.bias.any():
            return None
        return self.table("bias", self.bias, "biases")

    def arriving_steadily(self) -> str:
        """C text for what image and biases add in this step; empty for nothing."""
        found = "x[n]" if self.x is not None else self.bias_table.at if self.bias_table is not None else ""
        return f"(on ? {found} : 0)" if found and self.code.graph.drain else found

    # Loops.

    @contextmanager
    def each(self, text: Text, *tables: Table | None) -> Iterator[None]:
        """A loop over its neurons: ``n``, and ``c`` where a table asks for it."""
        if any(each is not None and each.by == "channel" for each in tables):
            with text.loop("p", self.positions), text.loop("c", self.channels):
                text.line(f"const int32_t n = p * {self.channels} + c;")
                yield
            return
        with text.loop("n", self.size):
            yield


class Charged:
    """A pipelined layer whose membrane adds up what arrives.

    Sums of a step go straight into the membranes where their type holds every partial sum, or where a narrower type for
    the sums would save nothing.
    """

    def __init__(self, layer: Layer, *, settled: tuple[int, int]) -> None:
        """``settled``: range of the membrane between steps."""
        self.layer = layer
        (low, high), (least, most) = settled, layer.driven
        v_type = holding(low, high, signed=True)
        z_type = holding(least, most, signed=True)
        together = holding(low + least, high + most, signed=True)
        saves = layer.code.choices.vectors and size_of(z_type) < size_of(together)
        self.direct = layer.has_driven and not saves and (together == v_type or size_of(z_type) >= size_of(together))
        self.v_type = together if self.direct else v_type
        self.v = layer.keep("v", self.v_type, "membranes")
        self.z = None
        if layer.has_driven and not self.direct:
            self.z = layer.pass_by("z", z_type, "what spikes add in this step")
            self.z_type = z_type
        within = [settled, layer.driven, layer.steady]
        #: Range of a membrane while a step is added, in any order.
        self.reach = sum(min(a, 0) for a, _ in within), sum(max(b, 0) for _, b in within)
        self.m_type = holding(*self.reach, signed=True)

    @property
    def sink(self) -> Sink:
        """Where what spikes add goes."""
        shape = self.layer.node.shape
        if self.direct:
            return Sink(self.v, self.v_type, shape)
        assert self.z is not None
        return Sink(self.z, self.z_type, shape)

    def pointers(self, text: Text) -> None:
        """Local names for what the loop of a step reads."""
        text.line(f"{self.v_type} *restrict const v = {self.v};")
        if self.z is not None:
            text.line(f"const {self.z_type} *restrict const z = {self.z};")
        if self.layer.x is not None:
            text.line(f"const {self.layer.x_type} *restrict const x = {self.layer.x};")
        if self.layer.code.graph.drain and not self.layer.arriving_steadily():
            text.line("(void)on; /* nothing arrives here but spikes */")

    def charge(self, text: Text, *, m_type: str = "") -> None:
        """The line ``m = v + z``. ``m_type``: a wider type for it."""
        steady = self.layer.arriving_steadily()
        terms = ["v[n]", *(["z[n]"] if self.z is not None else []), *([steady] if steady else [])]
        ctype = m_type or self.m_type
        text.line(f"const {ctype} m = ({ctype})(({ctype}){' + '.join(terms)});")

    @property
    def tables(self) -> tuple[Table | None, ...]:
        return (self.layer.bias_table,)


def number(value: int) -> str:
    """A constant in an expression."""
    return literal(value, holding(value, value))
