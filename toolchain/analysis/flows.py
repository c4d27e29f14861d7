"""What a node sends in one step, as ranges of maps whose rows and columns repeat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from spikec.analysis.intervals import Interval, constant
from spikec.ir.coding import InputNode
from spikec.ir.graph import Population
from spikec.ir.operations.repeats import Repeats
from spikec.ir.types import Int64, Shape


@dataclass(frozen=True)
class Repeated:
    """An interval for each neuron of a map that repeats: ``once`` holds each different place once."""

    once: Interval
    repeats: Repeats

    @classmethod
    def everywhere(cls, shape: Shape, low: int, high: int) -> Repeated:
        """The same for all neurons of a shape."""
        once = (shape[0], *(1 for _ in shape[1:]))
        return cls(Interval(np.full(once, low, np.int64), np.full(once, high, np.int64)), Repeats.everywhere(shape))

    @classmethod
    def constant(cls, values: Int64) -> Repeated:
        """One number for each neuron."""
        repeats = Repeats.of(values)
        return cls(constant(repeats.once(values)), repeats)

    def at(self, repeats: Repeats) -> Interval:
        """For ``repeats`` that tell as many places apart, or more."""
        low, high = self.once.low, self.once.high
        finer = self.repeats.finer(low, repeats)
        return Interval(finer, finer if low is high else self.repeats.finer(high, repeats), self.once.reach)

    def __add__(self, other: Repeated) -> Repeated:
        both = self.repeats & other.repeats
        return Repeated(self.at(both) + other.at(both), both)

    def without(self, part: Repeated) -> Repeated:
        """Less a part of it that is one number per neuron."""
        both = self.repeats & part.repeats
        return Repeated(self.at(both).without(part.at(both)), both)

    @property
    def magnitude(self) -> int:
        """The largest."""
        return self.once.magnitude


@dataclass(frozen=True)
class Flow:
    """What a node sends in one step: a part that stops with the input (image and bias), a part driven by spikes."""

    steady: Repeated
    driven: Repeated
    bias: Repeated  # the constant in ``steady``
    partial: int  # bound on |partial sum| of steady and driven part together, once per step

    def __add__(self, other: Flow) -> Flow:
        return Flow(
            self.steady + other.steady, self.driven + other.driven, self.bias + other.bias, self.partial + other.partial
        )

    @property
    def step(self) -> Repeated:
        return self.steady + self.driven

    @classmethod
    def of_input(cls, node: InputNode) -> Flow:
        image = Repeated.everywhere(node.shape, node.low, node.high)
        zero = Repeated.everywhere(node.shape, 0, 0)
        return cls(image, zero, zero, image.magnitude)

    @classmethod
    def emitted(cls, node: Population) -> Flow:
        low, high = node.neuron.emission
        zero = Repeated.everywhere(node.shape, 0, 0)
        return cls(zero, Repeated.everywhere(node.shape, low, high), zero, max(-low, high))


def added(flows: list[Flow]) -> Flow:
    """The sum of what several nodes send."""
    return reduce(Flow.__add__, flows)
