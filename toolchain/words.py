"""Words in messages: the name that somebody probably meant; names that come from a file."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``; None where none is near."""
    import difflib

    close = difflib.get_close_matches(name, list(known), 1)
    return close[0] if close else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "known: {}") -> str:
    """``did you mean 'qcfs'?``, or ``otherwise`` with all known names in the place of ``{}`` where none is near."""
    names = list(known)
    close = nearest(name, names)
    return f"did you mean {close!r}?" if close else otherwise.format(", ".join(names))


def unknown(name: str, known: Iterable[str]) -> str:
    """``unknown 'qfcs', did you mean 'qcfs'?``, or all known names where none is near."""
    return f"unknown {name!r}, {did_you_mean(name, known)}"


def shown(name: object) -> str:
    """A name from a file as messages show it: quoted where it holds anything but plain characters, never long."""
    text = str(name)
    plain = text.isprintable() and text.isascii() and text and " " not in text
    text = text if plain else ascii(text)
    return text if len(text) <= 80 else f"{text[:77]}..."


def printable(text: str) -> str:
    """Lines without control characters: what a file or the HDF5 library says must not command a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def listed(names: list[str], most: int = 5) -> str:
    """Names in a sentence; the first few and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + more
