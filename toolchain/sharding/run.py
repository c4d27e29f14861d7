"""Has the pieces of a job computed, by workers on this machine or tasks of SLURM; a shard that dies is repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spikec.cluster import Executor, slurm
from spikec.cluster.local import Crew, environment, shares
from spikec.errors import ToolchainError
from spikec.processes import worker_command
from spikec.sharding.job import Folder
from spikec.simulation.trace import Trace

#: Called with the number of images that are done.
Progress = Callable[[int], None]

#: Deaths in a row, without a new piece between them, after which a shard is given up.
DEATHS_MOST = 5
#: Seconds between two looks at what local workers have written.
_LOOK = 0.5
_WORKER = "spikec.sharding.worker"


@dataclass(frozen=True)
class Where:
    """How the shards run: ``shards`` of them, at most ``jobs`` at once with ``threads`` threads each. ``options``: of
    ``sbatch``."""

    executor: Executor = "local"
    shards: int = 1
    jobs: int | None = None
    threads: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)


def executed(folder: Folder, where: Where, progress: Progress | None = None) -> Iterator[tuple[slice, Trace]]:
    """The images of every piece in order, and their trace, after all pieces have been computed that are not there.

    Raises ``ToolchainError`` where a shard dies again and again, and whatever the work itself raises.
    """
    shards = {_id(pieces): pieces for pieces in folder.job.shards(where.shards)}
    watch = _Watch(folder, shards, progress)
    folder.damaged()
    while watch.look():
        (_by_slurm if where.executor == "slurm" else _by_workers)(folder, where, watch)
        folder.damaged()  # a piece that cannot be read is computed again, like one that is not there
    yield from folder.traces()


def _id(pieces: range) -> str:
    return f"{pieces.start}-{pieces.stop}"


class _Watch:
    """Which pieces are missing, and how often each shard has died without a new one."""

    def __init__(self, folder: Folder, shards: Mapping[str, range], progress: Progress | None) -> None:
        self._folder, self.shards, self._progress = folder, shards, progress
        self.missing: set[int] = set()
        self._deaths: dict[str, tuple[int, int]] = {}  # deaths in a row, and pieces that were missing then

    def look(self) -> set[int]:
        """What is missing now. Raises what a worker has ended in."""
        self._folder.check()
        self.missing = self._folder.missing()
        if self._progress is not None:
            job = self._folder.job
            left = [job.images_of(piece) for piece in self.missing]
            self._progress(job.images - sum(part.stop - part.start for part in left))
        return self.missing

    def pending(self) -> dict[str, list[int]]:
        """Orders of the shards that lack a piece."""
        return {id: [p.start, p.stop] for id, p in self.shards.items() if not self.missing.isdisjoint(p)}

    def died(self, id: str, how: str) -> None:
        """Raise where a shard dies once too often."""
        pieces = self.shards[id]
        left = len(self._folder.missing().intersection(pieces))
        deaths, before = self._deaths.get(id, (0, len(pieces) + 1))
        deaths = deaths + 1 if left == before else 1
        self._deaths[id] = deaths, left
        if deaths >= DEATHS_MOST:
            first, last = (self._folder.job.images_of(piece) for piece in (pieces[0], pieces[-1]))
            raise ToolchainError(
                f"the shard of images {first.start} to {last.stop - 1} died {deaths} times without getting further: "
                f"{how}"
            )


def _by_workers(folder: Folder, where: Where, watch: _Watch) -> None:
    orders = watch.pending()
    workers, each = shares(len(orders), where.jobs, where.threads)
    given_up: list[ToolchainError] = []

    def died(id: str, how: str) -> str | None:
        try:
            watch.died(id, how)
        except ToolchainError as error:
            given_up.append(error)
            return "given up"
        return None

    command = worker_command(_WORKER, str(folder.place.absolute()))
    crew = Crew(command, orders, workers, environment(each), died, [folder.place, folder.pieces])
    try:
        left = set(orders)
        while left:
            found = crew.next(_LOOK)
            if given_up:
                raise given_up[0]
            watch.look()
            if found is not None:
                left.discard(found[0])
    finally:
        crew.stop()


def _by_slurm(folder: Folder, where: Where, watch: _Watch, sleep: Callable[[float], None] = time.sleep) -> None:
    """Submit what is not queued, and submit again what has died; what is queued goes on when this is interrupted."""
    place, worker = folder.place / "slurm", (_WORKER, str(folder.place.absolute()))
    about: dict[str, Any] = {"name": "spikec-shards", "jobs": where.jobs, "threads": where.threads}
    queue = _Queue(slurm.queued(place, set(watch.pending())))
    pause, before = slurm.FIRST_POLL, len(watch.missing)
    try:
        while watch.look():
            pending = watch.pending()
            for id in queue.dead(pending):
                watch.died(id, slurm.lost(queue.of.pop(id), id))
            orders = {id: order for id, order in pending.items() if id not in queue.of}
            if orders:
                queue.add(slurm.submit(place, orders, worker, **about, options=where.options))
            sleep(pause)
            pause = slurm.FIRST_POLL if len(watch.missing) < before else min(1.5 * pause, slurm.LAST_POLL)
            before = len(watch.missing)
    except ToolchainError:
        cancel(folder)
        raise


class _Queue:
    """What SLURM has of the shards. ``of``: the last submission of each that has not died."""

    def __init__(self, submissions: Iterable[slurm.Submission]) -> None:
        self.of: dict[str, slurm.Submission] = {}
        self._gone: dict[str, int] = {}  # how often in a row a shard was not in the queue
        for made in submissions:
            self.add(made)

    def add(self, made: slurm.Submission) -> None:
        self.of |= dict.fromkeys(made.ids, made)
        self._gone |= dict.fromkeys(made.ids, 0)

    def dead(self, pending: Iterable[str]) -> list[str]:
        """Those of the ``pending`` shards whose task is gone, and whose files have had time to appear."""
        known = [id for id in pending if id in self.of]
        living = {job: slurm.living_tasks(job) for job in {self.of[id].job for id in known}}
        for id in known:
            tasks = living[self.of[id].job]
            there = tasks is None or str(self.of[id].task(id)) in tasks
            self._gone[id] = 0 if there else self._gone[id] + 1
        return [id for id in known if self._gone[id] >= slurm.PATIENCE]


def cancel(folder: Folder) -> None:
    """End what SLURM still has of this job: nobody waits for it."""
    for made in slurm.queued(folder.place / "slurm"):
        slurm.cancel(made)


__all__ = ["DEATHS_MOST", "Progress", "Where", "cancel", "executed"]
