"""``spikec report``: accuracy, activity, verification and energy of a deployment on one page."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from spikec.cli import parser, report_diff
from spikec.cli.output import emit, note
from spikec.cli.parser import Parser, at_least
from spikec.cli.paths import keep_inputs, output_path
from spikec.cli.shards import add_shards
from spikec.cli.target_options import add_golden, golden_options
from spikec.defaults import COMPARED_IMAGES, SPREAD_IMAGES


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "report",
        "everything about a NIR file on one page, and as JSON",
        "spikec report net.nir -o report.html",
        "spikec report net.nir --data digits --limit 200 --verify 0",
        "spikec report diff a.json b.json",
    )
    parser.add_graph(command)
    parser.add_data(command)
    parser.add_limit(command)
    parser.add_metric(command)
    command.add_argument(
        "--verify",
        type=at_least(0),
        default=COMPARED_IMAGES,
        metavar="N",
        help=f"compare the first N images with Lava where it is installed (default {COMPARED_IMAGES}, 0: do not)",
    )
    command.add_argument(
        "-o",
        "--out",
        type=_page,
        default="report.html",
        metavar="report.html",
        help="the page to write; the same as data goes beside it, with the suffix .json",
    )
    add_golden(command)
    add_shards(command)
    command.instead("diff", report_diff.parser)
    return command


def _page(text: str) -> Path:
    """Argument type: a page that can be written, and its document beside it."""
    path = output_path(text)
    if path.suffix == ".json":
        raise argparse.ArgumentTypeError(
            f"{text} would be the page, and the same as data beside it too: call the page {path.with_suffix('.html')}"
        )
    if path.suffix.lower() not in (".html", ".htm"):
        raise argparse.ArgumentTypeError(f"{text} would be a page: call it {path.with_suffix('.html')}")
    output_path(str(path.with_suffix(".json")))
    return path


def run(args: argparse.Namespace) -> int:
    from spikec.cli.inputs import open_images, read_graph, wanted_measures
    from spikec.cli.shards import check_shards, trace_of
    from spikec.cli.verify import crosscheck
    from spikec.reporting import report
    from spikec.reporting.fits import estimates_of, fits_of
    from spikec.reporting.reproducing import network_name
    from spikec.sharding.work import Work
    from spikec.simulation.input_warning import told, unsaid
    from spikec.targets.base import get_target

    check_shards(args)
    keep_inputs(args, args.out, args.out.with_suffix(".json"))
    nir_graph, graph = read_graph(args.graph)
    dataset = open_images(args, graph)
    wanted = wanted_measures(args, graph, dataset)
    missing = get_target("lava").available() if args.verify else None
    if missing:
        note(f"not compared with Lava: {missing}")
    whole = len(dataset) <= SPREAD_IMAGES
    first, given = dataset.subset(slice(SPREAD_IMAGES)), golden_options(args)
    work = Work(running=given, keep="by image", measure=whole)
    sample = trace = trace_of(args, work, nir_graph, graph, first, "sample")
    if not whole:
        trace = trace_of(args, Work(running=given, keep="totals", measure=True), nir_graph, graph, dataset, "all")
    with unsaid():  # all images are spoken of at once, below
        verify = args.verify and not missing
        checked = crosscheck("lava", nir_graph, dataset.subset(slice(args.verify))) if verify else None
    told(graph, trace.coding)
    fits, placements = fits_of(graph)
    made = report(
        nir_graph,
        images=dataset,
        labels=dataset.labels if wanted else None,
        metric=wanted,
        trace=trace,
        estimates=estimates_of(graph, sample, placements),
        fits=fits,
        verification=checked,
        path=args.out,
        name=network_name(graph.info) or args.graph.stem,
        data_name=args.data,
        command=_command(args),
    )
    files = {"report": args.out, "json": args.out.with_suffix(".json")}
    emit(args, {**files, **made.to_json()}, f"{made.text()}\n", files=files.values())
    return 0 if made.verification is None or made.verification.identical else 3


def _command(args: argparse.Namespace) -> str:
    """The command line that makes the same numbers again."""
    words = ["spikec", "report", str(args.graph), "--data", args.data]
    if args.limit is not None:
        words += ["--limit", str(args.limit)]
    for metric in args.metric or ():
        words += ["--metric", metric]
    return shlex.join(words)
