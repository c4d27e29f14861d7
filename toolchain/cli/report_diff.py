"""``spikec report diff``: what changed between two reports."""

from __future__ import annotations

import argparse
from pathlib import Path

from spikec.cli.output import emit
from spikec.cli.parser import HelpFormatter, Parser, add_common


def parser() -> Parser:
    """The parser of ``spikec report diff A.json B.json``."""
    about = "what changed between two reports, from the JSON documents beside the pages"
    found = Parser(prog="spikec report diff", description=about, formatter_class=HelpFormatter)
    for name in ("a", "b"):
        found.add_argument(name, metavar=f"{name.upper()}.json", type=Path, help="written by spikec report")
    add_common(found)
    found.set_defaults(run=run, parser=found, command="report diff")
    return found


def run(args: argparse.Namespace) -> int:
    from spikec.reporting.compare import compare_reports, read_report, table

    changes = compare_reports(read_report(args.a), read_report(args.b))
    rows = [{"part": c.part, "name": c.name, "a": c.a, "b": c.b, "note": c.note or None} for c in changes]
    document = {"command": "report diff", "a": args.a, "b": args.b, "identical": not changes, "changes": rows}
    emit(args, document, table(changes, str(args.a), str(args.b)))
    return 0
