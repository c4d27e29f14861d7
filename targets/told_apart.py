"""Four sorts of names that users meet, of which some are the same: what each is, and which command takes it.

``loihi2`` is a chip, an energy profile and a number format; no network runs on it here. ``lava`` is an executor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from spikec.targets.registry import names_in
from spikec.words import either, nearest, unknown

Sort = Literal["executor", "chip", "energy profile", "number format"]


@dataclass(frozen=True)
class _About:
    """``names`` of a sort; what takes one, in Python and on the command line, with ``{}`` for the name."""

    names: Callable[[], list[str]]
    python: str
    command: str
    does: str


def _executors() -> list[str]:
    return sorted(names_in("spikec.targets"), key=lambda name: (name != "golden", name))


def _chips() -> list[str]:
    return names_in("spikec.chips")


def _profiles() -> list[str]:
    from spikec.energy.profile import profile_names

    return profile_names()


def _formats() -> list[str]:
    from spikec.analysis.formats import format_names

    return format_names()


#: In the order in which a name that belongs to several is explained.
_SORTS: dict[str, _About] = {
    "executor": _About(
        _executors, "tc.compile(graph, target='{}')", "spikec run --target {}", "runs the network on it"
    ),
    "chip": _About(
        _chips, "tc.check(graph, target='{}')", "spikec check --target {}", "says whether the network fits it"
    ),
    "energy profile": _About(
        _profiles, "tc.estimate(graph, trace, profile='{}')", "spikec energy --profile {}", "counts with it"
    ),
    "number format": _About(
        _formats, "tc.lower(network, format='{}')", "spikec export --format {}", "keeps to it"
    ),
}  # fmt: skip


def names_of(sort: Sort) -> list[str]:
    """All names of a sort; of executors the golden model first."""
    return _SORTS[sort].names()


def is_one(name: str, sort: Sort) -> bool:
    return name in names_of(sort)


def wrong(name: str, sort: Sort | str, known: list[str] | None = None) -> str:
    """What to say of a ``name`` that is none of ``sort``: which other sort it is of and what takes that one, or which
    name was probably meant. ``known``: the names that are possible here, if not all of them, or if ``sort`` is none of
    these four, such as an executor of sweeps."""
    names = _SORTS[sort].names() if known is None else known
    for other, about in _SORTS.items():
        if other != sort and name in about.names():
            a = "an" if sort[0] in "aeiou" else "a"
            takes = either(about.python, about.command).format(name)
            one = f"{'an' if other[0] in 'aeiou' else 'a'} {other}"
            return f"{name} is {one}, not {a} {sort} ({', '.join(names)}): {takes} {about.does}"
    if nearest(name, names) is None:
        for other, about in _SORTS.items():
            close = nearest(name, about.names())
            if close is not None:
                takes = either(about.python, about.command).format(close)
                meant = f"did you mean the {other} {close}? {takes} {about.does}"
                return f"unknown {sort} {name!r}, known: {', '.join(names)}; {meant}"
    return unknown(name, names, sort)
