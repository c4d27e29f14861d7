"""What installed packages add to spikec, by entry points.

Python looks through every installed package each time it is asked, which takes longer than many a command. Here it is
asked once for each ``sys.path``: a package that is installed later needs a new process.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, distributions

_OURS = "spikec."


def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of one of our groups (``spikec.chips``)."""
    return _found(tuple(sys.path)).get(group, ())


@lru_cache(maxsize=4)
def _found(path: tuple[str, ...]) -> dict[str, tuple[EntryPoint, ...]]:
    """All of our groups. ``path``: ``sys.path``, used as cache key only. Of packages with one name the first on the
    path counts, as it does when they are imported."""
    found: dict[str, list[EntryPoint]] = {}
    seen: set[str] = set()
    for distribution in distributions():
        if f"[{_OURS}" not in (distribution.read_text("entry_points.txt") or ""):
            continue  # what parsing the others would take is most of the work
        name = distribution.metadata["Name"]
        if name not in seen:
            seen.add(name)
            for entry in distribution.entry_points:
                if entry.group.startswith(_OURS):
                    found.setdefault(entry.group, []).append(entry)
    return {group: tuple(entries) for group, entries in found.items()}
