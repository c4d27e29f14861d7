"""How targets are found: by entry points of installed packages, or registered while a program runs.

Executors (``base.py``) and chips (``chips.py``) both use it. A package adds one by an entry point in the group, whose
value is a class that takes no arguments. A program or a test adds one with :meth:`Registry.register`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from spikec.installed import entry_points

T = TypeVar("T")
Maker = TypeVar("Maker", bound="Callable[[], object]")


#: What was registered, by group and name.
_MADE: dict[str, dict[str, Callable[[], Any]]] = {}


def names_in(group: str) -> list[str]:
    """All names of a group, sorted."""
    return sorted({*_MADE.get(group, {}), *(entry.name for entry in entry_points(group=group))})


class Registry(Generic[T]):
    """The targets of one group of entry points, by name. A registered one hides an entry point of the same name."""

    def __init__(self, group: str) -> None:
        self.group = group
        self._made: dict[str, Callable[[], T]] = _MADE.setdefault(group, {})

    def register(self, name: str) -> Callable[[Maker], Maker]:
        """Decorator: registers a class under ``name``; :meth:`get` calls it without arguments."""

        def keep(maker: Maker) -> Maker:
            self._made[name] = maker  # type: ignore[assignment]
            return maker

        return keep

    def forget(self, name: str) -> None:
        """Undo :meth:`register`."""
        self._made.pop(name, None)

    def names(self) -> list[str]:
        """All names, sorted."""
        return names_in(self.group)

    def get(self, name: str) -> T | None:
        """A new instance of what is called ``name``; None if there is no such name."""
        if name in self._made:
            return self._made[name]()
        for entry in entry_points(group=self.group):
            if entry.name == name:
                made: T = entry.load()()
                return made
        return None
