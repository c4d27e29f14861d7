"""What mkdocstrings is told: an example in a docstring (``>>> ...``) is code. Markdown takes it for a quotation."""

from __future__ import annotations

from typing import Any

import griffe


def fenced(text: str) -> str:
    """The same text with a fence around each example, which ends at an empty line."""
    lines: list[str] = []
    inside = False
    for line in [*text.split("\n"), ""]:
        begins, ends = line.lstrip().startswith(">>> "), not line.strip()
        if inside and ends:
            lines.append("```")
        if begins and not inside:
            lines.append("```pycon")
        inside = (inside or begins) and not ends
        lines.append(line)
    return "\n".join(lines[:-1])


class Examples(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None and ">>> " in obj.docstring.value:
            obj.docstring.value = fenced(obj.docstring.value)
