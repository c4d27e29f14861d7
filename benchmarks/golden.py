"""Ways of the golden model to run one network, beside the float ANN of the same shape: images per CPU second, ratios.

    python -m benchmarks.golden [--timesteps 8] [--images 256] [--rounds 5]

A VGG for 28 x 28 grey images with random weights: speed hardly depends on the values. CPU time of one thread is
counted, since wall clock on a shared machine measures the neighbours; every row is the best of rounds taken in turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import nn

import toolchain as tc
from toolchain.ir import IntegerGraph, as_integer
from toolchain.simulation import GoldenModel

BATCH = 128


def network(levels: int) -> nn.Module:
    """8.3 million multiply-accumulates, 185,000 parameters."""
    activation = [tc.ClipFloorShift(levels=levels, threshold=1.0) for _ in range(5)]
    return nn.Sequential(
        *(nn.Conv2d(1, 24, 3, padding=1), activation[0], nn.AvgPool2d(2)),
        *(nn.Conv2d(24, 48, 3, padding=1), activation[1]),
        *(nn.Conv2d(48, 48, 3, padding=1), activation[2], nn.AvgPool2d(2)),
        *(nn.Conv2d(48, 96, 3, padding=1), activation[3], nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(864, 128), activation[4], nn.Linear(128, 10)),
    ).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timesteps", type=int, default=8)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, images = network(args.timesteps), torch.rand(args.images, 1, 28, 28)

    def ann() -> None:
        with torch.inference_mode():
            for part in images.split(BATCH):
                model(part)

    rows: dict[str, Callable[[], object]] = {"float ANN": ann}
    for name, schedule, bits, measure in (
        ("pipelined, 8-bit kernels", "pipelined", True, False),
        ("pipelined, float32 kernels", "pipelined", False, False),
        ("pipelined, membranes measured", "pipelined", False, True),
        ("layerwise, 8-bit kernels", "layerwise", True, False),
    ):
        method = tc.QCFS(timesteps=args.timesteps, schedule=schedule)
        graph = as_integer(tc.lower(tc.convert(model, method, example=images[:1]), tc.Int8()))
        rows[name] = runner(graph, images, bits, measure)
    best = dict.fromkeys(rows, float("inf"))
    for _ in range(args.rounds + 1):  # the first round warms up
        for name, work in rows.items():
            start = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - start)
    print(f"T = {args.timesteps}, ANN in batches of {BATCH}, 1 thread, torch {torch.__version__}")
    print(f"{'path':<32}{'images/CPU s':>14}{'of ANN':>9}")
    for name, seconds in best.items():
        print(f"{name:<32}{args.images / seconds:>14.0f}{best['float ANN'] / seconds:>9.2f}")


def runner(graph: IntegerGraph, images: torch.Tensor, bits: bool, measure: bool) -> Callable[[], object]:
    """A prepared model; without ``bits``, 8-bit kernels are refused as on a processor that has none."""
    if bits:
        model = GoldenModel(graph, measure=measure)
    else:
        with patch("toolchain.simulation.levels.exact_synapse", return_value=None):
            model = GoldenModel(graph, measure=measure)
    return lambda: model.run(images, counts="totals")


if __name__ == "__main__":
    main()
