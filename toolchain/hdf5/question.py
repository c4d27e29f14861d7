"""What the process that reads files is asked, and what ``nir.read`` says there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Question:
    """``limit``: bytes of data that are read. ``seconds``: of work. ``ask_nir``: whether nir.read is asked too."""

    limit: int
    seconds: float
    ask_nir: bool


@dataclass
class Verdict:
    """What ``nir.read`` says: empty where it reads the file, with its type check and without; None where it was not
    asked because its answer might never come."""

    checked: str | None = None
    unchecked: str | None = None
