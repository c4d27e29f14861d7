"""Registers: what happens to a number that is too wide for a target."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from spikec import defaults
from spikec.analysis.formats import NumberFormat, format_names, load_format
from spikec.analysis.widths import signed_bits
from spikec.errors import DataError, RangeError, ToolchainError
from spikec.ir.graph import IntegerGraph, Population, Readout, leak_of
from spikec.ir.operations import Operation
from spikec.ir.types import MEMBRANE_MAX
from spikec.simulation.paths import Reason
from spikec.words import among

if TYPE_CHECKING:
    from spikec.analysis.ranges import Bound, Ranges

Beyond = Literal["exact", "strict", "saturate", "wrap"]
Overflow = Literal["exact", "strict", "saturate", "wrap", "format"]


@dataclass(frozen=True)
class Register:
    """A register that holds -M - 1 to M, or -M to M with ``saturate``; M is ``maximum``.

    ``beyond``: what happens to a number outside. ``exact`` keeps and counts it; ``strict`` raises ``RangeError``;
    ``wrap`` takes it modulo 2M + 2 (two's complement); ``saturate`` takes the nearest of -M and M (sign and magnitude,
    as the membrane of Lava's LIF).
    """

    maximum: int = MEMBRANE_MAX
    beyond: Beyond = "exact"

    @property
    def minimum(self) -> int:
        return -self.maximum if self.beyond == "saturate" else -self.maximum - 1

    def holds(self, bound: Bound) -> bool:
        return self.minimum <= bound.low and bound.high <= self.maximum


@dataclass(frozen=True)
class Place:
    """The first number that a register could not hold: of which image and neuron, and its value."""

    image: int
    neuron: tuple[int, ...]
    value: int


@dataclass
class Watch:
    """One register of a layer during a run: lowest and highest number that reached it, and how many did not fit."""

    layer: str
    register: Register = Register()
    what: Literal["membrane", "accumulator"] = "membrane"
    first_image: int = 0  # offset of the running chunk in the data
    low: int | None = None
    high: int | None = None
    overflows: int = 0
    first: Place | None = None
    kept: list[Tensor] | None = None

    def see(self, m: Tensor, images: Tensor | None = None) -> None:
        """Record the numbers ``m`` [N, *shape] of one step, and change them in place to what the register holds. A list
        in ``kept`` gets them all. ``images`` [N]: their numbers in the running chunk, where it is not all of them."""
        self._see(m, images)
        if self.kept is not None:
            self.kept.append(m.to("cpu", torch.int64))

    def take(self) -> Tensor:
        """What ``kept`` holds, int64 [N, S, *shape], and start anew."""
        assert self.kept
        found = torch.stack(self.kept, dim=1)
        self.kept.clear()
        return found

    def _see(self, m: Tensor, images: Tensor | None) -> None:
        low, high = (int(x) for x in torch.aminmax(m))
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        minimum, maximum = self.register.minimum, self.register.maximum
        if low >= minimum and high <= maximum:
            return
        outside = (m < minimum) | (m > maximum)
        self.overflows += int(outside.sum())
        if self.first is None:
            index = tuple(int(i) for i in outside.nonzero()[0])
            image = index[0] if images is None else int(images[index[0]])
            self.first = Place(self.first_image + image, index[1:], int(m[index]))
        match self.register.beyond:
            case "strict":
                raise RangeError(self._refusal(self.first))
            case "saturate":
                m.clamp_(minimum, maximum)
            case "wrap":
                wrapped = (m[outside].to(torch.int64) - minimum) % (2 * maximum + 2) + minimum
                m[outside] = wrapped.to(m.dtype)

    def _refusal(self, at: Place) -> str:
        bits = signed_bits(self.register.minimum, self.register.maximum)
        return (
            f"{self.layer}: the {self.what} of neuron {list(at.neuron)} reaches {at.value} on image {at.image}, beyond "
            f"{bits} bits [{self.register.minimum}, {self.register.maximum}]; use fewer steps or smaller weights"
        )


@dataclass(frozen=True)
class Registers:
    """The registers of a target: the ``accumulator`` and the ``membrane``.

    An accumulator adds up what arrives at a neuron in one step, without biases, which are added to the membrane. There
    is one per linear node, and one per neuron where several nodes meet. ``accumulators``: whether they are watched,
    which takes an addition at every step where a single one would do otherwise.
    """

    accumulator: Register = Register()
    membrane: Register = Register()
    accumulators: bool = False

    @property
    def keep(self) -> bool:
        """Whether every number is kept as it is, or refused."""
        return {self.accumulator.beyond, self.membrane.beyond} <= {"exact", "strict"}

    def watches(self, graph: IntegerGraph) -> dict[str, Watch]:
        """One per membrane, by node name, and one per accumulator, by :func:`accumulator` of the name."""
        neurons = [node for node in graph if isinstance(node, Population | Readout)]
        leaking = {node.name for node in neurons if leak_of(node) is not None}  # a register of their own holds them
        found = {node.name: Watch(node.name, Register() if node.name in leaking else self.membrane) for node in neurons}
        if self.accumulators:
            found |= {accumulator(name): Watch(name, self.accumulator, "accumulator") for name in adders(graph)}
        return found

    def proven(self, ranges: Ranges) -> bool:
        """Whether nothing can leave a register, whatever the image: then every mode computes the same."""
        return next(self.unproven(ranges), None) is None

    def unproven(self, ranges: Ranges) -> Iterator[tuple[str, Reason]]:
        """Every register that a number may leave, by the node that it belongs to."""
        checked: list[tuple[str, Register, Mapping[str, Bound]]] = [("membrane", self.membrane, ranges.membranes)]
        if self.accumulators:
            checked.append(("accumulator", self.accumulator, ranges.sums))
        for what, register, found in checked:
            for bound in found.values():
                if not register.holds(bound):
                    kept = f"its {what} holds [{register.minimum}, {register.maximum}]"
                    largest = max(abs(bound.low), abs(bound.high))
                    text = f"{bound.node}: [{bound.low}, {bound.high}] where {kept}"
                    yield bound.node, Reason(text, largest, register.maximum + 1)


def adders(graph: IntegerGraph) -> list[str]:
    """Nodes that add in an accumulator, in network order."""
    return [n.name for n in graph if len(n.sources) > 1 or (isinstance(n, Operation) and n.adds)]


def accumulator(name: str) -> str:
    """The key of the accumulator of a node, which no node can be called."""
    return f"{name}: accumulator"


EXACT = Registers()


def registers(overflow: str, form: NumberFormat | str | None, graph: IntegerGraph) -> Registers:
    """Registers of a number format, by default the one the graph was lowered for.

    If that one is not known here, ``overflow="exact"`` takes 24 bits. Raises ``DataError`` for an unknown ``overflow``
    and, in all other cases, ``ToolchainError`` for an unknown format.
    """
    if not among(overflow, get_args(Overflow)):
        raise DataError(f"overflow={overflow!r} is not known; use one of {', '.join(get_args(Overflow))}")
    if overflow == "exact" and form is None and (graph.format or defaults.FORMAT) not in format_names():
        return EXACT
    form = format_of(graph, form)
    if overflow == "format":
        sums, membrane = form.accumulator_overflow, form.membrane_overflow
        return Registers(Register(form.accumulator_max, sums), Register(form.membrane_max, membrane), True)
    beyond: Beyond = overflow  # type: ignore[assignment]  # checked above
    if beyond == "exact" and form.membrane_max == MEMBRANE_MAX:
        return EXACT
    return Registers(Register(form.accumulator_max, beyond), Register(form.membrane_max, beyond), beyond != "exact")


def format_of(graph: IntegerGraph, form: NumberFormat | str | None) -> NumberFormat:
    """A format, given by name or file, or the one the graph was lowered for."""
    if isinstance(form, NumberFormat):
        return form
    own = graph.format or defaults.FORMAT
    if form is None and own not in format_names():
        raise ToolchainError(f"the graph was lowered for the number format {own!r}: give its .toml file as the format")
    given: object = form  # a user may give anything
    if not isinstance(given, str | os.PathLike | None):
        kind = type(given).__name__
        raise ToolchainError(f"a number format is given by its name, its .toml file or a NumberFormat, not by {kind}")
    return load_format(form or own)
