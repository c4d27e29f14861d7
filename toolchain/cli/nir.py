"""``spikec nir``: any NIR file. What is wrong with it, a corrected copy, and whether two are the same graph."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from spikec.cli import parser
from spikec.cli.output import emit
from spikec.cli.parser import Parser, UsageError
from spikec.cli.paths import file_like, output_path

MISMATCH = 3


def add_parser(commands: Any) -> Parser:
    about = "any NIR file: what is wrong with it, a corrected copy, a comparison"
    group = parser.command(
        commands,
        "nir",
        about,
        "spikec nir doctor foreign.nir",
        "spikec nir repair foreign.nir -o mended.nir",
        "spikec nir compare a.nir b.nir",
    )
    actions = group.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)

    doctor = parser.command(
        actions,
        "doctor",
        "everything that is wrong or ambiguous in a NIR file of any framework",
        "spikec nir doctor foreign.nir",
    )
    _add_file(doctor, "graph", "FILE.nir")

    repair = parser.command(
        actions,
        "repair",
        "a corrected copy of a NIR file, where the correction is certain",
        "spikec nir repair foreign.nir -o mended.nir",
        "spikec nir repair foreign.nir --in-place",
    )
    _add_file(repair, "graph", "FILE.nir")
    place = repair.add_mutually_exclusive_group(required=True)
    place.add_argument("-o", "--out", type=file_like(".nir"), metavar="OUT.nir", help="the file to write")
    place.add_argument("--in-place", action="store_true", help="replace FILE.nir itself")

    compare = parser.command(
        actions,
        "compare",
        "whether two NIR files are the same graph up to names and order",
        "spikec nir compare a.nir b.nir",
        "spikec nir compare a.nir b.nir --tolerance 1e-6",
    )
    _add_file(compare, "a", "A.nir")
    _add_file(compare, "b", "B.nir")
    compare.add_argument(
        "--tolerance",
        type=_tolerance,
        default=0.0,
        metavar="X",
        help="the largest difference between two numbers that counts as equal (default 0)",
    )
    return group


def run(args: argparse.Namespace) -> int:
    args.command = f"nir {args.action}"
    return {"doctor": _doctor, "repair": _repair, "compare": _compare}[args.action](args)


def _add_file(command: Parser, name: str, metavar: str) -> None:
    command.add_argument(name, metavar=metavar, type=Path, help="a NIR file of any framework")
    command.set_defaults(reads_nir=True)


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, not {text}")
    return value


def _doctor(args: argparse.Namespace) -> int:
    from spikec.nir import diagnose

    found = diagnose(args.graph)
    emit(args, _document(found), str(found))
    return 1 if found.errors else 0


def _repair(args: argparse.Namespace) -> int:
    from spikec.nir import repair

    out = args.graph if args.in_place else args.out
    if not args.in_place and os.path.exists(out) and os.path.exists(args.graph) and out.samefile(args.graph):
        raise UsageError(f"{out} is the file itself: give -o another name, or --in-place to replace it")
    if args.in_place and os.path.exists(args.graph):
        try:
            output_path(str(args.graph))
        except argparse.ArgumentTypeError as error:
            raise UsageError(str(error)) from error
    done = repair(args.graph, out, in_place=args.in_place)
    document = {
        "file": done.path,
        "out": done.out,
        "changes": done.changes,
        "left": done.left,
        "reads": done.after.reads,
        "nir_says": done.after.nir_says,
    }
    emit(args, document, str(done), files=[done.out])
    return 1 if done.left else 0


def _compare(args: argparse.Namespace) -> int:
    from spikec.nir import compare

    found = compare(args.a, args.b, tolerance=args.tolerance)
    document = {"a": args.a, "b": args.b, "same": found.same, "names": found.names, "differences": found.differences}
    emit(args, document, str(found))
    return 0 if found.same else MISMATCH


def _document(found: Any) -> dict[str, Any]:
    from dataclasses import asdict

    document = asdict(found)
    document["file"] = document.pop("path")
    return document
