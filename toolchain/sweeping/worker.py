"""The process that computes: ``python -m spikec.sweeping.worker FOLDER`` (:mod:`spikec.cluster.worker`).

An order is a configuration; the answer to it is a state.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from spikec.cluster.local import BUSY
from spikec.cluster.worker import Compute, serve
from spikec.deployment.configuration import Configuration
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
    return serve(_begin, "spikec.sweeping.worker", "a worker of spikec sweep", words)


def _begin(folder: Path) -> Compute:
    store = Store(folder)
    return lambda order, wait: compute(store, Configuration.from_json(order), wait)


if __name__ == "__main__":
    sys.exit(main())
