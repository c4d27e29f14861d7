"""Images per second of the golden model and of Lava, beside the float ANN on the same machine.

    python -m benchmarks.throughput [--timesteps 8] [--seconds 5]

Every shipped network whose data set is on this machine is run. Rates depend on the machine and its load; the columns
relative to the ANN, measured in turns with it, travel better.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

import toolchain as tc
from models import pretrained
from models.data import Dataset, open_dataset
from models.weights import index
from targets.lava import LavaTarget
from toolchain.errors import DataError

BATCH = 128
LAVA_IMAGES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timesteps", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0, help="to spend on each measurement")
    args = parser.parse_args()
    print(f"T = {args.timesteps}, batch {BATCH}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'network':<16}{'ANN':>10}{'golden':>10}{'of ANN':>8}{'Lava':>8}   images/s")
    for name, entry in index().items():
        try:
            train, test = open_dataset(entry["data"], split="train"), open_dataset(entry["data"], split="test")
        except DataError as error:
            print(f"{name:<16}skipped: {error}")
            continue
        print(f"{name:<16}" + row(pretrained(name), train, test, args.timesteps, args.seconds))


def row(model: torch.nn.Module, train: Dataset, test: Dataset, timesteps: int, seconds: float) -> str:
    """The rates of one network."""
    calibration = train.images(slice(256))
    graph = tc.lower(
        tc.convert(model, tc.QCFS(timesteps=timesteps), example=calibration[:1], calibration=calibration), tc.Int8()
    )
    images = test.images(slice(BATCH))
    array: npt.NDArray[np.float32] = images.numpy()

    def ann() -> None:
        with torch.inference_mode():
            model(images)

    float_rate, golden_rate = rates([ann, lambda: tc.simulate(graph, array, counts="totals")], len(images), seconds)
    lava = "absent"
    if LavaTarget.available() is None:
        lava = f"{LAVA_IMAGES / tc.compile(graph, target='lava').run(array[:LAVA_IMAGES]).seconds:.1f}"
    return f"{float_rate:>10.0f}{golden_rate:>10.0f}{golden_rate / float_rate:>8.1%}{lava:>8}"


def rates(work: list[Callable[[], object]], images: int, seconds: float) -> list[float]:
    """Images per second of each, the best of rounds in turns: load from elsewhere only ever slows down."""
    best = [0.0] * len(work)
    for run in work:
        run()
    end = time.perf_counter() + seconds * len(work)
    while time.perf_counter() < end:
        for number, run in enumerate(work):
            start = time.perf_counter()
            run()
            best[number] = max(best[number], images / (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    main()
