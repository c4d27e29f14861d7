"""The float spiking network: the traced graph with neurons in place of activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx, nn

from spikec.conversion.neurons import Neuron
from spikec.display import Column, Shown, Table, count
from spikec.errors import ConversionError, DataError
from spikec.frontend import ChannelAffine, Convolution, Dense, LinearMap, MaxPool, output_nodes
from spikec.ir.coding import InputRange
from spikec.ir.input_statistics import InputStatistics
from spikec.ir.types import Int64, Schedule


@dataclass
class Provenance:
    """How a converted network was made."""

    method: str
    source_sha256: str
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Frames:
    """Sequences that lowering measures on: ``frames`` float64 [N, steps, *shape], zeros behind the end of those that
    are shorter; ``lengths`` int64 [N]."""

    frames: npt.NDArray[np.float64]
    lengths: Int64

    @property
    def listed(self) -> list[npt.NDArray[np.float64]]:
        """Each sequence as long as it is."""
        return [frames[:length] for frames, length in zip(self.frames, self.lengths, strict=True)]

    def mean(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The mean over the steps of each sequence, [N, *shape], of ``values`` [N, steps, *shape], such as
        ``frames``; they are zero behind its end."""
        total = values.sum(axis=1, dtype=np.float64)
        found: npt.NDArray[np.float64] = total / self.lengths.reshape(-1, *[1] * (total.ndim - 1))
        return found


