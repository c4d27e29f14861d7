"""The process that computes: ``python -m spikec.sweeping.worker FOLDER``, told what to do

- line by line on standard input by the local executor (:class:`spikec.cluster.local.Crew`), whose orders are
  configurations, and to which it answers with a state per line, or
- as one task of a job array, ``--tasks FILE --index N``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from spikec.cluster.local import BUSY
from spikec.deployment.configuration import Configuration
from spikec.guarded import read_json
from spikec.interrupts import Stopped, stopping
from spikec.sweeping.store import Store


def compute(store: Store, configuration: Configuration, wait: bool) -> str:
    """Measure the configuration unless it has a result; returns the result's state, or ``BUSY``."""
    with store.claim(configuration.id, wait) as mine:
        if not mine:
            return BUSY
        found = store.read(configuration.id)
        if found is None:
            from spikec.sweeping.measure import measure

            found = measure(configuration)
            store.write(found)
        return str(found["state"])


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spikec.sweeping.worker", description="a worker of spikec sweep")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tasks", type=Path)
    parser.add_argument("--index", type=int)
    args = parser.parse_args(words)
    try:
        with stopping():
            return _work(args)
    except Stopped as stopped:  # whoever sent the signal knows why
        return stopped.exit_code


def _work(args: argparse.Namespace) -> int:
    store = Store(args.folder)
    if args.tasks is not None:
        for run in read_json(args.tasks, "the tasks")[args.index]:
            compute(store, Configuration.from_json(run), wait=True)
        return 0
    # What libraries and models print must not end up among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        order = json.loads(line)
        state = compute(store, Configuration.from_json(order["order"]), order["wait"])
        print(state, file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
