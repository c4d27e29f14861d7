"""What the spikes cost: the accuracy of the trained network beside that of the deployment, on the same images, and
which step between them loses it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from spikec.conversion.network import SpikingNetwork
from spikec.conversion.to_spiking import activations
from spikec.errors import ConversionError, GraphError
from spikec.evidence.accuracy import golden_trace, parts
from spikec.evidence.certificate import quantised_network
from spikec.evidence.intervals import paired_difference
from spikec.evidence.measures.base import Targets
from spikec.evidence.measures.choosing import Wanted
from spikec.evidence.measures.classes import TopK
from spikec.evidence.quality import Tally, named_arrays, outputs_of
from spikec.evidence.remedies import advice, remedies
from spikec.frontend import canonicalize, take_lifts
from spikec.ir.graph import IntegerGraph, Population
from spikec.ir.measured import STAGES, Hits, Measured, Scores, digests
from spikec.simulation.input_warning import unsaid

if TYPE_CHECKING:
    from spikec.training.images import Images

_BATCH = 64
#: Multiplications that measuring may take, and the fewest images that are worth it.
_WORK, _FEWEST = 10**12, 100
#: Passes of the float network: as it is, clipped, with levels. The quantised network in integers makes one more.
_PASSES = 4

#: Called with what is being measured, how many of its images are done, and how many there are.
Progress = Callable[[str, int, int], None]


def image_count(graph: IntegerGraph, most: int) -> int:
    """How many images to measure on: ``most``, or as many as a minute or so allows, at least 100."""
    places = {s.name: math.prod(s.output_shape[1:]) for s in graph.synapses}
    products = sum(s.weight_count * places[s.name] for s in graph.synapses)
    work = products * (_PASSES + graph.timing.emission_steps)
    return min(most, max(_FEWEST, _WORK // max(work, 1)))


def measure(
    model: nn.Module,
    network: SpikingNetwork,
    graph: IntegerGraph,
    data: Images,
    name: str,
    progress: Progress,
    wanted: Sequence[Wanted] = (Wanted(TopK()),),
) -> Measured | None:
    """Measure on all of ``data`` what the trained ``model``, each step of its deployment, and ``graph`` are worth.

    ``network``: the float spiking network made from ``model``, whose thresholds the steps take. ``name``: that of the
    data. ``wanted``: the measures; those that have no numbers of each image are left out; None where that are all. The
    steps between network and spikes are left out where the quantised network cannot be written down.
    """
    targets = np.asarray(data.targets(slice(0, len(data))))
    found: dict[str, list[Tally]] = {}
    stages = _float_stages(model, network, data.images(slice(0, 2)))
    for stage, run in stages.items():
        progress(stage, 0, len(data))
        found[stage] = [Tally(each) for each in wanted]
        for part in parts(len(data), _BATCH):
            with torch.no_grad():
                outputs = named_arrays(run(data.images(part)))
            for tally in found[stage]:
                tally.add_of(outputs, targets[part])
            progress(stage, part.stop, len(data))
    try:
        integers = _without_offsets(quantised_network(graph))
        with unsaid():  # the run below speaks of the images
            found["weights"] = _integer_stage("weights", integers, data, targets, wanted, progress)
    except GraphError:
        found = {"network": found["network"]}
    found["spiking"] = _integer_stage("spiking", graph, data, targets, wanted, progress)
    images = [digest for part in parts(len(data), _BATCH) for digest in digests(data.images(part), targets[part])]
    correct, quality = measured_by(wanted, found)
    if not correct and not quality:
        return None
    about = graph.content_sha256, graph.timesteps, quality, graph.deployment_sha256
    return Measured(name, tuple(images), correct, *about)


def measured_by(
    wanted: Sequence[Wanted], found: Mapping[str, Sequence[Tally]]
) -> tuple[dict[str, Hits], dict[str, Scores]]:
    """``correct`` and ``quality`` of :class:`Measured`. ``found``: by stage, a tally of each of ``wanted``; those
    without numbers of each image, or without a value in some stage, are left out."""
    correct: dict[str, Hits] = {}
    quality: dict[str, Scores] = {}
    for i, each in enumerate(wanted):
        numbers = {stage: n for stage, tallies in found.items() if (n := tallies[i].numbers) is not None}
        values = {stage: v for stage, n in numbers.items() if (v := each.measure.value(n)) is not None}
        if values.keys() != found.keys():
            continue
        if each.key == "top-1":
            correct = {stage: n[:, 0] == 1 for stage, n in numbers.items()}
        else:
            quality[each.key] = Scores(values, numbers["network"])
    return correct, quality


def _integer_stage(
    stage: str, graph: IntegerGraph, data: Images, targets: Targets, wanted: Sequence[Wanted], progress: Progress
) -> list[Tally]:
    progress(stage, 0, len(data))
    trace = golden_trace(data, graph, counts=False, progress=lambda done: progress(stage, done, len(data)))
    outputs = outputs_of(graph, trace)
    tallies = [Tally(each) for each in wanted]
    for tally in tallies:
        tally.add_of(outputs, targets)
    return tallies


def _float_stages(model: nn.Module, network: SpikingNetwork, example: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    traced = canonicalize(model, example)
    take_lifts(traced, network.graph)
    trained = activations(traced)
    missing = sorted(set(trained) - set(network.neurons))
    if missing:
        raise ConversionError(f"layer {missing[0]} is not in the converted network: was that made from this one?")

    def clipped(name: str, x: Tensor) -> Tensor:
        neuron = network.neurons[name]
        return torch.minimum(trained[name](x), _over(neuron.threshold, x))

    def levels(name: str, x: Tensor) -> Tensor:
        neuron = network.neurons[name]
        step = _over(neuron.threshold, x) / neuron.reach
        least = neuron.spec.kind.least(network.timesteps)
        return step * torch.clamp(torch.floor(x / step + 0.5), least, neuron.reach)

    return {
        "network": model,
        "clipping": lambda images: _Replaced(traced, set(trained), clipped).run(images),
        "levels": lambda images: _Replaced(traced, set(trained), levels).run(images),
    }


def _over(threshold: Tensor, x: Tensor) -> Tensor:
    return threshold.reshape(-1, *([1] * (x.ndim - 2))) if threshold.ndim else threshold


class _Replaced(fx.Interpreter):
    """Runs a canonical graph with ``call`` in place of its activations."""

    def __init__(self, graph: fx.GraphModule, names: set[str], call: Callable[[str, Tensor], Tensor]) -> None:
        super().__init__(graph)
        self.names, self.call = names, call

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if str(target) in self.names:
            return self.call(str(target), args[0])
        return super().call_module(target, args, kwargs)


def _without_offsets(graph: IntegerGraph) -> IntegerGraph:
    """With initial membranes of half the threshold: offsets are for spikes, and would shift the levels."""
    nodes = {
        name: replace(node, v_init=node.theta // 2) if isinstance(node, Population) else node
        for name, node in graph.nodes.items()
    }
    return replace(graph, nodes=nodes)


@dataclass(frozen=True)
class Loss:
    """Accuracy of the trained network and of the spiking one on the same ``images``, counted in images.

    ``only_network`` and ``only_spiking``: images that only one of them gets right. ``steps``: images that each cause
    loses on all ``measured`` images of the export (negative: gains), by cause, in order; empty where it is not known,
    or was measured on another graph. ``data``: name of the data set; ``remedies``: what would reduce it, by cause.
    """

    data: str
    images: int
    network: int
    spiking: int
    only_network: int
    only_spiking: int
    measured: int
    steps: Mapping[str, int]
    remedies: Mapping[str, str]

    @property
    def points(self) -> float:
        """Percentage points that the spiking network is better (worse: negative)."""
        return 100 * (self.spiking - self.network) / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of :attr:`points`."""
        low, high = paired_difference(self.only_spiking, self.only_network, self.images)
        return 100 * low, 100 * high

    @property
    def causes(self) -> dict[str, float]:
        """Points that each step adds; their sum is the difference on all images of the export."""
        return {name: -100 * lost / self.measured for name, lost in self.steps.items()}

    @property
    def sentences(self) -> list[str]:
        """What ``run``, ``verify`` and the report say."""
        percent = [f"{100 * count / self.images:.2f}" for count in (self.network, self.spiking)]
        low, high = self.interval
        lines = [
            f"network {percent[0]}, spiking {percent[1]}, {self.points:+.2f} points on the same {self.images} images "
            f"(95 % interval {low:+.2f} to {high:+.2f})"
        ]
        if self.steps:
            listed = ", ".join(f"{name} {points:+.2f}" for name, points in self.causes.items())
            lines.append(
                f"by cause, in points, on the {self.measured} images of {self.data} measured at export: {listed}"
            )
        return lines + [f"to reduce it: {advice}" for advice in self.advice]

    @property
    def advice(self) -> list[str]:
        """Remedies of the causes that lose most; none where the loss may be chance."""
        return [] if self.interval[1] >= 0 else advice(self.steps, self.remedies)


