"""Small networks of other frameworks: a class per framework, a method per network that makes its neurons.

Frameworks are imported inside, since each lives in an environment of its own; see ``benchmarks.foreign_worker``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

#: What a step keeps of membrane and current; the threshold is 1 everywhere.
KEEP_MEMBRANE, KEEP_CURRENT = 0.9, 0.8
#: The same as time constants in steps, by forward Euler: keep = 1 - 1 / tau.
TAU_MEMBRANE, TAU_CURRENT = 10.0, 5.0

Weights = Mapping[str, npt.NDArray[np.float32]]


class Worker:
    """Two layers of weights and neurons, the same weights in every framework."""

    def build(self, name: str, weights: Weights, scale: float) -> nn.Sequential:
        """Weights, neurons, weights, neurons."""
        layers: list[nn.Module] = []
        for index in range(2):
            weight = torch.from_numpy(weights[f"weight{index}"]) * scale
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            _fill(linear, weight, torch.from_numpy(weights[f"bias{index}"]) * scale)
            neurons = getattr(self, name)(len(weight))
            recurrent = self.recurrent(neurons)
            if recurrent is not None:
                _fill(recurrent, torch.from_numpy(weights[f"recurrent{index}"]) * scale, torch.zeros(len(weight)))
            layers += [linear, neurons]
        return self.wired(layers)

    def wired(self, layers: list[nn.Module]) -> nn.Sequential:
        return nn.Sequential(*layers)

    def recurrent(self, neurons: nn.Module) -> nn.Linear | None:
        """The weights that lead from a layer to itself."""
        return None

    def export(self, name: str, network: nn.Sequential, features: int) -> nir.NIRGraph:
        raise NotImplementedError

    def run(self, network: nn.Sequential, sequences: Tensor) -> list[Tensor]:
        """Spikes of both layers [N, steps, neurons]; step by step, the states kept inside."""
        found: list[list[Tensor]] = [[], []]
        for step in range(sequences.shape[1]):
            x = sequences[:, step]
            for index in range(2):
                x = network[2 * index + 1](network[2 * index](x))
                found[index].append(x)
        return [torch.stack(train, 1) for train in found]


class SnnTorch(Worker):
    def export(self, name: str, network: nn.Sequential, features: int) -> nir.NIRGraph:
        from snntorch.export_nir import export_to_nir

        return export_to_nir(network, torch.zeros(features))

    def recurrent(self, neurons: nn.Module) -> nn.Linear | None:
        return getattr(neurons, "recurrent", None)

    def leaky_scalar(self, n: int) -> nn.Module:
        import snntorch

        return snntorch.Leaky(beta=KEEP_MEMBRANE, init_hidden=True)

    def leaky(self, n: int, **options: Any) -> nn.Module:
        import snntorch

        given = {"reset_mechanism": "subtract"} | options
        return snntorch.Leaky(_full(n, KEEP_MEMBRANE), threshold=torch.ones(n), init_hidden=True, **given)

    def leaky_zero(self, n: int) -> nn.Module:
        return self.leaky(n, reset_mechanism="zero")

    def leaky_at_once(self, n: int) -> nn.Module:
        return self.leaky(n, reset_delay=False)

    def synaptic_zero(self, n: int, **options: Any) -> nn.Module:
        import snntorch

        keep = _full(n, KEEP_CURRENT), _full(n, KEEP_MEMBRANE)
        given = {"reset_mechanism": "zero"} | options
        return snntorch.Synaptic(*keep, threshold=torch.ones(n), init_hidden=True, **given)

    def synaptic_zero_at_once(self, n: int) -> nn.Module:
        return self.synaptic_zero(n, reset_delay=False)

    def rleaky_zero_at_once(self, n: int) -> nn.Module:
        import snntorch

        given = {"reset_mechanism": "zero", "reset_delay": False, "linear_features": n}
        return snntorch.RLeaky(KEEP_MEMBRANE, init_hidden=True, **given)

    def rsynaptic(self, n: int) -> nn.Module:
        import snntorch

        return snntorch.RSynaptic(KEEP_CURRENT, KEEP_MEMBRANE, linear_features=n, init_hidden=True)


class Norse(Worker):
    #: Norse's own step in seconds, and what its exporter takes by default.
    dt = 1e-3

    def wired(self, layers: list[nn.Module]) -> nn.Sequential:
        from norse.torch import SequentialState

        return SequentialState(*layers)

    def export(self, name: str, network: nn.Sequential, features: int) -> nir.NIRGraph:
        from norse.torch import to_nir

        sample = torch.zeros(1, features) if name == "box_batch" else torch.zeros(features)
        graph = to_nir(network, sample, dt=1.0 if name == "box_seconds" else self.dt)
        if name == "lif_w_in":
            for node in graph.nodes.values():
                if isinstance(node, nir.CubaLIF):
                    node.w_in = np.full(node.v_threshold.shape, TAU_CURRENT, np.float32)
        return graph

    def run(self, network: nn.Sequential, sequences: Tensor) -> list[Tensor]:
        found: list[list[Tensor]] = [[], []]
        states: list[Any] = [None, None]
        for step in range(sequences.shape[1]):
            x = sequences[:, step]
            for index in range(2):
                x, states[index] = network[2 * index + 1](network[2 * index](x), states[index])
                found[index].append(x)
        return [torch.stack(train, 1) for train in found]

    def box_scalar(self, n: int) -> nn.Module:
        from norse.torch import LIFBoxCell

        return LIFBoxCell()

    def box(self, n: int) -> nn.Module:
        from norse.torch import LIFBoxCell, LIFBoxParameters

        return LIFBoxCell(LIFBoxParameters(**self._membrane(n)))

    box_batch = box_seconds = box

    def lif(self, n: int) -> nn.Module:
        from norse.torch import LIFCell, LIFParameters

        return LIFCell(LIFParameters(tau_syn_inv=_full(n, 1 / (TAU_CURRENT * self.dt)), **self._membrane(n)))

    lif_w_in = lif

    def recurrent_lif(self, n: int) -> nn.Module:
        from norse.torch import LIFRecurrentCell

        return LIFRecurrentCell(n, n)

    def _membrane(self, n: int) -> dict[str, Tensor]:
        return {
            "tau_mem_inv": _full(n, 1 / (TAU_MEMBRANE * self.dt)),
            "v_th": torch.ones(n),
            "v_leak": torch.zeros(n),
        }


class Sinabs(Worker):
    def export(self, name: str, network: nn.Sequential, features: int) -> nir.NIRGraph:
        from sinabs.nir import to_nir

        # Squeezing layers take [batch x steps, features], the others [batch, steps, features].
        shape = (1, features) if name.startswith("squeeze") else (1, 1, features)
        for layer in network:
            if hasattr(layer, "batch_size"):
                layer.batch_size = 1
        return to_nir(network, torch.zeros(shape))

    def run(self, network: nn.Sequential, sequences: Tensor) -> list[Tensor]:
        x, found = sequences, []
        for linear, neurons in zip(network[::2], network[1::2], strict=True):
            flat = hasattr(neurons, "batch_size")
            if flat:
                neurons.batch_size = len(sequences)
            x = linear(x)
            x = neurons(x.flatten(0, 1)).unflatten(0, x.shape[:2]) if flat else neurons(x)
            found.append(x)
        return found

    def lif_scalar(self, n: int) -> nn.Module:
        from sinabs.layers import LIF

        return LIF(tau_mem=TAU_MEMBRANE)

    def lif(self, n: int) -> nn.Module:
        from sinabs.layers import LIF

        return LIF(tau_mem=_full(n, TAU_MEMBRANE), spike_threshold=torch.ones(n))

    def squeeze(self, n: int, **options: Any) -> nn.Module:
        from sinabs.layers import LIFSqueeze

        return LIFSqueeze(batch_size=1, tau_mem=_full(n, TAU_MEMBRANE), spike_threshold=torch.ones(n), **options)

    def squeeze_single(self, n: int) -> nn.Module:
        from sinabs.activation import SingleSpike

        return self.squeeze(n, spike_fn=SingleSpike)

    def squeeze_single_zero(self, n: int) -> nn.Module:
        from sinabs.activation import MembraneReset, SingleSpike

        return self.squeeze(n, spike_fn=SingleSpike, reset_fn=MembraneReset())

    def squeeze_current(self, n: int) -> nn.Module:
        from sinabs.activation import MembraneReset, SingleSpike

        given = {"spike_fn": SingleSpike, "reset_fn": MembraneReset()}
        return self.squeeze(n, tau_syn=_full(n, TAU_CURRENT), **given)

    def recurrent_lif(self, n: int) -> nn.Module:
        from sinabs.layers import LIFRecurrent

        return LIFRecurrent(tau_mem=_full(n, TAU_MEMBRANE), rec_connect=nn.Linear(n, n))


class SpikingJelly(Worker):
    def export(self, name: str, network: nn.Sequential, features: int) -> nir.NIRGraph:
        from spikingjelly.activation_based.nir_exchange import export_to_nir

        return export_to_nir(network, torch.zeros(1, features))

    def lif(self, n: int, **options: Any) -> nn.Module:
        from spikingjelly.activation_based.neuron import LIFNode

        return LIFNode(tau=TAU_MEMBRANE, **options)

    def lif_undecayed(self, n: int) -> nn.Module:
        return self.lif(n, decay_input=False)

    def lif_soft(self, n: int) -> nn.Module:
        return self.lif(n, v_reset=None)

    def cuba(self, n: int) -> nn.Module:
        from spikingjelly.activation_based.neuron import CUBALIFNode

        return CUBALIFNode(c_decay=KEEP_CURRENT, v_decay=KEEP_MEMBRANE, v_threshold=1.0)

    def recurrent_lif(self, n: int) -> nn.Module:
        from spikingjelly.activation_based.layer import LinearRecurrentContainer

        return LinearRecurrentContainer(self.lif(n), n, n)


WORKERS: dict[str, type[Worker]] = {
    "snntorch": SnnTorch,
    "norse": Norse,
    "sinabs": Sinabs,
    "spikingjelly": SpikingJelly,
}


def _full(n: int, value: float) -> Tensor:
    return torch.full((n,), value)


def _fill(linear: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    with torch.no_grad():
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)
