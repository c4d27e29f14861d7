"""``spikec demo``: the main job end to end, on the network and the images that come with the package."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec import defaults
from spikec.cli import parser
from spikec.cli.names import known
from spikec.cli.output import emit, percent
from spikec.cli.parser import Parser, UsageError, at_least
from spikec.cli.paths import make_folder, output_folder
from spikec.defaults import DATA

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from spikec.models.data import Dataset

MODEL = "digits-cnn"


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "demo",
        "the main job end to end: convert, lower, verify in Lava, report",
        "spikec demo",
        "spikec demo -o first-try -T 8",
    )
    command.add_argument(
        "-o", "--out", type=output_folder, default=Path("spikec-demo"), metavar="DIR", help="where to write"
    )
    command.add_argument(
        "-T",
        "--timesteps",
        type=at_least(1),
        default=defaults.TIMESTEPS,
        metavar="T",
        help=f"steps per image (default {defaults.TIMESTEPS})",
    )
    command.add_argument(
        "--verify", type=at_least(1), default=100, metavar="N", help="images to compare with Lava (default 100)"
    )
    command.add_argument(
        "--target",
        metavar="lava",
        help="fail with exit code 4 where Lava cannot run, instead of going on without",
    )
    return command


def run(args: argparse.Namespace) -> int:
    import spikec as tc
    from spikec.cli.evaluate import golden_trace
    from spikec.cli.inputs import find_target, read_graph
    from spikec.cli.verify import crosscheck
    from spikec.deployment import deploy_network
    from spikec.evidence.accuracy import Evaluation
    from spikec.models import pretrained
    from spikec.models.data import open_dataset
    from spikec.reporting import report
    from spikec.reporting.numbers import quantiles
    from spikec.targets.base import get_target

    if args.target:
        _check_target(args.target)
        find_target(args.target)
    folder = make_folder(args.out)
    test = open_dataset(DATA, split="test")
    model = pretrained(MODEL)
    logits = _logits(model, test)
    ann = float((logits.argmax(axis=1) == test.labels).mean())
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"ANN      {MODEL}, {parameters:,} parameters: {percent(ann)} of {len(test)} test images")

    path = folder / f"{MODEL}.nir"
    images = open_dataset(DATA, split="train").draw(defaults.CALIBRATION_IMAGES, defaults.SEED).images()
    tc.save(deploy_network(model, tc.QCFS(timesteps=args.timesteps), images).nir, path)
    # From here on only the file is used, as by anybody who is given it.
    nir_graph, graph = read_graph(path)
    print(f"export   {path}: integer NIR, int8 weights, T = {graph.timesteps}, {len(graph.populations)} layers")

    result = Evaluation()
    trace = golden_trace(test, graph, counts=True, measure=True)
    result.add(trace, test.labels)
    low, high = result.interval
    print(
        f"golden   integer SNN: {percent(result.accuracy)} at T = {graph.timesteps} "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f})"
    )

    missing = get_target("lava").available()
    checked = None if missing else crosscheck("lava", nir_graph, test.subset(slice(args.verify)))
    print(f"lava     {checked if checked else f'skipped: {missing}'}")

    made = report(
        nir_graph,
        images=test.images().numpy(),
        labels=test.labels,
        trace=trace,
        ann_logits=logits,
        verification=checked,
        fidelity=tc.fidelity(model, nir_graph, images[:100]),
        path=folder / "report.html",
        name=MODEL,
        data_name=DATA,
        command="spikec demo",
    )
    print(f"synops   {made.synops_per_image:,.0f} per image")
    for energy in made.energies:
        least = "at least " if energy.unpriced else ""
        print(f"energy   {least}{quantiles(energy.total, 'J')} per image on {energy.profile}: {energy.evidence}")
    emit(
        args,
        {
            "model": MODEL,
            "ann_accuracy": ann,
            "file": path,
            "deployment_sha256": graph.deployment_sha256,
            "content_sha256": graph.content_sha256,
            "timesteps": graph.timesteps,
            "images": result.images,
            "accuracy": result.accuracy,
            "interval": result.interval,
            "lava": {"skipped": missing} if checked is None else checked.to_json(),
            "synops_per_image": made.synops_per_image,
            "energy": {energy.profile: energy.total for energy in made.energies},
            "report": folder / "report.html",
        },
        f"deployment sha256 {graph.deployment_sha256}",
        files=[path, folder / "report.html", folder / "report.json"],
    )
    return 0 if checked is None or checked.identical else 3


def _check_target(name: str) -> None:
    """Refuse what is not Lava; of another executor, say which command runs it."""
    known("--target", "executor", name)
    if name == "golden":
        raise UsageError("--target: the demo runs the golden model anyway and compares it with lava: leave it out")
    if name != "lava":
        raise UsageError(
            f"--target: the demo compares with lava alone; spikec verify --target {name} compares the file it writes"
        )


def _logits(model: nn.Module, data: Dataset) -> npt.NDArray[np.float32]:
    """The ANN's outputs, float32 [N, classes]."""
    import torch

    with torch.inference_mode():
        logits: npt.NDArray[np.float32] = torch.cat([model(images) for images, _ in data.batches(256)]).numpy()
    return logits
