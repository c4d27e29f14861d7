"""Rounding of weights to integers: each to the nearest, or chosen on data so that the outputs change least.

``gptq`` is the rule of Frantar et al., "GPTQ", ICLR 2023, arXiv 2210.17323, taken from its equations: weights are
rounded one input after the other, and the error of each is spread over the inputs that are still to be rounded, by the
inverse of H, the second moments of the inputs. Differences here, ours: inputs are the mean emissions of the float
spiking network on its example images, inputs of large second moment come first, and the bias, as the input that is
always one, takes up the mean of what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spikec.ir.types import Int64
from spikec.quantization.choices import Choice
from spikec.quantization.kernels import Float64
from spikec.quantization.maps import Term
from spikec.quantization.scales import rows
from spikec.quantization.search import pooled
from spikec.quantization.synapses import channel_bias, output_weights

#: Added to the diagonal of H, as a part of its mean; the published default.
_DAMPING = 0.01
#: Weights with more inputs are rounded to the nearest: H would not fit in memory.
LARGEST_FAN_IN = 6000
#: Positions of an image from which H is summed, so that large images do not take longer than small ones.
_POSITIONS = 1024


@dataclass(frozen=True)
class Rounded:
    """Integer ``weights`` of every branch of a population, and its ``bias`` [O], real and still to be rounded."""

    weights: Sequence[Int64]
    bias: Float64


def to_nearest(choice: Choice) -> Rounded:
    """Every weight to the nearest integer that its bits hold."""
    weights = [choice.units.narrow_weights(branch, output_weights(term)) for branch, term in enumerate(choice.terms)]
    return Rounded(weights, channel_bias(choice.current, len(choice.units.unit)))


def on_data(choice: Choice, sources: Mapping[str, Tensor]) -> Rounded:
    """The rule ``gptq``. ``sources``: mean emissions per step of every source on example images, [N, *shape]."""
    nearest = to_nearest(choice)
    weights, bias = list(nearest.weights), nearest.bias.copy()
    for branch, term in enumerate(choice.terms):
        real = output_weights(term)
        fan_in = real[0].size
        step = rows(choice.units.unit * 2.0 ** choice.units.exponents[branch], real).reshape(-1)
        if fan_in > LARGEST_FAN_IN or fan_in == 1:
            continue
        groups = 1 if term.kernel is None or term.dense is not None else term.kernel.groups
        inputs = _inputs(term, pooled(term, sources), groups)
        scaled = (real.reshape(len(real), -1) / step[:, None]).reshape(groups, -1, fan_in)
        found, left = [], []
        for x, block in zip(inputs, scaled, strict=True):
            mantissas, lacking = _spread(torch.from_numpy(block.copy()), x, choice.units.weight_max)
            found.append(mantissas.numpy())
            left.append(lacking.numpy())
        mantissa = np.concatenate(found).reshape(real.shape).astype(np.int64)
        weights[branch] = mantissa << choice.units.exponents[branch]
        lacking_real = np.concatenate(left) * step
        size = max(len(bias), len(lacking_real))
        bias = np.repeat(bias, size // len(bias)) + np.repeat(lacking_real, size // len(lacking_real))
    return Rounded(weights, bias)


def _inputs(term: Term, x: Tensor, groups: int) -> list[Tensor]:
    """Inputs that one output has, [samples, fan-in], of every group."""
    if term.dense is not None:
        return [x.flatten(1)]
    assert term.kernel is not None
    kernel, size = term.kernel, term.kernel.weight.shape[2:]
    top, bottom, left, right = kernel.pads
    columns = F.unfold(F.pad(x, (left, right, top, bottom)), (size[0], size[1]), kernel.dilation, 0, kernel.stride)
    if columns.shape[2] > _POSITIONS:
        columns = columns[:, :, torch.linspace(0, columns.shape[2] - 1, _POSITIONS).long()]
    by_group = columns.reshape(len(x), groups, -1, columns.shape[2]).permute(1, 0, 3, 2).flatten(1, 2)
    return list(by_group)


def _spread(weight: Tensor, x: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Mantissas [O, I] of ``weight`` in units of its step, and [O] what the bias has to take up, in these units.

    H = X'X with a last input of ones, damped. With U the upper Cholesky factor of its inverse, rounding input i by an
    error e moves every later weight by -e U[i, later] / U[i, i].
    """
    fan_in = weight.shape[1]
    order = torch.argsort((x * x).sum(0), descending=True, stable=True)
    x = torch.cat([x[:, order], torch.ones_like(x[:, :1])], 1)
    second = x.mT @ x
    mean = float(second.diagonal()[:-1].mean())
    second.diagonal().add_(_DAMPING * mean if mean > 0 else 1.0)
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(second)), upper=True)
    left = torch.cat([weight[:, order], torch.zeros_like(weight[:, :1])], 1)
    absent = left == 0  # weights that were pruned stay away
    mantissas = torch.empty_like(weight)
    for i in range(fan_in):
        rounded = left[:, i].round().clamp(-largest, largest).masked_fill(absent[:, i], 0)
        error = (left[:, i] - rounded) / upper[i, i]
        left[:, i + 1 :] -= error[:, None] * upper[i, i + 1 :][None]
        mantissas[:, order[i]] = rounded
    return mantissas, left[:, fan_in]
