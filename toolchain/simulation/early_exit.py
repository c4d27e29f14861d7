"""Early exit on the readouts of a run: which images stop, by the rule of :mod:`spikec.analysis.early_exit`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikec.analysis.early_exit import Rule, confidence_of
from spikec.analysis.ranges import Ranges
from spikec.ir.graph import IntegerGraph
from spikec.simulation.emission import Result


class EarlyExit(Rule):
    """The rule, applied to membranes."""

    def decided(self, v: Tensor, step: int) -> Tensor:
        """Which images stop after ``step`` (from 0), bool [N]; ``v`` [N, classes] is the readout's membrane."""
        values = v.to("cpu", torch.int64).numpy()
        leader, rows = values.argmax(axis=1), np.arange(len(values))
        lead = values[rows, leader][:, None] - values
        classes = np.arange(values.shape[1])
        others = classes != leader[:, None]
        safe = lead + (leader[:, None] < classes) > self.left[step][leader]
        stop = (safe | ~others).all(axis=1)
        if self.confidence is not None:
            margin = np.where(others, lead * self.scale, np.inf).min(axis=1)
            stop |= margin >= self.confidence
        return torch.as_tensor(stop)

    def cut(self, result: Result, *, spikes: bool) -> Result:
        """A run of all steps, with rasters, as if every image had stopped where this rule stops it."""
        (curve,) = result.readouts.values()
        total = len(curve)
        steps = torch.full((curve.shape[1],), total)
        for step in reversed(range(total - 1)):
            steps[self.decided(curve[step], step)] = step + 1
        return result.until(steps, spikes=spikes)


def early_exit_of(graph: IntegerGraph, ranges: Ranges, value: str | float | None) -> EarlyExit | None:
    """The rule that ``early_exit=value`` of :func:`spikec.simulation.simulate` asks for."""
    return None if value is None else EarlyExit(graph, ranges, confidence_of(value))
