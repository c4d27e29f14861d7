"""``spikec map``: which core of a chip computes which neurons."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from spikec.cli import parser
from spikec.cli.check import add_chip, known_chip
from spikec.cli.output import emit, note
from spikec.cli.parser import Parser
from spikec.cli.paths import file_like, keep_inputs
from spikec.words import columns

if TYPE_CHECKING:
    from spikec.targets.chips import Placement


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "map",
        "a NIR file placed on the cores of a chip, an estimate",
        "spikec map net.nir --target loihi2 --svg map.svg",
        "spikec map net.nir --cores",
    )
    parser.add_graph(command)
    add_chip(command)
    command.add_argument("--svg", type=file_like(".svg"), metavar="map.svg", help="draw the cores")
    command.add_argument("--cores", action="store_true", help="list every core: what is on it, what it uses")
    command.add_argument(
        "--unshared", action="store_true", help="store every synapse of a convolution by itself instead of its kernel"
    )
    return command


def run(args: argparse.Namespace) -> int:
    from spikec.cli.inputs import read_graph
    from spikec.targets.chips import check, place
    from spikec.whole_files import write_text

    chip = known_chip(args.target)
    keep_inputs(args, args.svg)
    _, graph = read_graph(args.graph)
    placement = place(graph, chip, shared=not args.unshared)
    if args.svg is not None:
        write_text(args.svg, placement.svg())
    if any(violation.severity == "error" for violation in check(graph, chip)):
        note(f"warning: the network does not fit {chip} (spikec check says why); the cores are those it would take")
    emit(
        args,
        lambda: {
            "file": args.graph,
            "deployment_sha256": graph.deployment_sha256,
            "target": placement.target,
            "chips": placement.chips,
            "lower_bound": placement.lower_bound,
            "shared_kernels": placement.shared,
            "population_axons": placement.population_axons,
            "cores_of": placement.cores_of,
            "assumed": placement.assumptions,
            "cores": placement.cores,
            "svg": args.svg,
        },
        text(placement, args.cores),
        files=[args.svg] if args.svg is not None else [],
    )
    return 0


def text(placement: Placement, cores: bool = False) -> str:
    """Cores in all and per layer, and what the estimate assumes; ``cores``: (used, limit) of every core too."""
    chips = f"{placement.chips} chip{'s' if placement.chips > 1 else ''}"
    lines = [
        f"{_cores(len(placement.cores))} on {chips} of {placement.target}; lower bound {placement.lower_bound}",
        *(f"  {line}" for line in _layers(placement)),
    ]
    if placement.population_axons:
        lines.append(f"  population axons into {', '.join(placement.population_axons)}")
    for core in placement.cores if cores else ():
        slices = ", ".join(
            f"{part.layer}[{','.join(f'{low}:{high}' for low, high in part.box)}]" for part in core.slices
        )
        used = ", ".join(f"{key} ({used}, {limit})" for key, (used, limit) in core.usage.items())
        lines.append(f"  core {core.index}, chip {core.chip}: {slices}: {used}")
    return "\n".join([*lines, *(f"  assumed: {line}" for line in placement.assumptions)])


def _layers(placement: Placement) -> list[str]:
    """A line for each layer: its cores, its neurons, and what is scarcest on the fullest of these cores."""
    from spikec.targets.placed import by_layer

    rows = [("layer", "cores", "neurons", "fullest core")]
    for x in by_layer(placement):
        rows.append((x.layer, f"{x.cores:,}", f"{x.neurons:,}", f"{100 * x.load:.0f} % of {x.resource}"))
    return columns(rows, right=(1, 2))


def _cores(number: int) -> str:
    return f"{number} core{'s' if number > 1 else ''}"
