"""``spikec verify``: the golden model against a target, every spike of every layer, image and step."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from spikec import defaults
from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser
from spikec.cli.speed import Speed
from spikec.cli.target_options import add_targets, golden_options, target_options

if TYPE_CHECKING:
    import nir
    import numpy as np
    import numpy.typing as npt

    from spikec.evidence.crosscheck import Crosscheck
    from spikec.models.data import Dataset, Sequences
    from spikec.simulation import Trace


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "verify",
        "golden model against a target: the first difference, or 'identical'",
        "spikec verify net.nir",
        "spikec verify net.nir --target c --limit 100",
    )
    parser.add_graph(command)
    command.add_argument("--target", default="lava", metavar="TARGET", help="lava (default), c")
    parser.add_data(command)
    parser.add_limit(command, defaults.COMPARED_IMAGES)
    add_targets(command, running=False)
    return command


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from spikec.cli.inputs import find_target, labelled, open_images, read_graph
    from spikec.evidence.loss import loss, loss_document
    from spikec.simulation.input_warning import input_loss
    from spikec.training.targets import kind_of

    (options, _), speed = target_options(args, running=False), Speed()
    nir_graph, graph = read_graph(args.graph)
    find_target(args.target)
    dataset = open_images(args, graph)
    hits: list[npt.NDArray[np.bool_]] = []

    def watch(trace: Trace) -> None:
        speed.add(trace)
        if kind_of(dataset.labels) != "classes" or not labelled(dataset) or not trace.has_classes:
            return
        start = sum(map(len, hits))
        hits.append(trace.predictions == dataset.labels[start : start + trace.images])

    result = crosscheck(args.target, nir_graph, dataset, options, golden_options(args), watch)
    cost = loss(graph, dataset, np.concatenate(hits)) if hits and result.identical else None
    coding = input_loss(graph, result.coding)
    document = {
        "file": args.graph,
        "deployment_sha256": graph.deployment_sha256,
        "content_sha256": graph.content_sha256,
        "data": args.data,
        **result.to_json(),
        "coding": coding,
        "loss": loss_document(cost),
        **speed.document,
    }
    lines = [str(result), *([] if cost is None else cost.sentences)]
    lines += speed.lines if speed.steps else []
    lines.append(f"deployment sha256 {graph.deployment_sha256}")
    emit(args, document, "\n".join(lines))
    return 0 if result.identical else 3


def crosscheck(
    target: str,
    graph: nir.NIRGraph,
    dataset: Dataset | Sequences,
    options: Mapping[str, Any] | None = None,
    golden: Mapping[str, Any] | None = None,
    watch: Callable[[Trace], None] | None = None,
) -> Crosscheck:
    """:func:`spikec.crosscheck` with progress on stderr; ``watch`` is called with every trace of the target."""
    from spikec.cli.evaluate import progressing
    from spikec.evidence import crosscheck as evidence

    with progressing(target, len(dataset)) as progress:
        return evidence.crosscheck(
            graph,
            target,
            dataset,
            options=options,
            golden=golden,
            progress=progress,
            watch=watch,
        )
