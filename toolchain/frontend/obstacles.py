"""What stands in the way of a conversion, collected so that a user sees all of it at once."""

from __future__ import annotations

from dataclasses import dataclass

from spikec.errors import UnsupportedOperation


@dataclass(frozen=True)
class Obstacle:
    """One operation that cannot be converted: where it stands, what it is, what to write instead."""

    where: str
    operation: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.operation}: {self.hint}"


def refuse(obstacles: list[Obstacle]) -> None:
    """Raise :class:`UnsupportedOperation` with every obstacle, one per line; return where there is none."""
    if not obstacles:
        return
    unique = list(dict.fromkeys(obstacles))
    count = "1 operation" if len(unique) == 1 else f"{len(unique)} operations"
    raise UnsupportedOperation(f"{count} cannot be converted:\n" + "\n".join(f"  {o}" for o in unique))
