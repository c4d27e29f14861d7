"""Options of targets on the command line: those that each target declares."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from spikec.cli.parser import Parser, UsageError, at_least
from spikec.errors import ToolchainError

if TYPE_CHECKING:
    from spikec.targets.options import Option, Options

_GOLDEN = "golden"


def add_golden(command: Parser) -> None:
    """Add the options of the golden model that change no result."""
    command.later(lambda: _add(command, [(_GOLDEN, option) for option in _stated(_GOLDEN) if not option.changes]))


def add_targets(command: Parser, *, running: bool) -> None:
    """Add the options of every target. ``running``: only the target runs; else it is compared with the golden model."""
    command.later(lambda: _add(command, list(_offered(running))))


def golden_options(args: argparse.Namespace) -> dict[str, Any]:
    """The given options of the golden model, as ``tc.simulate`` takes them."""
    return _given(args, [option for option in _stated(_GOLDEN) if option.at == "run"])


def target_options(args: argparse.Namespace, *, running: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The given options of ``args.target``: those of its ``compile``, and those of its program's ``run``. Options of
    other targets are refused, except those of the golden model when it is compared with (``running`` False)."""
    own = [option for name, option in _offered(running) if name == args.target]
    known = {option.name for option in own}
    for name, option in _offered(running):
        ours = option.name in known or (name == _GOLDEN and not running)
        if not ours and _value(args, option) is not None:
            owners = [name for name, other in _offered(running) if other.word == option.word]
            raise UsageError(f"{option.word} is an option of --target {' and '.join(owners)}, not of {args.target}")
    return tuple(_given(args, [option for option in own if option.at == at]) for at in ("compile", "run"))  # type: ignore[return-value]


def _offered(running: bool) -> Iterator[tuple[str, Option]]:
    """Every target's options with its name. For a comparison (``running`` False), options that change results are left
    out, and those of ``run`` too unless they are the golden model's."""
    from spikec.targets.base import target_names

    for name in sorted(target_names(), key=lambda name: (name != _GOLDEN, name)):
        for option in _stated(name):
            if running or (not option.changes and (option.at == "compile" or name == _GOLDEN)):
                yield name, option


def _stated(target: str) -> tuple[Option, ...]:
    found = _options(target)
    return () if found is None else found.options


def _options(target: str) -> Options | None:
    from spikec.targets.base import get_target

    try:
        found: Options | None = getattr(get_target(target), "options", None)
    except Exception:  # code of another package may raise anything; using the target, or spikec doctor, shows it
        return None
    return found


def _add(command: Parser, offered: list[tuple[str, Option]]) -> None:
    """Add options, those of each target under its title. An option that targets share is added once, under the title of
    the first, and what the others say of it follows."""
    groups: dict[str, Any] = {}
    for target, option in offered:
        shared = command._option_string_actions.get(option.word)
        if shared is not None:
            if option.help != shared.help:
                shared.help = f"{shared.help}; --target {target}: {option.help}"
            continue
        stated = _options(target)
        if target not in groups and stated is not None:
            groups[target] = command.add_argument_group(stated.title)
        add_option(groups[target], option)


def add_option(group: Any, option: Option) -> None:
    """Add one option to a parser or a group of one; its value is ``args.target_NAME``."""
    told: dict[str, Any] = {"dest": _dest(option), "help": option.help, "default": None}
    if option.switch:
        told["action"] = "store_true"
    else:
        told |= {"choices": option.choices or None, "metavar": option.metavar}
        told["type"] = at_least(option.least) if option.least is not None else _type(option.parse)
    group.add_argument(option.word, **told)


def _type(parse: Callable[[str], Any] | None) -> Callable[[str], Any]:
    def value(text: str) -> Any:
        try:
            return text if parse is None else parse(text)
        except ToolchainError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value


def _dest(option: Option) -> str:
    return f"target_{option.name}"


def _value(args: argparse.Namespace, option: Option) -> Any:
    return getattr(args, _dest(option), None)


def _given(args: argparse.Namespace, options: list[Option]) -> dict[str, Any]:
    return {option.name: value for option in options if (value := _value(args, option)) is not None}
