"""What an energy model returns: items, and the time it implies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikec.energy.sampling import Samples


@dataclass(frozen=True)
class Bill:
    """Joules per image of every item, float64 [1] or [draws]; seconds per step and what bounds it, where modelled."""

    items: dict[str, Samples]
    terms: Mapping[str, tuple[str, ...]]  # constants that may enter an item
    step_seconds: Samples | None = None
    bound_by: str = ""

    @property
    def total(self) -> Samples:
        return np.asarray(sum(self.items.values()))
