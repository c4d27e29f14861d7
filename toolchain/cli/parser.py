"""Argument parsing and shared options. A mistake gives exit code 1 and one sentence, not argparse's 2 and a page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from spikec import defaults
from spikec.errors import ToolchainError
from spikec.version import __version__
from spikec.words import nearest, unknown


class UsageError(ToolchainError):
    """The command line itself is wrong."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of examples, and room for the longest command beside what is said of it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        for command in self._iter_indented_subactions(action):  # argparse forgets that these are indented
            width = len(self._format_action_invocation(command)) + self._current_indent
            self._action_max_length = max(self._action_max_length, width)


class Parser(argparse.ArgumentParser):
    """Raises :class:`UsageError` and suggests the nearest name for an unknown one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **options})
        self._later: list[Callable[[], None]] = []
        self._instead: dict[str, Callable[[], Parser]] = {}
        #: Command lines that its help shows.
        self.examples: tuple[str, ...] = ()

    def instead(self, word: str, parser: Callable[[], Parser]) -> None:
        """Where ``word`` comes first, the words after it belong to ``parser``: ``report diff A B`` beside
        ``report FILE``. A file of that name is written ``./word``."""
        self._instead[word] = parser

    def later(self, add: Callable[[], None]) -> None:
        """Call ``add``, which adds arguments, once this command is the one that is used: what it has to import would
        make every other one slow."""
        self._later.append(add)

    def complete(self) -> Parser:
        """This parser, after the arguments that come later have been added."""
        while self._later:
            self._later.pop(0)()
        return self

    def parse_known_args(self, *args: Any, **options: Any) -> Any:
        words = list(args[0]) if args and args[0] is not None else []
        if words and words[0] in self._instead:
            return self._instead[words[0]]().parse_known_args(words[1:], *args[1:], **options)
        self.complete()
        return super().parse_known_args(*args, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, unknown(str(value), map(str, action.choices)))

    def add_version(self) -> None:
        self.add_argument("--version", action=_Version, nargs=0, help="print the version")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        print(f"spikec {__version__}")
        parser.exit()


#: Options of every command, which may stand anywhere in the line.
COMMON = {
    "json": "print one JSON document on stdout, everything else on stderr",
    "quiet": "nothing on stderr but errors: no progress, no remarks",
    "verbose": "say how long each part took; show all warnings",
}


def add_common(parser: Parser) -> None:
    for name, about in COMMON.items():
        parser.add_argument(f"--{name}", action="store_true", help=about)


def common_options(words: Sequence[str]) -> tuple[list[str], dict[str, bool]]:
    """The words without the options of every command, and which of these are there; after ``--`` words are not
    options."""
    end = list(words).index("--") if "--" in words else len(words)
    flags = {f"--{name}" for name in COMMON}
    rest = [word for word in words[:end] if word not in flags] + list(words[end:])
    return rest, {name: f"--{name}" in words[:end] for name in COMMON}


def parse(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """The parsed words; an unknown option names the nearest one of its command."""
    args: argparse.Namespace
    for word in words:
        if "\0" in word:  # a shell cannot give one, and no path, name or number holds one
            parser.error(f"{word!r} holds a zero byte; leave it out")
        if not _encodes(word):
            parser.error(f"{word!r} holds half of a character; leave it out")
    if words and words[0].startswith("-") and words[0].split("=")[0] not in parser._option_string_actions:
        raise UsageError(_too_early(parser, words))
    args, extra = parser.parse_known_args(words)
    if not extra:
        return args
    command: Parser = args.parser
    word = extra[0].split("=")[0]
    if not word.startswith("-"):
        command.error(f"{word!r} is one argument too many")
    close = nearest(word, _long_options(command))
    having = _having(_whole(), word)
    said = f"unknown option {word!r}"
    if having:  # no slip of the pen, but the wrong command
        here = command.prog.partition(" ")[2]
        said = f"{here} has no option {word!r}, which {_and(having)} {'has' if len(having) == 1 else 'have'}"
    command.error(said + (f", did you mean {close!r}?" if close else ""))


def _encodes(word: str) -> bool:
    """Whether the system could have given this word; a file's name in no UTF-8 it could."""
    try:
        word.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _too_early(parser: Parser, words: Sequence[str]) -> str:
    """What is wrong where an option of a command, or of none, comes before the command."""
    word = words[0].split("=")[0]
    having = _having(parser, word) or (_having(parser, word[:2]) if word[2:].isdigit() else [])  # -T4 too
    named = next((name for name in having if name.split()[0] in words[1:]), None)
    if named is not None:
        return f"{word!r} belongs behind the command: spikec {named} {word} (see spikec help {named})"
    if having:
        return f"{word!r} is an option of {_and(having)}: the command comes first, spikec {having[0]} {word}"
    commands = subcommands(parser).values()
    close = nearest(word, [*_long_options(parser), *(each for command in commands for each in _long_options(command))])
    if close in parser._option_string_actions:
        return f"unknown option {word!r}, did you mean {close!r}? (see spikec help)"
    if close is not None:
        takers = _and(_having(parser, close))
        return f"unknown option {word!r}, did you mean {close!r} of {takers}? It belongs behind the command"
    return f"no command has an option {word!r}; the command comes first, and its options behind it (see spikec help)"


