"""Kind ``max_pool``: the neurons behind a max pool, which send on what it gains in each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from spikec.ir.kinds.base import Kind
from spikec.ir.timing import Timing
from spikec.ir.types import TIMESTEPS_MAX, Schedule


class _OfSource:
    """A fact that a population has from its source. On the class itself, which has none: what does not restrict."""

    def __init__(self, otherwise: Any) -> None:
        self._otherwise = otherwise

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, kind: Maximum | None, owner: type) -> Any:
        return self._otherwise if kind is None else getattr(kind.of, self._name)


@dataclass(frozen=True)
class Maximum(Kind):
    """``s = z``, where z is what the max pool before it gains in the step (:class:`spikec.ir.operations.MaxPool`).

    ``of``: the kind of the population that the pool reads. All facts are those of that kind: the largest of several
    numbers is one of them. It is not stored in files and is in no registry, since it follows from the graph. Thresholds
    are 1 and initial membranes 0.
    """

    of: Kind = field()

    name: ClassVar[str] = "max_pool"
    requirement: ClassVar[str | None] = "kind=max_pool"
    schedules: ClassVar[tuple[Schedule, ...]] = _OfSource(("pipelined", "layerwise"))  # type: ignore[assignment]
    timesteps: ClassVar[tuple[int, int]] = _OfSource((1, TIMESTEPS_MAX))  # type: ignore[assignment]
    alone: ClassVar[bool] = _OfSource(False)  # type: ignore[assignment]
    drains: ClassVar[bool] = _OfSource(True)  # type: ignore[assignment]
    extends: ClassVar[bool] = _OfSource(True)  # type: ignore[assignment]
    constant_once: ClassVar[bool] = _OfSource(False)  # type: ignore[assignment]
    one_number: ClassVar[bool] = _OfSource(False)  # type: ignore[assignment]
    spikes_first: ClassVar[bool] = _OfSource(False)  # type: ignore[assignment]

    @property
    def emission(self) -> tuple[int, int]:
        return self.of.emission

    @property
    def rehearsal(self) -> int:
        return 0

    def place_value(self, step: int, timesteps: int) -> int:
        return self.of.place_value(step, timesteps)

    def least(self, timesteps: int) -> int:
        return self.of.least(timesteps)

    def lossless(self, timing: Timing, depth: int) -> str:
        return self.of.lossless(timing, depth)

    def single(self) -> Maximum:
        return Maximum(self.of.single())

    @property
    def origin(self) -> Kind:
        """The kind of the neurons that fire, also behind several pools."""
        return self.of.origin if isinstance(self.of, Maximum) else self.of
