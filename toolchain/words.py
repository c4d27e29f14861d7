"""Words in messages: the name that somebody probably meant; names that come from a file; advice in the tongue that the
reader types, which is Python or the command line."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Literal

Tongue = Literal["python", "command line"]
#: How this process is spoken to. A global, since threads of one process have one reader.
_tongue: Tongue = "python"


@contextlib.contextmanager
def speaking(tongue: Tongue) -> Iterator[None]:
    """Inside, :func:`either` and :func:`option` speak ``tongue``."""
    global _tongue
    before, _tongue = _tongue, tongue
    try:
        yield
    finally:
        _tongue = before


def either(python: str, command: str) -> str:
    """What to write in Python, or on the command line, whichever the reader uses."""
    return python if _tongue == "python" else command


def option(name: str, value: object = None, *, flag: str = "") -> str:
    """An argument: ``format='loihi1'`` in Python, ``--format loihi1`` on the command line; without ``value`` the name
    alone. ``flag``: where the option is not called like the argument, such as ``--max-pool``."""
    flag = flag or f"--{name.replace('_', '-')}"
    if _tongue == "python":
        return name if value is None else f"{name}={value!r}"
    return flag if value is None or value is True else f"{flag} {value}"


def average_pools() -> str:
    """Average pools in place of max pools."""
    return either("tc.replace_max_pool", "--max-pool average")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``; None where none is near. Case, hyphens and underscores matter little."""
    import difflib

    names = list(known)
    alike = [each for each in names if _plain(each) == _plain(name)]
    close = alike or difflib.get_close_matches(name, names, 1)
    return close[0] if close else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def reason(error: BaseException) -> str:
    """What an exception of others says: of a system call without its number, else with the name of its type."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename is not None else error.strerror
    return " ".join(f"{type(error).__name__}: {error}".split())


def among(value: object, known: Container[str | None]) -> bool:
    """Whether ``value`` is one of these words: an array has no truth to be compared by, and a list is in no set."""
    return (value is None or isinstance(value, str)) and value in known


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "known: {}") -> str:
    """``did you mean 'qcfs'?``, or ``otherwise`` with all known names in the place of ``{}`` where none is near."""
    names = list(known)
    close = nearest(name, names)
    return f"did you mean {close!r}?" if close else otherwise.format(", ".join(names))


def unknown(name: str, known: Iterable[str], what: str = "") -> str:
    """``unknown 'qfcs', did you mean 'qcfs'?``, or all known names where none is near; ``what`` it would be."""
    return f"unknown {what}{' ' * bool(what)}{name!r}, {did_you_mean(name, known)}"


def shown(name: object) -> str:
    """A name from a file as messages show it: quoted where it holds anything but plain characters, never long."""
    text = str(name)
    plain = text.isprintable() and text.isascii() and text and " " not in text
    text = text if plain else ascii(text)
    return text if len(text) <= 80 else f"{text[:77]}..."


def printable(text: str) -> str:
    """Lines without control characters: what a file or the HDF5 library says must not command a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def shortened(text: str, most: int) -> str:
    """``text``, or its beginning and an ellipsis where it has more than ``most`` letters."""
    return text if len(text) <= most else f"{text[: max(1, most - 1)]}…"


#: A column that would be wider than this is not aligned.
_WIDEST = 48


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines ``place: what: hint``, in which equal columns begin at the same place; the last may be of any length."""
    widths = [max((len(row[i]) for row in rows if i < len(row) - 1), default=0) for i in range(max(map(len, rows)))]
    return [
        "".join(
            cell if i == len(row) - 1 else f"{cell + ':':<{min(widths[i], _WIDEST) + 1}} " for i, cell in enumerate(row)
        )
        for row in rows
    ]


def columns(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> list[str]:
    """Lines of cells in columns as wide as their widest cell; those whose number is in ``right`` end alike."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if n in right else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(names: list[str], most: int = 5) -> str:
    """Names in a sentence; the first few and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + more
