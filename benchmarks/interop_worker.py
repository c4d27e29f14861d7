"""Runs the networks of one folder in one framework, in the environment where the framework is installed.

    python -m benchmarks.interop_worker FRAMEWORK FOLDER

Reads ``plan.json`` (cases, and the modes each runs in); writes, into a folder named after the framework,
``results.json`` (a status per case and mode) and an npz with spikes and readout for every run that ended. It judges
nothing: the comparison is made where it was called.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import torch

from spikec.errors import DoesNotFit
from spikec.ir import as_integer, load
from spikec.ir.profile.portable import portable
from spikec.ir.profile.rules_graph import topological_order
from spikec.simulation.encode import encode
from spikec.targets.interop.plain import PlainNetwork, from_nir, plain
from spikec.targets.interop.run import adapter, run, simulate

#: Spikes per layer [N, T, *shape] and the readout after every step under "curve" [N, T, classes].
Result = dict[str, npt.NDArray[Any]]


def main(framework: str, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)  # nirtorch leaves a bias random
    results, out = {}, folder / framework
    for case in json.loads((folder / "plan.json").read_text()):
        for mode in case["modes"]:
            key = f"{case['name']}.{mode}"
            try:
                result = execute(framework, folder, case["name"], mode, plain_graph=case["plain"])
            except DoesNotFit as error:
                results[key] = f"refused: {error}"
            except Exception as error:  # an importer may fail in any way, and how is a result
                results[key] = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
            else:
                results[key] = "ran"
                np.savez(out / f"{key}.npz", **result)
    (out / "results.json").write_text(json.dumps(results, indent=1))


def execute(framework: str, folder: Path, name: str, mode: str, *, plain_graph: bool) -> Result:
    """``adapter``: as a user runs a file. ``importer``: the importer alone, from zero. ``portable``: the portable form,
    from zero. ``file``, ``portable-file``: the importer alone on the file as it lies there, imported but not run.
    """
    given = np.load(folder / f"{name}.npz")
    path = folder / f"{name}.nir"
    if mode.endswith("file"):
        graph = nir.read(path) if mode == "file" else portable(load(path))
        network = adapter(framework).importer(graph)
        for node in (node.replace(".", "_") for node in graph.nodes if node not in ("input", "output")):
            network.get_submodule(node)  # an AttributeError for a node that was dropped without a word
        return {}
    timesteps = int(given["timesteps"])
    if plain_graph:
        v_init = {key.split("/")[1]: given[key] for key in given.files if key.startswith("v_init/")}
        order = [str(node) for node in given["order"]]
        network = from_nir(nir.read(path, type_check=False), order=order, v_init=v_init, readout=given["readout"])
        return _run(framework, network, given["images"].astype(np.int64), timesteps, mode)
    graph = as_integer(load(path))
    if mode == "adapter":
        trace = simulate(framework, graph, given["images"])
        assert trace.output_curve is not None
        return {**trace.spikes, "curve": trace.output_curve}
    network = plain(graph) if mode == "importer" else _portable(portable(graph))
    return _run(framework, network, encode(graph.input, given["images"]), timesteps, mode)


def _portable(graph: nir.NIRGraph) -> PlainNetwork:
    """The portable form as a reader takes it: nothing set, its clock a layer like the others."""
    zeros = {name: np.zeros(node.r.shape, np.int64) for name, node in graph.nodes.items() if isinstance(node, nir.IF)}
    readout = np.zeros(graph.nodes["output"].output_type["output"], np.int64)
    return from_nir(graph, order=topological_order(graph) or [], v_init=zeros, readout=readout).from_zero()


def _run(framework: str, network: PlainNetwork, integers: npt.NDArray[np.int64], timesteps: int, mode: str) -> Result:
    recording = run(adapter(framework), network, integers, timesteps, adjusted=mode != "importer")
    return {**recording.spikes, "curve": network.readout + np.cumsum(recording.outputs, axis=1)}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
