"""Runs in an environment with SANA-FE: a placed network with given spikes on its Loihi architecture.

    python -m benchmarks.sanafe_worker FOLDER

Reads ``network.json``, ``network.npz`` and ``loihi.yaml``; writes ``results.json``. Imports nothing of spikec.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import sanafe


def main() -> None:
    folder = Path(sys.argv[1])
    plan = json.loads((folder / "network.json").read_text())
    data = np.load(folder / "network.npz")
    architecture = sanafe.load_arch(str(folder / "loihi.yaml"))
    network = sanafe.Network()
    groups = {}
    on_core: dict[int, int] = {}
    for layer in plan["layers"]:
        raster, cores = data[f"spikes/{layer}"], data[f"cores/{layer}"]
        kind = next((edge["synapse"] for edge in plan["edges"] if edge["target"] == layer), "dense")
        group = network.create_neuron_group(layer, len(cores), default_synapse_hw_name=kind)
        groups[layer] = group
        for index, core in enumerate(cores):
            tile, position = divmod(int(core), plan["cores_per_tile"])
            slot = on_core.get(int(core), 0)  # a spike source unit of its own for every neuron of a core
            on_core[int(core)] = slot + 1
            # SANA-FE numbers tiles column by column of its mesh.
            column, row = plan["tiles"][tile]
            place = column * plan["rows"] + row
            group[index].set_attributes(
                soma_hw_name=f"replay[{slot}]", model_attributes={"spikes": raster[:, index].tolist()}
            )
            group[index].map_to_core(architecture.tiles[place].cores[position])
    for number, edge in enumerate(plan["edges"]):
        pairs = data[f"edges/{number}"]
        weights = {"weight": [0.0] * len(pairs)}  # a replaying neuron must not receive a current
        groups[edge["source"]].connect_neurons_sparse(groups[edge["target"]], weights, [tuple(p) for p in pairs])
    chip = sanafe.SpikingChip(architecture)
    chip.load(network)
    result = chip.sim(plan["steps"], perf_trace=True)
    (folder / "results.json").write_text(json.dumps(result, default=str))


if __name__ == "__main__":
    main()
