"""The tables of docs/which-method.md: what ``spikec advise`` measures of a network, as Markdown.

    python -m benchmarks.which_method resnet20-normalized --weights resnet20.th --data folder:PATH -o results \\
        --budget 30min --write docs/which-method.md

The weights are those of ``akamaster/pytorch_resnet_cifar10`` (Idelbayev 2018). The page has a part of each network,
between comments with its name. Results are kept in the folder, so the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.marked import write
from spikec.advising import Advice, advise_on
from spikec.advising.budget import Budget, seconds_of
from spikec.advising.columns import COLUMNS, measured
from spikec.advising.numbers import accuracy, distance, verdict
from spikec.advising.text import provenance
from spikec.reporting.numbers import grouped


def main() -> int:
    args = _arguments()
    torch.set_num_threads(args.threads)
    given = {"model": args.model, "weights": args.weights, "data": args.data}
    found = advise_on(
        {name: value for name, value in given.items() if value is not None},
        budget=Budget(seconds_of(args.budget)),
        out=args.out,
        limit=args.limit,
        progress=lambda what, done, total, left: print(f"{done}/{total}, {left:.0f} s left: {what}", file=sys.stderr),
    )
    part = "\n\n".join([_head(found), _measured(found), _recommended(found)])
    print(part)
    if args.write:
        write(args.write, args.model, part)
    return 0


def _head(found: Advice) -> str:
    missing = [
        f"- `{row.trial.label}`: {row.why or 'a membrane leaves its register'}" for row in found.rows if not row.usable
    ]
    return "\n".join([f"{found.model}, {found.precision}. {provenance(found)}", *([""] if missing else []), *missing])


#: Heads of the page's table by the columns of the terminal's.
_HEADS = {
    "for": "for",
    "latency": "latency, steps",
    "images": "images",
    "minus network": "points above the network (95 %)",
    "agree": "same class",
    "spikes": "spikes",
    "SynOps": "SynOps",
    "energy per image": "energy (90 %)",
    "cores": "cores",
}


def _measured(found: Advice) -> str:
    lines = [
        (
            f"`{row.trial.label}`" + " *" * row.best + ", does not fit the chip" * (not result["chip"]["fits"]),
            *(COLUMNS[name](row.trial, result) for name in _HEADS),
        )
        for row, result in measured(found.rows)
    ]
    return _table([("deployment", *_HEADS.values()), *lines])


def _recommended(found: Advice) -> str:
    lines = [
        (
            purpose,
            f"`{each.trial.label}`",
            grouped(each.final["images"]),
            accuracy(each.final["ann"]),
            accuracy(each.final),
            distance(each.final),
            verdict(each.final, found.tolerance),
        )
        for purpose, each in found.recommendations.items()
    ]
    head = ("for", "recommended", "test images", "network", "deployment", "points (95 %)", "")
    return _table([head, *lines])


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body))


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="zoo name, package.module:callable or file.py:callable")
    parser.add_argument("--weights", help="trained weights (default: the shipped ones)")
    parser.add_argument("--data", required=True, help="data set, as for spikec advise")
    parser.add_argument("--budget", default="30min", help="default %(default)s")
    parser.add_argument("--limit", type=int, metavar="N", help="test images (default: as many as the time allows)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--write", type=Path, metavar="PAGE.md", help="replace the network's part of this page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
