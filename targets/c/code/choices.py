"""What the caller decides about the code; nothing here changes a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Above this share of non-zero values it is cheaper to read all of them than to look for those that count.
DENSE_FROM = 0.5


@dataclass(frozen=True)
class Choices:
    """``vectors``: for processors that add many numbers at a time: sums of a step have memory of their own where they
    need a narrower type than membranes, weights are not packed and rows of them end on a full vector; the loops hold
    sums in vectors. Otherwise the code is short and its memory small. ``small``: what the
    image adds to a layer is computed anew in every step instead of being kept, where layers step together. ``rates``:
    share of emissions that are
    not zero, by population, as measured; layers that read a population above :data:`DENSE_FROM` read all values
    (default: they look for spikes). ``longest``: most steps of a sequence (default: the steps in the file).
    ``early_exit``: None, or the lead in logits that ends a run beside the proof; 0 for the proof alone."""

    vectors: bool = False
    small: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)
    longest: int | None = None
    early_exit: float | None = None

    def dense(self, population: str) -> bool:
        """Whether layers that read ``population`` read all its values."""
        return self.rates.get(population, 0.0) > DENSE_FROM
