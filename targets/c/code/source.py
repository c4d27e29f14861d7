"""What the emitter gives: the text of two files, and what a caller must know to run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikec.ir.types import Shape


@dataclass(frozen=True)
class Sender:
    """A population: ``dtype`` of what the hook ``NAME_EMITTED`` points to, one number per neuron; maps (C, H, W) lie in
    memory as [row][column][channel]."""

    name: str
    shape: Shape
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Reader:
    """A readout: ``dtype`` of what the hook ``NAME_READ`` points to, in memory as for a :class:`Sender`."""

    name: str
    output: str
    shape: Shape
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Memory:
    """Bytes of constants, by array, and of the state, by member. ``shared``: the part of the state whose members take
    turns; ``parts``: members of it, which overlap."""

    constants: Mapping[str, int]
    state: Mapping[str, int]
    shared: int
    parts: Mapping[str, int]

    @property
    def flash(self) -> int:
        """Bytes of all constants; the instructions are not among them."""
        return sum(self.constants.values())

    @property
    def ram(self) -> int:
        """Bytes of the state; the stack is not among them."""
        return sum(self.state.values()) + self.shared


@dataclass(frozen=True)
class Source:
    """The files ``NAME.h`` and ``NAME.c`` and what they hold.

    ``stepped``: ``NAME_step`` exists. ``steps``: how many steps populations emit in a run; of sequences, the most.
    ``numbers``: the hook ``NAME_EMITTED`` gets the number that all emissions of a run write together, once, instead of
    the emissions of each step (schedule ``layerwise``).
    """

    name: str
    header: str
    body: str
    senders: tuple[Sender, ...]
    readers: tuple[Reader, ...]
    input_shape: Shape
    input_dtype: np.dtype[Any]
    sequences: bool
    stepped: bool
    numbers: bool
    steps: int
    memory: Memory
