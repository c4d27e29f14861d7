"""Options of a target as it states them itself: what a command line offers, without a list of its own.

A target whose class has an attribute ``options``, an :class:`Options`, gets them in ``spikec run`` and ``verify``. A
dataclass of options states them field by field, by :func:`option`, and :func:`options_of` collects them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Option:
    """One option: the keyword ``name`` of the target's ``compile``, or of its program's ``run`` (``at``).

    ``--flag VALUE`` on the command line (``flag``: the name, unless it says otherwise). A value is one of ``choices``,
    or a whole number of at least ``least``, or what ``parse`` makes of the word (which raises ``ToolchainError`` for a
    wrong one); a ``switch`` is given without a value. ``metavar`` stands for the value in the help. ``changes``: the
    option may change results, so it is no option of a comparison.
    """

    name: str
    help: str
    flag: str = ""
    at: Literal["compile", "run"] = "compile"
    choices: tuple[str, ...] = ()
    least: int | None = None
    parse: Callable[[str], Any] | None = None
    switch: bool = False
    metavar: str | None = None
    changes: bool = False

    @property
    def word(self) -> str:
        """The option as it is typed: ``--early-exit``."""
        return f"--{(self.flag or self.name).replace('_', '-')}"


@dataclass(frozen=True)
class Options:
    """The options of one target, under a ``title``."""

    title: str
    options: tuple[Option, ...]


def option(default: Any, help: str, **about: Any) -> Any:
    """A dataclass field that is an option of a target; ``about``: further fields of :class:`Option`."""
    return field(default=default, metadata={"option": (help, about)})


def options_of(cls: type, title: str) -> Options:
    """The options that a dataclass states by :func:`option`, in the order of its fields."""
    stated = {each.name: each.metadata["option"] for each in fields(cls) if "option" in each.metadata}
    return Options(title, tuple(Option(name, help, **about) for name, (help, about) in stated.items()))
