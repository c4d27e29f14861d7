"""What a check of a chip finds, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from spikec.display import Column, ShownList, Table

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Violation:
    """``layer`` exceeds a limit. ``rule`` names the quantity, ``actual`` is its value, and ``hint`` says what to do.
    ``layer`` is empty where the whole network is meant."""

    rule: str
    layer: str
    actual: float | str
    limit: float | str
    severity: Severity
    hint: str

    def __str__(self) -> str:
        where = f"{self.layer}: " if self.layer else ""
        return f"{self.severity}: {where}{self.rule} {self.actual}, limit {self.limit}. {self.hint}"


class Violations(ShownList[Violation]):
    """What ``tc.check`` returns: a list of :class:`Violation`, which shows itself as a table. ``about``: which chip."""

    about: str = ""

    @classmethod
    def of(cls, found: Iterable[Violation], about: str) -> Violations:
        made = cls(found)
        made.about = about
        return made

    @property
    def errors(self) -> list[Violation]:
        """Those that keep the network from running there."""
        return [each for each in self if each.severity == "error"]

    def _headline(self) -> str:
        where = f" on {self.about}" if self.about else ""
        if not self:
            return f"no violations{where}: it fits"
        warnings = len(self) - len(self.errors)
        told = [
            f"{n} {word}{'s' if n > 1 else ''}" for n, word in ((len(self.errors), "error"), (warnings, "warning")) if n
        ]
        return f"{' and '.join(told)}{where}"

    def _table(self) -> Table:
        columns = (
            Column("severity", "", left=True),
            Column("layer", "layer", left=True),
            Column("rule", "what", left=True),
            Column("actual", "is", _number),
            Column("limit", "limit", _number),
            Column("hint", "what helps", left=True),
        )
        rows = tuple((v.severity, v.layer, v.rule, v.actual, v.limit, v.hint) for v in self)
        return Table(self._headline(), columns, rows)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"
