"""``netx.hdf5.Network`` of lava-dl 0.6.0, with the neurons that its files cannot otherwise name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lava.lib.dl.netx.blocks.models import AbstractPyBlockModel
from lava.lib.dl.netx.hdf5 import Network
from lava.magma.core.decorator import implements
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikec.targets.lava.worker import load

#: Enough for payloads and spikes of -1. For its own neurons netx takes 0 bits: a spike or none.
_MESSAGE_BITS = 24


class SoftNetwork(Network):  # type: ignore[misc]
    """A file with ``SOFTIF`` and ``INTEGRATOR`` neurons as Lava processes.

    ``net_config``: the HDF5 file. ``job``: the folder where neurons record. ``neurons``: the entry of the job for every
    layer, by name: the path of its neuron process, and what that needs besides the file, its windows and its place in
    the job. ``fields``: how to read the fields of its kind from the file (``spikec.targets.netx.file.field_keys``).
    """

    def __init__(
        self,
        net_config: str,
        *,
        job: Path,
        neurons: Mapping[str, Mapping[str, Any]],
        fields: Mapping[str, Mapping[str, Sequence[Any]]],
    ) -> None:
        self._job, self._neurons, self._fields = job, neurons, fields
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
        entry = self._neurons[name]
        settings = dict(entry["settings"])
        for key, source in (("theta", "theta"), ("v_init", "vInit")):
            if source in group:
                settings[key] = group[source][()].T.copy()  # maps as Lava has them: W, H, C
        for key, (source, per, default) in self._fields.get(name, {}).items():
            value = group[source][()] if source in group else default
            if per == "neuron":
                settings[key] = np.broadcast_to(np.asarray(value).T, settings["theta"].shape).copy()
            else:
                settings[key] = int(value)

        def make(*, shape: tuple[int, ...], bias: Any = 0) -> Any:
            current = np.broadcast_to(np.asarray(bias, np.int64), shape)
            np.save(self._job / f"{settings['index']}.current.npy", current[None])
            return load(entry["path"])(name=name, job=str(self._job), **settings)

        return make


@implements(proc=SoftNetwork, protocol=LoihiProtocol)
class PySoftNetworkModel(AbstractPyBlockModel):  # type: ignore[misc]
    """The model of a network: it only holds its blocks."""
