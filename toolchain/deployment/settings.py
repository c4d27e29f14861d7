"""What a field of a configuration is called, and what it may be: on the command line and in grid files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from spikec.deployment import checks
from spikec.deployment.checks import Check

#: Whether a field is part of the identity of a configuration. ``unless default``: for fields that were added later, so
#: that configurations without them keep their identity.
Identity = Literal["always", "unless default", "never"]


@dataclass(frozen=True)
class Setting:
    """How one field is set.

    ``help``: for the command line, with ``{default}`` where the default stands. ``flags`` are its names there (default
    ``--name``; a bare word is a positional argument), ``metavar`` stands for its value, ``group`` is the title of the
    options it is listed with.

    A value is one of ``choices``; or a whole number from ``least`` to ``most``; or a path (``path``); or true if the
    flag is given (``switch``); or a table given word by word as NAME=VALUE (``table``); or a number (``number``); or a
    text. ``check``, if given, decides alone what is wrong with a value of a grid file.

    ``derived``: if not given, it follows from the network, its weights or the method; the default of the field holds if
    they say nothing. ``precision``: weights that were fine-tuned for a precision decide it. ``command``: an option of
    ``spikec export``. ``grid``: a key of grid files. ``many``: its value is a list. ``column``: a column of summaries.
    """

    help: str = ""
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    group: str = ""
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    path: bool = False
    switch: bool = False
    table: bool = False
    number: bool = False
    check: Check | None = None
    derived: bool = False
    precision: bool = False
    command: bool = True
    grid: bool = True
    many: bool = False
    column: bool = True
    identity: Identity = "always"

    def wrong(self, value: Any) -> str | None:
        """What is wrong with a value of a grid file; None where nothing is."""
        if self.check is not None:
            return self.check(value)
        if self.choices:
            return checks.choice(lambda: self.choices)(value)
        if self.least is not None:
            return checks.whole(self.least, self.most)(value)
        if self.path:
            return checks.file(value)
        if self.switch:
            return None if isinstance(value, bool) else f"must be true or false, not {value!r}"
        if self.number:
            return checks.number(value)
        return checks.text(value)


def setting(default: Any = MISSING, help: str = "", **about: Any) -> Any:
    """A dataclass field that people set; see :class:`Setting`. A mapping as ``default`` is copied for each value."""
    metadata = {"setting": Setting(help, **about)}
    if isinstance(default, Mapping):
        return field(default_factory=default.copy, metadata=metadata)  # type: ignore[attr-defined]
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def settings_of(cls: type) -> dict[str, Setting]:
    """The settings of a dataclass by the name of their field, in its order."""
    return {each.name: each.metadata["setting"] for each in fields(cls) if "setting" in each.metadata}


def defaults_of(cls: type) -> dict[str, Any]:
    """The defaults of a dataclass by field, of those that have one."""
    found = {}
    for each in fields(cls):
        if each.default is not MISSING:
            found[each.name] = each.default
        elif each.default_factory is not MISSING:
            found[each.name] = each.default_factory()
    return found


def flag(name: str, about: Setting) -> str:
    """The long name of a setting on the command line: ``--data-root``."""
    return about.flags[-1] if about.flags else f"--{name.replace('_', '-')}"
