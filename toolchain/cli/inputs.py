"""What commands read: graphs, images, targets. Imported inside ``run`` only: it pulls in numpy and torch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from spikec.errors import DataError, GraphError, TargetUnavailable, ToolchainError
from spikec.ir import IntegerGraph, as_integer, load
from spikec.words import unknown

if TYPE_CHECKING:
    import nir

    from spikec.models.data import Dataset, Sequences
    from spikec.targets.base import Target


def read_graph(path: Path) -> tuple[nir.NIRGraph, IntegerGraph]:
    """The verified graph of a file, as NIR and decoded."""
    if path.is_dir():
        raise GraphError(f"{path} is a directory, not a NIR file")
    if not path.is_file():
        raise GraphError(f"no file {path}; spikec export writes one")
    graph = load(path)
    return graph, as_integer(graph)


def open_images(args: argparse.Namespace, graph: IntegerGraph | None = None) -> Dataset | Sequences:
    """The first ``--limit`` test images, or sequences, of ``--data``; refused if their shape or labels do not fit
    ``graph``."""
    from spikec.ir.outputs import has_classes
    from spikec.ir.types import lifted
    from spikec.models.data import open_dataset, open_sequences

    opened = open_sequences if graph is not None and graph.sequences else open_dataset
    dataset: Dataset | Sequences = opened(args.data, args.data_root, "test")
    what = "frames" if graph is not None and graph.sequences else "images"
    if graph is not None and graph.input.shape not in (dataset.shape, lifted(dataset.shape)):
        known = "" if graph.measured is None else f" ({graph.measured.data} when it was exported)"
        raise DataError(
            f"{args.graph} takes {what} of {_by(graph.input.shape)}, {args.data} has {_by(dataset.shape)}: "
            f"give the data set it was made for with --data{known}"
        )
    if graph is not None and has_classes(graph) and int(dataset.labels.max()) >= graph.readout.shape[0]:
        raise DataError(
            f"{args.graph} knows {graph.readout.shape[0]} classes, {args.data} has label {dataset.labels.max()}"
        )
    return dataset.subset(slice(args.limit)) if args.limit else dataset


def lasting(graph: IntegerGraph, dataset: Dataset | Sequences) -> IntegerGraph:
    """The graph with as many steps as the longest sequence; unchanged where it takes images."""
    from spikec.models.data import Sequences

    return graph.lasting(dataset.steps) if isinstance(dataset, Sequences) else graph


def find_target(name: str) -> Target:
    """The target called ``name``. Raises ``TargetUnavailable`` if it cannot run here."""
    from spikec.targets.base import get_target, target_names

    if name not in target_names():
        raise ToolchainError(f"target: {unknown(name, target_names())}")
    target = get_target(name)
    missing = target.available()
    if missing:
        raise TargetUnavailable(missing)
    return target


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
