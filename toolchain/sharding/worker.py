"""The process that computes pieces: ``python -m spikec.sharding.worker FOLDER`` (:mod:`spikec.cluster.worker`).

An order is the first piece of a shard, and the one behind its last.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spikec.cluster.worker import Compute, serve
from spikec.errors import DataError, ToolchainError
from spikec.guarded import file_digest
from spikec.sharding.job import Folder

if TYPE_CHECKING:
    from spikec.sharding.work import Worker

#: Answers: all pieces of the shard are there; the job cannot be done, and ``failed.json`` says why.
DONE, FAILED = "done", "failed"


class _Shards:
    """The graph and the images are opened with the first order, and once."""

    def __init__(self, place: Path) -> None:
        self._folder = Folder(place)
        self._worker: Worker | None = None

    def compute(self, first: int, last: int) -> str:
        """The pieces from ``first`` to ``last`` - 1 that are not there."""
        try:
            for piece in range(first, last):
                if os.path.exists(self._folder.path(piece)):
                    continue
                self._folder.write(piece, self._opened().trace(self._folder.job.images_of(piece)))
        except ToolchainError as error:
            self._folder.fail(error)
            return FAILED
        return DONE

    def _opened(self) -> Worker:
        if self._worker is None:
            from spikec.ir import as_integer, load
            from spikec.models.data import open_dataset
            from spikec.sharding.work import Worker

            job = self._folder.job
            if file_digest(job.graph) != job.graph_sha256:
                raise DataError(f"{job.graph} has changed since the shards were cut: start again")
            graph = load(Path(job.graph))
            data = open_dataset(job.data, job.data_root, "test").subset(slice(job.images))
            if len(data) != job.images or data.fingerprint() != job.fingerprint:
                raise DataError(f"{job.data} is not what the shards were cut from: it has changed, or is another here")
            self._worker = Worker(job.work, graph, as_integer(graph), data)
        return self._worker


def main(words: Sequence[str] | None = None) -> int:
    return serve(_begin, "spikec.sharding.worker", "a worker of --shards", words)


def _begin(folder: Path) -> Compute:
    shards = _Shards(folder)
    return lambda order, _: shards.compute(*order)


if __name__ == "__main__":
    sys.exit(main())
