"""Synapses whose own output stage is the quantiser of the population behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toolchain.ir.integer import Affine, Convolution, Int64, IntegerGraph, Population, Synapse
from toolchain.simulation.int8 import Int8Synapse, exact_synapse

U8_MAX = 255


@dataclass(frozen=True)
class Stage:
    """clip(floor((U + shift) / theta), 0, 255) of a population by its synapses, scaled by 1 / theta: per step one
    synapse per source, and a bias [O].

    One synapse rounds and clips in its own output stage; the sum of several is truncated.
    """

    synapses: Sequence[Sequence[Int8Synapse]]
    biases: Sequence[Tensor]

    def __call__(self, step: int, inputs: Sequence[Tensor]) -> Tensor:
        """Quotients u8 [N, *shape] after ``step``, from the input of each synapse."""
        synapses, bias = self.synapses[step], self.biases[step]
        if len(synapses) == 1:
            return synapses[0].quantised(inputs[0], bias)
        total = synapses[0].current(inputs[0], bias)
        for synapse, x in zip(synapses[1:], inputs[1:], strict=True):
            total += synapse.current(x)
        return total.clamp_(0, U8_MAX).to(torch.uint8)


def stages_of(
    graph: IntegerGraph,
    node: Population,
    proven: Mapping[str, Int8Synapse],
    bounds: Mapping[str, int],
    top: int,
    times: Sequence[int],
    shifts: Sequence[Int64],
) -> list[Stage]:
    """A stage of ``node`` per shift (*shape), or none where the synapses before it cannot be its quantiser exactly.

    ``proven``: exact 8-bit synapses by name. ``bounds``: on any accumulated sum, by node. ``top``: the largest count.
    ``times``: how often image and bias have been added after each step.

    floor(U / theta) = floor((U + 1/2) / theta) for integers, and the argument is at least 1 / (2*theta) away from
    an integer. In float32, with unit roundoff u = 2**-24, scales, products, biases and sums of k synapses err
    together by less than u * ((k + 1) * (sum |U_i| + |bias|) + theta * (top + 3)) / theta: hence the 2**23. One synapse
    has to be that exact only where 0 <= U <= theta * (top + 1): every operation on its sum is monotone, so beyond that
    its result is 0 or at least ``top``.
    """
    synapses = _private_synapses(graph, node)
    arrays = [_per_channel(array) for array in (node.theta, *(node.v_init + shift for shift in shifts))]
    theta, starts = arrays[0], [array for array in arrays[1:] if array is not None]
    if synapses is None or theta is None or len(starts) < len(shifts):
        return []
    from_image = synapses[0].sources == (graph.input.name,) and graph.input.dtype == "uint8"
    if from_image:
        usable = len(synapses) == 1 and exact_synapse(synapses[0], U8_MAX) is not None
    else:
        usable = all(s.name in proven for s in synapses)
    constant = [[t * sum(s.bias for s in synapses) + start for t in times] for start in starts]
    offset = max(int(np.abs(c).max()) for per_step in constant for c in per_step)
    theta_max = int(theta.max())
    sums = theta_max * (top + 1) + offset if len(synapses) == 1 else sum(bounds[s.name] for s in synapses)
    if not usable or (len(synapses) + 1) * (sums + offset) + theta_max * (top + 3) >= 2**23:
        return []

    def scaled(factor: int) -> list[Int8Synapse]:
        return [Int8Synapse(s, torch.as_tensor(factor * 2.0**s.weight_exp / theta).float()) for s in synapses]

    # An image stands for one step: t of them have arrived after step t. Counts are accumulated already.
    per_step = [scaled(t) for t in times] if from_image else [scaled(1)] * len(times)
    rounding = 0.5 if len(synapses) == 1 else 0.0  # floor(x) is the rounding of x - 1/2
    return [Stage(per_step, [torch.as_tensor((c + 0.5) / theta - rounding).float() for c in cs]) for cs in constant]


def _private_synapses(graph: IntegerGraph, node: Population) -> list[Synapse] | None:
    """The sources of ``node``, where all are synapses that nothing else reads."""
    sources = [graph.nodes[name] for name in node.sources]
    found = [s for s in sources if isinstance(s, Convolution | Affine) and len(graph.consumers(s.name)) == 1]
    return found if len(found) == len(sources) else None


def _per_channel(array: Int64) -> Int64 | None:
    """One value per channel [O], or None where it varies within a channel."""
    rows = array.reshape(array.shape[0], -1)
    first: Int64 = rows[:, 0]
    return first if (rows == first[:, None]).all() else None