def loss(graph: IntegerGraph, images: Images, hits: Hits) -> Loss | None:
    """The loss on those of ``images`` that the network was measured on at export; None where there are none.

    ``hits``: for each of the first images, bool, whether ``graph`` classified it correctly.
    """
    measured = graph.measured
    if measured is None or not measured.correct:
        return None
    place = {digest: i for i, digest in enumerate(measured.images)}
    network, spiking = [], []
    for part in parts(len(hits), _BATCH):
        for digest, hit in zip(digests(images.images(part), images.targets(part)), hits[part], strict=True):
            at = place.pop(digest, None)
            if at is not None:
                network.append(bool(measured.correct["network"][at]))
                spiking.append(bool(hit))
        if not place:
            break
    if not network:
        return None
    ann, snn = np.array(network), np.array(spiking)
    return Loss(
        measured.data,
        len(ann),
        int(ann.sum()),
        int(snn.sum()),
        int((ann & ~snn).sum()),
        int((snn & ~ann).sum()),
        len(measured.images),
        _steps(graph, measured),
        remedies(graph),
    )


def _steps(graph: IntegerGraph, measured: Measured) -> dict[str, int]:
    if not measured.of(graph) or not set(STAGES) <= measured.correct.keys():
        return {}
    counts = [int(measured.correct[stage].sum()) for stage in STAGES]
    names = (*STAGES[1:-1], "unevenness")
    return {name: before - after for name, before, after in zip(names, counts, counts[1:], strict=False)}


def loss_document(found: Loss | None) -> dict[str, Any] | None:
    """A loss in JSON types."""
    if found is None:
        return None
    return {
        "data": found.data,
        "images": found.images,
        "network": found.network / found.images,
        "spiking": found.spiking / found.images,
        "points": found.points,
        "interval": list(found.interval),
        "only_network": found.only_network,
        "only_spiking": found.only_spiking,
        "measured_at_export": found.measured,
        "causes": found.causes,
        "advice": found.advice,
    }


__all__ = ["Loss", "Measured", "image_count", "loss", "loss_document", "measure", "remedies"]
