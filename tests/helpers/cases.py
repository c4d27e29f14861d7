"""The neuron kinds, each in every way it can run, and instances of them. New kinds are included automatically."""

from __future__ import annotations

import numpy as np

from spikec.ir.kinds import Kind, kind_named, kinds
from spikec.ir.limits import INT32_MAX

#: (kind, schedule, drain)
Case = tuple[str, str, int]

#: The largest random value of a field with one number per population; 8 for fields not listed here.
_HIGHEST = {"rho": 6}


def kind_cases(drain: int = 3, *, without: tuple[str, ...] = ()) -> list[Case]:
    """(kind, schedule, drain) for every kind except those in ``without``, in every schedule, with drain 0.

    A kind that may drain comes with ``drain`` steps as well.
    """
    found = []
    for name, kind in kinds().items():
        for schedule in kind.schedules if name not in without else ():
            found.append((name, schedule, 0))
            if kind.drains and drain and schedule == "pipelined":
                found.append((name, schedule, drain))
    return found


#: Every kind in every schedule, with and without a drain of three steps.
CASES = kind_cases()
KINDS = list(kinds())
#: Kinds whose emissions write no level of a quantised network.
UNLEVELLED = tuple(name for name, kind in kinds().items() if not kind.quantises)
#: Kinds that run step by step through all layers.
PIPELINED = [name for name, kind in kinds().items() if "pipelined" in kind.schedules]


def steps_of(kind: str, wanted: int) -> int:
    """``wanted`` steps, or the nearest number of steps that the kind runs."""
    lowest, highest = kind_named(kind).timesteps
    return min(max(wanted, lowest), highest)


def schedule_of(kind: str) -> str:
    """A schedule that the kind runs in: pipelined if possible."""
    schedules = kind_named(kind).schedules
    return "pipelined" if "pipelined" in schedules else schedules[0]


def drain_of(kind: str, wanted: int) -> int:
    """``wanted``, or 0 for a kind that does not drain."""
    return wanted if kind_named(kind).drains else 0


def neuron(kind: Kind | str, **fields: object) -> Kind:
    """The kind with this name and these fields. A finished kind is returned as it is."""
    if isinstance(kind, str):
        return kind_named(kind)(**fields)
    assert not fields, "fields of a kind that is made already"
    return kind


def random_kind(
    name: str, rng: np.random.Generator, shape: tuple[int, ...], top: int = 8, *, complete: bool = False
) -> Kind:
    """A kind with random fields, for neurons of ``shape``; numbers per neuron go up to ``top``.

    Fields with a default are sometimes left out, unless ``complete``.
    """
    values: dict[str, object] = {}
    for field, about in kind_named(name).stored_fields().items():
        if about.default is not None and not complete and rng.random() >= 0.7:
            continue
        if about.per == "neuron":
            high = top if about.high == INT32_MAX else min(about.high, 16 * top)
            values[field] = rng.integers(max(about.low, -top), high + 1, shape).astype(np.int64)
        else:
            highest = min(_HIGHEST.get(field, 8), about.high)
            values[field] = int(rng.integers(about.low, highest + 1))
    return kind_named(name)(**values)
