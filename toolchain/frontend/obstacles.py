"""What stands in the way of a conversion, collected so that a user sees all of it at once."""

from __future__ import annotations

from dataclasses import dataclass

from spikec.errors import UnsupportedOperation
from spikec.words import aligned


@dataclass(frozen=True)
class Obstacle:
    """One operation that cannot be converted: where it stands, what it is, what to write instead."""

    where: str
    operation: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.operation}: {self.hint}"


class RefusalError(Exception):
    """Raised by a handler: this operation cannot be converted. ``operation`` and ``hint`` become an obstacle."""

    def __init__(self, operation: str, hint: str) -> None:
        super().__init__(operation)
        self.operation, self.hint = operation, hint


#: Places of one kind of obstacle that are named; the others are counted.
_NAMED = 8


def refuse(obstacles: list[Obstacle]) -> None:
    """Raise :class:`UnsupportedOperation` with every obstacle, one per line; return where there is none.

    Where one kind stands at many places, the first eight are named and the others counted.
    """
    if not obstacles:
        return
    unique = list(dict.fromkeys(obstacles))
    kinds: dict[tuple[str, str], list[Obstacle]] = {}
    for obstacle in unique:
        kinds.setdefault((obstacle.operation, obstacle.hint), []).append(obstacle)
    rows = []
    for (operation, hint), places in kinds.items():
        rows += [(obstacle.where, operation, hint) for obstacle in places[:_NAMED]]
        if len(places) > _NAMED:
            rows.append((f"and {len(places) - _NAMED} more places", operation, hint))
    lines = [f"  {line}" for line in aligned(rows)]
    count = "1 operation" if len(unique) == 1 else f"{len(unique)} operations"
    raise UnsupportedOperation(f"{count} cannot be converted:\n" + "\n".join(lines))
