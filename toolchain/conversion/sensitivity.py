"""How much a network's output depends on the most spikes per step, K, of each layer alone, and what it costs.

After AdaFire (arXiv 2412.16219): S_l(k) is the symmetric Kullback-Leibler divergence of the class probabilities with
only layer l at k. Ours: it is the divergence from the trained network, not from the network of largest K; the
threshold of a layer is that of its k, and so are its static or tuned offsets; the cost is the change of all non-zero
emissions of the network, those of later layers included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx, nn

from spikec.conversion.calibration.choice import Calibration
from spikec.conversion.methods.base import Method
from spikec.conversion.network import SpikingNetwork, Values, run_steps
from spikec.conversion.neurons import Neuron
from spikec.conversion.offsets.tuned import class_scores
from spikec.conversion.to_spiking import as_images, convert
from spikec.errors import ConversionError
from spikec.frontend import canonicalize, only_output
from spikec.ir.types import Int64

#: Values of all nodes kept at once, in numbers.
_AT_ONCE = 2**26

#: Called with the runs that are done, and with their number in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sensitivity:
    """What each K of each layer alone does, all other layers being at the largest of ``candidates``.

    ``layers``: names of the populations. ``divergence`` float64 [layers, candidates]: mean symmetric divergence of the
    class probabilities from the trained network's, in nats. ``spikes`` int64 [layers, candidates]: non-zero emissions
    of the whole network on all ``images`` images. ``full``: those with every layer at the largest K.
    """

    layers: tuple[str, ...]
    candidates: tuple[int, ...]
    divergence: npt.NDArray[np.float64]
    spikes: Int64
    full: int
    images: int

    def costs(self) -> Int64:
        """Change of the emissions by each choice, int64 [layers, candidates]; they add up to what all choices
        together change, as far as layers do not influence each other."""
        return self.spikes - self.full


def sensitivity(
    model: nn.Module,
    method: Method,
    calibration: Any,
    candidates: Sequence[int],
    images: Any,
    progress: Progress | None = None,
    *,
    calibrate: Calibration | None = None,
) -> Sensitivity:
    """Measure it on ``images`` float [N, ...], without labels.

    ``method``: one that has the option ``spikes``. ``calibration`` and ``calibrate``: as for :func:`spikec.convert`,
    but thresholds only. ``candidates``: numbers of spikes, ascending. The float network runs once for every layer and
    candidate, from that layer on. Raises what :func:`spikec.convert` raises, and ``ConversionError`` for a network with
    less than two classes.
    """
    data = as_images(images, "images")
    alike: list[dict[str, Any]] = [{"spikes": k} for k in candidates]
    uniform = {
        each["spikes"]: convert(
            model, replace(method, **each), example=data[:1], calibration=calibration, calibrate=calibrate
        )
        for each in alike
    }
    full = uniform[candidates[-1]]
    with torch.no_grad():
        wanted = class_scores(canonicalize(model, data[:2]), data, "spike budgets")
        if wanted.shape[1] < 2:
            raise ConversionError("a spike budget compares class probabilities; this network has one output only")
        layers = tuple(full.neurons)
        divergence, spikes = np.zeros((len(layers), len(candidates))), np.zeros((len(layers), len(candidates)), int)
        total = 0
        parts = [*zip(*(torch.split(values, _images_at_once(full)) for values in (data, wanted)), strict=True)]
        for done, (part, scores) in enumerate(parts):
            values: Values = {}
            counter = _Counter(full)
            output = _mean(full, only_output(run_steps(full, part, counter, values)))
            total += sum(counter.spikes.values())
            for row, layer in enumerate(layers):
                for column, k in enumerate(candidates):
                    other, sent = output, counter
                    if k != candidates[-1]:
                        sent = _Counter(full, {layer: uniform[k].neurons[layer]}, counter)
                        kept = _before(full.graph, layer, values)
                        other = _mean(full, only_output(run_steps(full, part, sent, kept)))
                    divergence[row, column] += float(symmetric_divergence(other, scores).sum())
                    spikes[row, column] += sum(sent.spikes.values())
                if progress is not None:
                    progress(done * len(layers) + row + 1, len(parts) * len(layers))
    return Sensitivity(layers, tuple(candidates), divergence / len(data), spikes, total, len(data))


def symmetric_divergence(a: Tensor, b: Tensor) -> Tensor:
    """KL(p || q) + KL(q || p) for the softmax p, q of two sets of scores [N, classes]: nats, [N]."""
    log_p, log_q = a.double().log_softmax(1), b.double().log_softmax(1)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(1)


class _Counter:
    """Runs neurons, or others in their place, and counts non-zero emissions by layer, from those of ``before`` on."""

    def __init__(
        self, network: SpikingNetwork, others: dict[str, Neuron] | None = None, before: _Counter | None = None
    ) -> None:
        self.others = others or {}
        self.spikes: dict[str, int] = dict(before.spikes) if before else {}

    def __call__(self, name: str, neuron: Neuron, current: Tensor) -> Tensor:
        emitted: Tensor = self.others.get(name, neuron)(current)
        self.spikes[name] = int(torch.count_nonzero(emitted))
        return emitted


def _mean(network: SpikingNetwork, per_step: Tensor) -> Tensor:
    """Scores [N, classes] from the output of every step."""
    return per_step.reshape(network.steps, -1, per_step.shape[-1]).sum(0) / network.timesteps


def _before(graph: fx.GraphModule, layer: str, values: Values) -> Values:
    """The values that do not depend on what ``layer`` emits."""
    behind = {node for node in graph.graph.nodes if node.target == layer}
    for node in graph.graph.nodes:
        if any(source in behind for source in node.all_input_nodes):
            behind.add(node)
    return {node: value for node, value in values.items() if node not in behind}


def _images_at_once(network: SpikingNetwork) -> int:
    """So few that the values of all nodes can be kept."""
    sizes = (int(np.prod(node.meta["shape"])) for node in network.graph.graph.nodes if "shape" in node.meta)
    return max(1, _AT_ONCE // (network.steps * max(1, sum(sizes))))
