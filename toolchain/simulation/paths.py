"""Which way a node of a network is computed, and what kept it from a faster one.

The code that chooses makes these values. Nothing else knows the rules, so what they say is what runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kernel(str, Enum):
    """Ways to compute a node. Those before ``EVERY_STEP`` belong to the engines that count spikes."""

    ROUNDS = "8-bit, divides and rounds"  # a synapse whose kernel puts out the quotients of the population behind it
    SCALES = "8-bit, divides"  # the same, where starts are added and quotients rounded behind the kernel
    BESIDE = "8-bit counts, added"  # a multiple of counts, added to what another kernel sums
    SUMS = "8-bit, sums"
    HALVES = "8-bit, sums of two halves"  # of counts, each half so small that its sums are exact
    COUNTS = "8-bit counts"
    FLOAT = "floats"
    ONCE = "floats, once per image"  # no spikes reach it
    IN_KERNEL = "quotients of the kernel"
    DIVIDES = "floats, divides"
    PASSES = "counts pass"
    READS = "readout"
    EVERY_STEP = "general, every step"
    AT_ONCE = "general, all that arrived at once"
    CYCLE = "general, step by step on a cycle"


@dataclass(frozen=True)
class Reason:
    """Why a way was not taken. ``bound``: the number that decided, where there is one; it had to be below ``limit``."""

    text: str
    bound: int | None = None
    limit: int | None = None

    def __str__(self) -> str:
        return self.text

    @classmethod
    def beyond(cls, what: str, bound: int, limit: int, holder: str) -> Reason:
        """``what`` may reach ``bound``, too much for ``holder``."""
        return cls(f"{what} may reach {bound:,}; for {holder} it must stay below {limit:,}", bound, limit)


@dataclass(frozen=True)
class Path:
    """How one ``node`` is computed: its ``kernel``, the ``dtype`` of what comes out, and ``why`` it is no faster one
    (None: there is none faster)."""

    node: str
    kernel: Kernel
    dtype: str
    why: Reason | None = None
