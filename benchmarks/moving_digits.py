"""A recurrent network on event data, trained in plain PyTorch, exported through NIR, as integers.

    python -m benchmarks.moving_digits [-o FOLDER] [--epochs N] [--lava N]

The 1,797 digits of scikit-learn (8 x 8) move in a straight line across 14 x 14 pixels for 24 steps. A pixel sends an
event of one polarity where it becomes brighter by half its range, of the other where it becomes darker: 392 inputs, 0
or 1. Half of the digits train, in eight motions each, half test, in one; nothing is
chosen on the test half. The network: weights, 128 recurrent leaky
neurons, weights, leaky integrators, read out by their largest membrane. Trained by backpropagation through time with a
surrogate gradient (fast sigmoid, slope 10: Zenke and Ganguli, 2018), forward Euler with a step of 1 ms, v reset to 0.

The table: PyTorch's own accuracy, that of the NIR file in float64 and of the integers, with the 95 % interval of the
difference to PyTorch (paired). Exit code 1 where the integers lose more than a point.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import spikec as tc
from spikec.conversion.from_nir.running import run_float
from spikec.conversion.from_nir.sequences import import_sequences
from spikec.evidence.intervals import paired_difference, wilson
from spikec.ir.profile.files import write_nir
from spikec.models.data import open_dataset

Float64 = npt.NDArray[np.float64]

SIDE, STEPS, HIDDEN, SEED = 14, 24, 128, 0
#: Ways that every training digit moves; a test digit moves in one.
MOTIONS = 8
#: Seconds: the step, and the time constants of hidden neurons and readout.
STEP, TAU_HIDDEN, TAU_OUT = 1e-3, 10e-3, 20e-3
ALLOWED_LOSS = 0.01


@dataclass(frozen=True)
class Events:
    """``frames`` uint8 [N, steps, 2 x 14 x 14], ``labels`` int64 [N]."""

    frames: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


class Recurrent(nn.Module):
    """The network, in NIR's equations with forward Euler. Returns the membranes of the readout [N, steps, 10]."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 2 * SIDE * SIDE
        self.fed, self.back = nn.Linear(inputs, HIDDEN), nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.out = nn.Linear(HIDDEN, 10)
        nn.init.normal_(self.fed.weight, std=1.0 / np.sqrt(0.05 * inputs))
        nn.init.normal_(self.back.weight, std=0.5 / np.sqrt(HIDDEN))

    def forward(self, frames: Tensor) -> Tensor:
        v, spikes = frames.new_zeros(len(frames), HIDDEN), frames.new_zeros(len(frames), HIDDEN)
        logits, found = frames.new_zeros(len(frames), 10), []
        for step in range(frames.shape[1]):
            current = self.fed(frames[:, step]) + self.back(spikes)
            v = v + STEP / TAU_HIDDEN * (GAIN * current - v)
            spikes = Fire.apply(v - 1.0)
            v = v * (1 - spikes.detach())
            logits = logits + STEP / TAU_OUT * (GAIN * self.out(spikes) - logits)
            found.append(logits)
        return torch.stack(found, dim=1)


#: r of the neurons: makes a weight of 1 worth about half a threshold.
GAIN = 5.0


class Fire(torch.autograd.Function):
    """1 above zero; backward, the slope of a fast sigmoid."""

    @staticmethod
    def forward(ctx, v):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (v,) = ctx.saved_tensors
        return gradient / (10 * v.abs() + 1) ** 2


def main() -> int:
    args = _arguments()
    torch.manual_seed(SEED)
    train, test = moving_digits()
    model = Recurrent()
    fit(model, train, args.epochs)
    file = write_nir(as_nir(model), args.out / "moving-digits.nir")
    np.savez(args.out / "moving-digits.npz", x=train.frames, y=train.labels, x_test=test.frames, y_test=test.labels)
    network = import_sequences(file, example=train.frames[:200], dt=STEP, reading="maximum")
    with torch.no_grad():
        right = {
            "PyTorch, float32": model(torch.from_numpy(test.frames).float()).amax(1).argmax(1).numpy() == test.labels
        }
    (curve,) = run_float(network, test.frames.astype(np.float64)).outputs.values()
    exact = curve[:, -1]
    right["NIR file, float64"] = exact.argmax(1) == test.labels
    for per in ("layer", "channel"):
        graph = tc.lower(network, tc.Int8(per=per))
        trace = tc.simulate(graph, test.frames)
        right[f"integers, int8 per {per}"] = trace.predictions == test.labels
        tc.save(graph, args.out / f"moving-digits-{per}.nir")
        if args.lava:
            print(f"int8 per {per}, golden model and Lava: {tc.crosscheck(graph, 'lava', test.frames[: args.lava])}")
    print(table(right))
    first, *_, last = right.values()
    return int(first.mean() - last.mean() > ALLOWED_LOSS)


