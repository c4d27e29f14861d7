"""Kind ``bit_serial``: a level sent bit by bit, most significant first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.registering import register
from spikec.ir.timing import Timing
from spikec.ir.types import Schedule


@register
@dataclass(frozen=True)
class BitSerialIF(Kind):
    """All input first: ``U = sum over k = 1..T of 2^(T-k) * z(k) + constant input``; then T emissions from
    ``v = U + v_init``: ``s_k = [v >= theta * 2^(T-k)], v -= s_k * theta * 2^(T-k)``.

    Derived from Datta et al., TMLR 2025 (identity P4 of ``docs/methods.md``).
    """

    name: ClassVar[str] = "bit_serial"
    schedules: ClassVar[tuple[Schedule, ...]] = ("layerwise",)
    timesteps: ClassVar[tuple[int, int]] = (1, 15)
    alone: ClassVar[bool] = True
    drains: ClassVar[bool] = False
    extends: ClassVar[bool] = False
    constant_once: ClassVar[bool] = True
    one_number: ClassVar[bool] = True
    requirement: ClassVar[str | None] = "kind=bit_serial"

    @property
    def emission(self) -> tuple[int, int]:
        return 0, 1

    @property
    def rehearsal(self) -> int:
        return 0

    def place_value(self, step: int, timesteps: int) -> int:
        return 1 << (timesteps - 1 - step)

    def least(self, timesteps: int) -> int:
        return 0

    def lossless(self, timing: Timing, depth: int) -> str:
        return "bit-serial emission is exact"
