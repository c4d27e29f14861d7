"""One measure of a deployment as a value, and several of them as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from spikec.display import Column, Shown, ShownTuple, Table, count
from spikec.evidence.comparison import Comparison
from spikec.evidence.measures.base import Quality


@dataclass(frozen=True, repr=False)
class Rating(Shown):
    """One measure of a deployment, called ``name`` and in words ``title``. ``by_step``: its values when read out after
    each step; empty where that is not known. ``network``: the trained network beside it; None where that was not
    measured on these inputs. ``bands``: ``by_step`` with intervals, where they were asked for."""

    name: str
    title: str
    quality: Quality
    by_step: Sequence[float | None] = ()
    network: Comparison | None = None
    bands: Sequence[Quality] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return {
            **self.quality.to_json(),
            "measure": self.name,
            "title": self.title,
            "by_timestep": list(self.by_step),
            "intervals_by_timestep": [None if q.interval is None else list(q.interval) for q in self.bands],
            "network": None if self.network is None else self.network.to_json(),
        }

    def _headline(self) -> str:
        return f"{self.title} {self.quality.text}"

    def _table(self) -> Table:
        return Rated((self,))._table()

    def _frame(self) -> Table:
        return Rated((self,))._frame()


class Rated(ShownTuple[Rating]):
    """What ``tc.quality`` returns: a tuple of ratings, which shows itself as a table."""

    __slots__ = ()

    def _headline(self) -> str:
        return "; ".join(each._headline() for each in self)

    def _table(self) -> Table:
        columns = (
            Column("measure", "measure", left=True),
            Column("title", "in words", left=True),
            Column("value", "value"),
            Column("low", "95 % interval, from"),
            Column("high", "to"),
            Column("network", "trained network"),
            Column("better", "better is", left=True),
            Column("inputs", "inputs", count),
        )
        return Table(f"{len(self)} measure{'s'[: len(self) != 1]}", columns, tuple(map(_written, self)))

    def _frame(self) -> Table:
        return replace(self._table(), rows=tuple(map(_cells, self)))


def _cells(rating: Rating) -> tuple[Any, ...]:
    found = rating.quality
    low, high = found.interval or (None, None)
    own = None if rating.network is None else rating.network.network
    better = "higher" if found.measure.higher_is_better else "lower"
    return rating.name, rating.title, found.value, low, high, own, better, found.inputs


def _written(rating: Rating) -> tuple[Any, ...]:
    """The same with values as the measure writes them."""
    name, title, *values, better, inputs = _cells(rating)
    told = ("" if value is None else rating.quality.measure.written(value) for value in values)
    return name, title, *told, better, inputs
