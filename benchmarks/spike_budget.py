"""K per layer, chosen for a spike budget, against one K for all layers, on a published ResNet-20 without training.

    python -m benchmarks.spike_budget --weights resnet20.th --data folder:PATH

The weights are those of ``akamaster/pytorch_resnet_cifar10`` (Idelbayev 2018). First every K of ``--uniform`` for the
whole network: accuracy on test images, and spikes (emissions that are not zero) per image on calibration images. Each
number of spikes, but the smallest and the largest, is then the budget of a choice per layer. Nothing is chosen on test
images.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from typing import Any

import spikec as tc
from benchmarks.resnet20_untrained import BATCH, add_set_up, correct_ann, interval, set_up
from spikec.cli.settings import option
from spikec.conversion import METHODS
from spikec.deployment import deploy_network
from spikec.deployment.spike_budget import MEASURED, choose_spikes
from spikec.ir import as_integer
from spikec.models.data import Dataset
from spikec.whole_files import replacing


def main() -> int:
    args = _arguments()
    model, test, images = set_up(args)
    method = METHODS[args.method](args.timesteps, schedule=args.schedule, **dict(args.option))
    precision = tc.Int8(per=args.per)
    options = "".join(f", {name}={value}" for name, value in args.option)
    print(f"{len(test)} test images, {len(images)} calibration images, int8 per {args.per}")
    print(f"method {args.method}{options}, schedule {args.schedule}, T = {args.timesteps}")
    print(f"ANN: {interval(correct_ann(model, test), len(test))}\n")
    print("K          spikes, calibration   spikes, test   accuracy (95 % interval)", flush=True)
    rows: list[dict[str, Any]] = []
    for most in sorted(args.uniform):
        graph = deploy_network(model, replace(method, **{"spikes": most}), images, precision).graph
        spikes = tc.simulate(graph, images[:MEASURED], counts="totals")
        rows.append(_row(f"all {most}", _events(spikes) / len(images[:MEASURED]), graph, test))
    seen = None
    for row in rows[1:-1]:
        started = time.perf_counter()
        choice = choose_spikes(
            model, method, images, row["calibration"], precision, candidates=sorted(args.uniform), seen=seen
        )
        seen, seconds = choice.seen, time.perf_counter() - started
        found = _row("per layer", choice.measured, as_integer(choice.nir), test)
        print(
            f"    within {choice.budget:,.0f}, chosen in {seconds:.0f} s: {', '.join(map(str, choice.layers.values()))}"
        )
        rows.append({**found, "budget": choice.budget, "predicted": choice.predicted, "layers": choice.layers})
    if args.output:
        with replacing(args.output) as temporary:
            temporary.write_text(json.dumps({"images": len(test), "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


def _events(trace: Any) -> int:
    return sum(int(total.sum()) for total in trace.event_totals.values())


def _row(name: str, spikes: float, graph: Any, test: Dataset) -> dict[str, Any]:
    """Accuracy and spikes on the test images, printed."""
    correct = events = 0
    for images, labels in test.batches(BATCH):
        trace = tc.simulate(graph, images, counts="totals", memory="300MB")
        correct += int((trace.output.argmax(1) == labels.numpy()).sum())
        events += _events(trace)
    print(f"{name:10} {spikes:19,.0f}   {events / len(test):12,.0f}   {interval(correct, len(test))}", flush=True)
    return {"name": name, "calibration": spikes, "test": events / len(test), "correct": correct}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_set_up(parser)
    parser.add_argument("--timesteps", type=int, default=2, metavar="T")
    parser.add_argument("--method", choices=("qcfs", "error-compensation"), default="error-compensation")
    parser.add_argument(
        "--option", type=option, action="append", default=[], metavar="NAME=VALUE", help="a field of the method"
    )
    parser.add_argument("--schedule", choices=("pipelined", "layerwise"), default="pipelined")
    parser.add_argument("--per", choices=("layer", "channel"), default="channel")
    parser.add_argument("--uniform", type=int, nargs="+", default=[1, 2, 3, 5, 7], metavar="K")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
