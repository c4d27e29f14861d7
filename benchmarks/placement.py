"""Cores of the placement against the lower bound, and what placing takes.

    python -m benchmarks.placement [NAME ...] [--write docs/loihi.md]

Architectures of the zoo with random weights: the placement depends on shapes and weight widths alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.marked import write
from benchmarks.untrained import untrained_graph
from spikec.errors import DoesNotFit
from spikec.ir import IntegerGraph
from spikec.targets.loihi import place

NAMES = ("lenet5", "vgg11", "resnet20", "mobilenetv1", "vgg16", "squeezenet")


def row(name: str, net: IntegerGraph, target: str) -> str:
    """Cores, bound and load of one network on one chip, with kernels shared and not; why, where it does not fit."""
    start = time.process_time()
    try:
        placement = place(net, target)
    except DoesNotFit as refusal:
        return f"| `{name}` | {target} | {refusal} | | | | | | |"
    seconds = time.process_time() - start
    cores, bound = len(placement.cores), placement.lower_bound
    fullest = max(core.load for core in placement.cores)
    speed = "yes" if seconds < 10 else "no"
    try:
        apart = str(len(place(net, target, shared=False).cores))
    except DoesNotFit:
        apart = "does not fit"
    cells = (f"`{name}`", target, cores, bound, f"{cores / bound:.2f}", placement.chips, f"{fullest:.0%}", speed, apart)
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="cores of the placement against the lower bound")
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--write", type=Path, help="replace the table between the marks of this file")
    args = parser.parse_args()
    lines = [
        "| network | chip | cores | lower bound | ratio | chips | fullest core | under 10 s | cores, unshared |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in args.names:
        net = untrained_graph(name)
        for target in ("loihi1", "loihi2"):
            lines.append(row(name, net, target))
            print(lines[-1], flush=True)
    if args.write is not None:
        write(args.write, "placement", "\n".join(lines))


if __name__ == "__main__":
    main()
