"""Options that are fields of a configuration: added to commands, and read back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec.cli.parser import Parser, at_least

if TYPE_CHECKING:
    from spikec.deployment.settings import Setting


def add_settings(command: Parser, *names: str, **other: Any) -> None:
    """Add the options of these fields, in this order. ``other``: arguments of argparse to use instead; also ``flag``,
    and ``default``, which changes only what the help shows."""
    from spikec.deployment.configuration import SETTINGS
    from spikec.deployment.settings import flag

    for name in names:
        about = SETTINGS[name]
        place = _group(command, about.group) if about.group else command
        told = _argument(name, about, other.get("default"))
        flags = (other["flag"],) if "flag" in other else about.flags or (flag(name, about),)
        if flags[0].startswith("-"):
            told["dest"] = name
        told |= {key: value for key, value in other.items() if key not in ("flag", "default")}
        place.add_argument(*flags, **told)


def add_other_settings(command: Parser) -> None:
    """Add the options of ``spikec export`` that the command does not have yet, in the order of the fields."""
    from spikec.deployment.configuration import SETTINGS

    there = {action.dest for action in command._actions}
    add_settings(command, *(name for name, about in SETTINGS.items() if about.command and name not in there))


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of a configuration that the arguments state; derived fields are left out unless they were given."""
    from spikec.deployment.configuration import SETTINGS

    found: dict[str, Any] = {}
    for name, about in SETTINGS.items():
        value = getattr(args, name, None)
        if not about.command or value is None or (about.derived and not value and (about.table or about.switch)):
            continue
        found[name] = dict(value) if about.table else str(value) if about.path else value
    return found


def option(text: str) -> tuple[str, int | float | str]:
    """Argument type: NAME=VALUE; the value becomes a number if it can."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def _argument(name: str, about: Setting, shown: Any) -> dict[str, Any]:
    from spikec.deployment.configuration import DEFAULTS

    default = DEFAULTS.get(name)
    told: dict[str, Any] = {"help": about.help.replace("{default}", str(default if shown is None else shown))}
    if about.switch:
        return {**told, "action": "store_true"}
    if about.metavar is not None:
        told["metavar"] = about.metavar
    if about.table:
        return {**told, "action": "append", "type": option, "default": []}
    if about.choices:
        told["choices"] = about.choices
    elif about.least is not None:
        told["type"] = at_least(about.least, about.most)
    elif about.path:
        told["type"] = Path
    elif about.number:
        told["type"] = float
    if default is not None and not about.derived:
        told["default"] = default
    return told


def _group(command: Parser, title: str) -> Any:
    there = [group for group in command._action_groups if group.title == title]
    return there[0] if there else command.add_argument_group(title)
