"""Fields of a kind that are stored in files: under which key, and with which values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from spikec.ir.limits import INT32_MAX, Limit

#: Largest whole number a field of a kind may hold.
LARGEST = 2**15 - 1
#: The key of every population for the most spikes in a step; kinds that have no such field write 1.
MAX_SPIKES = "max_spikes_per_step"


@dataclass(frozen=True)
class Stored:
    """Where files keep a field of a kind, and what it may hold.

    ``key`` in the metadata of the NIR node, ``netx`` in a lava-dl file, ``title`` in messages and listings.
    ``per``: one whole number for the population, or one for every neuron. Values lie between ``low`` and ``high``.
    ``default``: the value where a file leaves the field out; None: it may not be left out. ``requirement``: what a
    reader must know (an item of ``requires``) where the field holds another value.
    """

    key: str
    netx: str
    title: str
    per: Literal["population", "neuron"]
    low: int
    high: int = INT32_MAX
    default: int | None = None
    requirement: str | None = None

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, as a phrase. One number for every neuron may be given as an array."""
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if self.per == "neuron" and isinstance(value, np.ndarray):
            whole = value.dtype.kind in "iu" and value.size > 0
        if not whole:
            return f"{self.title} must be {'' if self.per == 'neuron' else 'a '}{self._allowed()}, not {value!r}"
        if self.limit.holds(value):
            return None
        if self.per == "neuron":
            return f"{self.title} must be {self.limit}"
        return f"{self.title} is {value}, it must be {self.limit}"

    @property
    def limit(self) -> Limit:
        return Limit(self.low, self.high)

    def _allowed(self) -> str:
        return f"whole number{'s' if self.per == 'neuron' else ''} {self.limit}"


def stored(
    key: str,
    *,
    netx: str,
    title: str,
    per: Literal["population", "neuron"] = "population",
    low: int = 1,
    high: int = INT32_MAX,
    default: int | None = None,
    requirement: str | None = None,
) -> Any:
    """A dataclass field that is stored in files; see :class:`Stored`. With a ``default``, the field need not be given:
    it is then ``default``, or None where it has one number per neuron."""
    metadata = {"stored": Stored(key, netx, title, per, low, high, default, requirement)}
    if default is None:
        return field(metadata=metadata)
    return field(default=default if per == "population" else None, metadata=metadata)
