"""CPU time and peak memory of every stage on networks of ImageNet's size, 224 x 224, with random weights.

    python -m benchmarks.imagenet_size [--networks resnet18 resnet50 vgg16] [--methods QCFS ErrorFree] [--steps ...]

A table for each network and method. Every step is a process of its own with one thread: ``convert`` and ``lower``,
``save``, ``load``, ``ann`` (one float32 forward of ``--images`` images, batch norm folded), ``golden`` (the same
images), ``check``, ``place`` and ``estimate``. CPU seconds are those of the process and of the ones it starts. Memory
is the highest above what the process held when the step began, its input among it, plus the highest of a process that
it started, where that is larger than any before; "of the weights" is that by the size of the network's weights in
float32. Linux only.

What steps hand on lies in ``--folder``, so that single steps can be run again.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import spikec as tc
from benchmarks.imagenet_networks import NETWORKS
from spikec.errors import DoesNotFit
from spikec.frontend import canonicalize
from spikec.hdf5 import starting
from spikec.ir import as_integer
from spikec.simulation import GoldenModel

TIMESTEPS = 4
METHODS = {"QCFS": lambda: tc.QCFS(timesteps=TIMESTEPS), "ErrorFree": lambda: tc.ErrorFree(timesteps=TIMESTEPS)}
#: Images that thresholds are calibrated on.
CALIBRATION = 2
SHAPE = (3, 224, 224)
Row = dict[str, float]


def megabytes(field: str) -> float:
    """A line of this process's status, in MB."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{field}:"))) * 1024 / 1e6


@contextmanager
def measured(rows: dict[str, Row], name: str) -> Iterator[Row]:
    """Add a row of CPU seconds and MB of what runs inside."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # starts the peak anew
    held, started, before = megabytes("VmRSS"), _seconds(), _largest_child()
    rows[name] = row = {}
    yield row
    starting.close()  # the process that reads files has its time counted once it has ended
    row["cpu"] = _seconds() - started
    after = _largest_child()
    row["megabytes"] = megabytes("VmHWM") - held + (after if after > before else 0.0)


def _largest_child() -> float:
    """MB of the largest process that this one ever started. One that ``uname`` runs in is, until it does, a copy of
    this one: what was largest before a step is no part of it."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6


def _seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name]().eval()


def images(count: int) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(1))


class Steps:
    """One method for each step; ``folder`` holds what they hand on."""

    def __init__(self, name: str, method: str, folder: Path, count: int) -> None:
        self.name, self.method, self.count = name, method, count
        self.graph, self.file = folder / f"{name}-{method}.pickle", folder / f"{name}-{method}.nir"
        self.rows: dict[str, Row] = {}

    def lower(self) -> None:
        model, seen = network(self.name), images(CALIBRATION)
        weights = sum(p.numel() for p in model.parameters()) * 4 / 1e6
        with measured(self.rows, "convert") as row:
            converted = tc.convert(model, METHODS[self.method](), example=seen, calibration=seen)
        row["weights"] = weights
        with measured(self.rows, "lower") as row:
            graph = tc.lower(converted, tc.Int8())
        row["weights"] = weights
        with self.graph.open("wb") as file:
            pickle.dump((weights, graph), file, protocol=5)

    def _lowered(self) -> tuple[float, Any]:
        with self.graph.open("rb") as file:
            found: tuple[float, Any] = pickle.load(file)
        return found

    def save(self) -> None:
        weights, graph = self._lowered()
        with measured(self.rows, "save") as row:
            tc.save(graph, self.file)
        row |= {"weights": weights, "file": self.file.stat().st_size / 1e6}

    def load(self) -> None:
        weights = self._lowered()[0]
        with measured(self.rows, "load") as row:
            self.loaded = tc.load(self.file)
        row["weights"] = weights

    def ann(self) -> None:
        model, seen = canonicalize(network(self.name), torch.zeros(1, *SHAPE)), images(self.count)
        with torch.inference_mode():
            model(seen[:1])
            with measured(self.rows, "ann"):
                model(seen)

    def _on_graph(self, step: str, run: Callable[[Any], Any]) -> None:
        weights, graph = self._lowered()
        graph = as_integer(graph)
        with measured(self.rows, step) as row:
            run(graph)
        row["weights"] = weights

    def golden(self) -> None:
        weights, graph = self._lowered()
        graph, seen = as_integer(graph), images(self.count)
        with measured(self.rows, "golden prepared") as row:
            model = GoldenModel(graph)
            model.run(seen[:1])
        row["weights"] = weights
        with measured(self.rows, "golden") as row:
            model.run(seen)
        row["weights"] = weights

    def check(self) -> None:
        self._on_graph("check", lambda graph: tc.check(graph, target="loihi2"))

    def place(self) -> None:
        def run(graph: Any) -> None:
            try:
                tc.place(graph, target="loihi2")
            except DoesNotFit as refusal:
                print(refusal, file=sys.stderr)

        self._on_graph("place", run)

    def estimate(self) -> None:
        weights, graph = self._lowered()
        graph = as_integer(graph)
        trace = tc.simulate(graph, images(1), counts="totals")
        with measured(self.rows, "estimate") as row:
            tc.estimate(graph, trace, profile="loihi2")
        row["weights"] = weights


STEPS = ("lower", "save", "load", "ann", "golden", "check", "place", "estimate")


def table(name: str, method: str, rows: dict[str, Row]) -> str:
    """The rows of one network in Markdown."""
    lines = [
        f"{name}, {method}, T = {TIMESTEPS}",
        "",
        "| step | CPU s | MB | of the weights | |",
        "|---|---|---|---|---|",
    ]
    for step, row in rows.items():
        share = f"{row['megabytes'] / row['weights']:.2f}" if "weights" in row else ""
        note = f"file {row['file']:.0f} MB" if "file" in row else ""
        if step == "golden" and "ann" in rows:
            note = f"{rows['ann']['cpu'] / row['cpu']:.2f} of the float forward"
        lines.append(f"| {step} | {row['cpu']:.2f} | {row['megabytes']:.0f} | {share} | {note} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="where graphs and files are kept (default: a temporary folder)")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        torch.set_num_threads(1)
        steps = Steps(args.networks[0], args.methods[0], args.folder, args.images)
        getattr(steps, args.steps[0])()
        print(json.dumps(steps.rows))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in args.networks:
            for method in args.methods:
                rows: dict[str, Row] = {}
                for step in args.steps:
                    words = ("--networks", name, "--methods", method, "--steps", step, "--images", args.images)
                    command = [sys.executable, "-m", __spec__.name, "--worker", *words, "--folder", folder]
                    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True)
                    found = json.loads(done.stdout.splitlines()[-1])
                    rows |= found
                    print(name, method, json.dumps(found), file=sys.stderr, flush=True)
                print(f"\n{table(name, method, rows)}\n", flush=True)


if __name__ == "__main__":
    main()
