"""The results folder: one JSON file per configuration, complete or absent. Several processes may fill it at once.

runs/<id>.json    configuration, versions and what was measured, or why not
summary.csv       a row per result
summary.html      the same as a page
.claims           locks: who computes what right now
slurm/<n>/        a job array: its tasks, script and logs
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from spikec.arguments import file_path
from spikec.deployment.configuration import Configuration, identity, sha256
from spikec.errors import DataError
from spikec.guarded import read_json
from spikec.sweeping.shape import FAILED, has_shape
from spikec.versions import versions
from spikec.whole_files import tidy, write_text

SCHEMA = "spikec.sweep-result/1"

Result = dict[str, Any]

#: Bytes of a result; they have some thousand.
_MOST = 2**24


class Store:
    """Results below ``folder``."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = file_path(folder, "a folder of results")
        self.runs = self.folder / "runs"

    def prepare(self) -> None:
        """Make the folder where it is missing, and remove what killed runs left there half written.

        Raises ``DataError`` where results cannot be written.
        """
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.folder} cannot be a results folder: {error.strerror}; choose another") from error
        for folder in (self.folder, self.runs):
            tidy(folder)
        if not os.access(self.runs, os.W_OK | os.X_OK):
            raise DataError(f"{self.folder} cannot be a results folder: permission denied; choose another")

    def path(self, id: str) -> Path:
        return self.runs / f"{id}.json"

    def read(self, id: str) -> Result | None:
        """The result called ``id``; None if there is none, or if the file is incomplete or was changed."""
        try:
            result = read_json(self.path(id), "the result", most=_MOST)
            return result if _sound(result, id) else None
        except DataError:
            return None

    def damaged(self, id: str) -> bool:
        """Whether there is a file for ``id`` that is not a valid result."""
        return os.path.lexists(self.path(id)) and self.read(id) is None

    def check(self, id: str) -> None:
        """Raise ``DataError`` where the result called ``id`` could not be written, before it is computed."""
        place = self.path(id)
        if os.path.lexists(place) and not os.path.isfile(place):
            raise DataError(f"{place} is no file and stands where a result goes: remove it, or choose another folder")

    def write(self, result: Result) -> None:
        """Put a result in its place, in one move."""
        body = {key: value for key, value in result.items() if key != "sha256"}
        text = json.dumps({**body, "sha256": sha256(body)}, indent=2, allow_nan=False)
        write_text(self.path(result["id"]), text + "\n")

    def remove(self, id: str) -> None:
        self.path(id).unlink(missing_ok=True)

    def all(self) -> list[Result]:
        """Every sound result in the folder, also those of other grids, by id."""
        found = (self.read(path.stem) for path in sorted(self.runs.glob("*.json")))
        return [result for result in found if result is not None]

    @contextlib.contextmanager
    def claim(self, id: str, wait: bool) -> Iterator[bool]:
        """Whether this process alone may compute ``id``; with ``wait`` it waits until it may.

        One lock per id: a byte of one file. The system releases it when the process ends, for whatever reason.
        """
        with (self.folder / ".claims").open("a") as file:
            yield _lock(file.fileno(), int(id, 16), wait)


def _lock(file: int, byte: int, wait: bool) -> bool:
    try:
        import fcntl
    except ImportError:  # no such locks on this system: two sweeps at once do some work twice
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, byte)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks, likewise
        return True
    return True


def _sound(result: Any, id: str) -> bool:
    if not isinstance(result, dict) or result.get("schema") != SCHEMA or not has_shape(result):
        return False
    body = {key: value for key, value in result.items() if key != "sha256"}
    if result.get("sha256") != sha256(body) or result.get("id") != id:
        return False
    return identity(result["configuration"]) == id


def result(configuration: Configuration, state: str, **found: Any) -> Result:
    """A result with the fields that every result has. ``error``: {"kind", "message"} unless the state is done."""
    return {
        "schema": SCHEMA,
        "id": configuration.id,
        "state": state,
        "configuration": configuration.to_json(),
        "versions": versions(),
        "finished": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "error": None,
        **found,
    }


def failure(configuration: Configuration, message: str, state: str = FAILED, kind: str = "", **more: Any) -> Result:
    return result(configuration, state, error={"kind": kind, "message": message, **more})
