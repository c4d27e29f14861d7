"""Every conversion method on every network: accuracy against T on integers, activity, latency.

    python -m benchmarks.methods [--network fashion-vgg] [--cifar folder:DIR] [--relu resnet20.th]
                                 [--folder runs/methods] [--write]

Trains what is not in FOLDER yet (``methods.toml`` says how), evaluates what has no result there yet, and prints the
tables; ``--write`` puts them into docs/results.md. Accuracy: integer networks with int8 weights per layer, all test
images, mean over the seeds; one seed's 95 % Wilson interval is given for the first seed. Activity: the first 1,000 test
images. SRP has no integer form and runs in float.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import spikec as tc
from benchmarks.methods_training import BASE, Plan, trained
from spikec import defaults
from spikec.conversion import SRP, Method
from spikec.conversion.network import run_steps
from spikec.deployment import deploy_network
from spikec.energy.counts import count
from spikec.ir import IntegerGraph, as_integer
from spikec.ir.walks import depth
from spikec.models.data import Dataset
from spikec.training import ClipFloorShift
from spikec.whole_files import replacing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
STEPS = (1, 2, 4, 8, 16)
TAU = 4
TUNING = 5000
ACTIVITY_IMAGES = 1000
FLOAT_BATCH = 10


@dataclass(frozen=True)
class Entry:
    """A row of the tables: ``method`` at T steps on the network of ``training``. ``curve``: one run at the largest T
    answers for all smaller T, since no neuron's behaviour depends on T."""

    label: str
    training: str
    method: Method
    curve: tuple[int, ...] = ()


def entries() -> Iterator[Entry]:
    """All that is evaluated."""
    last = STEPS[-1]
    yield Entry("QCFS", BASE, tc.QCFS(timesteps=last), STEPS)
    yield Entry("SRP, tau = 4 (float)", BASE, tc.SRP(timesteps=last, tau=TAU), STEPS)
    yield Entry("ResidualError", "residual-error", tc.ResidualError(timesteps=last), STEPS)
    yield Entry("OffsetSpikes, online, rho = 4", BASE, tc.OffsetSpikes(timesteps=last, rho=4), STEPS)
    yield Entry("OffsetSpikes, online, rho = 8", BASE, tc.OffsetSpikes(timesteps=4, rho=8), (1, 2, 4))
    for steps in STEPS:
        yield Entry("OffsetSpikes, static", BASE, tc.OffsetSpikes(timesteps=steps, mode="static"), (steps,))
    yield Entry("ErrorCompensation", BASE, tc.ErrorCompensation(timesteps=last), STEPS)
    for steps in (1, 2, 4):
        method = tc.ErrorCompensation(timesteps=steps, drain=steps)
        yield Entry("ErrorCompensation, drain = T", BASE, method, (steps,))
    for training, label in ((BASE, ""), ("residual-error", "ResidualError + ")):
        for steps in STEPS:
            method = tc.ErrorCompensation(timesteps=steps, offsets="static")
            yield Entry(f"{label}ErrorCompensation, static offsets", training, method, (steps,))
        for steps in (1, 2, 4):
            method = tc.ErrorCompensation(timesteps=steps, offsets="tuned")
            yield Entry(f"{label}ErrorCompensation, tuned offsets", training, method, (steps,))
    for steps in (1, 2):
        method = tc.ErrorCompensation(timesteps=steps)
        yield Entry("ErrorCompensation, trained through spikes", f"through-spikes-{steps}", method, (steps,))
    for steps in STEPS:
        yield Entry("QCFS, layerwise", BASE, tc.QCFS(timesteps=steps, schedule="layerwise"), (steps,))
    for steps in (1, 2, 3, 4):
        yield Entry("ErrorFree, layerwise", f"error-free-{steps}", tc.ErrorFree(timesteps=steps), (steps,))
    for steps in (4, 8):
        yield Entry("ErrorFree, not fine-tuned", BASE, tc.ErrorFree(timesteps=steps), (steps,))
    for number in (1, 2, 3, 4):
        training = f"error-free-3-sparse-{number}"
        yield Entry(f"ErrorFree, spike penalty {number}", training, tc.ErrorFree(timesteps=3), (3,))
    yield Entry("Graded", BASE, tc.Graded(), (1,))


def evaluate(entry: Entry, model: nn.Module, train: Dataset, test: Dataset) -> dict[str, Any]:
    """Correct test images by T; latency and further steps; spikes and SynOps per image by T."""
    tuned = "tuned" in (getattr(entry.method, "offsets", None), getattr(entry.method, "mode", None))
    calibration = train.images(slice(TUNING if tuned else defaults.CALIBRATION_IMAGES_MAX))
    labels = test.targets().numpy()
    result: dict[str, Any] = {"images": len(test), "ann": accurate(model, test)}
    if isinstance(entry.method, SRP):
        network = tc.convert(model, entry.method, example=calibration[:2], calibration=calibration)
        return result | {"correct": float_curve(network, test, entry.curve), "extra_steps": TAU}
    graph = as_integer(deploy_network(model, entry.method, calibration, tc.Int8(per="layer")).graph)
    trace = tc.simulate(graph, test.images(), counts=False)
    # The readout after each step lacks the drain, and only pipelined networks have it.
    outputs = [trace.output] if len(entry.curve) == 1 else [trace.output_curve[:, t - 1] for t in entry.curve]
    result["correct"] = {t: int((o.argmax(1) == labels).sum()) for t, o in zip(entry.curve, outputs, strict=True)}
    result |= latency(graph, entry.curve)
    result["activity"] = {t: activity(replace(graph, timesteps=t), test) for t in entry.curve}
    if graph.schedule == "layerwise" or graph.drain:
        result["certificate"] = str(tc.certify(graph, test.images(slice(ACTIVITY_IMAGES))))
    return result


