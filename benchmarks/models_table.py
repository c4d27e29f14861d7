"""The table of all zoo networks: accuracy, activity, energy, latency and cores on Loihi 1 and 2.

    python -m benchmarks.models_table [--only NAME ...] [--write docs/models.md]

Networks with shipped weights (``models/weights/index.json``) are converted and run on the test images of their data
set; of the others only what shapes and weight widths determine is shown, from random weights: the ANN's MACs, cores and
their lower bound (spikes of random weights would say nothing). A data set that is not
installed leaves its networks without measured columns; ``--data-root`` says where it is, ``--data NAME=SET`` takes
another one.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import spikec as tc
from benchmarks.marked import write
from benchmarks.untrained import untrained_graph
from spikec.deployment import deploy_network
from spikec.energy.render import amount, interval, si
from spikec.errors import DataError, DoesNotFit
from spikec.evidence.intervals import wilson
from spikec.ir import IntegerGraph
from spikec.models.data import open_dataset
from spikec.models.weights import index, pretrained
from spikec.models.zoo import REGISTRY
from spikec.targets.loihi import place

CHIPS = ("loihi1", "loihi2")
CALIBRATION = 512
#: Left out unless named by --only: the shapes of another row.
LEFT_OUT = ("resnet20-normalized",)


@dataclass(frozen=True)
class Measured:
    """A deployment of trained weights, run on test images; ``accuracy`` in words."""

    graph: IntegerGraph
    accuracy: str
    trace: tc.Trace


def measured(name: str, data: str, root: Path | None, limit: int, timesteps: int) -> Measured:
    """Convert by QCFS, int8 weights per layer, and run ``limit`` test images."""
    train, test = (open_dataset(data, split=split, root=root) for split in ("train", "test"))
    calibration = train.images(slice(CALIBRATION))
    graph = deploy_network(pretrained(name), tc.QCFS(timesteps=timesteps), calibration).graph
    chosen = slice(min(limit, len(test)))
    trace = tc.simulate(graph, test.images(chosen))
    right = int((trace.output.argmax(axis=1) == test.labels[chosen]).sum())
    low, high = wilson(right, trace.images)
    accuracy = f"{right / trace.images:.2%} ({low:.1%} to {high:.1%}), {trace.images:,} images"
    return Measured(graph, accuracy.replace("%", " %"), trace)


def macs(graph: IntegerGraph) -> int:
    """Multiply-accumulates of one pass of the ANN, those on the padding left out."""
    return sum(int(node.fan_out(node.structure()).sum()) for node in graph.synapses)


def rows(name: str, found: Measured | None, graph: IntegerGraph) -> list[str]:
    """A row per chip; without ``found`` only what shapes decide."""
    lines, dense = [], f"{macs(graph):,}"
    for chip in CHIPS:
        try:
            placement = place(graph, chip)
        except DoesNotFit as refusal:
            reason = str(refusal).split(": ", 1)[-1].split(";")[0]
            lines.append(f"| `{name}` | {chip} | | | {dense} | | | | does not fit: {reason} |")
            continue
        cells = ["", "", dense, "", "", ""]
        if found is not None:
            estimate = tc.estimate(graph, found.trace, profile=chip, placement=placement)
            least = "at least " if estimate.lower_bound else ""
            assert estimate.latency_seconds is not None
            synops = estimate.synops / found.trace.images
            cells = [found.accuracy, f"{graph.timesteps}, QCFS", dense, amount(synops),
                     least + interval(estimate.total, "J"), si(estimate.latency_seconds.p50, "s")]  # fmt: skip
        cores = f"{len(placement.cores)} on {placement.chips} chip{'s' if placement.chips > 1 else ''}; "
        lines.append(f"| `{name}` | {chip} | {' | '.join(cells)} | {cores}lower bound {placement.lower_bound} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="all zoo networks on Loihi 1 and 2")
    parser.add_argument("--only", nargs="*", help="these networks")
    parser.add_argument("--limit", type=int, default=1000, help="test images (default 1000)")
    parser.add_argument(
        "--data", nargs="*", default=[], metavar="NAME=SET", help="data sets in place of those trained on"
    )
    parser.add_argument("--data-root", type=Path, help="where data sets are")
    parser.add_argument("--write", type=Path, help="replace the table between the marks of this file")
    args = parser.parse_args()
    shipped, other = index(), dict(pair.split("=", 1) for pair in args.data)
    names = args.only or [*shipped, *(name for name in REGISTRY if name not in shipped and name not in LEFT_OUT)]
    lines = [
        "| network | chip | accuracy (95 %) | T, method | MACs (ANN) | SynOps | energy (90 %) | latency | cores |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        found = None
        if name in shipped:
            entry = shipped[name]
            try:
                data = other.get(name, entry["data"])
                found = measured(name, data, args.data_root, args.limit, int(entry.get("levels", 4)))
            except DataError as error:
                print(f"{name}: {error}")
        for line in rows(name, found, untrained_graph(name) if found is None else found.graph):
            print(line, flush=True)
            lines.append(line)
    if args.write is not None:
        write(args.write, "networks", "\n".join(lines))


if __name__ == "__main__":
    main()
