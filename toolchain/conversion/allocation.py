"""One choice per layer under a common budget, by dynamic programming over the layers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikec.ir.types import Int64

#: Steps that the budget left above the cheapest choices is divided into at most.
RESOLUTION = 20_000


def least_loss(losses: npt.NDArray[np.float64], costs: Int64, budget: int) -> list[int] | None:
    """The option of every layer that minimises the sum of ``losses`` with a sum of ``costs`` of at most ``budget``.

    ``losses`` float64 and ``costs`` int64: [layers, options]. Of equally good choices the one of least cost is taken;
    of those, options of small index for late layers. None where even the cheapest options cost more than the budget.
    The result never costs more than the budget. It is exact where the budget exceeds the cheapest choice by at most
    :data:`RESOLUTION`; beyond that, costs are rounded up to a grid of so many steps.
    """
    extra = costs - costs.min(axis=1, keepdims=True)
    room = budget - int(costs.min(axis=1).sum())
    if room < 0:
        return None
    room = min(room, int(extra.max(axis=1).sum()))
    step = max(1, -(-room // RESOLUTION))
    extra, room = -(-extra // step), room // step
    best = np.zeros(room + 1)  # best[b]: smallest loss of the layers so far at a cost of at most b
    taken = np.zeros((len(costs), room + 1), dtype=np.int64)
    for layer, (loss, cost) in enumerate(zip(losses, extra, strict=True)):
        found = np.full((len(loss), room + 1), np.inf)
        for option, price in enumerate(cost):
            found[option, price:] = best[: max(0, room + 1 - price)] + loss[option]
        taken[layer], best = found.argmin(axis=0), found.min(axis=0)
    left = int(np.argmax(best == best[-1]))  # the smallest cost at which the least loss is reached
    chosen = []
    for layer in reversed(range(len(costs))):
        chosen.append(int(taken[layer, left]))
        left -= int(extra[layer, chosen[-1]])
    return chosen[::-1]
