"""What the commands that only read integers take, relative to an empty Python with numpy and h5py.

    python -m benchmarks.start [FILE.nir] [--rounds N]

CPU seconds of the command and of the process that reads its file, and seconds by the clock: the smallest of all rounds,
in which the commands take turns.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.untrained import untrained_graph
from spikec.ir import build, save

_EMPTY = "numpy and h5py"


def commands(file: str) -> dict[str, list[str]]:
    """The words of each command, by what the table calls it."""
    spikec = {
        "--help": ["--help"],
        "doctor --quick": ["doctor", "--quick"],
        "inspect": ["inspect", file],
        "diff": ["diff", file, file],
        "check": ["check", file],
        "map": ["map", file],
        "nir doctor": ["nir", "doctor", file],
        "nir compare": ["nir", "compare", file, file],
    }
    words = {name: [sys.executable, "-m", "spikec", *rest] for name, rest in spikec.items()}
    return {_EMPTY: [sys.executable, "-c", "import numpy, h5py"], **words}


def taken(words: list[str]) -> tuple[float, float]:
    """CPU seconds and seconds by the clock of one run."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, check=True)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock


def main() -> None:
    parser = argparse.ArgumentParser(description="the start of commands against an empty Python")
    parser.add_argument("file", nargs="?", help="a NIR file of spikec (default: an untrained lenet5)")
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = args.file
        if file is None:
            file = str(save(build(untrained_graph("lenet5")), Path(folder) / "lenet5.nir"))
        every = commands(file)
        runs = [{name: taken(words) for name, words in every.items()} for _ in range(args.rounds + 1)][1:]  # warm
    least = {name: [min(run[name][kind] for run in runs) for kind in (0, 1)] for name in every}
    print("| command | CPU time | by the clock |\n|---|---|---|")
    for name, values in least.items():
        ratios = (value / empty for value, empty in zip(values, least[_EMPTY], strict=True))
        print(f"| {name} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main()
