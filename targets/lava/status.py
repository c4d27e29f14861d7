"""What a worker says about itself in its job folder: ``state``, and ``failure.json`` once when something fails.

The worker imports this module, so it imports nothing of the toolchain.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_state(folder: Path, state: str) -> None:
    """Say what the worker is doing: importing, building, running, stopping, done."""
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
    """Record the first failure; later ones, which it caused, are only in the log."""
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
