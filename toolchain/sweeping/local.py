"""A sweep by worker processes on this machine. If a worker dies, only its run fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spikec.cluster.local import Crew, environment, shares
from spikec.deployment.configuration import Configuration
from spikec.processes import worker_command
from spikec.sweeping.store import Store, failure

#: Called in the main thread with the configuration and its state.
Finished = Callable[[Configuration, str], None]


def execute(
    store: Store,
    pending: Sequence[Configuration],
    finished: Finished,
    *,
    jobs: int | None = None,
    threads: int | None = None,
) -> None:
    """Compute what is pending. On an interrupt the workers are stopped and the exception is passed on."""
    workers, each = shares(len(pending), jobs, threads)
    runs = {run.id: run for run in pending}

    def died(id: str, how: str) -> str:
        if store.read(id) is None:
            store.write(failure(runs[id], how, kind="WorkerDied"))
        found = store.read(id)
        return str(found["state"]) if found else "failed"

    command = worker_command("spikec.sweeping.worker", str(store.folder))
    orders = {id: run.to_json() for id, run in runs.items()}
    crew = Crew(command, orders, workers, environment(each), died, [store.runs])
    try:
        for _ in runs:
            found = crew.next()
            assert found is not None  # without a limit of time
            finished(runs[found[0]], found[1])
    finally:
        crew.stop()
