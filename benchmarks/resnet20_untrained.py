"""Accuracy of a published CIFAR-10 ResNet-20 as an integer spiking network, converted without any training.

    python -m benchmarks.resnet20_untrained --weights resnet20.th --data folder:PATH

The weights are those of ``akamaster/pytorch_resnet_cifar10`` (Idelbayev 2018). Thresholds are calibrated on 1,000
training images, once for every T of ``--timesteps``. The first table gives each T with its own thresholds; the second
reads the network of the largest T out after fewer steps. Exit code 1 where the largest T loses more than 2 points.

    python -m benchmarks.resnet20_untrained --weights resnet20.th --data folder:PATH --table

prints what calibration without labels reaches (``--calibrate``, docs/methods.md): a row for each method and T with the
loss allowed. Exit code 1 where a row loses more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import spikec as tc
from spikec import defaults
from spikec.cli.settings import option
from spikec.conversion import METHODS, Method
from spikec.deployment import deploy_network
from spikec.evidence.intervals import wilson
from spikec.models import load_weights, resolve
from spikec.models.data import Dataset, open_dataset
from spikec.whole_files import replacing

ALLOWED_LOSS = 0.02
#: Rows of ``--table``: name, method and the points it may lose.
TABLE: tuple[tuple[str, Method, float], ...] = (
    ("bit-serial, T = 4", tc.ErrorFree(4), 1.5),
    ("bit-serial, T = 5", tc.ErrorFree(5), 0.5),
    ("`if` layerwise, T = 8", tc.QCFS(8, schedule="layerwise"), 3.0),
    ("graded, 15 levels", tc.Graded(levels=15), 1.0),
    ("`signed_if` pipelined, T = 8", tc.ErrorCompensation(8, offsets="static"), 2.0),
    ("`signed_if` pipelined, T = 16", tc.ErrorCompensation(16, offsets="static"), 0.5),
    ("`signed_if` pipelined, K = 7, T = 2", tc.ErrorCompensation(2, offsets="static", spikes=7), 2.0),
    ("`signed_if` pipelined, K = 7, T = 4", tc.ErrorCompensation(4, offsets="static", spikes=7), 0.5),
)
BATCH = 100


def main() -> int:
    args = _arguments()
    model, test, calibration = set_up(args)
    correct = correct_ann(model, test)
    ann = correct / len(test)
    precision = tc.Int8(per=args.per, bits=args.bits, rounding=args.rounding)
    print(f"{len(test)} test images, {len(calibration)} calibration images, int{args.bits} per {args.per}")
    print(f"ANN: {interval(correct, len(test))}", flush=True)
    if args.table:
        return _table(args, model, test, calibration, ann)
    options = "".join(f", {name}={value}" for name, value in args.option)
    print(
        f"method {args.method}{options}, schedule {args.schedule}\n\n  T   accuracy (95 % interval)     minus ANN",
        flush=True,
    )
    rows = []
    for timesteps in sorted(args.timesteps):
        method = METHODS[args.method](timesteps, schedule=args.schedule, **dict(args.option))
        deployment = deploy_network(model, method, calibration, precision, calibrate=args.calibrate)
        curve = _correct_snn(deployment.graph, test)
        rows.append({"timesteps": timesteps, "correct": curve[-1], "accuracy": curve[-1] / len(test), "curve": curve})
        print(f"{timesteps:3d}   {interval(curve[-1], len(test))}   {_points(curve[-1] / len(test) - ann)}", flush=True)
    if len(rows[-1]["curve"]) > 1:
        print(f"\nthe network of T = {rows[-1]['timesteps']} after fewer steps\n  t   accuracy")
        for row in rows:
            print(f"{row['timesteps']:3d}   {rows[-1]['curve'][row['timesteps'] - 1] / len(test):.2%}")
    loss = ann - rows[-1]["accuracy"]
    passed = loss <= ALLOWED_LOSS
    verdict = "within" if passed else "NOT within"
    print(f"\nloss at T = {rows[-1]['timesteps']}: {100 * loss:.2f} points, {verdict} the 2 points allowed")
    if args.output:
        settings = {
            k: str(v)
            for k, v in vars(args).items()
            if k in ("data", "weights", "method", "option", "per", "bits", "rounding", "calibrate", "schedule", "seed")
        }
        document = {"images": len(test), "ann_accuracy": ann, "rows": rows, "settings": settings}
        with replacing(args.output) as temporary:
            temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0 if passed else 1


def set_up(args: argparse.Namespace) -> tuple[nn.Module, Dataset, torch.Tensor]:
    """The trained network, the test images, and the training images that calibrate."""
    torch.set_num_threads(args.threads)
    test = open_dataset(args.data, args.data_root, "test")
    training = open_dataset(args.data, args.data_root, "train")
    model = resolve("resnet20-normalized", num_classes=len(test.classes), activation=nn.ReLU)
    load_weights(model, args.weights)
    return model, test.draw(args.limit or len(test), args.seed), training.draw(args.calibration, args.seed).images()


def add_set_up(parser: argparse.ArgumentParser) -> None:
    """The arguments that :func:`set_up` reads, and where to write."""
    parser.add_argument("--weights", type=Path, required=True, help="resnet20 of akamaster/pytorch_resnet_cifar10")
    parser.add_argument("--data", default="cifar10", help="cifar10 (with --data-root) or folder:PATH")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--limit", type=int, metavar="N", help="test images, drawn with --seed (default all)")
    parser.add_argument(
        "--calibration",
        type=int,
        default=defaults.CALIBRATION_IMAGES_MAX,
        metavar="N",
        help="training images (default %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, metavar="F.json", help="also write the numbers")


def _table(args: argparse.Namespace, model: nn.Module, test: Dataset, calibration: torch.Tensor, ann: float) -> int:
    """Prints the rows of TABLE; 1 where one loses more than it may."""
    precision = tc.Int8(per=args.per, bits=args.bits, rounding=args.rounding)
    missed = 0
    print("| deployment | accuracy (95 % interval) | minus ANN | at most |\n|---|---|---|---|", flush=True)
    for number, (name, method, allowed) in enumerate(TABLE, 1):
        if args.rows and number not in args.rows:
            continue
        deployment = deploy_network(model, method, calibration, precision, calibrate=args.calibrate)
        correct = _correct_snn(deployment.graph, test)[-1]
        lost = 100 * (ann - correct / len(test))
        missed += lost > allowed + 1e-9
        verdict = f"-{allowed:g}" if lost <= allowed + 1e-9 else f"-{allowed:g}, missed"
        print(f"| {name} | {interval(correct, len(test))} | {-lost:+.2f} | {verdict} |", flush=True)
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_set_up(parser)
    parser.add_argument("--timesteps", type=int, nargs="+", default=[4, 8, 16, 32, 64, 128], metavar="T")
    parser.add_argument("--method", choices=tuple(METHODS), default="qcfs", help="default qcfs")
    parser.add_argument(
        "--option", type=option, action="append", default=[], metavar="NAME=VALUE", help="a field of the method"
    )
    parser.add_argument("--schedule", choices=("pipelined", "layerwise"), default="pipelined")
    parser.add_argument("--per", choices=("layer", "channel"), default="layer")
    parser.add_argument("--bits", type=int, default=8, metavar="B", help="weight bits (default 8)")
    parser.add_argument("--rounding", choices=("nearest", "gptq"), default="nearest")
    parser.add_argument(
        "--calibrate", metavar="C", help="calibration without labels, such as full (default thresholds)"
    )
    parser.add_argument("--table", action="store_true", help="the table of methods, instead of one method")
    parser.add_argument("--rows", type=int, nargs="+", metavar="N", help="rows of the table, from 1 (default all)")
    return parser.parse_args()


def correct_ann(model: nn.Module, test: Dataset) -> int:
    with torch.no_grad():
        return sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test.batches(BATCH))


def _correct_snn(graph: Any, test: Dataset) -> list[int]:
    """Correct images after each step (pipelined) or after the last one (layerwise)."""
    correct = np.zeros(1, dtype=np.int64)
    started = time.perf_counter()
    for done, (images, labels) in enumerate(test.batches(BATCH), 1):
        trace = tc.simulate(graph, images, counts=False, memory="300MB")
        curve = trace.output[:, None] if trace.output_curve is None else trace.output_curve
        correct = correct + (curve.argmax(2) == labels.numpy()[:, None]).sum(0)
        share = min(1.0, done * BATCH / len(test))
        left = (time.perf_counter() - started) * (1 - share) / share
        if sys.stderr.isatty() or done % 10 == 0:
            print(f"{share:.0%}, {correct[-1] / (share * len(test)):.2%} correct, {left:.0f} s left", file=sys.stderr)
    return [int(n) for n in correct]


def interval(correct: int, trials: int) -> str:
    low, high = wilson(correct, trials)
    return f"{correct / trials:.2%} ({low:.2%} to {high:.2%})"


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f} points"


if __name__ == "__main__":
    sys.exit(main())
