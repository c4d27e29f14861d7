"""``--shards``: a command's images run in several processes, here or on a cluster; without it, batch by batch here."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec.cli.output import note
from spikec.cli.parser import Parser, UsageError, at_least
from spikec.cluster import EXECUTORS

if TYPE_CHECKING:
    import nir

    from spikec.ir import IntegerGraph
    from spikec.models.data import Dataset, Sequences
    from spikec.sharding.work import Work
    from spikec.simulation import Trace

_MOST = 100_000
_OTHERS = {"executor": "--executor", "jobs": "--jobs", "slurm_option": "--slurm-option", "shard_dir": "--shard-dir"}


def add_shards(command: Parser) -> None:
    """Add ``--shards`` and the options that go with it."""
    group = command.add_argument_group("shards: the images run in several processes, with the same results")
    group.add_argument(
        "--shards",
        type=at_least(1, _MOST),
        metavar="N",
        help="cut the images into N parts, each in a process of its own",
    )
    group.add_argument("--executor", metavar="WHERE", help="where the parts run: local (default) or slurm")
    group.add_argument(
        "--jobs", type=at_least(1), metavar="N", help="parts at once (default: cores / threads; SLURM: all)"
    )
    group.add_argument(
        "--shard-dir",
        type=Path,
        metavar="DIR",
        help="keep what is finished here, and go on from there (default: a temporary folder in this one); with slurm, "
        "on a file system that the nodes share",
    )
    add_slurm_option(group)


def add_slurm_option(group: Any) -> None:
    """``--slurm-option``, which may be repeated."""
    group.add_argument(
        "--slurm-option",
        action="append",
        type=_option,
        default=[],
        metavar="KEY=VALUE",
        help="passed on to sbatch, such as partition=debug or time=2:00:00; may be repeated",
    )


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.lstrip("-").partition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    return name, value if equals else ""


def refuse_shards(command: Parser) -> None:
    """Know ``--shards`` without offering it, so that :func:`check_no_shards` can say why."""
    command.add_argument("--shards", help=argparse.SUPPRESS)


def check_no_shards(args: argparse.Namespace, why: str) -> None:
    """Raise where ``--shards`` was given."""
    if args.shards is not None:
        raise UsageError(f"--shards cuts the images of run, energy and report; {why}: leave it out")


def check_shards(args: argparse.Namespace) -> None:
    """Raise for options that say nothing without others, and where SLURM is missing; before anything is read."""
    from spikec.cluster import slurm

    if args.executor is not None and args.executor not in EXECUTORS:
        from spikec.targets.told_apart import wrong

        raise UsageError(f"--executor: {wrong(args.executor, 'executor of shards', list(EXECUTORS))}")
    if args.shards is None:
        given = next((word for name, word in _OTHERS.items() if getattr(args, name)), None)
        if given:
            raise UsageError(f"{given} says how shards run: give --shards N too, or leave it out")
        return
    if args.executor != "slurm" and args.slurm_option:
        raise UsageError("--slurm-option belongs to --executor slurm")
    if args.executor == "slurm":
        slurm.check(dict(args.slurm_option))


def traces(
    args: argparse.Namespace,
    work: Work,
    nir_graph: nir.NIRGraph,
    graph: IntegerGraph,
    data: Dataset | Sequences,
    name: str = "",
) -> Iterator[tuple[slice, Trace]]:
    """The traces of all images of ``data``, which are the first of ``--data``, part by part in order, with progress on
    stderr; what is kept of them is that of ``work``. In shards where ``--shards`` asks for them. ``name``: of the
    folder in ``--shard-dir``, where a command runs several sets."""
    from spikec.cli.evaluate import progressing

    with progressing(" ".join(filter(None, (work.target, name))), len(data)) as progress:
        if args.shards is None:
            from spikec.sharding.work import Worker

            yield from Worker(work, nir_graph, graph, data, progress).traces(slice(0, len(data)))
        else:
            yield from _in_shards(args, work, graph, data, progress, name)


def trace_of(
    args: argparse.Namespace,
    work: Work,
    nir_graph: nir.NIRGraph,
    graph: IntegerGraph,
    data: Dataset | Sequences,
    name: str = "",
) -> Trace:
    """The same as one trace."""
    from spikec.simulation.joining import joined_all

    return joined_all(trace for _, trace in traces(args, work, nir_graph, graph, data, name))


def _in_shards(
    args: argparse.Namespace, work: Work, graph: IntegerGraph, data: Dataset | Sequences, progress: Any, name: str
) -> Iterator[tuple[slice, Trace]]:
    from spikec.models.data import Sequences
    from spikec.sharding.job import Folder, Job
    from spikec.sharding.run import Where, cancel, executed
    from spikec.whole_files import temporary_folder

    if isinstance(data, Sequences):
        raise UsageError(
            "--shards cuts sets of images, and sequences run together, as long as the longest: leave it out"
        )
    job = Job.of(args.graph, graph, (args.data, args.data_root), len(data), data.fingerprint(), work)
    if job.pieces < args.shards:
        note(f"{len(data)} images are cut into {job.pieces} shards, not into {args.shards}")
    threads = getattr(args, "target_threads", None)
    where = Where(args.executor or "local", args.shards, args.jobs, threads, dict(args.slurm_option))
    with ExitStack() as stack:
        own = args.shard_dir is None
        place = stack.enter_context(temporary_folder(Path.cwd(), "shards")) if own else args.shard_dir / name
        folder = Folder(place, job)
        if where.executor == "slurm" and own:
            stack.callback(cancel, folder)  # its folder goes
        try:
            yield from executed(folder, where, progress)
        except KeyboardInterrupt:
            if not own:
                queued = "; jobs in the queue go on (scancel ends them)" if where.executor == "slurm" else ""
                note(f"\n{args.shard_dir}: finished pieces are kept, the same command goes on{queued}")
            raise
