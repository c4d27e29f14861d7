"""A sweep as job arrays of SLURM."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from spikec.cluster import slurm
from spikec.cluster.slurm import Submission
from spikec.deployment.configuration import Configuration
from spikec.sweeping.local import Finished
from spikec.sweeping.store import Store, failure


def submit(
    store: Store,
    pending: Sequence[Configuration],
    *,
    jobs: int | None = None,
    threads: int | None = None,
    options: Mapping[str, str] | None = None,
) -> Submission:
    """One array for all that is pending; see :func:`spikec.cluster.slurm.submit`."""
    worker = ("spikec.sweeping.worker", str(store.folder.absolute()))
    orders = {run.id: run.to_json() for run in pending}
    about = {"name": "spikec-sweep", "jobs": jobs, "threads": threads, "options": options}
    return slurm.submit(store.folder / "slurm", orders, worker, **about)  # type: ignore[arg-type]


def queued(store: Store, ids: set[str]) -> list[Submission]:
    """Earlier submissions that hold some of ``ids`` and are still in the queue."""
    return slurm.queued(store.folder / "slurm", ids)


def wait(
    store: Store,
    pending: Sequence[Configuration],
    submissions: Sequence[Submission],
    finished: Finished,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Report results as they appear; a run whose job is gone without a result has failed."""
    missing = {run.id: run for run in pending}
    gone = {made.job: 0 for made in submissions}
    pause = slurm.FIRST_POLL
    while missing:
        arrived = {id: result for id in missing if (result := store.read(id)) is not None}
        for id, result in arrived.items():
            finished(missing.pop(id), result["state"])
        for made in submissions:
            left = made.ids & missing.keys()
            if left and slurm.in_queue(made.job) is False:
                gone[made.job] += 1
                if gone[made.job] >= slurm.PATIENCE:
                    for id in sorted(left):
                        store.write(failure(missing[id], slurm.lost(made, id), kind="JobEnded"))
        if missing:
            sleep(pause)
        pause = slurm.FIRST_POLL if arrived else min(1.5 * pause, slurm.LAST_POLL)
