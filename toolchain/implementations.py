"""Code that types of one room have in another: found by type, never by a default.

A neuron kind or an operation states its facts in its own file. Where another room needs code of its own for each of
them (the step of a simulator, the Lava process), that room owns a table of implementations. A type that is not in the
table raises, and the message names the type and the place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from spikec.errors import MissingImplementation, ToolchainError

Code = TypeVar("Code")

#: Every table, for tests that ask whether a type is in all of them.
TABLES: list[Implementations[Any]] = []


def shown(value: object) -> str:
    """A type or a value of it in messages: the name it states, else that of its class."""
    cls = value if isinstance(value, type) else type(value)
    return str(getattr(cls, "name", "") or cls.__name__) if isinstance(getattr(cls, "name", ""), str) else cls.__name__


class Implementations(Generic[Code]):
    """One table. ``what`` it holds and ``place`` are read in messages: "graded has no ``what`` (``place``)".

    ``of``: the base of the types it is for. ``otherwise``: makes the error that answers for every type without an
    entry, for tables of foreign software that knows a closed set; without it a missing entry is a mistake in the code
    of the type and raises :class:`MissingImplementation`.
    """

    def __init__(
        self, what: str, place: str, of: type, *, otherwise: Callable[[str], ToolchainError] | None = None
    ) -> None:
        self.what, self.place, self.of, self.otherwise = what, place, of, otherwise
        self._entries: dict[type, Code] = {}
        self._refusals: dict[type, Callable[[str], ToolchainError]] = {}
        TABLES.append(self)

    def register(self, *types: type) -> Callable[[Code], Code]:
        """Decorator: the code of these types."""

        def keep(code: Code) -> Code:
            for each in types:
                self._entries[each] = code
            return code

        return keep

    def refuse(self, error: Callable[[str], ToolchainError], *types: type) -> None:
        """These types cannot be had here; ``error`` makes what is raised, from the name of the type."""
        for each in types:
            self._refusals[each] = error

    def __contains__(self, value: object) -> bool:
        """Whether there is code for a value, or for a type."""
        return (value if isinstance(value, type) else type(value)) in self._entries

    def __call__(self, value: object) -> Code:
        """The code for a value, or for a type. Raises the refusal, or :class:`MissingImplementation`."""
        cls = value if isinstance(value, type) else type(value)
        if cls in self._entries:
            return self._entries[cls]
        raise self.refusal(cls)

    def refusal(self, value: object) -> ToolchainError:
        """What is raised for a value, or a type, that has no code here."""
        cls = value if isinstance(value, type) else type(value)
        refuse = self._refusals.get(cls, self.otherwise)
        if refuse is not None:
            return refuse(shown(cls))
        return MissingImplementation(f"{shown(cls)} has no {self.what}: register one in {self.place}")

    def state(self, cls: type) -> str:
        """``implemented``, ``refused`` or ``missing``."""
        if cls in self._entries:
            return "implemented"
        return "refused" if cls in self._refusals or self.otherwise is not None else "missing"
