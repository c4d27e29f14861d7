"""A table as a value: what it holds, and how its cells read. The text form is here; :mod:`spikec.display.html` and
:mod:`spikec.display.frame` have the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spikec.words import columns

#: Lines of a table that are shown; to_pandas() has all of them.
MOST = 60
#: Characters of a cell in a terminal, at most.
_WIDE = 72


def words(value: Any) -> str:
    """The value as Python writes it; nothing for None."""
    return "" if value is None else str(value)


def count(value: float | None) -> str:
    """``1,234``; means keep one decimal below 100."""
    if value is None:
        return ""
    if float(value).is_integer() or abs(value) >= 100:
        return f"{round(value):,}"
    return f"{value:,.1f}"


def share(value: float | None) -> str:
    """``12.3 %``."""
    return "" if value is None else f"{100 * value:.1f} %"


@dataclass(frozen=True)
class Column:
    """``name``: of the column of a frame, with its unit, such as ``energy_joule``; ``head``: for people; ``form``: how
    a value of it reads; ``left``: words, which are aligned left, as numbers are aligned right."""

    name: str
    head: str
    form: Callable[[Any], str] = words
    left: bool = False


@dataclass(frozen=True)
class Table:
    """``title``: one sentence over it; ``rows``: the values, one for each column; ``notes``: sentences below it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()

    def shown(self) -> tuple[list[Column], list[list[str]]]:
        """The columns that hold anything, and the cells of the first lines, as people read them."""
        cells = [
            [column.form(value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows[:MOST]
        ]
        kept = [n for n in range(len(self.columns)) if any(line[n] for line in cells)]
        return [self.columns[n] for n in kept], [[line[n] for n in kept] for line in cells]

    @property
    def below(self) -> tuple[str, ...]:
        """The notes, and how many lines are left out."""
        more = len(self.rows) - MOST
        return (f"and {more:,} more: to_pandas() has all of them", *self.notes) if more > 0 else self.notes

    def text(self) -> str:
        """Title, head and lines, in columns."""
        if not self.rows:
            return "\n".join([self.title, *self.below])
        kept, shown = self.shown()
        lines = [[column.head for column in kept], *([_short(cell) for cell in cells] for cells in shown)]
        told = columns(lines, [n for n, column in enumerate(kept) if not column.left])
        return "\n".join([self.title, *told, *self.below])


def _short(cell: str) -> str:
    one = " ".join(cell.split())
    return one if len(one) <= _WIDE else f"{one[: _WIDE - 3]}..."
