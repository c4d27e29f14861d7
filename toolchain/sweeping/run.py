"""Runs a sweep: takes a grid and a folder, and computes the results that the folder lacks, one per configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikec.calls import named_arguments
from spikec.cluster import EXECUTORS, Executor
from spikec.cluster import slurm as cluster
from spikec.deployment.configuration import Configuration
from spikec.display import Column, Shown, Table
from spikec.errors import ToolchainError
from spikec.sweeping import local, page, slurm, summary
from spikec.sweeping.grid import Plan, read_grid
from spikec.sweeping.shape import DONE, FAILED, REFUSED
from spikec.sweeping.store import Result, Store, failure
from spikec.targets.told_apart import wrong
from spikec.whole_files import write_text

MISSING = "missing"
#: Called after every run with its configuration and state, and how many of how many are finished.
Progress = Callable[[Configuration, str, int, int], None]


@dataclass(frozen=True, repr=False)
class Sweep(Shown):
    """The state of a sweep: its plan and whatever results its folder holds."""

    folder: Path
    plan: Plan
    results: dict[str, Result]  # by id, those of this plan only
    made: int = 0  # how many of them this call computed

    @property
    def states(self) -> dict[str, int]:
        """How many runs are done, refused, failed and missing."""
        counts = dict.fromkeys((DONE, REFUSED, FAILED, MISSING), 0)
        for run in self.plan.runs:
            counts[self.state(run.configuration)] += 1
        return counts

    def state(self, configuration: Configuration) -> str:
        found = self.results.get(configuration.id)
        return MISSING if found is None else str(found["state"])

    @property
    def summary(self) -> Path:
        """The CSV file with all results of the folder."""
        return self.folder / "summary.csv"

    @property
    def page(self) -> Path:
        """The page with all results of the folder."""
        return self.folder / "summary.html"

    def html(self) -> str:
        """A page of the results of this plan, self-contained."""
        return page.page(list(self))

    def rows(self) -> list[dict[str, Any]]:
        """A flat row per result, in the order of the grid."""
        return [summary.row(result) for result in self]

    def text(self) -> str:
        """The table for a terminal."""
        return summary.table(list(self))

    def __iter__(self) -> Iterator[Result]:
        """Results in the order of the grid."""
        ids = (run.configuration.id for run in self.plan.runs)
        return (self.results[id] for id in ids if id in self.results)

    def __str__(self) -> str:
        return self.text()

    def _headline(self) -> str:
        found = ", ".join(f"{number} {state}" for state, number in self.states.items() if number)
        return f"{len(self.plan.runs)} configurations in {self.folder}: {found}"

    def _table(self) -> Table:
        return summary.shown(list(self), self._headline())

    def _frame(self) -> Table:
        rows = self.rows()
        names = list(dict.fromkeys(name for row in rows for name in row))
        return Table("", tuple(map(Column, names, names)), tuple(tuple(row.get(n) for n in names) for row in rows))


@named_arguments
def sweep(
    grid: str | Path | Mapping[str, Any] | Plan,
    out: str | Path,
    *,
    executor: Executor = "local",
    jobs: int | None = None,
    threads: int | None = None,
    retry_failed: bool = False,
    slurm_options: Mapping[str, str] | None = None,
    wait: bool = True,
    progress: Progress | None = None,
) -> Sweep:
    """Compute every configuration of ``grid`` that has no result in ``out`` yet.

    ``grid``: a TOML file, or a dictionary with the same content. ``jobs``: worker processes, or tasks of a job array at
    once; ``threads`` of each. ``retry_failed``: a failed run counts as missing. ``wait=False`` submits to SLURM and
    returns. A run that fails, or that a method or number format refuses, has a result too, with the reason. If
    interrupted, it keeps what is finished; the same call continues from there.

    Raises ``DataError`` with every mistake of the grid, ``TargetUnavailable`` if there is no SLURM.

    >>> grid = {"grid": {"model": "digits-cnn", "data": "digits", "method": "qcfs", "timesteps": [2, 4]}}
    >>> sweep = tc.sweep(grid, "results")
    >>> sweep.to_pandas()[["timesteps", "accuracy", "spikes_per_image"]]
       timesteps  accuracy  spikes_per_image
    0          2  ...
    1          4  ...
    """
    if executor not in EXECUTORS:
        raise ToolchainError(f"executor: {wrong(str(executor), 'executor of sweeps', list(EXECUTORS))}")
    plan = grid if isinstance(grid, Plan) else read_grid(grid)
    if executor == "slurm":
        cluster.check(slurm_options or {})
    store = Store(out)
    store.prepare()
    pending = _pending(store, plan, retry_failed)
    finished = _Counter(progress, len(pending))
    try:
        if pending and executor == "local":
            local.execute(store, pending, finished, jobs=jobs, threads=threads)
        elif pending:
            waited = slurm.queued(store, {run.id for run in pending})
            left = [run for run in pending if not any(run.id in made.ids for made in waited)]
            if left:
                waited.append(slurm.submit(store, left, jobs=jobs, threads=threads, options=slurm_options))
            if wait:
                slurm.wait(store, pending, waited, finished)
    finally:
        found = store.all()
        summary.write_csv(store.folder / "summary.csv", found)
        write_text(store.folder / "summary.html", page.page(found))
    return look(plan, out, made=finished.done)


def look(plan: Plan, out: str | Path, made: int = 0) -> Sweep:
    """The state of a sweep without computing anything."""
    store = Store(out)
    found = ((run.configuration.id, store.read(run.configuration.id)) for run in plan.runs)
    return Sweep(store.folder, plan, {id: result for id, result in found if result is not None}, made)


def _pending(store: Store, plan: Plan, retry_failed: bool) -> list[Configuration]:
    """Runs without a result; a run that its method refuses gets its result here."""
    pending = []
    for run in plan.runs:
        found = store.read(run.configuration.id)
        if found is not None and found["state"] == FAILED and retry_failed:
            store.remove(run.configuration.id)
            found = None
        if found is not None:
            continue
        store.check(run.configuration.id)
        if run.refused is not None:
            store.write(failure(run.configuration, run.refused, REFUSED, "ConversionError"))
        else:
            pending.append(run.configuration)
    return pending


class _Counter:
    """Counts finished runs for whoever watches."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, configuration: Configuration, state: str) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(configuration, state, self.done, self.total)
