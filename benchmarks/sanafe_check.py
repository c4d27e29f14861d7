"""A placed network on SANA-FE's Loihi against the counts, energy and time of spikec.

    python -m benchmarks.sanafe_check [--write docs/energy.md]

Makes an environment with SANA-FE (PyPI ``sanafe``, GPL, run as a separate program) under ``.venv-interop/``. One image
of the trained digits network is replayed on the cores of its Loihi 1 placement. Exit code 3 where a count of events
differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import toolchain as tc
from benchmarks.environments import Framework, environment, run
from benchmarks.marked import write
from benchmarks.sanafe_loihi import CORES_PER_TILE, ROWS, architecture, yaml
from models import pretrained
from models.data import open_dataset
from targets.loihi import Placement, place
from toolchain.energy import Estimate
from toolchain.energy.counts import count
from toolchain.energy.render import si
from toolchain.ir import Affine, Convolution, Flatten, IntegerGraph, Population, Readout, SumPool, as_integer
from toolchain.ir.integer import Int64
from toolchain.simulation import Trace

PACKAGE = "sanafe==2.2.9"


def source_cells(net: IntegerGraph, name: str) -> list[tuple[str, Int64]]:
    """(origin, cell of the node's output that each of its neurons is, or -1) over pools and flattenings."""
    node = net.nodes[name]
    if isinstance(node, Population):
        return [(name, np.arange(int(np.prod(node.shape))))]
    if isinstance(node, Flatten):
        return [entry for source in node.sources for entry in source_cells(net, source)]
    if not isinstance(node, SumPool):
        return []
    channels, height, width = node.input_shape
    _, rows, columns = node.output_shape
    c, y, x = np.unravel_index(np.arange(channels * height * width), node.input_shape)
    y, x = y // node.stride[0], x // node.stride[1]
    cell = np.where((y < rows) & (x < columns), (c * rows + y) * columns + x, -1)
    found = []
    for source in node.sources:
        for origin, before in source_cells(net, source):
            found.append((origin, np.where(before >= 0, cell[before], -1)))
    return found


def synapse_pairs(node: Convolution | Affine) -> Int64:
    """[synapses, 2]: flat input and output of every existing synapse."""
    if isinstance(node, Affine):
        outputs, inputs = node.weight.shape
        return np.stack(np.meshgrid(np.arange(inputs), np.arange(outputs), indexing="ij"), axis=-1).reshape(-1, 2)
    _, height, width = node.input_shape
    outs, rows, columns = node.output_shape
    per_in, per_out = node.weight.shape[1], outs // node.groups
    o, y, x = np.indices(node.output_shape)
    pairs = []
    for i in range(per_in):
        for u in range(node.weight.shape[2]):
            for v in range(node.weight.shape[3]):
                row = y * node.stride[0] - node.padding[0] + u * node.dilation[0]
                column = x * node.stride[1] - node.padding[1] + v * node.dilation[1]
                ok = (row >= 0) & (row < height) & (column >= 0) & (column < width)
                pre = ((o // per_out * per_in + i) * height + row) * width + column
                post = (o * rows + y) * columns + x
                pairs.append(np.stack([pre[ok], post[ok]], axis=1))
    return np.concatenate(pairs)


def export(net: IntegerGraph, placement: Placement, trace: Trace, folder: Path) -> dict[str, int]:
    """Write the placed network with its spikes; what spikec counts: events of every kind in this execution."""
    layers = [node for node in net if isinstance(node, Population | Readout)]
    steps = net.emission_steps
    arrays: dict[str, Any] = {}
    edges: list[dict[str, str]] = []
    for layer in layers:
        size = int(np.prod(layer.shape))
        raster = (
            trace.spikes[layer.name][0].reshape(steps, size) if layer.name in trace.spikes else np.zeros((steps, size))
        )
        arrays[f"spikes/{layer.name}"] = raster != 0
        arrays[f"cores/{layer.name}"] = placement.core_of[layer.name].reshape(-1)
        for source in layer.sources:
            node = net.nodes[source]
            assert isinstance(node, Convolution | Affine), "identities and pools into neurons are not exported"
            cells = [entry for before in node.sources for entry in source_cells(net, before)]
            pairs = synapse_pairs(node) if cells else None
            for origin, cell in cells:
                assert pairs is not None
                order = np.argsort(cell, kind="stable")
                low, high = (
                    np.searchsorted(cell[order], pairs[:, 0]),
                    np.searchsorted(cell[order], pairs[:, 0], "right"),
                )
                neurons = np.concatenate([order[a:b] for a, b in zip(low, high, strict=True)])
                arrays[f"edges/{len(edges)}"] = np.stack([neurons, np.repeat(pairs[:, 1], high - low)], axis=1)
                kind = "conv" if isinstance(node, Convolution) else "dense"
                edges.append({"source": origin, "target": layer.name, "synapse": kind})
    tiles = sorted(
        {(int(p[1]), int(p[2])) for p in placement.places}, key=lambda t: (t[1], t[0] if t[1] % 2 == 0 else -t[0])
    )
    plan = {"layers": [layer.name for layer in layers], "edges": edges, "steps": steps,
            "tiles": tiles, "cores_per_tile": CORES_PER_TILE, "rows": ROWS}  # fmt: skip
    np.savez(folder / "network.npz", **arrays)
    (folder / "network.json").write_text(json.dumps(plan))
    (folder / "loihi.yaml").write_text(yaml(architecture()) + "\n")
    return counted(net, placement, trace)


def counted(net: IntegerGraph, placement: Placement, trace: Trace) -> dict[str, int]:
    """What spikec counts in this execution on this placement."""
    counts = count(net, trace)
    found = {"spikes": counts.spikes}
    found["synaptic events"] = sum(s.synops - s.input_synops for s in counts.synapses.values())
    found["messages"] = found["hops"] = 0
    for layer in net.populations:
        events, hops = counts.events[layer.name], placement.hops(layer.name)
        found["messages"] += int((events * placement.messages(layer.name)).sum())
        found["hops"] += int((events * (hops.east_west + hops.north_south)).sum())
    return found


def comparison(ours: dict[str, int], estimate: Estimate, theirs: dict[str, Any]) -> tuple[str, bool]:
    """Markdown, and whether all events are equal."""
    performance, energy = theirs["perf_trace"], theirs["energy"]
    events = {
        "spikes": sum(performance["fired"]), "synaptic events": theirs["spikes"],
        "messages": theirs["packets_sent"], "hops": sum(performance["hops"]),
    }  # fmt: skip
    lines = ["| | SANA-FE | spikec | |", "|---|---|---|---|"]
    for name, number in ours.items():
        same = "equal" if events[name] == number else "**differs**"
        lines.append(f"| {name} | {events[name]:,} | {number:,} | {same} |")
    items = {item.name: item for item in estimate.items}
    both = (
        ("synapses, J", energy["synapse"], [items["synapses"]]),
        ("neurons and spikes, J", energy["soma"], [items["neurons"], items["spikes"]]),
        ("messages and hops, J", energy["network"], [items["messages"], items["hops"]]),
    )
    for name, joules, parts in both:
        low, middle, high = (sum(getattr(part, p) for part in parts) for p in ("p5", "p50", "p95"))
        lines.append(_interval(name, "J", joules, low, middle, high))
    time = estimate.inference_seconds
    assert time is not None
    lines.append(_interval("time of all steps, s", "s", theirs["sim_time"], time.p5, time.p50, time.p95))
    return "\n".join(lines), events == ours


def _interval(name: str, unit: str, value: float, low: float, middle: float, high: float) -> str:
    place = "inside" if low <= value <= high else f"{value / middle - 1:+.0%}"
    shown = f"{si(middle, unit)} ({si(low, unit)} to {si(high, unit)})"
    return f"| {name.split(',')[0]} | {si(value, unit)} | {shown} | {place} |"


def main() -> int:
    parser = argparse.ArgumentParser(description="a placed network on SANA-FE's Loihi")
    parser.add_argument("--write", type=Path, help="replace the table between the marks of this file")
    parser.add_argument("--keep", type=Path, help="keep the exported network and the results here")
    args = parser.parse_args()
    python = environment(Framework("sanafe", (PACKAGE, "numpy")))
    train, test = open_dataset("digits", split="train"), open_dataset("digits", split="test")
    calibration = train.images(slice(500))
    network = tc.convert(
        pretrained("digits-cnn"), tc.QCFS(timesteps=4), example=calibration[:1], calibration=calibration
    )
    net = as_integer(tc.lower(network, tc.Int8()))
    trace = tc.simulate(net, test.images(slice(1)).numpy(), record="spikes", threads=1)
    placement = place(net, "loihi1")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        ours = export(net, placement, trace, folder)
        run(python, "-m", "benchmarks.sanafe_worker", folder)
        theirs = json.loads((folder / "results.json").read_text())
    estimate = tc.estimate(net, trace, profile="loihi1", placement=placement)
    table, equal = comparison(ours, estimate, theirs)
    print(f"{len(placement.cores)} cores\n{table}")
    if args.write is not None:
        write(args.write, "sanafe", table)
    return 0 if equal else 3


if __name__ == "__main__":
    sys.exit(main())
