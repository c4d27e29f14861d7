"""Synapses whose output stage does the work of the population behind them: it computes the quotients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikec.ir.graph import IntegerGraph, Population
from spikec.ir.integers import magnitude
from spikec.ir.operations import Convolution, Synapse
from spikec.ir.types import Int64
from spikec.simulation.kernels.blocks import clip_into, in_blocks, u8_like
from spikec.simulation.kernels.int8 import U8_MAX, Int8Synapse, adds_beside, channels_last, exact_synapse
from spikec.simulation.paths import Reason

_EXACT = 2**23  # see stage_of


@dataclass(frozen=True)
class Identity:
    """A synapse ``name``, the one at ``place`` among those of a population, that sends each count to its own neuron,
    multiplied by ``weight`` of the first one; by ``factor`` in units of the threshold, the same for all neurons."""

    name: str
    place: int
    weight: int
    factor: float


@dataclass(frozen=True)
class Stage:
    """Computes the quotients clip(floor((U + shift) / theta), 0, 255) of a population, one for each shift, with its
    synapses scaled by 1 / theta. A quotient above ``top`` may come out as any number from ``top`` on.

    ``synapses``: per step one synapse per source. ``biases``: per shift and step a bias [O]. ``starts``: per shift what
    is added besides, [1, *shape] or [1, O, 1, 1], or none. ``offsets``: per shift what to add to the synapses of all
    steps instead of both, each [S or 1, 1, HW or 1, O]. ``times``: how often image and bias have been added after each
    step, [S, 1, 1].

    ``identity``: a synapse that multiplies every count by the same number has no kernel; None where there is none.

    Step by step, one synapse without a start rounds and clips in its own output stage, an identity beside it included.
    Otherwise the sum of all synapses, which is the same for all shifts, is truncated. ``whole``: why that is not exact
    for all steps at once, None where it is. ``behind``: why starts are added behind the kernel, None where none are.
    """

    synapses: Sequence[Sequence[Int8Synapse]]
    identity: Identity | None
    biases: Sequence[Sequence[Tensor]]
    starts: Sequence[Tensor]
    offsets: Sequence[Sequence[Tensor]]
    times: Tensor
    top: int
    whole: Reason | None
    behind: Reason | None
    bytes_per_image: int

    @property
    def rounds(self) -> bool:
        """Whether the kernel itself rounds and clips, step by step."""
        return not self.starts

    def __call__(self, step: int, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Quotients u8 [N, *shape] by shift after ``step``, from the input of each synapse."""
        read, beside = self._beside(inputs)
        synapses, factor = self.synapses[step], 0.0 if self.identity is None else self.identity.factor
        if self.rounds:
            return [synapses[0].quantised(read[0], bias[step], beside, factor) for bias in self.biases]
        found: list[Tensor] = []
        for rows in in_blocks(len(read[0]), self.bytes_per_image):
            counts = None if beside is None else beside[rows]
            total = _added(synapses, [x[rows] for x in read], self.biases[0][step], counts, factor)
            if not found:
                shape = (len(read[0]), *total.shape[1:])
                found = [u8_like(shape) for _ in self.starts]
            for out, x in zip(found, _shifted(total, [[start] for start in self.starts]), strict=True):
                clip_into(out[rows], x, self.top)
        return found

    def _beside(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], Tensor | None]:
        """What the kernels read, and what the identity reads."""
        read = list(inputs)
        return read, None if self.identity is None else read.pop(self.identity.place)

    def scaled(self, images: int, inputs: Sequence[Tensor]) -> list[Tensor]:
        """(U + shift + 1/2) / theta by shift after every step, float32 [S, N, HW, O]; its floor is the quotient.

        ``inputs``: for each synapse that of all steps [S * N, ...], or one image [N, ...] that is there at every step.
        Pipelined graphs only: there the synapses of the first step are those of one image.
        """
        read, beside = self._beside(inputs)
        factor = 0.0 if self.identity is None else self.identity.factor
        total = flat(_added(self.synapses[0], read, None, beside, factor))
        if total.shape[0] == images:
            total = total * self.times
        total = total.view(len(self.times), images, -1, self.offsets[0][0].shape[-1])
        return _shifted(total, self.offsets)

    @staticmethod
    def membrane(x: Tensor, theta: Tensor) -> Tensor:
        """U from :meth:`scaled` without a shift, where the stage was made with ``membranes``."""
        return x.double().mul_(theta).sub_(0.5).round_().float()


