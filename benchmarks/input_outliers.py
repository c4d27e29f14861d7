"""What broken pixels in the calibration images cost, by the rule that chooses the range of the input.

    python -m benchmarks.input_outliers

prints the table of docs/quantization.md: digits-cnn, calibrated on 64 training images, some of which hold one pixel
that is so many times the largest of the others. The test images are whole.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

import spikec as tc
from spikec.conversion.input_scale import choose_range, input_range
from spikec.errors import InputWarning
from spikec.ir.coding import InputRange
from spikec.models.data import Dataset, open_dataset
from spikec.models.weights import pretrained

IMAGES, TIMESTEPS = 64, 4
#: (images with a broken pixel, how many times the largest pixel of the others it is)
BROKEN = (
    (0, 1.0),
    (1, 2.0),
    (1, 4.0),
    (1, 8.0),
    (1, 16.0),
    (1, 64.0),
    (1, 256.0),
    (1, 1000.0),
    (1, -1000.0),
    (5, 1000.0),
)


def broken(images: Tensor, number: int, size: float) -> Tensor:
    """``images`` with one pixel of ``number`` of them set to ``size``."""
    found = images.clone()
    for image in range(number):
        found[7 * image, 0, (3 * image) % 8, (5 * image) % 8] = size
    return found


def percentile(images: Tensor) -> InputRange:
    """The range that ends at the 99.9th percentile of the magnitudes that are not zero."""
    sizes = images[images != 0].abs().double().numpy()
    return input_range(images.clamp(*(sign * float(np.quantile(sizes, 0.999)) for sign in (-1, 1))))


def measured(images: Tensor, coding: InputRange, test: Dataset) -> float:
    """Accuracy in percent with this coding of the input."""
    network = tc.convert(pretrained("digits-cnn"), tc.QCFS(timesteps=TIMESTEPS), example=images)
    network.input_range = coding
    trace = tc.simulate(tc.lower(network), test.images())
    return 100 * float((trace.predictions == test.labels).mean())


def main() -> None:
    warnings.simplefilter("ignore", InputWarning)
    train, test = (open_dataset("digits", None, split) for split in ("train", "test"))
    images = train.draw(IMAGES, 0).images()
    print("| broken images | pixel | whole range | 99.9th percentile | chosen | chosen range |")
    print("|---|---|---|---|---|---|")
    for number, size in BROKEN:
        given = broken(images, number, size)
        chosen = choose_range(given).coding
        ranges = (input_range(given), percentile(given), chosen)
        row = " | ".join(f"{measured(images, coding, test):.2f}" for coding in ranges)
        print(f"| {number} | {f'{size:g}' if number else ''} | {row} | 0 to {chosen.high * chosen.scale:.3g} |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
