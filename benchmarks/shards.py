"""Whether shards say what one process says, whatever their number and whoever dies; and how much memory a set needs.

    python -m benchmarks.shards equal [--executors local slurm] [--shards 1 2 5] [--limit N] [--command run energy]
    python -m benchmarks.shards kills [--executors local slurm] [--number 20] [--network benchmarks.shards:small]
    python -m benchmarks.shards memory [--images 500 2000]

``equal``: Fashion-MNIST through one process and through shards: the documents of ``--json``, without speeds, and the
bytes of ``trace.npz``. ``kills``: the same while workers are killed with SIGKILL at random moments, in as many runs as
it takes. ``memory``: folders of random pictures of mixed sizes, ResNet-18 with random weights on them: the largest
resident memory of the process. Each prints a table in Markdown. What is made lies in ``--folder``. Linux only;
``slurm`` needs a SLURM whose nodes are this machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from spikec.models.zoo import REGISTRY
from spikec.processes import has_ended

#: What tells of the run itself, and how it was asked for.
_VOLATILE = ("images_per_second", "trace")
_CLASSES = 10


def spikec(*words: str) -> list[str]:
    return [sys.executable, "-m", "spikec", *words]


def document(*words: str) -> dict[str, Any]:
    """What a command prints with ``--json``, without what differs from run to run."""
    answer = subprocess.run(spikec(*words, "--json"), stdout=subprocess.PIPE, text=True, check=True)
    return {key: value for key, value in json.loads(answer.stdout).items() if key not in _VOLATILE}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def small() -> nn.Module:
    """Two convolutions and a linear layer with random weights: what differs shows as well as in a trained network."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(16 * 7 * 7, _CLASSES))


def network(args: argparse.Namespace) -> Path:
    """The deployment that is run on Fashion-MNIST."""
    path: Path = args.folder / f"{args.network.rpartition(':')[2]}.nir"
    if not path.exists():
        words = (args.network, "--method", "qcfs", "--timesteps", "4", "--data", "fashion-mnist", "-o", str(path))
        subprocess.run(spikec("export", *words, "--measure", "0", "--quiet"), check=True)
    return path


def equal(args: argparse.Namespace) -> bool:
    """A line for each command, executor and number of shards."""
    net, sound = str(network(args)), True
    print("| command | executor | shards | same document | same trace.npz | seconds |\n|---|---|---|---|---|---|")
    for command in args.command:
        words = (command, net, "--data", "fashion-mnist", "--limit", str(args.limit))
        trace = args.folder / "one.npz"
        out = ("-o", str(trace)) if command == "run" else ()
        started = time.monotonic()
        one = document(*words, *out)
        print(f"| {command} | one process | | | | {time.monotonic() - started:.0f} |", flush=True)
        for executor in args.executors:
            for number in args.shards:
                other = args.folder / f"{executor}-{number}.npz"
                out = ("-o", str(other)) if command == "run" else ()
                started = time.monotonic()
                found = document(*words, *out, "--executor", executor, "--shards", str(number))
                same = (found == one, command != "run" or digest(trace) == digest(other))
                sound &= all(same)
                told = ["yes" if each else "NO" for each in same]
                told[1] = told[1] if command == "run" else ""
                seconds = time.monotonic() - started
                print(f"| {command} | {executor} | {number} | {' | '.join(told)} | {seconds:.0f} |", flush=True)
    return sound


