"""Weights fitted again, in closed form, to the inputs that a layer really gets.

A method of our own. A layer of the spiking network gets x' where the trained layer gets x. Its weights become

    W' = argmin  sum (x', 1) W' - t)^2  +  r sum (W' - W)^2 ,    t = W x + b, the pre-activation of the trained layer

per output channel: ridge regression towards the trained weights, solved through the normal equations, as GPTQ (Frantar
et al., arXiv 2210.17323) solves for the error of its rounding. It takes no labels and no gradients. ``r`` is chosen per
layer on calibration images that the fit has not seen, and where no ``r`` lessens the error on them, the weights stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from spikec.frontend import Convolution, Dense

#: Strengths of the ridge tried, as fractions of the mean square of an input.
_RIDGES = (1e-3, 1e-2, 1e-1)
#: Layers with more inputs per output keep their weights: the normal equations would not fit in memory.
LARGEST_FAN_IN = 6000
#: Samples (positions of images) used per input of an output, and the most multiplications spent on the sums.
_SAMPLES, _EFFORT = 100, 4e11
_SEED = 0

#: Batches of inputs [n, I, ...] and wanted outputs [n, O, ...] of a layer.
Pairs = Callable[[], Iterator[tuple[Tensor, Tensor]]]


class Sums:
    """Second moments of inputs (with a 1 appended for the bias) and wanted outputs, per group; float64."""

    def __init__(self, groups: int, fan_in: int, outputs: int) -> None:
        self.inputs = torch.zeros(groups, fan_in + 1, fan_in + 1, dtype=torch.float64)
        self.both = torch.zeros(groups, fan_in + 1, outputs, dtype=torch.float64)

    def add(self, x: Tensor, y: Tensor) -> None:
        """``x`` [groups, samples, fan-in], ``y`` [groups, samples, outputs]."""
        x = torch.cat([x, torch.ones_like(x[..., :1])], 2)
        self.inputs += (x.mT @ x).double()
        self.both += (x.mT @ y).double()

    def error(self, weight: Tensor) -> Tensor:
        """Sum of squared errors of ``weight`` [groups, outputs, fan-in + 1], up to a constant that all share."""
        error: Tensor = (weight @ self.inputs * weight).sum() - 2 * (weight.mT * self.both).sum()
        return error

    def solve(self, weight: Tensor, ridge: float) -> Tensor:
        """The minimum near ``weight``; the bias is free."""
        square = self.inputs.diagonal(dim1=1, dim2=2)
        scale = square[:, :-1].mean(1, keepdim=True).clamp(min=1e-30)
        added = (ridge * scale).expand_as(square).clone()
        added[:, -1] = 1e-9 * square[:, -1]
        lacking = self.both - self.inputs @ weight.mT
        found: Tensor = weight + torch.linalg.solve(self.inputs + torch.diag_embed(added), lacking).mT
        return found

    def __iadd__(self, other: Sums) -> Sums:
        self.inputs += other.inputs
        self.both += other.both
        return self


@torch.no_grad()
def fit_again(layer: Convolution | Dense, pairs: Pairs, images: int, positions: int) -> bool:
    """Fit ``layer`` to ``pairs`` of ``images`` with so many ``positions`` in an output; returns whether it changed.

    Every fifth batch (of every fifth image where there are fewer) chooses the ridge.
    """
    groups = layer.groups if isinstance(layer, Convolution) else 1
    weight = layer.weight.flatten(1).reshape(groups, -1, layer.weight[0].numel()).double()
    outputs, fan_in = weight.shape[1:]
    if fan_in > LARGEST_FAN_IN:
        return False
    wanted = min(_SAMPLES * fan_in, int(_EFFORT / (fan_in * fan_in * groups)))
    each = max(1, min(positions, -(-wanted // images)))
    start = torch.cat([weight, layer.bias.double().reshape(groups, outputs, 1)], 2)
    fit, held = Sums(groups, fan_in, outputs), Sums(groups, fan_in, outputs)
    generator, seen = torch.Generator().manual_seed(_SEED), 0
    for x, y in pairs():
        apart = (torch.arange(len(x)) + seen) % 5 == 4
        seen += len(x)
        for sums, chosen in ((fit, ~apart), (held, apart)):
            if chosen.any():
                sums.add(*_samples(layer, x[chosen], y[chosen], groups, each, generator))
    errors = {ridge: float(held.error(fit.solve(start, ridge))) for ridge in _RIDGES}
    best = min(errors, key=errors.__getitem__)
    if not errors[best] < float(held.error(start)):  # also where it is not a number
        return False
    fit += held
    found = fit.solve(start, best).float().reshape(groups * outputs, -1)
    layer.weight.copy_(found[:, :-1].reshape(layer.weight.shape))
    layer.bias.copy_(found[:, -1])
    return True


def _samples(
    layer: Convolution | Dense, x: Tensor, y: Tensor, groups: int, each: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Inputs [groups, samples, fan-in] and outputs [groups, samples, outputs] at ``each`` positions of every image."""
    y = y.reshape(len(y), y.shape[1], -1)
    if isinstance(layer, Dense):
        return x[None], y.squeeze(2)[None]
    top, bottom, left, right = layer.pads
    padded = F.pad(x, (left, right, top, bottom))
    chosen = torch.randperm(y.shape[2], generator=generator)[:each].to(x.device)
    taps = _taps(layer, padded.shape[3], chosen)  # [k, chosen]
    windows = padded.flatten(2)[:, :, taps]  # [n, I, k, chosen]
    windows = windows.reshape(len(x), groups, -1, len(chosen)).permute(1, 0, 3, 2).flatten(1, 2)
    y = y[:, :, chosen].reshape(len(y), groups, -1, len(chosen)).permute(1, 0, 3, 2).flatten(1, 2)
    return windows, y


def _taps(layer: Convolution, width: int, positions: Tensor) -> Tensor:
    """Places in a padded image of ``width`` that output ``positions`` read, [taps of the kernel, positions]."""
    rows, columns = layer.weight.shape[2:]
    across = (width - layer.dilation[1] * (columns - 1) - 1) // layer.stride[1] + 1  # outputs in a row
    first = positions // across * layer.stride[0] * width + positions % across * layer.stride[1]
    down = torch.arange(rows, device=positions.device) * layer.dilation[0] * width
    right = torch.arange(columns, device=positions.device) * layer.dilation[1]
    taps: Tensor = (down[:, None] + right).reshape(-1, 1) + first
    return taps
