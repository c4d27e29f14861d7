"""The golden model and training on a GPU, in one run of at most eight minutes.

    python -m benchmarks.gpu [--device cuda] [--minutes 8] [--folder runs/gpu] [--data cifar10=folder:PATH]
    python -m benchmarks.gpu --device cpu --tiny --folder runs/tiny        every path, without a GPU

1. Equality: all shipped networks with every way to fire, and random networks; integers of the device against those of
   the CPU. 0 must differ. With ``--device cpu`` the fast path is compared with the general one instead.
2. Speed: images/s of the golden model at T = 4 and 8 for batches of 128 to 1,024, beside the float forward on the same
   device in float32 and bfloat16. Images start in main memory for the golden model, whose integers end there, and on
   the device for the float network.
3. If time is left: ResNet-18 and VGG-16 trained on CIFAR-10 with the four methods that ``spikec train`` knows; each
   gets its share of what is left.

Every figure is kept in FOLDER as soon as it is there: what a run had no time for, the next one does. Exit code 1 where
an integer differs, 4 without the device.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import spikec as tc
from benchmarks.golden_cases import KINDS, Sources, images, model
from benchmarks.gpu_training import Training, trained, trainings
from spikec.deployment import deploy_network
from spikec.ir import IntegerGraph, as_integer
from spikec.models import pretrained
from spikec.models.weights import index
from spikec.models.zoo import REGISTRY
from spikec.simulation import Trace
from spikec.simulation.golden import GoldenModel
from spikec.whole_files import replacing

SHARE_OF_EQUALITY, SHARE_OF_SPEED = 0.3, 0.6
ROUNDS = 3
_CALIBRATION = 64


@dataclass(frozen=True)
class Sizes:
    """How much is done. ``shipped``: networks; ``kinds``: ways to fire; ``checked``: images of each."""

    shipped: tuple[str, ...]
    kinds: tuple[str, ...]
    random: int
    checked: int
    timed: tuple[str, ...]
    timesteps: tuple[int, ...]
    batches: tuple[int, ...]
    trainings: tuple[Training, ...]

    @classmethod
    def full(cls) -> Sizes:
        timed, batches = ("fashion-vgg", "vgg11", "resnet20"), (128, 256, 512, 1024)
        return cls(tuple(index()), tuple(KINDS), 60, 64, timed, (4, 8), batches, trainings())

    @classmethod
    def tiny(cls) -> Sizes:
        kinds = ("if", "bit_serial")
        return cls(("digits-cnn",), kinds, 2, 3, ("digits-cnn",), (4,), (2,), trainings(tiny=True))


@dataclass
class Results:
    """Figures by key in a file, with the time that is left. A key that is there is not measured again."""

    path: Path
    end: float
    figures: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def opened(cls, folder: Path, device: str, minutes: float) -> Results:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"gpu.{device.replace(':', '-')}.json"
        return cls(path, time.monotonic() + 60 * minutes, json.loads(path.read_text()) if path.exists() else {})

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def get(self, key: str, measure: Callable[[], Any]) -> Any:
        """The figure ``key``, measured now unless it is there."""
        if key not in self.figures:
            self.figures[key] = measure()
            with replacing(self.path) as temporary:
                temporary.write_text(json.dumps(self.figures, indent=1))
        return self.figures[key]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try every path")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, for a test of the script itself")
    Sources.options(parser)
    args = parser.parse_args(arguments)
    if torch.device(args.device).type == "cuda" and not torch.cuda.is_available():
        print(
            f"torch {torch.__version__} sees no GPU here: run this where there is one, or try every path with "
            "--device cpu --tiny",
            file=sys.stderr,
        )
        return 4
    sizes = Sizes.tiny() if args.tiny else Sizes.full()
    results = Results.opened(args.folder, args.device, args.minutes)
    print(f"{machine(args.device)}, torch {torch.__version__}; {args.minutes:g} minutes", flush=True)
    total = results.left
    differ = equality(sizes, args.device, results, total * (1 - SHARE_OF_EQUALITY))
    speed(sizes, args.device, results, total * (1 - SHARE_OF_SPEED))
    for number, training in enumerate(sizes.trainings):
        seconds = results.left / (len(sizes.trainings) - number)
        print(trained(training, args.device, results.get, seconds, args.folder, Sources.given(args)), flush=True)
    return int(differ > 0)


def machine(device: str) -> str:
    """The device in words."""
    if torch.device(device).type == "cpu":
        return f"CPU, {torch.get_num_threads()} threads"
    tf32 = "with" if torch.backends.cudnn.allow_tf32 else "without"
    return f"{torch.cuda.get_device_name(device)}, float32 convolutions {tf32} TF32"


def equality(sizes: Sizes, device: str, results: Results, until: float) -> int:
    """Compare while more than ``until`` seconds are left; the number of integers that differ."""
    differ = compared = 0
    for name, make in _cases(sizes):
        key = f"differ {name}"
        if results.left < until and key not in results.figures:
            print(f"equality: no time left for {name} and what follows")
            break
        try:
            found = results.get(key, partial(differing, make, device))
        except tc.ConversionError as error:  # a random network may have a layer that is silent
            print(f"{name}: left out, {error}")
            continue
        differ, compared = differ + found[0], compared + found[1]
        if found[0]:
            print(f"{name}: {found[0]} of {found[1]} integers differ", flush=True)
    print(f"equality: {differ} of {compared} integers differ", flush=True)
    return differ


Made = tuple[IntegerGraph, Tensor]


def _cases(sizes: Sizes) -> Iterator[tuple[str, Callable[[], Made]]]:
    def shipped(name: str, kind: str, steps: int) -> Made:
        noise = _noise(REGISTRY[name].input_shape, sizes.checked, seed=1)
        return _deployed(pretrained(name), kind, steps, noise), noise

    def random(seed: int) -> Made:
        network, shape = random_network(seed)
        noise = _noise(shape, max(_CALIBRATION, sizes.checked), seed)
        kind, steps = tuple(KINDS)[seed % len(KINDS)], int(np.random.default_rng(seed).integers(1, 9))
        return _deployed(network, kind, steps, noise[:_CALIBRATION]), noise[: sizes.checked]

    for name in sizes.shipped:
        for kind in sizes.kinds:
            for steps in sizes.timesteps:
                yield f"{name}, {kind}, T = {steps}", partial(shipped, name, kind, steps)
    for seed in range(sizes.random):
        yield f"random network {seed}", partial(random, seed)


def _deployed(network: nn.Module, kind: str, steps: int, calibration: Tensor) -> IntegerGraph:
    return as_integer(deploy_network(network, KINDS[kind](timesteps=steps), calibration).nir)


def _noise(shape: tuple[int, ...], count: int, seed: int) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def random_network(seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """Two to four convolutions of random sizes, groups and strides, average pools between them, and a dense layer; and
    the shape of its images."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(8, 20)), int(rng.integers(8, 20)))
    layers: list[nn.Module] = []
    channels = shape[0]
    for _ in range(rng.integers(2, 5)):
        out, kernel = channels * int(rng.integers(1, 7)), int(rng.integers(1, 4))
        groups = channels if rng.random() < 0.2 else 1
        layers += [nn.Conv2d(channels, out, kernel, int(rng.integers(1, 3)), kernel // 2, groups=groups), nn.ReLU()]
        channels = out
        with torch.no_grad():
            small = min(nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[2:])
        if small < 3:
            break
        if rng.random() < 0.4:
            layers.append(nn.AvgPool2d(2))
    layers.append(nn.Flatten())
    with torch.no_grad():
        width = nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(*layers, nn.Linear(width, 10)).eval(), shape


def differing(make: Callable[[], Made], device: str) -> list[int]:
    """How many integers of outputs, curves, counts, events and rasters differ from those of the CPU, and of how
    many."""
    graph, shown = make()
    on_cpu = torch.device(device).type == "cpu"
    found = tc.simulate(graph, shown, record="spikes", device=device)
    expected = tc.simulate(graph, shown, record="spikes", measure=on_cpu)
    differ = total = 0
    for mine, theirs in zip(_integers(found), _integers(expected), strict=True):
        differ += int((mine != theirs).sum())
        total += mine.size
    return [differ, total]


def _integers(trace: Trace) -> Iterator[np.ndarray[Any, np.dtype[Any]]]:
    for table in (trace.outputs, trace.output_curves, trace.counts, trace.events, trace.spikes):
        yield from (array for _, array in sorted(table.items()))


def speed(sizes: Sizes, device: str, results: Results, until: float) -> None:
    """Print a table of images/s, while more than ``until`` seconds are left."""
    print("| network | T | batch | golden, images/s | float32 | bfloat16 | golden / float32 | golden / bfloat16 |")
    print("|---|---|---|---|---|---|---|---|")
    for name in sizes.timed:
        network, shown = model(name), images(name, max(sizes.batches))
        for batch in sizes.batches:
            if results.left < until:
                print("speed: no time left for the other rows")
                return
            forwards = [
                results.get(f"{kind} {name} {batch}", partial(forward, network, shown[:batch], kind, device))
                for kind in (torch.float32, torch.bfloat16)
            ]
            for steps in sizes.timesteps:
                key = f"golden {name} T{steps} {batch}"
                rate = results.get(key, partial(golden, network, shown[:batch], steps, device))
                columns = [rate, *forwards, *(rate / f for f in forwards)]
                cells = [f"{c:,.0f}" for c in columns[:3]] + [f"{c:.2f}" for c in columns[3:]]
                print(f"| {name} | {steps} | {batch} | {' | '.join(cells)} |", flush=True)


def forward(network: nn.Module, shown: Tensor, kind: torch.dtype, device: str) -> float:
    """Images/s of the float network."""
    moved = copy.deepcopy(network).to(device, kind)
    given = shown.to(device, kind)
    with torch.inference_mode():
        return len(shown) / _seconds(lambda: moved(given), device)


def golden(network: nn.Module, shown: Tensor, steps: int, device: str) -> float:
    """Images/s of the golden model, prepared before."""
    prepared = GoldenModel(_deployed(network, "if", steps, shown[:_CALIBRATION]), device=device)
    return len(shown) / _seconds(lambda: prepared.run(shown, counts="totals", batch=len(shown)), device)


def _seconds(run: Callable[[], Any], device: str) -> float:
    """The fastest of ``ROUNDS``, after one to warm up."""
    best = float("inf")
    for number in range(ROUNDS + 1):
        started = time.perf_counter()
        run()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        if number:
            best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    sys.exit(main())
