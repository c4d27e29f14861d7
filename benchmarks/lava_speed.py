"""Lava's own models of Conv and Dense against the fast ones, on the shape of the Fashion-MNIST network.

    python -m benchmarks.lava_speed [--timesteps 4] [--images 40] [--stock-images 2] [--workers 2]

The time of a step does not depend on what the images show, so they are noise. Rates depend on the machine and its load;
the ratio of two measurements in one run travels better. Both give the same spikes; this is checked.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

import spikec as tc
from spikec.cli.speed import Speed
from spikec.deployment import deploy_network
from spikec.models import pretrained

SHAPE = (1, 28, 28)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--images", type=int, default=40, help="for the fast models")
    parser.add_argument("--stock-images", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="for the last line")
    args = parser.parse_args()
    noise = torch.rand((max(args.images, args.stock_images), *SHAPE), generator=torch.Generator().manual_seed(0))
    graph = deploy_network(pretrained("fashion-vgg"), tc.QCFS(timesteps=args.timesteps), noise).nir
    images = noise.numpy()
    print(f"fashion-vgg, T = {args.timesteps}; images/s with the start of the interpreters, ms without")
    fast, counts = measure("fast", graph, images[: args.images])
    stock, expected = measure("stock", graph, images[: args.stock_images], stock=True)
    for name, array in expected.items():
        np.testing.assert_array_equal(counts[name][: len(array)], array, name)
    print(f"stock / fast: {stock / fast:.1f} (time per Lava step; the spikes are equal)")
    if args.workers > 1:
        measure(f"fast, {args.workers} workers", graph, images[: args.images], workers=args.workers)


def measure(label: str, graph: object, images: np.ndarray, **options: object) -> tuple[float, dict[str, np.ndarray]]:  # type: ignore[type-arg]
    """Milliseconds per Lava step, and the spike counts."""
    trace = tc.compile(graph, target="lava", **options).run(images)
    speed = Speed()
    speed.add(trace)
    assert trace.target_steps is not None
    step = trace.target_steps.ms_per_step
    print(
        f"{label:<16}{len(images):>5} images: {speed.lines[0]}, {1000 / (step * trace.timesteps):.1f} images/s running"
    )
    return step, trace.counts


if __name__ == "__main__":
    main()
