"""Tables of code by type. A lookup never falls back to the code of another type.

A neuron kind or an operation states its facts in its own file. Another package may need code of its own for each of
them (the step of a simulator, the Lava process). That package then owns a table of implementations. Looking up a type
that is not in the table raises an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from spikec.errors import MissingImplementation, ToolchainError

Code = TypeVar("Code")

#: Every table, for tests that ask whether a type is in all of them.
TABLES: list[Implementations[Any]] = []


def shown(value: object) -> str:
    """How messages name a type, or a value of it: by its ``name`` where it states one, else by its class."""
    cls = value if isinstance(value, type) else type(value)
    return str(getattr(cls, "name", "") or cls.__name__) if isinstance(getattr(cls, "name", ""), str) else cls.__name__


class Implementations(Generic[Code]):
    """One table of code by type.

    ``what`` it holds and the ``place`` where it lies are named in the message for a missing entry: "graded has no
    ``what``: register one in ``place``". ``of``: base class of the types in the table. ``otherwise``: makes the error
    for every type that has neither an entry nor a refusal. Give it for foreign software that knows a closed set of
    types. Without it, a missing entry is a mistake in the code of the type and raises :class:`MissingImplementation`.
    """

    def __init__(
        self, what: str, place: str, of: type, *, otherwise: Callable[[str], ToolchainError] | None = None
    ) -> None:
        self.what, self.place, self.of, self.otherwise = what, place, of, otherwise
        self._entries: dict[type, Code] = {}
        self._refusals: dict[type, Callable[[str], ToolchainError]] = {}
        TABLES.append(self)

    def register(self, *types: type) -> Callable[[Code], Code]:
        """Decorator: registers what it decorates as the code for these types."""

        def keep(code: Code) -> Code:
            for each in types:
                self._entries[each] = code
            return code

        return keep

    def refuse(self, error: Callable[[str], ToolchainError], *types: type) -> None:
        """State that these types are not supported here. ``error`` makes the exception from the name of the type."""
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
        """The exception for a value, or a type, that has no code here."""
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