def latency(graph: IntegerGraph, curve: tuple[int, ...]) -> dict[str, Any]:
    """Steps until the readout by T and, where T counts steps of the whole network, those that run beside them."""
    layers = depth(graph)
    if graph.schedule == "layerwise":
        return {"latency": {t: layers * t for t in curve}}
    extra = graph.drain + layers * graph.timing.rehearsal
    return {"latency": {t: t + layers + extra for t in curve}, "extra_steps": extra}


def activity(graph: IntegerGraph, test: Dataset) -> dict[str, float]:
    """Spikes and SynOps (non-zero weights, image excluded) per image."""
    trace = tc.simulate(graph, test.images(slice(ACTIVITY_IMAGES)), counts="totals")
    counts = count(graph, trace)
    synops = sum(s.synops_nonzero for s in counts.synapses.values() if not s.input_synops)
    spikes = sum(int(total.sum()) for total in trace.event_totals.values())
    return {"spikes": spikes / trace.images, "synops": synops / trace.images}


def accurate(model: nn.Module, test: Dataset) -> int:
    """Test images the trained network classifies correctly."""
    with torch.inference_mode():
        return sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test.batches(250))


def float_curve(network: tc.SpikingNetwork, test: Dataset, steps: tuple[int, ...]) -> dict[int, int]:
    """Correct test images of a float network after each of ``steps`` steps."""
    correct = dict.fromkeys(steps, 0)
    with torch.inference_mode():
        for images, labels in test.batches(FLOAT_BATCH):
            output = run_steps(network, images).reshape(network.steps, len(images), -1)[network.warm_up :].cumsum(0)
            for t in steps:
                correct[t] += int((output[t - 1].argmax(1) == labels).sum())
    return correct


def result_path(folder: Path, plan: Plan, seed: int, entry: Entry) -> Path:
    name = f"{entry.label} {entry.curve[-1]}".lower()
    slug = "-".join("".join(c if c.isalnum() else " " for c in name).split())
    return folder / "results" / f"{plan.name}.seed{seed}.{slug}.json"


def measure(plan: Plan, seed: int, folder: Path, chosen: list[Entry]) -> None:
    """Write the result of every entry that has none yet."""
    train, test = plan.split("train"), plan.split("test")
    for entry in chosen:
        path = result_path(folder, plan, seed, entry)
        if path.exists():
            continue
        model = trained(plan, entry.training, seed, folder)
        started = time.monotonic()
        described = {"label": entry.label, "network": plan.name, "seed": seed}
        levels = next(m.levels for m in model.modules() if isinstance(m, ClipFloorShift))
        result = {**described, "levels": levels, **evaluate(entry, model, train, test)}
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(result, indent=1))
        shown = " ".join(f"T={t} {100 * c / len(test):.2f}" for t, c in result["correct"].items())
        print(f"{plan.name} seed {seed}, {entry.label}: {shown}  ({time.monotonic() - started:.0f} s)", flush=True)


def plans(args: argparse.Namespace) -> list[Plan]:
    """The chosen networks whose data are here."""
    table = tomllib.loads((HERE / "methods.toml").read_text(encoding="utf-8"))
    found = []
    for name, entry in table["networks"].items():
        cifar = name in ("resnet20", "vgg11")
        if (args.network and name not in args.network) or (cifar and not args.cifar):
            continue
        data = args.cifar if cifar else {"digits-cnn": "digits"}.get(name, "fashion-mnist")
        relu = args.relu if name == "resnet20" else None
        seeds = tuple(args.seed if args.seed else entry["seeds"])
        found.append(
            Plan(
                name,
                seeds=seeds,
                base=entry["base"],
                fine_tune=entry["fine_tune"],
                trainings=table["trainings"] | entry.get("trainings", {}),
                data=data,
                root=args.data_root,
                shipped=entry.get("shipped"),
                relu=relu,
            )
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append")
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--only", help="entries whose label contains this text")
    parser.add_argument("--cifar", help="CIFAR-10: cifar10, or folder:DIR; without it, its networks are left out")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--relu", type=Path, help="ReLU weights of ResNet-20 to fine-tune")
    parser.add_argument("--folder", type=Path, default=Path("runs/methods"))
    parser.add_argument("--write", action="store_true", help="put the tables into docs/results.md")
    args = parser.parse_args()
    chosen = [entry for entry in entries() if not args.only or args.only in entry.label]
    for plan in plans(args):
        for seed in plan.seeds:
            measure(plan, seed, args.folder, chosen)
    from benchmarks.methods_tables import show

    show(args.folder / "results", [entry.label for entry in entries()], write=args.write)


if __name__ == "__main__":
    main()
