"""Running a deployment in another framework, image by image and step by step, every IF node recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from spikec.errors import DoesNotFit, TargetUnavailable, ToolchainError
from spikec.ir import IntegerGraph, as_integer
from spikec.ir.profile.build import requirements
from spikec.simulation.collect import returned
from spikec.simulation.encode import encoded
from spikec.simulation.input_warning import told
from spikec.simulation.trace import Trace
from spikec.targets.interop.adapter import Adapter
from spikec.targets.interop.plain import PlainNetwork, plain

#: Adapters by framework.
ADAPTERS = {
    "nirtorch": "spikec.targets.interop.nirtorch:NirTorch",
    "norse": "spikec.targets.interop.norse:Norse",
    "sinabs": "spikec.targets.interop.sinabs:Sinabs",
    "snntorch": "spikec.targets.interop.snntorch:SnnTorch",
    "spikingjelly": "spikec.targets.interop.spikingjelly:SpikingJelly",
}


@dataclass(frozen=True)
class Recording:
    """``spikes`` int64 [N, T, *shape] per population and ``outputs`` int64 [N, T, classes], the readout's input."""

    spikes: dict[str, npt.NDArray[np.int64]]
    outputs: npt.NDArray[np.int64]


def adapter(framework: str) -> Adapter:
    """The adapter of a framework. The framework need not be installed."""
    if framework not in ADAPTERS:
        raise ToolchainError(f"no adapter for {framework!r}; there are {', '.join(ADAPTERS)}")
    module, _, name = ADAPTERS[framework].partition(":")
    found: type[Adapter] = getattr(import_module(module), name)
    return found()


def simulate(framework: str, graph: nir.NIRGraph | IntegerGraph, images: npt.ArrayLike | Tensor) -> Trace:
    """Run a deployment in ``framework`` on float images [N, *input shape]; spikes are recorded.

    The Trace compares to the golden model's (``tc.compare``). Raises ``DoesNotFit`` for what the framework's neurons
    cannot do (signed spikes, other kinds, layerwise, drain) and ``TargetUnavailable`` if it is not installed.
    """
    chosen, integer = adapter(framework), as_integer(graph)
    refused = sorted(set(requirements(integer)) - chosen.honours)
    if refused:
        raise DoesNotFit(
            f"{framework} cannot keep to {', '.join(refused)}; convert with tc.QCFS(schedule='pipelined') and lower "
            "with tc.Int8(per='layer') to run there"
        )
    network = plain(integer)
    integers, coding = encoded(integer.input, images)
    told(integer, coding)
    started = time.perf_counter()
    recording = run(chosen, network, integers, integer.timesteps)
    trace = _trace(integer, recording, integers, framework, time.perf_counter() - started)
    return replace(trace, coding=coding)


def run(
    chosen: Adapter,
    network: PlainNetwork,
    integers: npt.NDArray[np.int64],
    timesteps: int,
    *,
    adjusted: bool = True,
) -> Recording:
    """Feed integers [N, *input shape] at every one of ``timesteps`` steps.

    ``adjusted=False`` runs what the framework's importer makes of the graph, with the importer's initial membranes.
    """
    module: nn.Module | None = None
    spikes: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in network.layers}
    outputs: list[npt.NDArray[np.int64]] = []
    with _exact_arithmetic():
        for image in torch.from_numpy(integers).float():
            if module is None or not adjusted:  # an importer alone cannot reset the network to the first step
                module = _import(chosen, network.graph, adjusted=adjusted)
            neurons = {name: module.get_submodule(inner) for name, inner in network.layers.items()}
            if adjusted:
                for name, inner in network.layers.items():
                    membrane = torch.from_numpy(network.membranes[inner])
                    chosen.set_membrane(neurons[name], membrane[None] if chosen.batch_axis else membrane)
            state = None
            with _recorded(neurons, spikes):
                for _ in range(timesteps):
                    output, state = module(image[None] if chosen.batch_axis else image, state)
                    outputs.append(_integers(output))

    def stacked(values: list[npt.NDArray[np.int64]], shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        return np.stack(values).reshape(len(integers), timesteps, *shape)

    shapes = {name: network.membranes[inner].shape for name, inner in network.layers.items()}
    by_layer = {name: stacked(values, shapes[name]) for name, values in spikes.items()}
    return Recording(by_layer, stacked(outputs, network.readout.shape))


def _import(chosen: Adapter, graph: nir.NIRGraph, *, adjusted: bool) -> nn.Module:
    try:
        return chosen.load(graph) if adjusted else chosen.importer(graph)
    except ModuleNotFoundError as error:
        raise TargetUnavailable(
            f"{error.name} is not installed here: pip install {chosen.requirement} nirtorch==2.6"
        ) from error


def _integers(value: Tensor) -> npt.NDArray[np.int64]:
    return np.asarray(value.detach().numpy()).astype(np.int64)


@contextmanager
def _recorded(neurons: Mapping[str, nn.Module], spikes: Mapping[str, list[npt.NDArray[np.int64]]]) -> Iterator[None]:
    """Append what each neuron module emits, call by call."""

    def hook(name: str) -> Any:
        def keep(_module: nn.Module, _args: Any, output: Any) -> None:
            spikes[name].append(_integers(output[0] if isinstance(output, tuple) else output))

        return keep

    handles = [module.register_forward_hook(hook(name)) for name, module in neurons.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _exact_arithmetic() -> Iterator[None]:
    """No gradients, and no transform-based convolutions: they are not exact on integers."""
    with torch.no_grad(), torch.backends.nnpack.flags(enabled=False):
        yield


def _trace(
    graph: IntegerGraph, recording: Recording, integers: npt.NDArray[np.int64], framework: str, seconds: float
) -> Trace:
    curve = returned(graph.readout.v_init + np.cumsum(recording.outputs, axis=1), graph.readout)
    counts = {name: spikes.sum(1).astype(np.int32) for name, spikes in recording.spikes.items()}
    return Trace(
        outputs={graph.readout.output: curve[:, -1]},
        scales={graph.readout.output: graph.readout.scale},
        counts=counts,
        events=counts,
        spikes={name: spikes.astype(np.int8) for name, spikes in recording.spikes.items()},
        output_curves={graph.readout.output: curve},
        input_events=(integers != 0).sum(0).astype(np.int32),
        timesteps=graph.timesteps,
        target=framework,
        seconds=seconds,
    )
