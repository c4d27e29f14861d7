"""Counts after every step from the quotients of all steps; the derivation is in ``counts_by_step``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from spikec.simulation.engines.codes import fall, rise

_SMALL = 2**19  # counts up to which NumPy, whose calls are shorter, follows them faster than torch


def accumulated(q: Tensor) -> Tensor:
    """Spikes so far, u8 [S, ...], from the quotients of each step, whose memory they take."""
    if q.numel() > _SMALL or q.device.type != "cpu":
        last = q[0].clamp_(max=1)
        for count in q[1:]:
            last = torch.add(last, torch.gt(count, last).view(torch.uint8), out=count)
        return q
    counts = q.numpy()
    np.minimum(counts[0], 1, out=counts[0])
    up = np.empty(counts.shape[1:], np.bool_)
    for last, count in pairwise(counts):
        np.greater(count, last, out=up)
        np.add(last, up.view(np.uint8), out=count)
    return q


def signed(quotients: Sequence[Tensor]) -> list[Tensor]:
    """Net spikes so far u8 [S, ...], and the number of all [...], from q and r of each step."""
    counts, last = torch.empty_like(quotients[0]), torch.zeros_like(quotients[0][0])
    events = torch.zeros_like(last)
    for upper, lower, count in zip(quotients[0], quotients[-1], counts, strict=True):
        up, down = torch.gt(upper, last).view(torch.uint8), torch.lt(lower, last).view(torch.uint8)
        last = torch.add(last, up, out=count).sub_(down)
        events += up
        events += down
    return [counts, events]


def several(quotients: Sequence[Tensor], most: int, *, takes_back: bool) -> list[Tensor]:
    """What :func:`signed` gives for neurons that send up to ``most`` in a step, also for those that take none back."""
    counts, last = torch.empty_like(quotients[0]), torch.zeros_like(quotients[0][0])
    events = torch.zeros_like(last)
    for upper, lower, count in zip(quotients[0], quotients[-1], counts, strict=True):
        torch.add(last, rise(upper, last, most), out=count)
        if takes_back:
            count -= fall(upper, lower, last, most)
        events += count != last
        last = count
    return [counts, events]


def changes(counts: Tensor) -> Tensor:
    """In how many steps counts u8 [S, ...] grew, [...]."""
    return torch.count_nonzero(counts[1:] != counts[:-1], dim=0).add_(counts[0] != 0).to(torch.uint8)


def shift(u: Tensor, theta: Tensor, rho: int) -> Tensor:
    """What pass 1 adds to the starts [chosen], from U [S, chosen]: all move, down where U(rho) < theta * n, else up."""
    n = torch.zeros_like(theta)
    least_fired, most_silent = torch.full_like(n, torch.inf), torch.full_like(n, -torch.inf)
    for step in range(rho):
        m = u[step] - theta * n
        fired = m >= theta
        least_fired = torch.where(fired, torch.minimum(least_fired, m), least_fired)
        most_silent = torch.where(fired, most_silent, torch.maximum(most_silent, m))
        n += fired
    down = u[rho - 1] < theta * n
    return torch.where(down, -torch.maximum(theta, least_fired - theta + 1), torch.maximum(theta, theta - most_silent))


def indices(mask: Tensor) -> Tensor:
    """Where ``mask`` is true in flat memory; NumPy finds few of many five times faster than torch."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.view(-1).nonzero()[:, 0]
