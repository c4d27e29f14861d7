"""``spikec c``: the network of a NIR file as self-contained C99."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser, UsageError
from spikec.cli.paths import keep_inputs, make_folder, output_folder, output_path
from spikec.errors import ToolchainError

if TYPE_CHECKING:
    from spikec.ir import IntegerGraph
    from spikec.targets.c.code import Source

#: Enough images to tell layers that are mostly silent from others.
DEFAULT_LIMIT = 200


def add_parser(commands: Any) -> Parser:
    command = parser.command(
        commands,
        "c",
        "a NIR file as C99 that needs nothing else, equal bit for bit",
        "spikec c net.nir -o c_code",
        "spikec c net.nir -o c_code --small --cost",
    )
    parser.add_graph(command)
    command.add_argument(
        "-o", "--out", type=output_folder, metavar="DIR", required=True, help="folder to write NAME.h and NAME.c to"
    )
    command.add_argument("--name", metavar="NAME", help="prefix of all names (default: the name of the file)")
    parser.add_data(
        command, "none; with it, the golden model measures which layers spike so much that reading all is faster"
    )
    parser.add_limit(command, DEFAULT_LIMIT)
    command.add_argument(
        "--vectors", action="store_true", help="for PCs and phones: loops in vectors, by gcc or clang; faster, larger"
    )
    command.add_argument(
        "--small",
        action="store_true",
        help="less memory, more work: what the image adds to a layer is computed anew in every step",
    )
    command.add_argument(
        "--longest", type=parser.at_least(1), metavar="N", help="most steps of a sequence (default: the file's)"
    )
    command.add_argument(
        "--cost",
        action="store_true",
        help="what it costs an ARM Cortex-M4: flash and RAM by section, operations, memory traffic, cycles by a model; "
        "of the images of --data, else of the worst image",
    )
    command.later(lambda: _add_early_exit(command))
    return command


def _add_early_exit(command: Parser) -> None:
    from spikec.cli.target_options import add_option
    from spikec.targets.options import early_exit

    add_option(command, early_exit(at="compile"))


def run(args: argparse.Namespace) -> int:
    from spikec.cli.inputs import read_graph
    from spikec.targets.c.code import Choices, generate
    from spikec.targets.c.naming import checked_name, lead_of, name_of
    from spikec.whole_files import write_text

    if args.data_root is not None and args.data is None:
        raise UsageError("--data-root says where the files of --data are: give --data too")
    if args.limit != DEFAULT_LIMIT and args.data is None:
        raise UsageError("--limit says how many images of --data are measured: give --data too")
    name = name_of(args.graph.stem) if args.name is None else checked_name(args.name)
    header, body = _places(args.out, name)
    keep_inputs(args, header, body)
    _, graph = read_graph(args.graph)
    if args.longest is not None and not graph.sequences:
        raise UsageError("--longest is for networks that read sequences; this one takes images")
    lead = lead_of(graph, args.target_early_exit)
    measured = None if args.data is None else _rates(args, graph)
    source = generate(
        graph,
        name,
        Choices(vectors=args.vectors, small=args.small, rates=measured or {}, longest=args.longest, early_exit=lead),
    )
    write_text(body, source.body)
    write_text(header, source.header)
    document, lines = _document(args, graph, source, header, body, measured), _text(args, source, header, body)
    if args.cost:
        document, lines = _with_cost(args, graph, source, document, lines)
    emit(args, document, lines, files=[header, body])
    return 0


def _with_cost(
    args: argparse.Namespace, graph: IntegerGraph, source: Source, document: dict[str, Any], lines: str
) -> tuple[dict[str, Any], str]:
    """What is printed, with the cost added."""
    from spikec.cli.evaluate import golden_trace
    from spikec.cli.inputs import open_images
    from spikec.targets.c.cost import cost
    from spikec.targets.chips import get_chip

    trace = None if args.data is None else golden_trace(open_images(args, graph), graph, counts=True)
    found = cost(graph, trace, source=source)
    clock = get_chip("cortex-m4").limits["clock"].value
    return {**document, "cost": found.to_json()}, f"{lines}\n{found.text(clock)}"


def _places(folder: Path, name: str) -> tuple[Path, Path]:
    """NAME.h and NAME.c, refused before the work where they cannot be written; makes the folder."""
    make_folder(folder)
    try:
        return output_path(os.path.join(folder, f"{name}.h")), output_path(os.path.join(folder, f"{name}.c"))
    except argparse.ArgumentTypeError as error:
        raise ToolchainError(str(error)) from error


def _rates(args: argparse.Namespace, graph: IntegerGraph) -> dict[str, float]:
    from spikec.cli.evaluate import batches
    from spikec.cli.inputs import open_images
    from spikec.targets.c.rates import rates

    dataset = open_images(args, graph)
    return rates(graph, (images for images, _ in batches(dataset, graph, "golden")))


def _document(
    args: argparse.Namespace,
    graph: IntegerGraph,
    source: Source,
    header: Path,
    body: Path,
    measured: dict[str, float] | None,
) -> dict[str, Any]:
    memory = source.memory
    return {
        "file": args.graph,
        "deployment_sha256": graph.deployment_sha256,
        "content_sha256": graph.content_sha256,
        "name": source.name,
        "header": header,
        "source": body,
        "data": args.data,
        "rates": measured,
        "constants": dict(memory.constants),
        "constant_bytes": memory.flash,
        "state": dict(memory.state),
        "state_bytes": memory.ram,
        "steps": source.steps,
        "stepped": source.stepped,
    }


def _text(args: argparse.Namespace, source: Source, header: Path, body: Path) -> str:
    memory = source.memory
    extension = ", and the vectors of gcc and clang" if args.vectors else ""
    return "\n".join(
        [
            f"{source.name}: C99 that needs <stdint.h> and nothing else{extension}",
            f"constants {memory.flash:,} bytes, state {memory.ram:,} bytes ({source.name}_state)",
            f"compile it with: cc -std=c99 -O2 -fno-tree-vectorize -c {quote(str(body))}",
            f"check it with: spikec verify {quote(str(args.graph))} --target c",
        ]
    )
