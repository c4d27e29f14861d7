"""Names of executors, chips, energy profiles and number formats on the command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spikec.cli.parser import UsageError

if TYPE_CHECKING:
    from spikec.targets.told_apart import Sort


def known_or_file(option: str, sort: Sort, name: str) -> str:
    """:func:`known`, or a .toml file that exists."""
    if not name.endswith(".toml"):
        return known(option, sort, name)
    if not os.path.isfile(name):
        raise UsageError(f"{option}: no file {name}")
    return name


def known(option: str, sort: Sort, name: str) -> str:
    """``name``, given with ``option``. Raises ``UsageError`` if it is none of ``sort``; where it is of another sort,
    the message names the command that takes it."""
    from spikec.targets import told_apart

    if not told_apart.is_one(name, sort):
        raise UsageError(f"{option}: {told_apart.wrong(name, sort)}")
    return name
