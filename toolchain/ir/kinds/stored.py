"""Fields of a kind that files hold: where, and what they may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

#: Largest whole number a field of a kind may hold.
LARGEST = 2**15 - 1


@dataclass(frozen=True)
class Stored:
    """Where files keep a field of a kind, and what it may hold.

    ``key`` in the metadata of the NIR node, ``netx`` in a lava-dl file, ``title`` in messages and listings.
    ``per``: one whole number for the population, or one for every neuron. Values lie between ``low`` and ``high``.
    ``default``: what a file means that leaves the field out; None: it may not.
    """

    key: str
    netx: str
    title: str
    per: Literal["population", "neuron"]
    low: int
    high: int | None = None
    default: int | None = None

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, as a phrase."""
        array = np.asarray(value)
        if array.size and int(array.min()) >= self.low and (self.high is None or int(array.max()) <= self.high):
            return None
        if self.per == "neuron":
            return f"{self.title} must be at least {self.low}"
        return f"{self.title} is {value}, it must be between {self.low} and {self.high}"


def stored(
    key: str,
    *,
    netx: str,
    title: str,
    per: Literal["population", "neuron"] = "population",
    low: int = 1,
    high: int | None = None,
    default: int | None = None,
) -> Any:
    """A dataclass field that files hold; see :class:`Stored`. A field that may be absent is None where it is."""
    about = Stored(key, netx, title, per, low, high, default)
    return field(metadata={"stored": about}) if default is None else field(default=None, metadata={"stored": about})