def workers(place: Path) -> Iterator[int]:
    """Ids of the processes that compute shards in ``place``."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        ours = b"spikec.sharding.worker" in words and any(word.startswith(os.fsencode(place)) for word in words)
        if ours and not has_ended(int(entry.name)):
            yield int(entry.name)


def pieces(place: Path) -> int:
    """How many pieces of a run are finished."""
    return len(list(place.glob("pieces/*.npz")))


def kills(args: argparse.Namespace) -> bool:
    """Runs with five shards, whose workers are killed, until enough have been."""
    net, sound, rng = str(network(args)), True, random.Random(args.seed)
    words = ("run", net, "--data", "fashion-mnist", "--limit", str(args.limit), "--shards", "5")
    one = document(*words[:-2])
    print("| executor | kills | runs | same documents |\n|---|---|---|---|")
    for executor in args.executors:
        killed, runs, same = 0, 0, True
        while killed < args.number:
            place = args.folder / f"kills-{executor}-{runs}"
            shutil.rmtree(place, ignore_errors=True)
            more = ("--executor", executor, "--shard-dir", str(place), "--json", "--quiet")
            process = subprocess.Popen(spikec(*words, *more), stdout=subprocess.PIPE, text=True)
            while process.poll() is None and killed < args.number:
                time.sleep(rng.uniform(0.5, 6.0))
                there = list(workers(place))
                if there and process.poll() is None:
                    os.kill(rng.choice(there), signal.SIGKILL)
                    killed += 1
                    print(f"{executor}: kill {killed}", file=sys.stderr, flush=True)
                    before = pieces(place)
                    while process.poll() is None and pieces(place) == before:
                        time.sleep(0.2)  # a shard that never gets further is given up, as it should be
            out, _ = process.communicate()
            runs += 1
            found = json.loads(out) if process.returncode == 0 else {}
            same &= {key: value for key, value in found.items() if key not in _VOLATILE} == one
        sound &= same
        print(f"| {executor} | {killed} | {runs} | {'yes' if same else 'NO'} |", flush=True)
    return sound


def pictures(place: Path, number: int) -> Path:
    """A folder of random pictures, 160 to 640 pixels high and wide, in ten classes; smooth, as photographs are."""
    rng = np.random.default_rng(number)
    for split, count in (("train", 4), ("test", number // _CLASSES)):
        for label in range(_CLASSES):
            folder = place / split / f"class{label}"
            if folder.is_dir() and len(list(folder.iterdir())) == count:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                height, width = (int(n) for n in rng.integers(160, 641, 2))
                coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
                image.save(folder / f"{i}.jpg", quality=85)
    return place


def resnet18() -> nn.Module:
    """ResNet-18 for ten classes of ImageNet's size, with random weights."""
    torch.manual_seed(0)
    return REGISTRY["resnet18-imagenet"].build(_CLASSES, 3, nn.ReLU)


def memory(args: argparse.Namespace) -> bool:
    """A line for each size of the set."""
    print("| images | bytes of their pixels in float32 | largest resident memory | seconds of CPU |\n|---|---|---|---|")
    net = args.folder / "resnet18.nir"
    shaping = ",resize=256,crop=224,normalise=imagenet"
    worst = 0.0
    for number in args.images:
        place = pictures(args.folder / f"pictures{number}", number)
        data = f"folder:{place}{shaping}"
        if not net.exists():
            words = ("benchmarks.shards:resnet18", "--method", "graded", "--calibration", "16", "--data", data)
            subprocess.run(spikec("export", *words, "--measure", "0", "-o", str(net), "--quiet"), check=True)
        words = spikec("run", str(net), "--data", data, "--memory", args.memory, "--json", "--quiet")
        peaks = args.folder / "peak.json"
        subprocess.run([sys.executable, "-c", _CHILD, peaks, *words], check=True, stdout=subprocess.DEVNULL)
        peak, seconds = json.loads(peaks.read_text())
        worst = max(worst, peak)
        print(
            f"| {number} | {number * 3 * 224 * 224 * 4 / 1e9:.2f} GB | {peak / 1e9:.2f} GB | {seconds:.0f} |",
            flush=True,
        )
    return worst <= 2e9


#: Runs a command, and writes the largest resident memory of it, in bytes, and its CPU seconds to a file.
_CHILD = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[2:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([used.ru_maxrss * 1024, used.ru_utime + used.ru_stime], open(sys.argv[1], "w"))
"""


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("equal", "kills", "memory"))
    parser.add_argument("--folder", type=Path, default=Path("shards"), help="for everything that is made")
    parser.add_argument(
        "--network", default="fashion-resnet", help="of equal and kills; benchmarks.shards:small is fast"
    )
    parser.add_argument("--executors", nargs="+", default=["local", "slurm"], choices=("local", "slurm"))
    parser.add_argument("--command", nargs="+", default=["run", "energy"], choices=("run", "energy"))
    parser.add_argument("--shards", nargs="+", type=int, default=[1, 2, 5])
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--number", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", default="500MB", help="of memory: what a batch of the golden model may take")
    parser.add_argument("--images", nargs="+", type=int, default=[500, 2000])
    args = parser.parse_args(words)
    args.folder = args.folder.absolute()
    args.folder.mkdir(parents=True, exist_ok=True)
    return 0 if {"equal": equal, "kills": kills, "memory": memory}[args.what](args) else 1


if __name__ == "__main__":
    sys.exit(main())
