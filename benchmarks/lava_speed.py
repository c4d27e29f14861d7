"""Lava at size: what a run costs with its start, for one worker and two, and what makes a step fast.

    python -m benchmarks.lava_speed [--rounds 3] [--timesteps 4] [--images 40] [--many 400] [--stock-images 2]

Networks with the shipped weights; the time of a step does not depend on what the images show, so they are noise. A run
is ``LavaProgram.run``: start of the interpreters, import, compilation, all steps, results. Of the rounds the best one
counts. Seconds of wall clock depend on the load of the machine; CPU seconds, which are those of all of Lava's
processes, less so. The ratio of two measurements in one run travels best. All ways give the same spikes, which is
checked.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import spikec as tc
from spikec.deployment import deploy_network
from spikec.ir import IntegerGraph, as_integer
from spikec.models import pretrained
from spikec.models.zoo import REGISTRY
from spikec.simulation import Trace

_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Measured:
    """The best of some rounds of one way to run some images."""

    images: int
    trace: Trace | None = None
    seconds: float = float("inf")
    cpu: float = float("inf")

    @property
    def step(self) -> float:
        """Milliseconds of a Lava step."""
        assert self.trace is not None
        assert self.trace.target_steps is not None
        return self.trace.target_steps.ms_per_step

    def __str__(self) -> str:
        assert self.trace is not None
        assert self.trace.target_steps is not None
        own = self.trace.target_steps
        return (
            f"{self.images / self.seconds:7.1f} images/s, {self.seconds:6.2f} s, {self.cpu:6.2f} CPU s; "
            f"{own.processes} processes, {own.steps} steps of {own.ms_per_step:.1f} ms, "
            f"{self.trace.info['abreast']} images side by side"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=40, help="of fashion-vgg")
    parser.add_argument("--many", type=int, default=400, help="of fashion-vgg, for the workers")
    parser.add_argument("--stock-images", type=int, default=2, help="of fashion-vgg; 0 leaves Lava's own models out")
    args = parser.parse_args()
    _adopt_orphans()
    vgg, resnet = (deployed(name, args.timesteps) for name in ("fashion-vgg", "resnet20"))
    few, many = noise(vgg, args.images), noise(vgg, args.many)
    cases: dict[str, tuple[IntegerGraph, npt.NDArray[np.float32], dict[str, Any]]] = {
        "fashion-vgg": (vgg, few, {}),
        "fashion-vgg, one by one": (vgg, few, {"abreast": 1}),
        "resnet20": (resnet, noise(resnet, 4), {}),
        "fashion-vgg, one worker": (vgg, many, {}),
        "fashion-vgg, two workers": (vgg, many, {"workers": 2}),
    }
    print(f"T = {args.timesteps}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, best of {args.rounds} rounds")
    found = {label: Measured(len(images)) for label, (_, images, _) in cases.items()}
    for _ in range(args.rounds):  # in turns: the load of the machine changes
        for label, (graph, images, options) in cases.items():
            measure(found[label], graph, images, **options)
    for label, best in found.items():
        print(f"{label:<26}{best}", flush=True)
    one, two = found["fashion-vgg, one worker"], found["fashion-vgg, two workers"]
    print(f"two workers are {one.seconds / two.seconds:.2f} times as fast as one")
    busy = one.cpu / one.seconds
    print(f"one worker keeps {busy:.2f} of {os.cpu_count()} cores busy, its start included")
    equal(one, two)
    equal(found["fashion-vgg"], found["fashion-vgg, one by one"])
    if args.stock_images:
        stock = Measured(args.stock_images)
        measure(stock, vgg, few[: args.stock_images], stock=True)
        print(f"{'fashion-vgg, stock':<26}{stock}")
        equal(stock, found["fashion-vgg"])
        ratio = stock.step / found["fashion-vgg, one by one"].step
        print(f"stock / fast: {ratio:.1f} (time of a Lava step with one image)")


def deployed(name: str, timesteps: int) -> IntegerGraph:
    """A network with its shipped weights."""
    shown = torch.rand((40, *REGISTRY[name].input_shape), generator=torch.Generator().manual_seed(0))
    return as_integer(deploy_network(pretrained(name), tc.QCFS(timesteps=timesteps), shown).nir)


def noise(graph: IntegerGraph, count: int) -> npt.NDArray[np.float32]:
    """Images float32 [count, *input shape]."""
    return np.random.default_rng(0).random((count, *graph.input.shape), np.float32)


def measure(best: Measured, graph: IntegerGraph, images: npt.NDArray[np.float32], **options: Any) -> None:
    """Run, and keep the best time, of the wall clock and of the CPUs alike."""
    program = tc.compile(graph, target="lava", **options)
    cpu, started = _cpu_seconds(), time.monotonic()
    trace = program.run(images)
    seconds = time.monotonic() - started
    if seconds < best.seconds:
        best.trace, best.seconds = trace, seconds
    best.cpu = min(best.cpu, _cpu_seconds() - cpu)


def equal(one: Measured, other: Measured) -> None:
    """Raise where spikes of the same images differ."""
    assert one.trace is not None
    assert other.trace is not None
    count = min(one.images, other.images)
    for name, array in one.trace.counts.items():
        np.testing.assert_array_equal(array[:count], other.trace.counts[name][:count], name)


def _adopt_orphans() -> None:
    """Lava's processes are children of the worker, which is gone before them. On Linux they become ours, so that their
    CPU seconds are counted."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _cpu_seconds() -> float:
    """CPU seconds of this process and of all that have ended below it."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


if __name__ == "__main__":
    main()
