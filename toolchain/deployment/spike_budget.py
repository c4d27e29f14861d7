"""Chooses K, the most spikes per step, for each layer, so that the network stays within a number of spikes per image.

The idea is AdaFire's (arXiv 2412.16219): measure how much the output depends on the K of each layer alone
(:mod:`spikec.conversion.sensitivity`), then minimise the sum by dynamic programming over the layers
(:mod:`spikec.conversion.allocation`). Ours: a spike of the budget is a message, an emission that is not zero, whatever
its payload; and the choice is checked on the integer network and corrected, since layers influence each other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import nir
import numpy as np
from torch import nn

from spikec import defaults
from spikec.arguments import real_number, whole_number
from spikec.calls import named_arguments
from spikec.conversion import Method, SpikingNetwork, convert
from spikec.conversion.allocation import least_loss
from spikec.conversion.calibration.choice import Calibration, calibration_of
from spikec.conversion.per_layer import text_of
from spikec.conversion.sensitivity import Progress, Sensitivity, sensitivity
from spikec.conversion.to_spiking import as_images
from spikec.errors import ConversionError
from spikec.ir.kinds import LARGEST
from spikec.quantization import Precision, lower
from spikec.simulation import simulate
from spikec.simulation.input_warning import unsaid

#: Numbers of spikes tried for each layer, unless the method names a largest one.
CANDIDATES = (1, 2, 3, 5, 7, 10, 15)
#: Images that sensitivities and spikes are measured on, at most.
MEASURED = 256
#: Choices that are lowered and measured, at most, to come close to the budget from below.
ROUNDS = 4


@dataclass(frozen=True)
class SpikeChoice:
    """K per layer for a budget, and the deployment with it.

    ``method``: with its ``spikes`` by layer. ``layers``: K by the name of the neurons. ``budget``, ``predicted`` and
    ``measured``: non-zero emissions per image of all neurons over all steps, the last two as means over ``images``
    calibration images: predicted as if layers did not influence each other, measured on the integer network.
    ``network`` and ``nir``: the deployment. ``seen``: what was measured of each layer alone.
    """

    method: Method
    layers: dict[str, int]
    budget: float
    predicted: float
    measured: float
    images: int
    network: SpikingNetwork = field(repr=False)
    nir: nir.NIRGraph = field(repr=False)
    seen: Sensitivity = field(repr=False)

    def document(self) -> dict[str, Any]:
        """JSON types."""
        names = ("budget", "predicted", "measured", "images", "layers")
        return {name: getattr(self, name) for name in names}

    def text(self) -> str:
        """For people."""
        numbers = ", ".join(f"{name} {k}" for name, k in self.layers.items())
        return (
            f"spike budget {self.budget:,.0f} per image: {self.predicted:,.0f} predicted, {self.measured:,.0f} "
            f"measured on {self.images} calibration images\nmost spikes per step: {numbers}"
        )


@named_arguments
def choose_spikes(
    model: nn.Module,
    method: Method,
    images: Any,
    budget: float,
    precision: Precision | None = None,
    *,
    candidates: Sequence[int] | None = None,
    seen: Sensitivity | None = None,
    format: str = defaults.FORMAT,
    force: bool = False,
    calibrate: str | Calibration | None = None,
    progress: Progress | None = None,
) -> SpikeChoice:
    """Choose K for each layer of a trained network, so that it sends at most ``budget`` spikes per image.

    A spike is an emission that is not zero, whatever its payload: what ``spikec energy`` counts. ``method``: QCFS,
    ErrorCompensation, ResidualError or another with an option ``spikes``; a number there is the largest K tried, 1
    stands for 15. ``images``: calibration images, float [N, ...]; labels are not used. ``candidates``: the numbers
    tried, by default 1, 2, 3, 5, 7, 10 and 15. ``seen``: what a choice for another budget measured, so that it is not
    measured again. ``calibrate``: as for :func:`spikec.convert`; sensitivities are measured with its thresholds, and
    what it does layer after layer is done for each choice that is measured. ``progress(done, total)`` is called as
    layers are measured. The other arguments are those of :func:`spikec.lower`.

    Raises ``ConversionError`` for a method without ``spikes`` and for a budget below the smallest number of spikes that
    the method reaches, which the message names; and what ``convert`` and ``lower`` raise.

    >>> choice = tc.choose_spikes(model, tc.QCFS(timesteps=4), images, budget=1e6, candidates=[1, 2])
    >>> set(choice.layers) == {"1", "4"}
    True
    """
    wanted, numbers = real_number("the spike budget", budget), _candidates(method, candidates)
    data, chosen_with = as_images(images, "images"), calibration_of(calibrate)
    if wanted <= 0:
        raise ConversionError(f"the spike budget must be more than 0 spikes per image, it is {wanted:g}")
    thresholds = replace(chosen_with, shifts="none", scales=False, weights=False)
    found = seen or sensitivity(model, method, data, numbers, data[:MEASURED], progress, calibrate=thresholds)

    def made(options: list[int]) -> SpikeChoice:
        layers = {name: found.candidates[option] for name, option in zip(found.layers, options, strict=True)}
        by_layer: dict[str, Any] = {"spikes": _text(layers)}
        chosen = replace(method, **by_layer)
        network = convert(model, chosen, example=data[:1], calibration=data, calibrate=chosen_with)
        network.provenance.settings["spike_budget"] = f"{wanted:g}"
        lowered = lower(network, precision, format=format, force=force)
        images = data[:MEASURED]
        with unsaid():  # the conversion has spoken of its images
            trace = simulate(lowered, images, counts="totals")
        spikes = sum(int(total.sum()) for total in trace.event_totals.values()) / len(images)
        predicted = _predicted(found, options)
        return SpikeChoice(chosen, layers, wanted, predicted, spikes, len(images), network, lowered, found)

    return _within(found, wanted, made)


def _within(seen: Sensitivity, budget: float, made: Callable[[list[int]], SpikeChoice]) -> SpikeChoice:
    """The best choice that was measured to be within the budget. What is allowed to be predicted is corrected by what
    was measured, up to :data:`ROUNDS` times."""
    costs = seen.costs()
    tried: dict[tuple[int, ...], SpikeChoice] = {}
    allowed = budget
    for _ in range(ROUNDS):
        options = least_loss(seen.divergence, costs, int(np.floor(allowed * seen.images)) - seen.full)
        options = costs.argmin(1).tolist() if options is None else options
        if tuple(options) in tried:
            break
        choice = tried[tuple(options)] = made(options)
        allowed = choice.predicted + budget - choice.measured
    good = [options for options, choice in tried.items() if choice.measured <= budget]
    if good:
        return tried[min(good, key=lambda options: _loss(seen, options))]
    cheapest = tuple(costs.argmin(1).tolist())
    least = tried.get(cheapest) or made(list(cheapest))
    if least.measured <= budget:
        return least
    raise ConversionError(
        f"a budget of {budget:,.0f} spikes per image cannot be met: the smallest number found is "
        f"{math.ceil(least.measured):,}; allow that, or take fewer steps"
    )


def _candidates(method: Method, given: Sequence[int] | None) -> tuple[int, ...]:
    limit = getattr(method, "spikes", None)
    if limit is None or "spikes" not in method.by_layer:
        raise ConversionError(
            f"a spike budget chooses how many spikes a neuron may send in a step, and the method {method.name} has no "
            "such number: take qcfs or error-compensation"
        )
    if not isinstance(limit, int):
        raise ConversionError(f"spikes={limit} and a spike budget exclude each other: leave one of them out")
    if given is not None:
        if not list(given):
            raise ConversionError("candidates: give at least one number of spikes")
        return tuple(sorted({whole_number("candidates", k, 1, LARGEST) for k in given}))
    largest = CANDIDATES[-1] if limit == 1 else limit
    return (*(k for k in CANDIDATES if k < largest), largest)


def _text(layers: dict[str, int]) -> str:
    """K by layer, the most common number first and for all."""
    usual = Counter(layers.values()).most_common(1)[0][0]
    return text_of({"*": usual} | {name: k for name, k in layers.items() if k != usual})


def _predicted(seen: Sensitivity, options: Sequence[int]) -> float:
    return max(0, seen.full + int(seen.costs()[range(len(options)), options].sum())) / seen.images


def _loss(seen: Sensitivity, options: Sequence[int]) -> float:
    return float(seen.divergence[range(len(options)), options].sum())
