"""Where accuracy is lost: the error of every layer, split into its causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import nir
import torch
from torch import Tensor, fx, nn

import spikec.ir as ig
from spikec.calls import named_arguments
from spikec.conversion.network import SpikingNetwork
from spikec.conversion.to_spiking import activations, as_images
from spikec.display import Column, Shown, Table, share
from spikec.errors import ConversionError
from spikec.frontend import canonicalize, measure_lifts, take_lifts
from spikec.ir import as_integer
from spikec.simulation.golden import simulate
from spikec.simulation.sent import levels_sent

_BATCH = 64

#: A converted network, in float or in integers.
Stage: TypeAlias = "SpikingNetwork | nir.NIRGraph"


@dataclass(frozen=True)
class LayerFidelity:
    """Mean absolute differences of one layer's activations, as fractions of the layer's mean activation.

    ``clipping``: the trained activation against its clipped form. ``quantisation``: the clipped form against the form
    rounded to the levels that T steps can express (both are zero if training had this clip and these levels already).
    ``propagation``: the rounded form for the network's own input against that for the spiking network's mean input.
    ``unevenness``: the latter against what the neurons emitted (timing; in an integer graph also the rounding of
    weights). ``total``: activation against emitted rate; at most the sum of the others.
    """

    layer: str
    clipping: float
    quantisation: float
    propagation: float
    unevenness: float
    total: float

    @property
    def own(self) -> float:
        """What this layer adds by itself: everything but what earlier layers handed down."""
        return self.clipping + self.quantisation + self.unevenness


@dataclass(frozen=True, repr=False)
class Fidelity(Shown):
    """Layers of a network, worst ``own`` error first; ``stage`` says what was compared with what."""

    stage: str
    images: int
    layers: tuple[LayerFidelity, ...]

    def text(self) -> str:
        """The table ``spikec export --fidelity`` prints."""
        width = max([5, *(len(layer.layer) for layer in self.layers)])
        columns = ("own", "clipping", "quantisation", "unevenness", "propagation", "total")
        lines = [f"{'layer':<{width}}  " + "  ".join(f"{c:>12}" for c in columns)]
        for layer in self.layers:
            cells = "  ".join(f"{getattr(layer, column):>12.1%}" for column in columns)
            lines.append(f"{layer.layer:<{width}}  {cells}")
        return "\n".join([f"{self.stage}, {self.images} images, worst layer first", *lines])

    def _headline(self) -> str:
        worst = f"; most in {self.layers[0].layer}, {self.layers[0].own:.1%} of its own" if self.layers else ""
        return f"{self.stage}, {self.images} images, {len(self.layers)} layers{worst}"

    def _table(self) -> Table:
        names = ("own", "clipping", "quantisation", "unevenness", "propagation", "total")
        columns = (Column("layer", "layer", left=True), *(Column(name, name, share) for name in names))
        rows = tuple((layer.layer, *(getattr(layer, name) for name in names)) for layer in self.layers)
        title = f"{self.stage}, {self.images} images: mean error as a share of the mean activation, worst layer first"
        return Table(title, columns, rows)

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class _Coding:
    """How a layer's emissions stand for activations: value of one level, number of levels, and the least of them."""

    step: Tensor
    levels: int
    least: int


@named_arguments
def fidelity(ann: nn.Module, converted: Stage, images: Any, *, against: Stage | None = None) -> Fidelity:
    """Error of each spiking layer of ``converted`` against the trained network, on ``images`` [N, C, H, W].

    ``converted`` is a float network (``tc.convert``) or an integer graph (``tc.lower``) made from ``ann``. ``against``,
    another of these, replaces the trained network as the reference: an integer graph against the float network it was
    lowered from shows what rounding costs. Raises ``ConversionError`` when their layers do not correspond.

    >>> [layer.clipping for layer in tc.fidelity(model, network, images).layers]
    [0.0, 0.0]
    """
    data = as_images(images, "images")
    traced = canonicalize(ann, data[:2])
    for stage in (converted, against):
        if isinstance(stage, SpikingNetwork):
            take_lifts(traced, stage.graph)
            break
    else:
        measure_lifts(traced, data)
    trained = activations(traced)
    spiking, wanted = _Emitting.of(converted), None if against is None else _Emitting.of(against)
    for stage in (spiking, *([wanted] if wanted else [])):
        missing = sorted(set(trained) - set(stage.codings))
        if missing:
            raise ConversionError(f"layer {missing[0]} is not in the converted network: was that made from this one?")
    sums = {name: torch.zeros(6, dtype=torch.float64) for name in trained}
    for batch in torch.split(data, _BATCH):
        emitted = spiking.emitted(batch)
        teacher = wanted.emitted(batch) if wanted else None
        own, forced = _pre_activations(traced, batch, teacher), _pre_activations(traced, batch, emitted)
        for name, activation in trained.items():
            reference = activation(own[name]) if teacher is None else teacher[name]
            sums[name] += _errors(own[name], forced[name], emitted[name], spiking.codings[name], reference)
    layers = []
    for name, total in sums.items():
        *errors, scale = total.tolist()
        layers.append(LayerFidelity(name, *(error / scale if scale else 0.0 for error in errors)))
    compared = f"{spiking.title} against the {wanted.title if wanted else 'trained network'}"
    return Fidelity(compared, len(data), tuple(sorted(layers, key=lambda layer: -layer.own)))


