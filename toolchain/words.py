"""Words in messages: the name that somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``; None where none is near."""
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
