"""A CNN of PyTorch on event frames, one in each step: what it should be calibrated on.

    python -m benchmarks.event_frames [--epochs N] [--lava N] [--write docs/sequences.md]

The moving digits of :mod:`benchmarks.moving_digits`, 24 frames of 2 x 14 x 14. The same CNN (two convolutions, two
dense layers, ReLU) is trained twice: on the mean frame of each sequence, and on single frames, drawn anew in every
epoch, each with the label of its sequence. Both are converted, with thresholds from 256 mean frames or from as many
single frames, and run on the test sequences, one frame in each step. "network": the trained network on the mean frame
of each test sequence. Nothing is chosen on test sequences.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import spikec as tc
from benchmarks import marked
from benchmarks.moving_digits import SIDE, STEPS, moving_digits
from spikec.evidence.intervals import paired_difference, wilson

Frames = npt.NDArray[np.float32]
CALIBRATED = 256


def network() -> nn.Sequential:
    """The CNN, untrained."""
    return nn.Sequential(
        nn.Conv2d(2, 16, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * (SIDE // 2) ** 2, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def fit(sequences: Tensor, labels: Tensor, epochs: int, *, single: bool) -> nn.Sequential:
    """Train on mean frames, or on one frame of each sequence and epoch."""
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * -(-len(labels) // 64))
    means = sequences.mean(1)
    for _ in range(epochs):
        images = sequences[torch.arange(len(labels)), torch.randint(0, STEPS, (len(labels),))] if single else means
        for batch in torch.randperm(len(labels)).split(64):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main() -> int:
    args = _arguments()
    train, test = (
        (each.frames.reshape(-1, STEPS, 2, SIDE, SIDE).astype(np.float32), each.labels) for each in moving_digits()
    )
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(train[0]))[:CALIBRATED]
    frames = train[0][chosen]
    images = {
        "mean frames": frames.mean(1),
        "single frames": frames[np.arange(CALIBRATED), rng.integers(0, STEPS, CALIBRATED)],
    }
    rows = [
        "| trained on | calibrated on | method | network | spiking (95 %) | points (95 %) | spikes per sequence |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in images:
        model = fit(torch.from_numpy(train[0]), torch.from_numpy(train[1]), args.epochs, single=name == "single frames")
        with torch.no_grad():
            network_right = model(torch.from_numpy(test[0].mean(1))).argmax(1).numpy() == test[1]
        for calibrated, given in images.items():
            for method in (tc.QCFS(timesteps=STEPS), tc.ErrorCompensation(timesteps=STEPS)):
                example = torch.from_numpy(given)
                graph = tc.lower(tc.convert(model, method, example=example, calibration=example), frames=frames)
                trace = tc.simulate(graph, test[0], counts="totals")
                rows.append(_row(name, calibrated, method.name, network_right, trace.predictions == test[1], trace))
                print(rows[-1], flush=True)
                if args.lava:
                    print(tc.crosscheck(graph, "lava", test[0][: args.lava]))
    table = "\n".join(rows) + f"\n\n{len(test[1])} test sequences of {STEPS} frames\n"
    print(table)
    if args.write:
        marked.write(args.write, "event-frames", table)
    return 0


def _row(
    trained: str,
    calibrated: str,
    method: str,
    network: npt.NDArray[np.bool_],
    spiking: npt.NDArray[np.bool_],
    trace: tc.Trace,
) -> str:
    low, high = wilson(int(spiking.sum()), len(spiking))
    gained, lost = int((spiking & ~network).sum()), int((network & ~spiking).sum())
    below, above = paired_difference(gained, lost, len(spiking))
    spikes = sum(int(events.sum()) for events in trace.event_totals.values()) / len(spiking)
    return (
        f"| {trained} | {calibrated} | {method} | {100 * network.mean():.1f} | {100 * spiking.mean():.1f} "
        f"({100 * low:.1f} to {100 * high:.1f}) | {100 * (gained - lost) / len(spiking):+.1f} ({100 * below:+.1f} to "
        f"{100 * above:+.1f}) | {spikes:,.0f} |"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lava", type=int, default=0, metavar="N", help="also compare N sequences with Lava")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between its marks in this page")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


if __name__ == "__main__":
    raise SystemExit(main())
