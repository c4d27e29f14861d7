"""What rounding to integers costs: float spiking network against integers, on whole test sets.

    python benchmarks/quantization.py [--network digits-cnn|fashion-vgg] [--data-root DIR] [--limit N]

One pass at the largest T gives the accuracy after every step. Accuracies in percent; "counts" is the share of neurons
whose spike count differs from the float network's, "loss" the accuracy lost against it at the largest T.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

import models
import toolchain as tc
from models.data import load
from toolchain.report import wilson

DATA = {"digits-cnn": "digits", "fashion-vgg": "fashion-mnist"}
STEPS = (1, 2, 4, 8)
CALIBRATION = 256
BATCH = 50


def float_run(
    network: tc.SpikingNetwork, images: torch.Tensor, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Accuracy at the network's T and the spike counts of a first batch."""
    right, counts = 0, {}
    with torch.no_grad():
        for first in range(0, len(images), BATCH):
            part = images[first : first + BATCH]
            right += int((network(part).argmax(1).numpy() == labels[first : first + BATCH]).sum())
            if first == 0:
                counts = {name: value.numpy() for name, value in network.counts(part).items()}
    return 100 * right / len(images), counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(DATA), action="append")
    parser.add_argument("--data-root")
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    for name in args.network or sorted(DATA):
        training, _ = load(DATA[name], args.data_root, "train")
        images, labels = load(DATA[name], args.data_root, "test")
        images, truth = images[: args.limit], np.asarray(labels)[: args.limit]
        table(name, images, truth, training[:CALIBRATION])


def table(name: str, images: torch.Tensor, labels: np.ndarray, training: torch.Tensor) -> None:
    model = models.pretrained(name)
    with torch.no_grad():
        logits = torch.cat([model(part) for part in torch.split(images, 250)])
    ann = 100 * float((logits.argmax(1).numpy() == labels).mean())
    network = tc.convert(model, tc.QCFS(timesteps=STEPS[-1]), example=training[:1], calibration=training)
    float_accuracy, counts = float_run(network, images, labels)
    low, high = wilson(round(float_accuracy * len(images) / 100), len(images))
    print(f"\n{name}: {len(images)} test images, ANN {ann:.2f} %, float spiking network at T = {STEPS[-1]} ", end="")
    print(f"{float_accuracy:.2f} % (95 % interval {100 * low:.1f} to {100 * high:.1f})")
    print("| weights | " + " | ".join(f"T={t}" for t in STEPS) + " | loss | counts |")
    print("|---" * (len(STEPS) + 3) + "|")
    for bits in (8, 6, 4):
        for per in ("layer", "channel"):
            for scale in ("max", "power_of_two", "spikes"):
                graph = tc.lower(network, tc.Int8(per=per, bits=bits, scale=scale))
                trace = tc.simulate(graph, images, counts="totals")
                curve = 100 * (trace.output_curve.argmax(2) == labels[:, None]).mean(axis=0)
                first = tc.simulate(graph, images[:BATCH]).counts
                total = sum(value.size for value in counts.values())
                changed = sum(int((first[k] != value).sum()) for k, value in counts.items()) / total
                cells = " | ".join(f"{curve[t - 1]:.2f}" for t in STEPS)
                print(f"| int{bits} {per}, {scale} | {cells} | {float_accuracy - curve[-1]:+.2f} | {changed:.2%} |")


if __name__ == "__main__":
    main()
