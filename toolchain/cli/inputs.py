"""What commands read: graphs, images, targets. Imported inside ``run`` only: it pulls in numpy and torch."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from spikec import defaults
from spikec.cli.names import known
from spikec.errors import DataError, GraphError, TargetUnavailable
from spikec.ir import IntegerGraph, as_integer, load
from spikec.whole_files import is_device

if TYPE_CHECKING:
    import nir

    from spikec.evidence.measures import Wanted
    from spikec.models.data import Dataset, Sequences
    from spikec.targets.base import Target


def read_graph(path: Path) -> tuple[nir.NIRGraph, IntegerGraph]:
    """The verified graph of a file, as NIR and decoded."""
    if os.path.isdir(path):
        raise GraphError(f"{path} is a directory, not a NIR file")
    if is_device(path):
        raise GraphError(f"{path} is a device or a pipe, not a NIR file")
    if not os.path.isfile(path):
        raise GraphError(f"no file {path}; spikec export writes one")
    graph = load(path)
    return graph, as_integer(graph)


def open_images(args: argparse.Namespace, graph: IntegerGraph | None = None) -> Dataset | Sequences:
    """The first ``--limit`` test images, or sequences, of ``--data``; refused if their shape does not fit ``graph``, or
    their labels name no class of it. Without ``--data``, those that the file says it was exported with, else the
    default; ``args`` then names them."""
    from spikec.ir.outputs import has_classes
    from spikec.ir.types import lifted
    from spikec.models.data import open_dataset, open_sequences, size_hint
    from spikec.training.targets import kind_of

    recorded = None if args.data is not None or graph is None else _exported_with(graph)
    args.data = args.data or recorded or defaults.DATA
    opened = open_sequences if graph is not None and graph.sequences else open_dataset
    try:
        dataset: Dataset | Sequences = opened(args.data, args.data_root, "test")
    except DataError as error:
        if recorded is None:
            raise
        raise DataError(f"{error} ({args.graph} was exported with {recorded}; --data names another)") from error
    what = "frames" if graph is not None and graph.sequences else "images"
    if graph is not None and graph.input.shape not in (dataset.shape, lifted(dataset.shape)):
        known = "" if graph.measured is None else f" ({graph.measured.data} when it was exported)"
        raise DataError(
            f"{args.graph} takes {what} of {_by(graph.input.shape)}, {args.data} has {_by(dataset.shape)}: "
            f"give the data set it was made for with --data{known}{size_hint(args.data)}"
        )
    classes = kind_of(dataset.labels) == "classes" and not getattr(args, "metric", None)
    if graph is not None and classes and has_classes(graph) and int(dataset.labels.max()) >= graph.readout.shape[0]:
        raise DataError(
            f"{args.graph} knows {graph.readout.shape[0]} classes, {args.data} has label {dataset.labels.max()}"
        )
    return dataset.subset(slice(args.limit)) if args.limit else dataset


def _exported_with(graph: IntegerGraph) -> str | None:
    """The data set that a file says it was exported with."""
    return graph.info.get("data") if graph.measured is None else graph.measured.data


def lasting(graph: IntegerGraph, dataset: Dataset | Sequences) -> IntegerGraph:
    """The graph with as many steps as the longest sequence; unchanged where it takes images."""
    from spikec.models.data import Sequences

    return graph.lasting(dataset.steps) if isinstance(dataset, Sequences) else graph


def labelled(dataset: Dataset | Sequences) -> bool:
    """Whether the data hold labels; sequences may have none."""
    from spikec.models.data import Sequences

    return dataset.labelled if isinstance(dataset, Sequences) else True


def wanted_measures(args: argparse.Namespace, graph: IntegerGraph, dataset: Dataset | Sequences) -> tuple[Wanted, ...]:
    """The measures of ``--metric``, or those that the labels ask for; none where the data hold no labels, or classes
    that the network has no output for. Raises ``DataError`` where they do not fit."""
    from spikec.evidence.measures import measures_of, wanted_of
    from spikec.evidence.quality import output_shapes
    from spikec.ir.outputs import has_classes
    from spikec.training.targets import kind_of

    if not labelled(dataset):
        if args.metric:
            raise DataError(f"--metric {args.metric[0]} needs labels, and {args.data} holds no y")
        return ()
    if not args.metric and kind_of(dataset.labels) == "classes" and not has_classes(graph):
        return ()
    given = [wanted_of(text) for text in args.metric or ()]
    try:
        return measures_of(given, output_shapes(graph), dataset.labels)
    except DataError as error:
        raise DataError(f"{args.graph} and {args.data}: {error}") from error


def find_target(name: str) -> Target:
    """The target called ``name``. Raises ``TargetUnavailable`` if it cannot run here."""
    from spikec.targets.base import get_target

    target = get_target(known("--target", "executor", name))
    missing = target.available()
    if missing:
        raise TargetUnavailable(missing)
    return target


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
