"""Effective ACs and MACs against the neurobench package, network by network.

    python -m benchmarks.neurobench_counts [--write docs/energy.md]

Makes an environment with the package under ``.venv-interop/`` (Python 3.11, once) and feeds its layers what they
received in an execution of the golden model. Exit code 3 where a number differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import toolchain as tc
from benchmarks.environments import Framework, environment, run
from benchmarks.interop_cases import DIGITS, IMAGES, Images, conformance
from benchmarks.marked import write
from models import pretrained
from models.data import open_dataset
from toolchain.energy import convention
from toolchain.energy.arrivals import arriving
from toolchain.ir import Convolution, IntegerGraph, as_integer
from toolchain.ir.integer import Int64
from toolchain.simulation import Trace
from toolchain.simulation.encode import encode

PACKAGE = "neurobench==2.3.0"
SHOWN = ("Effective_ACs", "Effective_MACs", "Dense")


@dataclass(frozen=True)
class Execution:
    net: IntegerGraph
    pixels: Int64  # [N, *input shape]
    trace: Trace  # with rasters


def executions() -> dict[str, Execution]:
    """Residual and strided layers, pools, and a trained network with binary and with graded spikes."""
    found = {}
    for name, options in (("residual, no pool", {"pool": "dense", "skip": True}), ("sum pool", {"pool": "sum"})):
        net = conformance(0, **options)  # type: ignore[arg-type]
        images = np.random.default_rng(0).integers(0, 4, (IMAGES, *net.input.shape)).astype(np.float32)
        found[f"conformance network, {name}"] = executed(net, images)
    train, test = open_dataset("digits", split="train"), open_dataset("digits", split="test")
    calibration, images = train.images(slice(500)), test.images(slice(DIGITS)).numpy()
    for method in (tc.QCFS(timesteps=4), tc.Graded(levels=15)):
        network = tc.convert(pretrained("digits-cnn"), method, example=calibration[:1], calibration=calibration)
        found[f"digits-cnn, {type(method).__name__}"] = executed(as_integer(tc.lower(network, tc.Int8())), images)
    return found


def executed(net: IntegerGraph, images: Images) -> Execution:
    return Execution(net, encode(net.input, images), tc.simulate(net, images, record="spikes", threads=1))


def describe(case: Execution) -> tuple[list[dict[str, Any]], dict[str, Int64]]:
    """Layers as the package knows them, and what entered them: [N, T, *input shape]."""
    net, layers, arrays = case.net, [], {}
    for node in net.synapses:
        layer: dict[str, Any] = {"name": node.name, "kind": "affine"}
        if isinstance(node, Convolution):
            layer = {"name": node.name, "kind": "convolution", "groups": node.groups}
            layer |= {key: list(getattr(node, key)) for key in ("stride", "padding", "dilation")}
        layers.append(layer)
        steps = []
        for step in range(net.emission_steps):
            emitted: dict[str, Int64] = {p: raster[:, step] for p, raster in case.trace.spikes.items()}
            steps.append(arriving(net, {**emitted, net.input.name: case.pixels}, node.name))
        arrays[f"{node.name}/weight"] = node.weight
        arrays[f"{node.name}/entering"] = np.stack(steps, axis=1)
    return layers, arrays


def main() -> int:
    parser = argparse.ArgumentParser(description="effective ACs and MACs against the neurobench package")
    parser.add_argument("--write", type=Path, help="replace the table between the marks of this file")
    args = parser.parse_args()
    python = environment(Framework("neurobench", (PACKAGE,)))
    cases = executions()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plan = []
        for index, case in enumerate(cases.values()):
            layers, arrays = describe(case)
            np.savez(folder / f"{index}.npz", **arrays)
            plan.append({"name": str(index), "layers": layers, "images": case.trace.images})
        (folder / "plan.json").write_text(json.dumps(plan))
        run(python, "-m", "benchmarks.neurobench_worker", folder)
        theirs = list(json.loads((folder / "results.json").read_text()).values())
    lines = ["| network | images | steps | number | neurobench | spikec | |", "|---|---|---|---|---|---|---|"]
    equal = True
    for (name, case), found in zip(cases.items(), theirs, strict=True):
        ours = convention(case.net, case.trace, "neurobench").values
        for key in SHOWN:
            same = found[key] == ours[key]
            equal &= same
            cells = (name, case.trace.images, case.net.emission_steps, key.replace("_", " "), f"{found[key]:,.2f}",
                     f"{ours[key]:,.2f}", "equal" if same else "**differs**")  # fmt: skip
            lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    table = "\n".join(lines)
    print(table)
    if args.write is not None:
        write(args.write, "neurobench", table)
    return 0 if equal else 3


if __name__ == "__main__":
    sys.exit(main())
