"""What was sent some steps before: by all senders alike, or by each as late as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikec.ir.delays import by_delay
from spikec.ir.graph import Delayed


def later(driven: Tensor, node: Delayed) -> Tensor:
    """All that was sent, [S, N, *shape], so many steps later as each sender is late."""
    found = torch.zeros_like(driven)
    for delay, senders in _by_delay(node):
        found[delay:, :, senders] = driven[: max(len(found) - delay, 0), :, senders]
    return found


def late_at(driven: Tensor, node: Delayed, step: int) -> Tensor:
    """The same at one step, [1, N, *shape], where later steps are not known yet."""
    found = torch.zeros_like(driven[:1])
    for delay, senders in _by_delay(node):
        if delay <= step:
            found[:, :, senders] = driven[step - delay, :, senders]
    return found


def _by_delay(node: Delayed) -> Iterator[tuple[int, Any]]:
    """Its delays, each with the index of those that have it."""
    for delay, senders in by_delay(node.steps, node.shape):
        yield delay, torch.from_numpy(senders) if isinstance(senders, np.ndarray) else senders