class SpikingNetwork(Shown, nn.Module):
    """A network of integrate-and-fire neurons in float, made by :func:`spikec.convert`.

    Calling it on images [N, C, H, W], of any floating-point dtype, returns float32 [N, *shape], such as logits
    [N, classes]: the mean over T steps of the last layer's output. Of a network with several outputs, or one by name,
    it returns a dictionary of them.
    ``graph`` is the traced graph with :class:`Neuron` modules, ``example`` a few images that lowering measures on,
    ``calibrated`` what the calibration images were like; ``frames``: sequences whose mean frames the examples are,
    where it is lowered to take one frame for each step (:func:`spikec.quantization.frames.on_frames`).
    Raises ``DataError`` for anything but images.

    >>> network(images).shape
    torch.Size([12, 3])
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        *,
        timesteps: int,
        schedule: Schedule,
        drain: int,
        input_range: InputRange,
        example: Tensor,
        provenance: Provenance,
        calibrated: InputStatistics | None = None,
    ) -> None:
        super().__init__()
        self.graph = graph
        self.timesteps, self.schedule, self.drain = timesteps, schedule, drain
        self.input_range, self.provenance, self.calibrated = input_range, provenance, calibrated
        self.register_buffer("example", example.detach().clone(), persistent=False)
        emitting = {neuron.steps: neuron.spec.kind.name for neuron in self.neurons.values()}
        if len(emitting) > 1:
            found = " and ".join(f"{steps} ({kind})" for steps, kind in sorted(emitting.items()))
            raise ConversionError(
                f"all neurons of a float network must emit for the same number of steps; these emit for {found}"
            )

    example: Tensor
    frames: Frames | None = None

    @property
    def neurons(self) -> dict[str, Neuron]:
        """Populations by name, in network order."""
        modules = {n.target: self.graph.get_submodule(str(n.target)) for n in self.graph.graph.nodes if _is_call(n)}
        return {str(name): module for name, module in modules.items() if isinstance(module, Neuron)}

    @property
    def warm_up(self) -> int:
        """Steps whose output is thrown away (SRP's first phase)."""
        return max((neuron.spec.warm_up for neuron in self.neurons.values()), default=0)

    @property
    def steps(self) -> int:
        """Steps run for one image; 1 if neurons send their level as one number."""
        return max((neuron.steps for neuron in self.neurons.values()), default=1)

    @property
    def outputs(self) -> dict[str, fx.Node]:
        """What the graph returns, by the name of the output."""
        return output_nodes(self.graph)

    def forward(self, images: Tensor) -> Any:
        wanted = self.example.shape[1:]
        if not isinstance(images, Tensor) or not images.is_floating_point():
            raise DataError(f"the network takes a tensor of float images {('N', *wanted)}")
        if images.shape[1:] != wanted or not len(images):
            raise DataError(
                f"images have shape {tuple(images.shape)}, the network takes {('N', *wanted)}, N at least 1"
            )
        found = run_steps(self, images.to(self.example.dtype))
        if isinstance(found, Tensor):
            return self._mean(found, len(images))
        return {name: self._mean(each, len(images)) for name, each in found.items()}

    def _mean(self, values: Tensor, images: int) -> Tensor:
        """What an output of every step [S * N, *shape] comes to, [N, *shape]."""
        per_step = values.reshape(self.steps, images, *values.shape[1:])
        if self.steps == 1:
            return per_step[0]
        return per_step[self.warm_up : self.warm_up + self.timesteps + self.drain].sum(0) / self.timesteps

    def counts(self, images: Tensor) -> dict[str, Tensor]:
        """Net emissions per neuron [N, *shape] of each population for ``images``."""
        with torch.no_grad():
            self(images)
        return {name: neuron.counts for name, neuron in self.neurons.items() if neuron.counts is not None}

    def extra_repr(self) -> str:
        return f"timesteps={self.timesteps}, schedule={self.schedule}, drain={self.drain}, {self.provenance.method}"

    def _headline(self) -> str:
        drain = f" + {self.drain}" if self.drain else ""
        shape = " x ".join(map(str, self.example.shape[1:]))
        return (
            f"{self.provenance.method}, T {self.timesteps}{drain}, {self.schedule}; {len(self.neurons)} layers of "
            f"neurons, input {shape}, outputs {', '.join(self.outputs)}"
        )

    def _table(self) -> Table:
        columns = (
            Column("layer", "layer of neurons", left=True),
            Column("kind", "kind", left=True),
            Column("threshold_low", "threshold, from", "{:.4g}".format),
            Column("threshold_high", "to", "{:.4g}".format),
            Column("levels", "levels", count),
        )
        rows = []
        for name, neuron in self.neurons.items():
            low, high = float(neuron.threshold.min()), float(neuron.threshold.max())
            rows.append((name, neuron.spec.kind.name, low, high, neuron.reach))
        notes = (f"{len(rows)} layers; print(network.graph) shows the operations between them",)
        return Table(f"SpikingNetwork: {self._headline()}", columns, tuple(rows), notes)


def _is_call(node: fx.Node) -> bool:
    return bool(node.op == "call_module")


#: Called with name, neuron and input current [S * N, *shape] in place of the neuron; returns its emissions.
NeuronCall = Callable[[str, Neuron, Tensor], Tensor]


#: Values of the nodes of the traced graph, [S * N, ...] each.
Values = dict[fx.Node, Any]


def _pooled(pool: MaxPool, x: Tensor, steps: int) -> Tensor:
    """What the largest sums of the windows gain in each step. Sums of few values are exact in float64."""
    if steps == 1:
        return cast(Tensor, pool(x))
    sent = x.reshape(steps, -1, *x.shape[1:]).double()
    return pool.window.apply_to_steps(sent, None, 1).to(x.dtype).flatten(0, 1)


def run_steps(
    network: SpikingNetwork, images: Tensor, call: NeuronCall | None = None, values: Values | None = None
) -> Any:
    """Output of every step [S * N, *shape], steps outermost, or a dictionary of them; ``call`` may replace what neurons
    do. ``values``: those of nodes that are known already and not computed again; all others are added to it."""
    steps, n = network.steps, images.shape[0]
    x = images.repeat(steps, *([1] * (images.ndim - 1)))
    drain_starts = (steps - network.drain) * n
    if network.drain:
        x[drain_starts:] = 0
    runner = StepRunner(network.graph, steps, drain_starts, call, keep=values is not None)
    return runner.run(x, initial_env=values)


class StepRunner(fx.Interpreter):
    """Runs the graph on all steps at once; rows from ``constant`` on are drain steps, in which biases are off."""

    def __init__(
        self, graph: fx.GraphModule, steps: int, constant: int, call: NeuronCall | None, keep: bool = False
    ) -> None:
        super().__init__(graph, garbage_collect_values=not keep)
        self.steps, self.constant, self.call = steps, constant, call

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = self.fetch_attr(target)
        if self.call is not None and isinstance(module, Neuron):
            return self.call(str(target), module, args[0])
        if isinstance(module, MaxPool):
            return _pooled(module, args[0], self.steps)
        result = super().call_module(target, args, kwargs)
        if isinstance(module, Convolution | Dense | ChannelAffine | LinearMap) and result.shape[0] > self.constant:
            result[self.constant :] -= module(torch.zeros_like(args[0][:1]))
        return result
