"""What mkdocstrings is told: an example in a docstring (``>>> ...``) is code. Markdown takes it for a quotation."""

from __future__ import annotations

import re
from typing import Any

import griffe


def fenced(text: str) -> str:
    """The same text with a fence around each example, which ends at an empty line. The fence is indented as the
    example is, which may lie in a list; an example that has one already keeps it."""
    lines: list[str] = []
    own: str | None = None  # the fence that the text has opened
    fence: str | None = None  # the indentation of ours
    for line in [*text.split("\n"), ""]:
        body = line.lstrip()
        if fence is not None and not body:
            lines.append(f"{fence}```")
            fence = None
        mark = re.match("```+|~~~+", body) if fence is None else None
        if mark is not None:
            closes = own is not None and mark[0].startswith(own) and not body[mark.end() :].strip()
            own = None if closes else own or mark[0]
        elif own is None and fence is None and body.startswith(">>> "):
            fence = line[: len(line) - len(body)]
            lines.append(f"{fence}```pycon")
        lines.append(line)
    return "\n".join(lines[:-1])


class Examples(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None and ">>> " in obj.docstring.value:
            obj.docstring.value = fenced(obj.docstring.value)
