"""What the process that reads files is asked, and what ``nir.read`` says there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: What a NIR file holds at its root.
NIR = ("version", "node")


@dataclass
class Question:
    """``limit``: bytes of data that are read. ``seconds``: of work. ``ask_nir``: whether nir.read is asked too.
    ``names``: what is read at the root of the file."""

    limit: int
    seconds: float
    ask_nir: bool
    names: Sequence[str] = NIR


@dataclass
class Verdict:
    """What ``nir.read`` says: empty where it reads the file, with its type check and without; None where it was not
    asked because its answer might never come."""

    checked: str | None = None
    unchecked: str | None = None
