"""Builds, runs and exports small networks of one framework, in the environment where the framework is installed.

    python -m benchmarks.foreign_worker FRAMEWORK FOLDER

Reads ``plan.json`` (names of networks, and the factor on their weights), ``weights.npz`` and ``input.npz`` [N, steps,
features]; writes, into a folder named after the framework, ``NAME.npz`` with the spikes of each layer in order
[N, steps, neurons], ``NAME.nir`` by the framework's own exporter and ``results.json``: how far each network came. It
judges nothing: the comparison is made where it was called.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nir
import numpy as np
import torch

from benchmarks.foreign_networks import WORKERS


def main(framework: str, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    worker, out = WORKERS[framework](), folder / framework
    with np.load(folder / "weights.npz") as given:
        weights = dict(given)
    sequences = torch.from_numpy(np.load(folder / "input.npz")["x"])
    results = {}
    for name, scale in json.loads((folder / "plan.json").read_text())[framework].items():
        stage = "export"
        try:
            # An exporter runs the network it is given; what is run here starts anew.
            graph = worker.export(name, worker.build(name, weights, scale), sequences.shape[2])
            stage = "write"
            nir.write(out / f"{name}.nir", graph)
            stage = "run"
            with torch.no_grad():
                spikes = worker.run(worker.build(name, weights, scale), sequences)
        except Exception as error:  # an exporter may fail in any way, and how is a result
            results[name] = {"stage": stage, "said": _said(error)}
        else:
            results[name] = {"stage": "done", "said": ""}
            np.savez(out / f"{name}.npz", *[train.numpy() for train in spikes])
    (out / "results.json").write_text(json.dumps(results, indent=1))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
