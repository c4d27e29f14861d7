"""``spikec energy``: SynOps, energy and time of a deployment, each with its interval."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spikec import defaults
from spikec.cli import parser
from spikec.cli.names import known_or_file
from spikec.cli.output import emit
from spikec.cli.parser import Parser, UsageError, at_least
from spikec.cli.shards import add_shards
from spikec.cli.target_options import add_golden, golden_options
from spikec.words import unknown

if TYPE_CHECKING:
    from spikec.energy import Convention
    from spikec.ir import IntegerGraph

_OF_ESTIMATES = ("book", "first_layer", "place", "by_capacity", "seed")


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "energy",
        "counts and energy of a NIR file, with intervals",
        "spikec energy net.nir --profile loihi2",
        "spikec energy net.nir --data digits --limit 200 --profile cmos45",
        "spikec energy net.nir --as neurobench",
    )
    parser.add_graph(command)
    parser.add_data(command)
    parser.add_limit(command, defaults.MEASURED_IMAGES)
    command.add_argument(
        "--profile",
        default=defaults.PROFILE,
        metavar="P",
        help=f"loihi1, loihi2, cmos45 or a .toml file (default {defaults.PROFILE})",
    )
    command.add_argument("--book", metavar="B", help="one of the profile's sets of constants")
    command.add_argument(
        "--first-layer",
        metavar="MODE",
        help="who computes what the image enters: bias_current (the host, default on Loihi), direct_mac (default of "
        "cmos45), direct_mac_every_step, host_encoded or event_camera",
    )
    mapping = command.add_mutually_exclusive_group()
    mapping.add_argument(
        "--place",
        action="store_true",
        help="cores and messages as spikec map places them, or an error; without it, by capacity where they cannot be",
    )
    mapping.add_argument("--by-capacity", action="store_true", help="cores by capacity, without a placement")
    command.add_argument(
        "--as",
        dest="tool",
        metavar="TOOL",
        help="instead, what neurobench, sinabs, syops or keras-spiking would print, and why it differs",
    )
    command.add_argument("--seed", type=at_least(0), metavar="S", help=f"of the interval's draws ({defaults.SEED})")
    add_golden(command)
    add_shards(command)
    return command


def run(args: argparse.Namespace) -> int:
    from spikec.cli.inputs import open_images, read_graph
    from spikec.cli.shards import check_shards, trace_of
    from spikec.energy import load_profile
    from spikec.energy.conventions import TOOLS
    from spikec.evidence.energy import estimate
    from spikec.sharding.work import Work
    from spikec.simulation.input_warning import told
    from spikec.targets.chips import chip_names

    check_shards(args)
    known_or_file("--profile", "energy profile", args.profile)
    if args.tool is not None and args.tool not in TOOLS:
        raise UsageError(f"--as: {unknown(args.tool, TOOLS)}")
    given = {name: getattr(args, name) for name in _OF_ESTIMATES}
    without_use = [name for name, value in given.items() if value is not None and value is not False]
    if args.tool is not None and without_use:
        option = without_use[0].replace("_", "-")
        raise UsageError(f"--{option} is for the estimate; leave out --as {args.tool}, which counts operations only")
    profile = load_profile(args.profile, args.book)
    if args.place and profile.name not in chip_names():
        raise UsageError(f"--place: {profile.title} has no cores to place on; known chips: {', '.join(chip_names())}")
    nir_graph, graph = read_graph(args.graph)
    if args.tool is not None:
        if args.shards is not None:
            raise UsageError(f"--shards: what {args.tool} counts needs rasters of one process; leave it out")
        other = _as_tool(args, graph)
        emit(args, {"file": args.graph, "data_set": args.data, **asdict(other)}, str(other))
        return 0
    work = Work(running=golden_options(args), keep="by image")
    trace = trace_of(args, work, nir_graph, graph, open_images(args, graph))
    told(graph, trace.coding)
    result = estimate(
        graph,
        trace,
        profile=args.profile,
        book=args.book,
        seed=defaults.SEED if args.seed is None else args.seed,
        placement="required" if args.place else "capacity" if args.by_capacity else None,
        first_layer=args.first_layer,
    )
    emit(args, {"file": args.graph, "data_set": args.data, **result.to_json()}, result.text())
    return 0


def _as_tool(args: argparse.Namespace, graph: IntegerGraph) -> Convention:
    """What ``args.tool`` would print. Runs batch by batch, since it needs rasters."""
    from spikec.cli.evaluate import batches
    from spikec.cli.inputs import open_images
    from spikec.energy.conventions import convention, mean
    from spikec.ir.input_statistics import CodedInput, joined
    from spikec.simulation import simulate
    from spikec.simulation.input_warning import told, unsaid

    found = []
    codings: list[CodedInput] = []
    for images, _ in batches(open_images(args, graph), graph, "golden"):
        with unsaid():  # all images are spoken of at once, below
            trace = simulate(graph, images, counts=True, record="spikes", **golden_options(args))
        codings += [] if trace.coding is None else [trace.coding]
        found.append((len(images), convention(graph, trace, args.tool, images)))
    told(graph, joined(codings))
    return mean(found)