def _added(
    synapses: Sequence[Int8Synapse],
    inputs: Sequence[Tensor],
    bias: Tensor | None,
    beside: Tensor | None,
    factor: float,
) -> Tensor:
    total = synapses[0].current(inputs[0], bias)
    for synapse, x in zip(synapses[1:], inputs[1:], strict=True):
        total += synapse.current(x)
    return total if beside is None else total.add_(beside, alpha=factor)


def _shifted(total: Tensor, offsets: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """``total`` plus all parts of each offset. The last one is added in place, since new memory costs as much as the
    addition."""
    *others, last = offsets
    return [reduce(torch.add, offset, total) for offset in others] + [reduce(Tensor.add_, last, total)]


def stage_of(
    graph: IntegerGraph,
    node: Population,
    proven: Mapping[str, Int8Synapse | Reason],
    arriving: Mapping[str, int | None],
    bounds: Mapping[str, int],
    top: int,
    times: Sequence[int],
    shifts: Sequence[Int64],
    *,
    membranes: bool,
) -> Stage | Reason:
    """The stage of ``node`` for ``shifts`` (each *shape). The reason where the synapses before it cannot compute its
    quotients exactly, or, with ``membranes``, where the membranes could not be recovered from the scaled sums.

    ``proven``: exact 8-bit synapses by name, or why there is none. ``arriving``: the largest count that each synapse
    reads, None where it reads others than u8. ``bounds``: on any accumulated sum, by node. ``top``: the largest count.
    ``times``: how often image and bias have been added after each step.

    floor(U / theta) = floor((U + 1/2) / theta) for integers, and the argument is at least 1 / (2*theta) away from
    an integer. In float32, with unit roundoff u = 2**-24, scales, products, biases and sums of k terms err
    together by less than u * ((k + 1) * (sum |U_i| + |bias|) + theta * (top + 3)) / theta: hence the 2**23. Terms are
    the synapses (an identity among them) and what is added behind them; of all steps as a whole also an image
    multiplied by the number of steps.
    One synapse has to be that exact only where 0 <= U <= theta * (top + 1): every operation on its sum is monotone, so
    beyond that its result is 0 or at least ``top``. A membrane is rounded from theta * x - 1/2, whatever its size.
    """
    synapses, theta = _private_synapses(graph, node), _per_channel(node.theta)
    if isinstance(synapses, Reason):
        return synapses
    if theta is None:
        return Reason("thresholds differ within a channel")
    from_image = synapses[0].sources == (graph.input.name,) and graph.input.dtype == "uint8"
    if from_image and len(synapses) > 1:
        return Reason(f"{synapses[0].name} reads the image and meets {synapses[1].name}")
    identity = None if from_image else _identity(synapses, theta, arriving)
    kernels = [s for i, s in enumerate(synapses) if identity is None or i != identity.place]
    for s in kernels:
        kernel = exact_synapse(s, U8_MAX) if from_image else proven[s.name]
        if isinstance(kernel, Reason):
            return replace(kernel, text=f"{s.name}: {kernel}")
    starts = [node.v_init + shift for shift in shifts]
    channels = [channel for channel in map(_per_channel, starts) if channel is not None]
    bias = np.sum([s.bias for s in synapses], axis=0)
    in_kernel = (
        len(kernels) == 1
        and len(channels) == len(starts)
        and _added_in_kernel(kernels[0], identity, synapses, arriving)
    )
    largest = max(map(magnitude, starts)) + max(times) * magnitude(bias)
    monotone = len(synapses) == 1 and not membranes
    sums = int(theta.max()) * (top + 1) + largest if monotone else sum(bounds[s.name] for s in synapses)

    def inexact(terms: int) -> Reason | None:
        errors = (terms + 1) * (sums + largest) + int(theta.max()) * (top + 3)
        what = f"with {sums + largest:,} in its sums, rounding of {terms} terms"
        return None if errors < _EXACT else Reason.beyond(what, errors, _EXACT, "exact quotients")

    whole = inexact(len(synapses) + (1 if in_kernel else 2) + from_image)
    refused = whole if membranes else inexact(len(synapses) + (not in_kernel))
    if refused is not None:
        return refused
    behind = None
    if len(synapses) > 1 and not in_kernel:
        behind = Reason(f"{len(synapses)} synapses meet: {', '.join(s.name for s in synapses)}")
    elif not in_kernel:
        behind = Reason("neurons of a channel start at different membranes")

    def scaled(factor: int) -> list[Int8Synapse]:
        return [Int8Synapse(s, torch.as_tensor(factor * 2.0**s.weight_exp / theta).float()) for s in kernels]

    # An image stands for one step: t of them have arrived after step t. Counts are accumulated already.
    per_step = [scaled(t) for t in times] if from_image else [scaled(1)] * len(times)
    if in_kernel:  # which rounds: floor(x) is the rounding of x - 1/2
        constants = [[(t * bias + channel + 0.5) / theta for t in times] for channel in channels]
        biases = [[constant - 0.5 for constant in per_shift] for per_shift in constants]
        added, offsets = [], [[np.stack(per_shift)[:, None, None]] for per_shift in constants]
    else:
        biases = [[t * bias / theta for t in times]]
        added = [(start + 0.5) / theta.reshape(-1, *[1] * (len(node.shape) - 1)) for start in starts]
        later = np.stack(biases[0])[:, None, None]
        offsets = [[later, start.reshape(len(theta), -1).T[None, None]] for start in added]
    return Stage(
        per_step,
        identity,
        [[_float32(each) for each in per_shift] for per_shift in biases],
        [channels_last(_float32(start)[None]) for start in added],
        [[_float32(each) for each in per_shift] for per_shift in offsets],
        _float32(np.array(times)).reshape(-1, 1, 1),
        top,
        whole,
        behind,
        4 * math.prod(node.shape),
    )


def flat(x: Tensor) -> Tensor:
    """[N, neurons] in contiguous memory, channels last."""
    return (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).reshape(x.shape[0], -1)


def _float32(array: npt.NDArray[Any]) -> Tensor:
    return torch.as_tensor(array).float().contiguous()


def _private_synapses(graph: IntegerGraph, node: Population) -> list[Synapse] | Reason:
    """The sources of ``node``, where all are synapses that nothing else reads."""
    found: list[Synapse] = []
    for source in (graph.nodes[name] for name in node.sources):
        if not isinstance(source, Synapse):
            return Reason(f"it reads {source.name}, a {type(source).__name__}, which has no 8-bit kernel that divides")
        if len(graph.consumers(source.name)) > 1:
            return Reason(f"{source.name} is read by {len(graph.consumers(source.name))} nodes, each with thresholds")
        found.append(source)
    return found


def _identity(synapses: Sequence[Synapse], theta: Int64, arriving: Mapping[str, int | None]) -> Identity | None:
    """One of several synapses that only multiplies counts u8, as skips of residual blocks do."""
    for place, node in enumerate(synapses):
        if len(synapses) == 1 or arriving[node.name] is None or not isinstance(node, Convolution):
            continue
        channels = node.output_shape[0]
        pixelwise = (node.stride, node.padding, node.groups) == ((1, 1), (0, 0), channels)
        if not pixelwise or node.weight_shape != (channels, 1, 1, 1):
            continue
        weights = [int(w) << node.weight_exp for w in node.narrow_mantissas.ravel()]
        if all(w * int(theta[0]) == weights[0] * int(t) for w, t in zip(weights, theta, strict=True)):
            return Identity(node.name, place, weights[0], weights[0] / int(theta[0]))
    return None


def _added_in_kernel(
    node: Synapse, identity: Identity | None, synapses: Sequence[Synapse], arriving: Mapping[str, int | None]
) -> bool:
    """Whether the kernel of ``node`` adds the identity beside it, if there is one, before it rounds."""
    if identity is None:
        return True
    top, beside = arriving[node.name], arriving[synapses[identity.place].name]
    return top is not None and beside is not None and adds_beside(node, top, identity.weight, beside)


def _per_channel(array: Int64) -> Int64 | None:
    """One value per channel [O], or None where it varies within a channel."""
    rows = array.reshape(array.shape[0], -1)
    first: Int64 = rows[:, 0]
    return first if (rows == first[:, None]).all() else None
