"""Time of the golden model against T, depth, width and number of images, on plain stacks of convolutions."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

import spikec as tc
from spikec.deployment import deploy_network
from spikec.simulation import GoldenModel

#: What is varied, over which values, and the network otherwise.
CURVES = {
    "timesteps": (2, 4, 8, 16, 32),
    "depth": (2, 4, 8, 16),
    "width": (16, 32, 64, 128),
    "images": (32, 64, 128, 256),
}
STANDARD = {"timesteps": 8, "depth": 4, "width": 32, "images": 64}
SIDE = 16


def scaling(threads: int, rounds: int) -> str:
    """A line per curve: seconds of CPU relative to the first value, and the exponent of a fitted power law."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    lines = [f"time against ..., {SIDE} x {SIDE} images, otherwise {STANDARD}"]
    try:
        for name, values in CURVES.items():
            seconds = curve(name, values, rounds)
            exponent = float(np.polyfit(np.log(values), np.log(seconds), 1)[0])
            shown = ", ".join(f"{v}: {s / seconds[0]:.2f}" for v, s in zip(values, seconds, strict=True))
            lines.append(f"{name:<10} {shown}; exponent {exponent:.2f}")
    finally:
        torch.set_num_threads(before)
    return "\n".join(lines)


def curve(name: str, values: Sequence[int], rounds: int) -> list[float]:
    """CPU seconds for every value, the best of rounds in turns."""
    runs = [stack(**{**STANDARD, name: value}) for value in values]
    best = [float("inf")] * len(runs)
    for number in range(rounds + 1):  # the first warms up
        for index, (model, images) in enumerate(runs):
            start = time.process_time()
            model.run(images, counts="totals", batch=64)
            if number:
                best[index] = min(best[index], time.process_time() - start)
    return best


def stack(timesteps: int, depth: int, width: int, images: int) -> tuple[GoldenModel, torch.Tensor]:
    """A network of ``depth`` 3 x 3 convolutions with random weights, and its images."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for layer in range(depth):
        layers += [nn.Conv2d(width if layer else 3, width, 3, padding=1), nn.ReLU()]
    module = nn.Sequential(*layers, nn.AvgPool2d(SIDE), nn.Flatten(), nn.Linear(width, 10)).eval()
    pixels = torch.rand(images, 3, SIDE, SIDE)
    method = tc.QCFS(timesteps=timesteps)
    # narrow weights: 24 bits are proven at every T
    deployment = deploy_network(module, method, pixels[:16], tc.Int8(bits=4))
    return GoldenModel(deployment.graph), pixels
