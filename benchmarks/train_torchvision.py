"""Trains a classifier of torchvision, as it is, on images of ten classes: the weights of docs/which-method.md.

    python -m benchmarks.train_torchvision resnet18 --data folder:CIFAR10 -o resnet18.pt
    python -m benchmarks.train_torchvision squeezenet1_1 --data folder:CIFAR10 -o squeezenet1_1.pt

Random crops and flips, a one-cycle schedule, ten epochs; the last epoch's weights, nothing is selected. Networks with
batch norm train with SGD (0.1, momentum 0.9, weight decay 5e-4), those without with AdamW (1e-3, weight decay 1e-3).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from spikec.models.data import load
from spikec.whole_files import replacing

BATCH, PADDING = 128, 4


def resnet18(num_classes: int = 10) -> nn.Module:
    """torchvision's ResNet-18."""
    return torchvision.models.resnet18(num_classes=num_classes)


def squeezenet1_1(num_classes: int = 10) -> nn.Module:
    """torchvision's SqueezeNet 1.1."""
    return torchvision.models.squeezenet1_1(num_classes=num_classes)


NETWORKS = {"resnet18": resnet18, "squeezenet1_1": squeezenet1_1}


def main() -> int:
    args = _arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images, labels = load(args.data, None, "train")
    model = NETWORKS[args.network](int(labels.max()) + 1)
    if any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()):
        rate = 0.1
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            model.parameters(), rate, momentum=0.9, weight_decay=5e-4, nesterov=True
        )
    else:
        rate = 1e-3
        optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-3)
    batches = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=batches * args.epochs, pct_start=0.2)
    started = time.monotonic()
    for epoch in range(args.epochs):
        model.train()
        right = 0
        for chosen in torch.randperm(len(images))[: batches * BATCH].split(BATCH):
            output = model(augmented(images[chosen]))
            optimizer.zero_grad()
            nn.functional.cross_entropy(output, labels[chosen]).backward()
            optimizer.step()
            schedule.step()
            right += int((output.argmax(1) == labels[chosen]).sum())
        share = 100 * right / (batches * BATCH)
        print(f"epoch {epoch + 1}: {share:.2f} % of training images, {time.monotonic() - started:.0f} s", flush=True)
        with replacing(args.out) as temporary:
            torch.save(model.state_dict(), temporary)
    return 0


def augmented(images: Tensor) -> Tensor:
    """Crops at one random place for the batch, and random flips."""
    size = images.shape[-1]
    row, column = torch.randint(0, 2 * PADDING + 1, (2,)).tolist()
    padded = nn.functional.pad(images, (PADDING,) * 4)[:, :, row : row + size, column : column + size]
    flipped = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(flipped, padded.flip(3), padded)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--data", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
