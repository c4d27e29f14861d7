"""A set of images that several processes run: what all of them need to know, and the files in which results come back.

The images are cut into pieces of one size, whoever runs them. A shard is a run of pieces; a process that is given one
computes the pieces that are not there yet, each into a file of its own, which appears whole or not at all. So what a
process that dies has finished is kept, another one goes on from there, and traces of pieces joined in their order are
the trace of the set for any number of shards.

FOLDER/job.json       what is run
FOLDER/pieces/N.npz   the trace of piece N
FOLDER/failed.json    why it cannot be done: an error that every process would end in
FOLDER/slurm/N/       a job array: its tasks, script and logs
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from spikec import errors
from spikec.errors import DataError, ToolchainError
from spikec.guarded import file_digest, read_json
from spikec.ir import IntegerGraph
from spikec.sharding.work import Keep, Work
from spikec.simulation.golden import RECORDS
from spikec.simulation.kept import read_trace, write_trace
from spikec.simulation.trace import Trace
from spikec.targets.base import target_names
from spikec.version import __version__
from spikec.whole_files import remove_stale, tidy, write_text
from spikec.words import among

#: The images of a set are divided by the first, rounded up, for the size of a piece: more than half as many pieces. The
#: second: the most images of one.
_FEWEST, _LARGEST = 64, 256
#: More images than any set has.
_MOST = 2**40
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Job:
    """``graph``: a file of a deployment, and its SHA-256. ``data``, ``data_root``: the test images, of which the first
    ``images`` are run; ``fingerprint`` tells that they are the same. ``size``: images of a piece."""

    graph: str
    graph_sha256: str
    data: str
    data_root: str | None
    images: int
    fingerprint: str
    work: Work
    size: int
    version: str = __version__

    @classmethod
    def of(
        cls, file: Path, graph: IntegerGraph, data: tuple[str, Path | None], images: int, fingerprint: str, work: Work
    ) -> Job:
        """``data``: the name of the set, and the root."""
        root = None if data[1] is None else str(data[1].absolute())
        about = str(file.absolute()), file_digest(file), data[0], root, images, fingerprint, work
        return cls(*about, piece_size(work, graph, images))

    @property
    def id(self) -> str:
        """A hash of all that the results depend on; where the file and the root are is not part of it."""
        about = {key: value for key, value in self.document().items() if key not in ("graph", "data", "data_root")}
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def pieces(self) -> int:
        return -(-self.images // self.size)

    def images_of(self, piece: int) -> slice:
        """The images of a piece."""
        return slice(piece * self.size, min((piece + 1) * self.size, self.images))

    def shards(self, number: int) -> list[range]:
        """The pieces of each of ``number`` shards, or of as many as there are pieces; their numbers differ by one at
        most."""
        number = min(number, self.pieces)
        ends = [self.pieces * i // number for i in range(number + 1)]
        return [range(first, last) for first, last in itertools.pairwise(ends)]

    def document(self) -> dict[str, Any]:
        """JSON types."""
        return {**{key: getattr(self, key) for key in asdict(self)}, "work": self.work.document()}

    @classmethod
    def read(cls, path: Path) -> Job:
        """What :class:`Folder` wrote. Raises :class:`DataError`."""
        found = read_json(path, "the job")
        wrong = _wrong(found)
        if wrong is not None:
            raise DataError(_not_ours(path, wrong))
        return cls(**{**found, "work": Work(**found["work"])})


def _not_ours(path: Path, wrong: str) -> str:
    return (
        f"{path} is not what spikec writes for shards ({wrong}): name another folder, or remove {path.parent} if "
        "nothing else lies in it"
    )


def _wrong(found: Any) -> str | None:
    """What a document holds that :meth:`Job.document` does not write; None where all is right."""
    if not isinstance(found, dict) or found.keys() != {each.name for each in fields(Job)}:
        return "it has other entries"
    work = found["work"]
    if not isinstance(work, dict) or work.keys() != {each.name for each in fields(Work)}:
        return "its work has other entries"
    images = found["images"]
    right = {
        **{
            key: isinstance(found[key], str) and found[key] != "" for key in ("graph", "data", "fingerprint", "version")
        },
        "graph_sha256": isinstance(found["graph_sha256"], str) and _SHA256.fullmatch(found["graph_sha256"]) is not None,
        "data_root": isinstance(found["data_root"], str | None),
        "images": type(images) is int and 0 < images <= _MOST,
    }
    right["size"] = right["images"] and type(found["size"]) is int and 0 < found["size"] <= images
    own = {
        "target": among(work["target"], target_names()),
        "record": among(work["record"], (None, *RECORDS)),
        "keep": among(work["keep"], get_args(Keep)),
        "measure": isinstance(work["measure"], bool),
        **{key: isinstance(work[key], dict) for key in ("compiling", "running")},
    }
    for values, each in ((found, right), (work, own)):
        name = next((name for name, sound in each.items() if not sound), None)
        if name is not None:
            return f"{name} is {values[name]!r:.60}"
    return None


def piece_size(work: Work, graph: IntegerGraph, images: int) -> int:
    """Images of a piece: so few that a set can be cut often, and a piece that keeps all counts is held in memory."""
    most = work.at_once(graph) if work.keep == "all" else _LARGEST
    return max(1, min(most, -(-images // _FEWEST)))


class Folder:
    """The files of one job."""

    def __init__(self, place: Path, job: Job | None = None) -> None:
        """``job``: what is run in the folder; None: what it says itself. Raises :class:`DataError` where it holds
        another job, or cannot be written."""
        self.place, self.pieces = place, place / "pieces"
        self.job = Job.read(place / "job.json") if job is None else job
        if job is None:
            return
        try:
            self.pieces.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{place} cannot hold shards: {error.strerror}; choose another folder") from error
        for folder in (self.place, self.pieces):
            tidy(folder)
        if not os.access(self.pieces, os.W_OK | os.X_OK):
            raise DataError(f"{place} cannot hold shards: permission denied; choose another folder")
        there = place / "job.json"
        if os.path.exists(there) and Job.read(there).id != job.id:
            raise DataError(
                f"{place} holds the shards of another run (file, images, options and version of spikec decide): choose "
                "another folder, or remove it"
            )
        write_text(there, json.dumps(job.document(), indent=2) + "\n")
        (place / "failed.json").unlink(missing_ok=True)

    def path(self, piece: int) -> Path:
        return self.pieces / f"{piece}.npz"

    def write(self, piece: int, trace: Trace) -> None:
        write_trace(self.path(piece), trace, f"{self.job.id} {piece}")

    def missing(self) -> set[int]:
        """Pieces that have no file; whether the others are whole is seen when they are read."""
        there = set(os.listdir(self.pieces))
        return {piece for piece in range(self.job.pieces) if f"{piece}.npz" not in there}

    def damaged(self) -> set[int]:
        """Pieces whose file is not whole, or of another run; they are removed."""
        found = set()
        for piece in set(range(self.job.pieces)) - self.missing():
            try:
                self.read(piece)
            except DataError:
                found.add(piece)
                self.path(piece).unlink(missing_ok=True)
        return found

    def read(self, piece: int) -> Trace:
        """Raises :class:`DataError` for a file that is not whole, or of another run."""
        trace = read_trace(self.path(piece), f"{self.job.id} {piece}")
        images = self.job.images_of(piece)
        if trace.images != images.stop - images.start:
            raise DataError(f"{self.path(piece)} is of {trace.images} images, not of those of the piece")
        return trace

    def traces(self) -> Iterator[tuple[slice, Trace]]:
        """The images of every piece, in order, and their trace."""
        for piece in range(self.job.pieces):
            yield self.job.images_of(piece), self.read(piece)

    def fail(self, error: ToolchainError) -> None:
        """Say that the job cannot be done."""
        write_text(self.place / "failed.json", json.dumps({"kind": type(error).__name__, "message": str(error)}) + "\n")

    def check(self) -> None:
        """Raise the error that a process has ended in."""
        path = self.place / "failed.json"
        if not os.path.exists(path):
            return
        found = read_json(path, "the error")
        if not isinstance(found, dict) or not {"kind", "message"} <= found.keys():
            raise DataError(_not_ours(path, "it has other entries"))
        kind = getattr(errors, str(found["kind"]), ToolchainError)
        known = isinstance(kind, type) and issubclass(kind, ToolchainError)
        raise (kind if known else ToolchainError)(str(found["message"]))

    def tidy(self) -> None:
        """Remove what processes that were killed left half written."""
        remove_stale(self.pieces)


__all__ = ["Folder", "Job", "piece_size"]
