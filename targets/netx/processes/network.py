"""``netx.hdf5.Network`` of lava-dl 0.6.0, with the neurons that its files cannot otherwise name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lava.lib.dl.netx.blocks.models import AbstractPyBlockModel
from lava.lib.dl.netx.hdf5 import Network
from lava.magma.core.decorator import implements
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from targets.lava.processes import calibrated, levels, readout, stepping

_PROCESS_OF_KIND = {
    "if": stepping.SoftResetIF,
    "signed_if": stepping.SignedIF,
    "calibrated_if": calibrated.CalibratedIF,
    "bit_serial": levels.BitSerialIF,
    "graded": levels.GradedIF,
    "integrator": readout.Integrator,
}
#: Payloads and spikes of -1 survive; netx takes 0 bits, a spike or none, for its own neurons.
_MESSAGE_BITS = 24


class SoftNetwork(Network):  # type: ignore[misc]
    """A file with ``SOFTIF`` and ``INTEGRATOR`` neurons as Lava processes.

    ``net_config``: the HDF5 file. ``job``: the folder where neurons record. ``neurons``: what a neuron process needs
    besides the file, its windows and its place in the job, by the name of the layer.
    """

    def __init__(self, net_config: str, *, job: Path, neurons: Mapping[str, Mapping[str, Any]]) -> None:
        self._job, self._neurons = job, neurons
        super().__init__(net_config, input_message_bits=_MESSAGE_BITS)

    def _create(self) -> Any:
        # netx looks the function up in its own class, not in this one.
        stock = Network.__dict__["get_neuron_params"]
        Network.get_neuron_params = self._neuron_params
        try:
            return super()._create()
        finally:
            Network.get_neuron_params = stock

    def _neuron_params(self, neuron_config: Any, **_: Any) -> dict[str, Any]:
        """What netx asks of a neuron type: who makes the process, and how wide its messages are."""
        if neuron_config["type"] not in ("SOFTIF", "INTEGRATOR"):
            raise ValueError(f"{neuron_config['type']} neurons are stock netx's own: load the file there")
        return {"neuron_proc": self._maker(neuron_config.f), "num_message_bits": _MESSAGE_BITS}

    def _maker(self, group: Any) -> Callable[..., Any]:
        name = bytes(group["name"][0]).decode()
        kind = bytes(group["kind"][0]).decode() if "kind" in group else "integrator"
        arrays = {
            key: group[source][()].T.copy()  # maps as Lava has them: W, H, C
            for key, source in (("theta", "theta"), ("v_init", "vInit"), ("theta_neg", "thetaNeg"))
            if source in group
        }
        if kind == "signed_if":
            arrays.setdefault("theta_neg", np.ones_like(arrays["theta"]))
        numbers = {key: int(group[key][()]) for key in ("levels", "rho") if key in group}
        settings = {**self._neurons[name], **numbers}

        def make(*, shape: tuple[int, ...], bias: Any = 0) -> Any:
            current = np.broadcast_to(np.asarray(bias, np.int64), shape)
            np.save(self._job / f"{settings['index']}.current.npy", current[None])
            return _PROCESS_OF_KIND[kind](name=name, job=str(self._job), **arrays, **settings)

        return make


@implements(proc=SoftNetwork, protocol=LoihiProtocol)
class PySoftNetworkModel(AbstractPyBlockModel):  # type: ignore[misc]
    """A network is what its blocks are."""
