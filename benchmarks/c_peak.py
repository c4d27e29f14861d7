"""How much of the processor the C target uses: its share of the peak of 8-bit multiply-accumulates on one thread.

    python -m benchmarks.c_peak [--networks digits-cnn,fashion-vgg] [--timesteps 4,8] [--rounds 20]
                                [--data-root DIR] [--data cifar10=folder:PATH]

The peak is that of ``c_peak.c``, the widest 8-bit dot products of this processor on registers alone, built with the
flags of the C target and run in turns with the networks; of all rounds the fastest counts, in CPU seconds. "dense" are
the multiply-accumulates of a dense pass of all layers in each of the T steps, those on the padding left out. The code
does fewer: it applies the weights to the image once for all steps, and may look for spikes. "synops" are the synaptic
operations that happened, what an ideal event-driven machine would add. The time is that of the generated ``NAME_run``,
image after image, without Python.
"""

from __future__ import annotations

import argparse
import ctypes
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.golden import machine
from benchmarks.golden_cases import NETWORKS, Case, Sources, images
from spikec.energy.counts import count
from spikec.ir import as_integer, load
from spikec.simulation import GoldenModel, encode
from spikec.targets.c import CTarget, building
from spikec.targets.c.building import load as built
from spikec.targets.c.compilers import find_compiler

IMAGES, COPIES = 8, 4
#: Turns of the loop in one call: some milliseconds.
TURNS = 1_000_000
_SOURCE = Path(__file__).with_name("c_peak.c")


@dataclass
class Timed:
    """``run`` does ``work``, such as multiply-accumulates by name; ``seconds``: of its fastest run so far."""

    name: str
    run: Callable[[], object]
    work: dict[str, float]
    seconds: float = float("inf")

    def again(self) -> None:
        """One more run."""
        before = time.process_time()
        self.run()
        self.seconds = min(self.seconds, time.process_time() - before)

    def rate(self, what: str) -> float:
        """Operations in a second."""
        return self.work[what] / self.seconds


def peak() -> Timed:
    """The loop of dot products; its name is that of the instructions."""
    flags = tuple("-O3" if flag == "-O2" else flag for flag in building.FLAGS)  # its loops are to be unrolled
    with patch.object(building, "FLAGS", flags):
        code = built({_SOURCE.name: _SOURCE.read_text(encoding="utf-8")}, _SOURCE.name, find_compiler())
    code.peak_name.restype = ctypes.c_char_p
    code.peak_run.argtypes, code.peak_run.restype = (ctypes.c_int64, ctypes.c_int8), ctypes.c_int64
    return Timed(code.peak_name().decode(), lambda: code.peak_run(TURNS, 1), {"dense": code.peak_run(1, 1) * TURNS})


def network(case: Case, folder: Path, sources: Sources) -> Timed:
    """The generated code on :data:`IMAGES` images, each :data:`COPIES` times."""
    case.write(folder, sources)
    graph = as_integer(load(folder / f"{case.name}.nir"))
    pixels = images(case.network, IMAGES, sources=sources).numpy()
    done = count(graph, GoldenModel(graph).run(pixels, counts="totals"))
    library = CTarget().compile(graph, threads=1).library()
    integers = np.repeat(encode(graph.input, pixels), COPIES, axis=0).astype(library.source.input_dtype)
    rows = library.rows(len(integers), graph.timing.counted_steps, totals=False, events=False, rasters=False)
    work = {
        "dense": float(len(integers) * done.dense_macs * graph.emission_steps),
        "synops": float(COPIES * done.synops),
        "images": float(len(integers)),
    }
    return Timed(f"{case.network}, T = {case.timesteps}", lambda: library.start(integers, rows, None, None, 1), work)


def table(limit: Timed, timed: list[Timed]) -> str:
    """One line a network, as Markdown."""
    lines = ["| network | us an image | dense MACs, 10^9/s | of the peak | SynOps, 10^9/s | of the peak |"]
    lines.append("|---|---|---|---|---|---|")
    for each in timed:
        cells = [each.name, f"{1e6 / each.rate('images'):.0f}"]
        for what in ("dense", "synops"):
            cells += [f"{each.rate(what) / 1e9:.1f}", f"{each.rate(what) / limit.rate('dense'):.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="digits-cnn,fashion-vgg,resnet20", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--timesteps", default="4,8")
    parser.add_argument("--rounds", type=int, default=20)
    Sources.options(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        cases = [Case(name, int(t)) for name in args.networks.split(",") for t in args.timesteps.split(",")]
        timed = [network(case, Path(folder), Sources.given(args)) for case in cases]
        limit = peak()
        for _ in range(args.rounds):
            for each in (limit, *timed):
                each.again()
    print(f"{machine()}; peak: {limit.name}, {limit.rate('dense') / 1e9:.0f} * 10^9 multiply-accumulates/s")
    print(table(limit, timed))


if __name__ == "__main__":
    main()
