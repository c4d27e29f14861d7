"""What `spikec energy --as TOOL` says against the tools themselves, on the same networks and spikes.

    python -m benchmarks.peer_counts [--only sinabs,syops] [--write docs/energy.md]

Makes an environment with each package under ``.venv-interop/`` (Python 3.11, once) and feeds its layers what they
received. Exit code 3 where a number differs: by more than the last bits of the arithmetic the tool computes in.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.environments import COUNTERS, Framework, environment, run
from benchmarks.marked import write
from benchmarks.peer_cases import Execution, convolutions, describe, networks
from spikec.energy import convention

Numbers = dict[str, float]
#: Numbers compared, by tool.
SHOWN = {
    "neurobench": ("Effective_ACs", "Effective_MACs", "Dense"),
    "sinabs": ("synops",),
    "syops": ("ACs", "MACs"),
    "keras-spiking": ("joules",),
}
#: Relative, from the precision in which a tool adds: neurobench float32 below 2**24, exact; TensorFlow float32.
TOLERANCE = {"neurobench": 0.0, "sinabs": 1e-12, "syops": 1e-12, "keras-spiking": 1e-5}


def theirs(framework: Framework, cases: list[Execution]) -> list[Numbers]:
    """The numbers of a tool, case by case."""
    python = environment(framework)
    with tempfile.TemporaryDirectory() as temporary:
        folder, plan = Path(temporary), []
        for index, case in enumerate(cases):
            described, arrays = describe(case)
            np.savez(folder / f"{index}.npz", **arrays)
            plan.append(described)
        (folder / "plan.json").write_text(json.dumps(plan))
        run(python, "-m", f"benchmarks.{framework.name.replace('-', '_')}_worker", folder)
        found: list[Numbers] = json.loads((folder / "results.json").read_text())
        return found


def ours(case: Execution, tool: str) -> Numbers:
    """What spikec says the tool would print."""
    return convention(case.net, case.trace, tool, case.images).values


def equal(tool: str, their: Numbers, our: Numbers) -> dict[str, bool]:
    """By number, whether both are the same up to the tool's own rounding."""
    return {key: math.isclose(their[key], our[key], rel_tol=TOLERANCE[tool]) for key in SHOWN[tool]}


def row(name: str, case: Execution, found: dict[str, Numbers]) -> str:
    """The exact SynOps, then every number of every tool; what spikec says instead where it differs."""
    cells = [name, f"{convention(case.net, case.trace, 'sinabs').ours['SynOps']:,.2f}"]
    for tool, their in found.items():
        our = ours(case, tool)
        same = equal(tool, their, our)
        cells += [_number(their[key]) + ("" if same[key] else f" **{_number(our[key])}**") for key in SHOWN[tool]]
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.4g}"


def main() -> int:
    parser = argparse.ArgumentParser(description="counts against the tools that make them")
    parser.add_argument("--only", default=",".join(SHOWN), help="tools, with commas between")
    parser.add_argument("--write", type=Path, help="replace the table between the marks of this file")
    args = parser.parse_args()
    chosen = [framework for framework in COUNTERS if framework.name in args.only.split(",")]
    cases = {**convolutions(), **networks()}
    found = {framework.name: theirs(framework, list(cases.values())) for framework in chosen}
    heads = [f"{tool}: {key.replace('_', ' ')}" for tool in found for key in SHOWN[tool]]
    table = [f"| per image | SynOps here | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    right = True
    for index, (name, case) in enumerate(cases.items()):
        their = {tool: results[index] for tool, results in found.items()}
        right &= all(all(equal(tool, numbers, ours(case, tool)).values()) for tool, numbers in their.items())
        table.append(row(name, case, their))
    table += ["", "Every number is what spikec says too." if right else "In bold what spikec says instead."]
    print("\n".join(table))
    if args.write is not None:
        write(args.write, "peers", "\n".join(table))
    return 0 if right else 3


if __name__ == "__main__":
    sys.exit(main())
