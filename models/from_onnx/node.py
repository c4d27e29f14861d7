"""One node of a graph, as the code that builds its module sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


class Refused(Exception):
    """Why a node has no module here, and what to do."""


#: A value for each of the two numbers of images that a graph is tried with.
Pair = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]


class Node:
    """``constants``: by place, the inputs that are known when the file is read. ``sizes``: those that follow from the
    number of images alone, for two such numbers. ``examples``: by place, the other inputs for the same two numbers.
    ``opset``: version of the operators. ``batch``: the number of images the file is made for, if it is.
    ``nonnegative``: whether the first input is known to be. What a builder does not ask for is refused by
    :meth:`check_all_read`."""

    def __init__(
        self,
        proto: Any,
        attributes: dict[str, Any],
        constants: dict[int, np.ndarray[Any, Any]],
        sizes: dict[int, Pair],
        examples: dict[int, tuple[Tensor, Tensor]],
        opset: int,
        batch: int | None,
        nonnegative: bool,
    ) -> None:
        self.proto, self.opset, self.batch, self.nonnegative = proto, opset, batch, nonnegative
        self.operator = str(proto.op_type)
        self._attributes, self.constants, self._sizes, self.examples = attributes, constants, sizes, examples
        self._read: set[str] = set()
        self._asked: set[int] = set()

    def attribute(self, name: str, default: Any = None) -> Any:
        self._read.add(name)
        found = self._attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else found

    def ignore(self, *names: str) -> None:
        self._read |= set(names)

    def constant(self, place: int, what: str) -> np.ndarray[Any, Any]:
        """A constant input. Raises :class:`Refused` where it is missing or computed from the image."""
        found = self.optional(place)
        if found is None:
            raise Refused(f"its {what} is computed from the image; only a constant one is possible")
        return found

    def shape_given(self, place: int) -> tuple[list[int], list[int]]:
        """A shape that may depend on the number of images, for both numbers."""
        if place in self._sizes:
            first, second = self._sizes[place]
            return first.tolist(), second.tolist()
        fixed = [int(size) for size in self.constant(place, "shape")]
        return fixed, fixed

    def optional(self, place: int) -> np.ndarray[Any, Any] | None:
        self._asked.add(place)
        return self.constants.get(place)

    def either(self, name: str, place: int, default: Any = None) -> Any:
        """What older versions of an operator state as an attribute and newer ones as an input: numbers, or a list."""
        found = self.attribute(name)
        if found is None and self.optional(place) is not None:
            found = self.constants[place].tolist()
        return default if found is None else found

    def tensor(self, place: int, what: str) -> Tensor:
        return as_float(self.constant(place, what))

    @property
    def rank(self) -> int:
        return self.examples[0][0].ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first input, for the first number of images."""
        return tuple(self.examples[0][0].shape)

    def alone(self) -> None:
        """Raises unless the first input is the only one that depends on the image."""
        if list(self.examples) != [0]:
            raise Refused("only its first input may depend on the image")

    def check_all_read(self) -> None:
        unread = sorted(self._attributes.keys() - self._read)
        if unread:
            raise Refused(f"its attribute {', '.join(unread)} is not known here in opset {self.opset}")
        places = sorted(self.constants.keys() - self._asked)
        if places:
            raise Refused(f"its input {', '.join(map(str, places))} is not known here in opset {self.opset}")


def as_float(value: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.array(value, np.float32))
