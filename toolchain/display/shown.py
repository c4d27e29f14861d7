"""The base of values that people look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from spikec.display.frame import frame
from spikec.display.html import html
from spikec.display.table import Table
from spikec.errors import MissingImplementation

Value = TypeVar("Value")

#: Tables of types that cannot write them themselves, since a room above theirs has the words.
_TABLES: dict[type, Callable[[Any], Table]] = {}


def shows(cls: type[Value]) -> Callable[[Callable[[Value], Table]], Callable[[Value], Table]]:
    """Decorator: a function that makes the table of a ``cls``."""

    def keep(function: Callable[[Value], Table]) -> Callable[[Value], Table]:
        _TABLES[cls] = function
        return function

    return keep


class Shown:
    """A value with a short ``repr``, a table in notebooks, and ``to_pandas()``.

    It has ``_headline()``, a few words, and ``_table()``; ``_frame()`` where the frame has other rows. A dataclass that
    derives from this has ``repr=False``.
    """

    __slots__ = ()

    def _headline(self) -> str:
        raise NotImplementedError

    def _table(self) -> Table:
        for cls in type(self).__mro__:
            if cls in _TABLES:
                return _TABLES[cls](self)
        raise MissingImplementation(f"{type(self).__name__} has no table: give it _table(), or register one by shows")

    def _frame(self) -> Table:
        return self._table()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._headline()}>"

    def _repr_html_(self) -> str:
        return html(self._table())

    def to_pandas(self) -> Any:
        """The values as a ``pandas.DataFrame``, one row for each line of the table, units in the names of the columns.
        Raises ``PackageMissing`` where pandas is not installed."""
        return frame(self._frame())


class ShownList(list[Value], Shown):
    """A list that shows itself as a table."""

    def __repr__(self) -> str:
        return self._table().text()


class ShownTuple(tuple[Value, ...], Shown):
    """A tuple that shows itself as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        return self._table().text()
