"""``spikec demo``: the main job end to end, on the network and the images that come with the package."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.cli import parser
from toolchain.cli.output import emit, percent
from toolchain.cli.parser import Parser, UsageError, at_least

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from models.data import Dataset

MODEL = "digits-cnn"
DATA = "digits"
CALIBRATION = 256


def add_parser(commands: Any) -> Parser:
    command = parser.command(commands, "demo", "the main job end to end: convert, lower, verify in Lava, report")
    command.add_argument("-o", "--out", type=Path, default=Path("spikec-demo"), metavar="DIR", help="where to write")
    command.add_argument(
        "-T", "--timesteps", type=at_least(1), default=4, metavar="T", help="steps per image (default 4)"
    )
    command.add_argument(
        "--verify", type=at_least(1), default=100, metavar="N", help="images to compare with Lava (default 100)"
    )
    command.add_argument(
        "--target", choices=("lava",), help="fail with exit code 4 where Lava cannot run, instead of going on without"
    )
    return command


def run(args: argparse.Namespace) -> int:
    import toolchain as tc
    from models import pretrained
    from models.data import open_dataset
    from targets.base import get_target
    from toolchain.cli.evaluate import Evaluation, golden_trace
    from toolchain.cli.inputs import find_target, read_graph
    from toolchain.cli.verify import says, verification
    from toolchain.report import report
    from toolchain.report.numbers import quantiles

    if args.target:
        find_target(args.target)
    folder = _folder(args.out)
    test = open_dataset(DATA, split="test")
    model = pretrained(MODEL)
    logits = _logits(model, test)
    ann = float((logits.argmax(axis=1) == test.labels).mean())
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"ANN      {MODEL}, {parameters:,} parameters: {percent(ann)} of {len(test)} test images")

    path = folder / f"{MODEL}.nir"
    images = open_dataset(DATA, split="train").images(slice(CALIBRATION))
    network = tc.convert(model, tc.QCFS(timesteps=args.timesteps), example=images[:1], calibration=images)
    tc.save(tc.lower(network, tc.Int8()), path)
    # From here on the file is all there is, as for anybody who is given it.
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
    verified = None if missing else verification("lava", nir_graph, graph, test.subset(slice(args.verify)))
    print(f"lava     {says(verified) if verified else f'skipped: {missing}'}")

    made = report(
        nir_graph,
        images=test.images().numpy(),
        labels=test.labels,
        trace=trace,
        ann_logits=logits,
        verification=verified,
        path=folder / "report.html",
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
            "content_sha256": graph.content_sha256,
            "timesteps": graph.timesteps,
            "images": result.images,
            "accuracy": result.accuracy,
            "interval": result.interval,
            "lava": {"skipped": missing} if verified is None else {**vars(verified), "identical": verified.identical},
            "synops_per_image": made.synops_per_image,
            "energy": {energy.profile: energy.total for energy in made.energies},
            "report": folder / "report.html",
        },
        f"report   {folder / 'report.html'} and {folder / 'report.json'}",
    )
    return 0 if verified is None or verified.identical else 3


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; give a directory with -o")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _logits(model: nn.Module, data: Dataset) -> npt.NDArray[np.float32]:
    """The ANN's outputs, float32 [N, classes]."""
    import torch

    with torch.inference_mode():
        logits: npt.NDArray[np.float32] = torch.cat([model(images) for images, _ in data.batches(256)]).numpy()
    return logits
