"""The scale search for ``scale="spikes"``: clips the largest weights where that changes fewer spike counts.

For every population, candidate units are tried on the mean input of the example images. The level that each neuron
would reach with the rounded weights is compared with the level it reaches with the real ones. The candidate with the
smallest mean squared difference wins, per layer or per channel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F

from spikec.conversion.network import SpikingNetwork
from spikec.ir.coding import integers
from spikec.quantization.currents import Wiring
from spikec.quantization.kernels import Float64
from spikec.quantization.maps import Term
from spikec.quantization.scales import Request, Units, choose_units, rows

_RATIOS = np.array([1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3])


def activity(network: SpikingNetwork, wires: Wiring) -> dict[str, torch.Tensor]:
    """Mean emission per step of every source on the example images, float64 [N, *shape]; the input in integers, that of
    sequences as the mean of its frames."""
    coding, frames = network.input_range, network.frames
    if frames is None:
        images = torch.from_numpy(integers(coding, network.example.cpu().numpy())).double()
    else:  # means of integers, since means of few events would round to nothing
        images = torch.from_numpy(frames.mean(integers(coding, frames.frames)))
    images = images.unsqueeze(2) if images.ndim == 3 else images
    counts = network.counts(network.example)
    neurons = network.neurons
    seen = {"input": images} | {name: counts[name].double() / neurons[name].averaged for name in counts}
    for name, (source, window) in wires.pools.items():
        seen[name] = window.apply(seen[source])
    return seen


def search(
    request: Request,
    terms: list[Term],
    bias: Float64,
    levels: int,
    sources: Mapping[str, torch.Tensor],
    most: int = 1,
) -> Units:
    """Units for a population whose real weights are ``request.branches`` of ``terms``; ``bias`` [O] or one
    per element, real.

    ``levels``: levels a neuron distinguishes per threshold of mean input (0 for the readout, which compares outputs
    instead). ``most``: how many thresholds of mean input it distinguishes before it saturates.
    """
    inputs = [pooled(term, sources) for term in terms]
    bias = bias.reshape(request.channels, -1)
    reference = _response(terms, [torch.as_tensor(w) for w in request.branches], bias, inputs)
    errors = []
    for ratio in _RATIOS:
        units = choose_units(request, float(ratio))
        rounded = [torch.as_tensor(units.weights(i, w) * rows(units.unit, w)) for i, w in enumerate(request.branches)]
        unit = rows(units.unit, bias)
        response = _response(terms, rounded, np.rint(bias / unit) * unit, inputs)
        errors.append(_difference(reference, response, request, units, levels, most))
    table = np.stack(errors)  # [ratios, O]
    if request.per == "channel" and request.threshold is not None:
        return choose_units(request, _RATIOS[np.argmin(table, axis=0)])
    return choose_units(request, float(_RATIOS[int(np.argmin(table.sum(axis=1)))]))


def pooled(term: Term, sources: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """What a term's weights read, [N, *shape]: mean emissions of its source, summed over the windows of its pool."""
    if term.source not in sources:  # a population of ones
        return torch.ones(1, *term.pooled_shape, dtype=torch.float64)
    x = sources[term.source]
    return x if term.pool is None else F.avg_pool2d(x, term.pool, term.pool, divisor_override=1)


def _response(
    terms: list[Term], weights: list[torch.Tensor], bias: Float64, inputs: list[torch.Tensor]
) -> torch.Tensor:
    """Mean input current [N, O, positions] in real units; ``bias`` [O, 1] or [O, positions]."""
    total: torch.Tensor = torch.zeros((), dtype=torch.float64)
    for term, weight, x in zip(terms, weights, inputs, strict=True):
        if term.dense is not None:
            part = (x.flatten(1) @ weight.T).reshape(len(x), len(bias), -1)
        else:
            assert term.kernel is not None
            top, bottom, left, right = term.kernel.pads
            padded = F.pad(x, (left, right, top, bottom))
            k = term.kernel
            part = F.conv2d(padded, weight, None, k.stride, 0, k.dilation, k.groups).flatten(2)
        total = total + part
    return total + torch.as_tensor(bias)


def _difference(
    reference: torch.Tensor, response: torch.Tensor, request: Request, units: Units, levels: int, most: int
) -> Float64:
    if request.threshold is None or units.theta is None:
        squared = (reference - response) ** 2
    else:
        real = torch.as_tensor(np.array(request.threshold)).reshape(1, -1, 1)
        rounded = torch.as_tensor(units.theta * units.unit).reshape(1, -1, 1)
        squared = (_level(reference, real, levels, most) - _level(response, rounded, levels, most)) ** 2
    result: Float64 = squared.mean(dim=(0, 2)).numpy()
    return result


def _level(current: torch.Tensor, threshold: torch.Tensor, levels: int, most: int) -> torch.Tensor:
    """Expected level: the quantised clipped activation, with a slope inside each level so that near misses count."""
    scaled = torch.clamp(current / threshold, 0, most) * levels
    return 0.5 * (scaled + torch.floor(scaled + 0.5))
