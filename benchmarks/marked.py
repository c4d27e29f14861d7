"""Generated parts of documentation pages, between two comments."""

from __future__ import annotations

from pathlib import Path

from spikec.whole_files import replacing


def marks(name: str) -> tuple[str, str]:
    """The comments before and behind a generated part."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def replaced(text: str, name: str, part: str) -> str:
    """``text`` with what lies between the marks ``name`` replaced."""
    begin, end = marks(name)
    head, rest = text.split(begin)
    return f"{head}{begin}\n{part}\n{end}{rest.split(end)[1]}"


def write(page: Path, name: str, part: str) -> None:
    """Replace the part of a file; it appears whole or not at all."""
    new = replaced(page.read_text(encoding="utf-8"), name, part)
    with replacing(page) as temporary:
        temporary.write_text(new, encoding="utf-8")
