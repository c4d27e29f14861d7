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

import spikec as tc
from benchmarks.environments import Framework, environment, run
from benchmarks.marked import write
from spikec.deployment import deploy_network
from spikec.energy import Estimate
from spikec.energy.render import si
from spikec.models import pretrained
from spikec.models.data import open_dataset
from spikec.targets.loihi import place
from spikec.targets.sanafe import counted, export

PACKAGE = "sanafe==2.2.9"


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
    net = deploy_network(pretrained("digits-cnn"), tc.QCFS(timesteps=4), calibration).graph
    trace = tc.simulate(net, test.images(slice(1)).numpy(), record="spikes", threads=1)
    placement = place(net, "loihi1")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        export(net, placement, trace, folder)
        run(python, "-m", "benchmarks.sanafe_worker", folder)
        theirs = json.loads((folder / "results.json").read_text())
    ours = counted(net, placement, trace)
    estimate = tc.estimate(net, trace, profile="loihi1", placement=placement)
    table, equal = comparison(ours, estimate, theirs)
    print(f"{len(placement.cores)} cores\n{table}")
    if args.write is not None:
        write(args.write, "sanafe", table)
    return 0 if equal else 3


if __name__ == "__main__":
    sys.exit(main())