@dataclass(frozen=True)
class _Emitting:
    """A converted network, and how its layers code activations."""

    network: SpikingNetwork | ig.IntegerGraph
    codings: Mapping[str, _Coding]

    @classmethod
    def of(cls, stage: Stage) -> _Emitting:
        network = stage if isinstance(stage, SpikingNetwork) else as_integer(stage)
        return cls(network, _codings(network))

    @property
    def title(self) -> str:
        return f"{'float' if isinstance(self.network, SpikingNetwork) else 'integer'} spiking network"

    def emitted(self, images: Tensor) -> dict[str, Tensor]:
        """Activation each layer's emissions stand for, [N, *shape]."""
        network = self.network
        counts = network.counts(images) if isinstance(network, SpikingNetwork) else _integer_levels(network, images)
        return {
            name: counts[name] * coding.step.reshape(-1, *([1] * (counts[name].ndim - 2)))
            for name, coding in self.codings.items()
        }


def _errors(own: Tensor, forced: Tensor, emitted: Tensor, coding: _Coding, reference: Tensor) -> Tensor:
    step = coding.step.reshape(-1, *([1] * (own.ndim - 2)))
    clipped = torch.minimum(reference, step * coding.levels)
    rounded, expected = _round(own, step, coding), _round(forced, step, coding)
    pairs = (
        (reference, clipped),
        (clipped, rounded),
        (rounded, expected),
        (expected, emitted),
        (reference, emitted),
        (reference, torch.zeros_like(reference)),
    )
    return torch.stack([(a - b).abs().double().sum() for a, b in pairs])


def _round(value: Tensor, step: Tensor, coding: _Coding) -> Tensor:
    return step * torch.clamp(torch.floor(value / step + 0.5), coding.least, coding.levels)


def _codings(network: SpikingNetwork | ig.IntegerGraph) -> dict[str, _Coding]:
    if isinstance(network, ig.IntegerGraph):
        return {p.name: _integer_coding(network, p) for p in network.populations if p.scale is not None}
    found = {}
    for name, neuron in network.neurons.items():
        least = neuron.spec.kind.least(network.timesteps)
        found[name] = _Coding((neuron.threshold * neuron.gain).reshape(-1) / neuron.reach, neuron.reach, least)
    return found


def _integer_coding(graph: ig.IntegerGraph, population: ig.Population) -> _Coding:
    scale, kind = torch.as_tensor(population.scale, dtype=torch.float32), population.neuron
    # Neurons that send one number send the activation in units; of others, the mean over T steps is the activation.
    step = scale if kind.one_number else scale / graph.timesteps
    return _Coding(step, kind.reach(graph.timesteps), kind.least(graph.timesteps))


def _integer_levels(graph: ig.IntegerGraph, images: Tensor) -> dict[str, Tensor]:
    trace = simulate(graph, images, record="spikes" if graph.weighted else None)
    sent = {population.name: levels_sent(graph, population, trace) for population in graph.populations}
    return {name: torch.as_tensor(levels, dtype=torch.float32) for name, levels in sent.items()}


def _pre_activations(graph: fx.GraphModule, images: Tensor, emitted: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """Inputs of every activation: of the network itself, or with activations replaced by ``emitted``."""
    runner = _Forced(graph, emitted)
    with torch.no_grad():
        runner.run(images)
    return runner.seen


class _Forced(fx.Interpreter):
    def __init__(self, graph: fx.GraphModule, emitted: dict[str, Tensor] | None) -> None:
        super().__init__(graph)
        self.names, self.emitted = set(activations(graph)), emitted
        self.seen: dict[str, Tensor] = {}

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = str(target)
        if name not in self.names:
            return super().call_module(target, args, kwargs)
        self.seen[name] = args[0]
        return super().call_module(target, args, kwargs) if self.emitted is None else self.emitted[name]
