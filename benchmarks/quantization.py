"""What rounding to integers costs: float spiking network against integers, on whole test sets.

    python -m benchmarks.quantization [--network digits-cnn|fashion-vgg] [--data-root DIR] [--limit N]

One pass at the largest T gives the accuracy after every step. Accuracies in percent; "loss" is the accuracy lost
against the float network at the largest T, in points; "counts" the share of neurons whose spike count differs from the
float network's, on the first test images. The last rows are fine-tuned with the integers in the loop. Scales are
chosen, and weights fine-tuned, on training images alone.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

import spikec as tc
from spikec.evidence.intervals import wilson
from spikec.models import pretrained
from spikec.models.data import Dataset, open_dataset
from spikec.models.recipes import default_recipe

STEPS = (1, 2, 4, 8)
CALIBRATION = 256
BATCH = 50


@dataclass(frozen=True)
class Tuning:
    """Training images and passes over them."""

    images: int
    epochs: int


NETWORKS = {
    "digits-cnn": ("digits", Tuning(images=1_212, epochs=5)),
    "fashion-vgg": ("fashion-mnist", Tuning(images=16_000, epochs=1)),
}
SCALES = ("max", "power_of_two", "spikes")


@dataclass(frozen=True)
class Reference:
    """The float spiking network's ``accuracy`` in percent at the largest T and its spike counts on a first batch."""

    accuracy: float
    counts: dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(NETWORKS), action="append")
    parser.add_argument("--data-root")
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    for name in args.network or sorted(NETWORKS):
        data, tuning = NETWORKS[name]
        test = open_dataset(data, args.data_root, "test").subset(slice(args.limit))
        table(name, open_dataset(data, args.data_root, "train"), test, tuning)


def table(name: str, training: Dataset, test: Dataset, tuning: Tuning) -> None:
    """Print the table of one network."""
    model = pretrained(name)
    images, labels = test.images(), test.labels
    with torch.no_grad():
        logits = torch.cat([model(part) for part in torch.split(images, 250)])
    network = convert(model, training)
    reference = float_run(network, images, labels)
    low, high = wilson(round(reference.accuracy * len(test) / 100), len(test))
    print(f"\n{name}: {len(test)} test images, ANN {100 * (logits.argmax(1).numpy() == labels).mean():.2f} %, ", end="")
    print(f"float spiking network at T = {STEPS[-1]} {reference.accuracy:.2f} % ", end="")
    print(f"(95 % interval {100 * low:.1f} to {100 * high:.1f})")
    print("| weights | " + " | ".join(f"T={t}" for t in STEPS) + " | loss | counts |")
    print("|---" * (len(STEPS) + 3) + "|")
    for bits in (8, 6, 4):
        for per in ("layer", "channel"):
            for scale in SCALES:
                row(f"int{bits} {per}, {scale}", network, tc.Int8(per=per, bits=bits, scale=scale), reference, test)
    for per in ("layer", "channel"):
        tuned, precision = fine_tuned(name, training, tuning, tc.Int8(per=per, bits=4, scale="spikes"))
        row(f"int4 {per}, fine-tuned", tuned, precision, reference, test)


def convert(model: torch.nn.Module, training: Dataset) -> tc.SpikingNetwork:
    calibration = training.images(slice(CALIBRATION))
    return tc.convert(model, tc.QCFS(timesteps=STEPS[-1]), example=calibration[:1], calibration=calibration)


def float_run(network: tc.SpikingNetwork, images: torch.Tensor, labels: np.ndarray) -> Reference:
    """Run the float spiking network on all images."""
    right, counts = 0, {}
    with torch.no_grad():
        for first in range(0, len(images), BATCH):
            part = images[first : first + BATCH]
            right += int((network(part).argmax(1).numpy() == labels[first : first + BATCH]).sum())
            if first == 0:
                counts = {
                    k: neuron.counts.numpy() for k, neuron in network.neurons.items() if neuron.counts is not None
                }
    return Reference(100 * right / len(images), counts)


def fine_tuned(name: str, training: Dataset, tuning: Tuning, precision: tc.Int8) -> tuple[tc.SpikingNetwork, tc.Int8]:
    """The shipped network fine-tuned at a tenth of its recipe's rate, epochs chosen on held-out training images."""
    recipe = default_recipe(name)
    train, validation = training.split(recipe.validation, recipe.fit.seed)
    model = pretrained(name)
    config = replace(recipe.fit, epochs=tuning.epochs, lr=recipe.fit.lr / 10, weight_decay=0.0, ema=0.0)
    chosen: Any = train.subset(slice(tuning.images)), validation.subset(slice(1000))
    result = tc.finetune_quantised(
        model, *chosen, config, precision, example=training.images(slice(CALIBRATION)), method=tc.QCFS(STEPS[-1])
    )
    return convert(model, training), result.precision


def row(label: str, network: tc.SpikingNetwork, precision: tc.Int8, reference: Reference, test: Dataset) -> None:
    """Print accuracy against T, what is lost against ``reference``, and how many counts changed."""
    trace = tc.simulate(tc.lower(network, precision), test.images(), counts="totals")
    curve = 100 * (trace.output_curve.argmax(2) == test.labels[:, None]).mean(axis=0)
    first = tc.simulate(tc.lower(network, precision), test.images(slice(BATCH))).counts
    changed = sum(int((first[k] != value).sum()) for k, value in reference.counts.items())
    share = changed / sum(value.size for value in reference.counts.values())
    cells = " | ".join(f"{curve[t - 1]:.2f}" for t in STEPS)
    print(f"| {label} | {cells} | {reference.accuracy - curve[-1]:+.2f} | {share:.2%} |", flush=True)


if __name__ == "__main__":
    main()