def _having(parser: Parser, option: str) -> list[str]:
    """The commands that have an option, as they are written: ``export``, ``nir repair``."""
    found = []
    for name, command in subcommands(parser).items():
        inner = [f"{name} {each}" for each in _having(command, option)]
        found += [name] if option in command.complete()._option_string_actions else inner
    return found


def _whole() -> Parser:
    """The parser of all commands: only the one that was named is there otherwise."""
    from spikec.cli import build_parser

    return build_parser()


def _long_options(parser: Parser) -> list[str]:
    return [option for option in parser.complete()._option_string_actions if option.startswith("--")]


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def command(commands: Any, name: str, help: str, *examples: str, **options: Any) -> Parser:
    """A new subcommand with the options every command has. ``examples``: whole command lines, for its help."""
    epilog = "\n".join([f"example{'s' if len(examples) > 1 else ''}:", *(f"  {example}" for example in examples)])
    options = {"formatter_class": HelpFormatter, "epilog": epilog, **options}
    parser: Parser = commands.add_parser(name, help=help, description=help, **options)
    add_common(parser)
    parser.set_defaults(parser=parser)
    parser.examples = examples
    return parser


def subcommands(command: Parser) -> dict[str, Parser]:
    """The commands, or actions, below a command; by name."""
    found: dict[str, Parser] = {}
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= dict(action.choices)
    return found


#: The largest whole number of an option that has no bound of its own.
_MOST = 2**64


def at_least(low: int, high: int | None = None) -> Callable[[str], int]:
    """Argument type: an integer >= ``low`` and <= ``high``."""
    most = _MOST if high is None else high

    def integer(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, not {value}")
        if value > most:
            raise argparse.ArgumentTypeError(f"must be at most {most}, not {value}")
        return value

    return integer


def add_graph(parser: Parser, name: str = "graph") -> None:
    parser.add_argument(name, metavar=f"{name.upper()}.nir", type=Path, help="NIR file written by spikec export")
    parser.set_defaults(reads_nir=True)


def add_data(parser: Parser, otherwise: str = f"what the file was exported with, else {defaults.DATA}") -> None:
    """``--data`` and ``--data-root``; ``otherwise`` says what happens without."""
    parser.add_argument("--data", metavar="D", help=f"{defaults.DATA_SETS} (default: {otherwise})")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="where the data set's files are")


def add_metric(parser: Parser) -> None:
    """``--metric``: the measures of quality."""
    parser.add_argument(
        "--metric",
        action="append",
        metavar="M",
        help="quality by top-1, top-5, mae, rmse, correlation, miou, file.py:callable or package.module:callable; may "
        "be given several times (default: what the labels ask for)",
    )


def add_limit(parser: Parser, default: int | None = None) -> None:
    """``--limit``; without a default the whole test set."""
    parser.add_argument(
        "--limit",
        type=at_least(1),
        default=default,
        metavar="N",
        help=f"the first N test images (default {default or 'all'})",
    )
