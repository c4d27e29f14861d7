"""A sweep whose results are made up."""

from __future__ import annotations

from pathlib import Path

from spikec.sweeping import Sweep, read_grid
from spikec.sweeping.shape import DONE, has_shape
from spikec.sweeping.store import result


def a_sweep(folder: Path) -> Sweep:
    """QCFS with T = 2, 4 and 8: more steps, more spikes, more right; nothing ran."""
    plan = read_grid({"grid": {"model": "digits-cnn", "data": "digits", "method": "qcfs", "timesteps": [2, 4, 8]}})
    found = {}
    for number, run in enumerate(plan.runs):
        accuracy = (0.80, 0.90, 0.85)[number]  # the last is beaten by the second
        energy = {"loihi2": {"p5": 1e-6, "p50": 2e-6 * (number + 1), "p95": 9e-6, "lower_bound": False}}
        numbers = {"images": 100, "accuracy": accuracy, "interval": [accuracy - 0.05, accuracy + 0.05]}
        counts = {"spikes_per_image": 100.0 * (number + 1), "synops_per_image": 1000.0, "neurons": 9, "weights": 99}
        more = {"ann": {"accuracy": 0.95}, "overflows": {}, "energy": energy, "seconds": 1.0}
        made = result(run.configuration, DONE, **numbers, **counts, **more)
        assert has_shape(made)
        found[run.configuration.id] = made
    return Sweep(folder, plan, found)
