"""What the program is doing, told to whoever watches: the command line shows it where it takes long."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

#: Called with the number of units that are done.
Done = Callable[[int], None]
#: A context manager for a stage: its label, its number of units (0: not known), and what a unit is.
Watcher = Callable[[str, int, str], AbstractContextManager[Done]]

_watcher: Watcher | None = None


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Inside, stages are told to ``watcher``."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before


@contextlib.contextmanager
def stage(label: str, total: int = 0, unit: str = "layers") -> Iterator[Done]:
    """Inside, the work is ``label``: ``with stage("placing", 12) as done``. Costs nothing where nobody watches."""
    if _watcher is None:
        yield lambda _: None
        return
    with _watcher(label, total, unit) as done:
        yield done
