"""What a worker reports in its job folder: ``state``, and ``failure.json`` for the first failure.

The worker imports this module, so it imports nothing of the toolchain.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_state(folder: Path, state: str) -> None:
    """Say what the worker is doing: importing, building, running, done."""
    temporary = folder / "state.new"
    temporary.write_text(state)
    os.replace(temporary, folder / "state")


def read_state(folder: Path) -> str:
    """What the worker said last; empty before it said anything."""
    try:
        return (folder / "state").read_text()
    except FileNotFoundError:
        return ""


def write_failure(folder: Path, process: str, error: BaseException) -> None:
    """Record the first failure. Later ones are caused by it and are only in the log."""
    temporary = folder / f"failure.{os.getpid()}"
    temporary.write_text(json.dumps({"process": process, "error": f"{type(error).__name__}: {error}"}))
    try:
        os.link(temporary, folder / "failure.json")
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def read_failure(folder: Path) -> tuple[str, str] | None:
    """(process, error) of the first failure."""
    try:
        failure = json.loads((folder / "failure.json").read_text())
    except FileNotFoundError:
        return None
    return failure["process"], failure["error"]