def table(right: dict[str, npt.NDArray[np.bool_]]) -> str:
    """Accuracy of each stage with its interval, and the paired difference to the first, in Markdown."""
    reference = next(iter(right.values()))
    rows = ["| network | accuracy, % (95 %) | points above PyTorch (95 %) |", "|---|---|---|"]
    for name, hits in right.items():
        low, high = wilson(int(hits.sum()), len(hits))
        gained, lost = int((hits & ~reference).sum()), int((reference & ~hits).sum())
        difference, (below, above) = (gained - lost) / len(hits), paired_difference(gained, lost, len(hits))
        points = "" if hits is reference else f"{100 * difference:+.2f} ({100 * below:+.2f} to {100 * above:+.2f})"
        rows.append(f"| {name} | {100 * hits.mean():.2f} ({100 * low:.1f} to {100 * high:.1f}) | {points} |")
    return "\n".join([*rows, f"\n{len(reference)} test sequences"])


def moving_digits() -> tuple[Events, Events]:
    """Training and test events; every digit moves in a direction of its own, drawn with one seed."""
    rng = np.random.default_rng(SEED)
    halves = [open_dataset("digits", None, split) for split in ("train", "test")]
    images = np.concatenate([each.images().numpy()[:, 0] for each in halves])
    labels = np.concatenate([each.labels for each in halves])
    order = rng.permutation(len(images))
    half = len(order) // 2
    parts: dict[str, Events] = {}
    for name, chosen, motions in (("train", order[:half], MOTIONS), ("test", order[half:], 1)):
        repeated = np.tile(chosen, motions)
        parts[name] = Events(np.stack([events(images[i], rng) for i in repeated]), labels[repeated])
    return parts["train"], parts["test"]


def events(image: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Events of a digit that moves from one place to another, uint8 [steps, 2 * side * side]."""
    room = SIDE - image.shape[0]
    start, end = rng.uniform(0, room, 2), rng.uniform(0, room, 2)
    end = np.where(np.abs(end - start).max() < room / 2, room - start, end)  # it does move
    before, found = np.zeros((SIDE, SIDE)), []
    for step in range(STEPS):
        place = start + (end - start) * step / (STEPS - 1)
        now = shifted(image, place)
        found.append(np.stack([now - before > 0.5, before - now > 0.5]))
        before = np.where(np.abs(now - before) > 0.5, now, before)  # a pixel remembers its last event
    return np.stack(found).reshape(STEPS, -1).astype(np.uint8)


def shifted(image: npt.NDArray[np.float32], place: Float64) -> Float64:
    """The image at a place between pixels, [side, side], bilinear."""
    whole = np.floor(place).astype(int)
    part = place - whole
    found = np.zeros((SIDE + 1, SIDE + 1))
    for row, column in np.ndindex(2, 2):
        weight = (part[0] if row else 1 - part[0]) * (part[1] if column else 1 - part[1])
        y, x = whole[0] + row, whole[1] + column
        found[y : y + image.shape[0], x : x + image.shape[1]] += weight * image
    return found[:SIDE, :SIDE]


def fit(model: Recurrent, train: Events, epochs: int) -> None:
    """Adam on the cross entropy of the largest membranes."""
    frames, labels = torch.from_numpy(train.frames).float(), torch.from_numpy(train.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * -(-len(labels) // 64))
    for epoch in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(labels)).split(64):
            loss = nn.functional.cross_entropy(model(frames[batch]).amax(dim=1), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(batch)
        if epoch % 10 == 9 or epoch == epochs - 1:
            print(f"epoch {epoch + 1}: training loss {total / len(labels):.3f}", flush=True)


def as_nir(model: Recurrent) -> nir.NIRGraph:
    """The network as NIR nodes: Affine, LIF, Linear back, Affine, LI."""

    def array(values: Tensor) -> npt.NDArray[np.float32]:
        return values.detach().numpy()

    hidden, out = np.ones(HIDDEN, np.float32), np.ones(10, np.float32)
    nodes = {
        "input": nir.Input({"input": np.array([2 * SIDE * SIDE])}),
        "fed": nir.Affine(array(model.fed.weight), array(model.fed.bias)),
        "hidden": nir.LIF(
            tau=TAU_HIDDEN * hidden, r=GAIN * hidden, v_leak=0 * hidden, v_threshold=hidden, v_reset=0 * hidden
        ),
        "back": nir.Linear(array(model.back.weight)),
        "out": nir.Affine(array(model.out.weight), array(model.out.bias)),
        "readout": nir.LI(tau=TAU_OUT * out, r=GAIN * out, v_leak=0 * out),
        "output": nir.Output({"output": np.array([10])}),
    }
    edges = [
        ("input", "fed"), ("fed", "hidden"), ("hidden", "back"), ("back", "hidden"), ("hidden", "out"),
        ("out", "readout"), ("readout", "output"),
    ]  # fmt: skip
    return nir.NIRGraph(nodes, edges, metadata={}, type_check=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("moving-digits"), help="folder for the files it writes")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--lava", type=int, default=0, metavar="N", help="also compare N sequences with Lava")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    raise SystemExit(main())
