"""What a network takes of the memories of a microcontroller, as its C code lays it out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikec.analysis.widths import signed_bits
from spikec.ir.graph import IntegerGraph

_LEAST_BITS = (2, 4, 8)


@dataclass(frozen=True)
class Needs:
    """Bytes of constants and of the state of one network; instructions, stack and application are not among them."""

    flash: int
    ram: int


def needs_of(net: IntegerGraph) -> Needs:
    """Raises ``ToolchainError`` for a network that cannot be written in C."""
    from spikec.targets.c.code import generate

    memory = generate(net).memory
    return Needs(memory.flash, memory.ram)


def least_flash(net: IntegerGraph) -> int:
    """Bytes that the weights of a network take at least: those that are not zero, packed. Fast for any size."""
    total = 0
    for node in net.synapses:
        mantissas = node.mantissas
        bits = signed_bits(int(mantissas.min()), int(mantissas.max()))
        total += int(np.count_nonzero(mantissas)) * next((n for n in _LEAST_BITS if bits <= n), 8)
    return -(-total // 8)
