"""What a process does that takes orders: those of a crew (:class:`spikec.cluster.local.Crew`) line by line on standard
input, with an answer a line; or those of one task of a job array, ``--tasks FILE --index N``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spikec.guarded import read_json
from spikec.interrupts import Stopped, stopping

#: Carries out an order; the second argument: whether it waits for another process that is at the same. Its answer.
Compute = Callable[[Any, bool], str]


def serve(begin: Callable[[Path], Compute], module: str, about: str, words: Sequence[str] | None = None) -> int:
    """Carry out all orders, in the folder that ``words`` (default: of the command line) name, and return the exit code.
    ``begin`` is called with the folder, once."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tasks", type=Path)
    parser.add_argument("--index", type=int)
    args = parser.parse_args(words)
    try:
        with stopping():
            _carry_out(begin(args.folder), args)
    except Stopped as stopped:  # whoever sent the signal knows why
        return stopped.exit_code
    return 0


def _carry_out(compute: Compute, args: argparse.Namespace) -> None:
    if args.tasks is not None:
        for order in read_json(args.tasks, "the tasks")[args.index]:
            compute(order, True)
        return
    # What libraries and a user's code print must not end up among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        given = json.loads(line)
        print(compute(given["order"], given["wait"]), file=answers, flush=True)
