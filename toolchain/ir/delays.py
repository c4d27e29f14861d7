"""How late an edge carries what was sent: so many steps for all senders, or so many for each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import EllipsisType

import numpy as np
import numpy.typing as npt

from spikec.ir.types import Int64, Shape

#: One number of steps, or one for each sender, in the order of the flat shape.
Steps = int | tuple[int, ...]
#: An index that takes some senders, or all.
Senders = npt.NDArray[np.bool_] | EllipsisType


def settled(steps: Int64) -> Steps:
    """Steps of every sender, or the one number that all of them have."""
    found = tuple(int(each) for each in np.asarray(steps).reshape(-1))
    return found[0] if len(set(found)) == 1 else found


def least(steps: Steps) -> int:
    """The shortest delay. An edge with none for some senders carries what is sent in the same step too."""
    return steps if isinstance(steps, int) else min(steps)


def most(steps: Steps) -> int:
    """The longest delay."""
    return steps if isinstance(steps, int) else max(steps)


def in_words(steps: Steps) -> str:
    """``one step``, ``3 steps``, ``0 to 5 steps``."""
    if isinstance(steps, int):
        return "one step" if steps == 1 else f"{steps} steps"
    return f"{least(steps)} to {most(steps)} steps"


def suffix(steps: Steps) -> str:
    """What tells delays of one sender apart in the names of nodes."""
    if isinstance(steps, int):
        return "" if steps == 1 else str(steps)
    digest = hashlib.sha256(np.array(steps, dtype="<i8").tobytes()).hexdigest()
    return f"{least(steps)}to{most(steps)}.{digest[:12]}"


def by_delay(steps: Steps, shape: Shape) -> Iterator[tuple[int, Senders]]:
    """Every delay that occurs, and an index, into arrays [*shape], of the senders that have it."""
    if isinstance(steps, int):
        yield steps, ...
        return
    each = np.array(steps).reshape(shape)
    for delay in np.unique(each):
        yield int(delay), each == delay
