"""Lines of C, comments and names that nothing from a file can break out of."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_WIDTH = 118


class Text:
    """Lines of a C file, indented by the blocks that are open."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0

    def line(self, text: str = "") -> None:
        """One line. A long expression goes on in the next."""
        if not text:
            self._lines.append("")
            return
        margin = "    " * self._depth
        rows = textwrap.wrap(text, _WIDTH - len(margin), break_long_words=False, break_on_hyphens=False)
        self._lines += [
            margin + ("" if first else "    ") + row
            for first, row in zip([True, *[False] * len(rows)], rows, strict=False)
        ]

    def verbatim(self, text: str) -> None:
        """Lines as they are."""
        self._lines.append(text.rstrip("\n"))

    def comment(self, *sentences: str) -> None:
        """A comment; a line for each sentence, wrapped where it is long."""
        margin = "    " * self._depth
        rows = [
            row
            for sentence in sentences
            for row in textwrap.wrap(shown(sentence), _WIDTH - len(margin) - 6, break_long_words=True) or [""]
        ]
        if len(rows) == 1:
            self._lines.append(f"{margin}/* {rows[0]} */")
            return
        self._lines += [
            f"{margin}{'/*' if first else ' *'} {row}".rstrip()
            for first, row in zip([True, *[False] * len(rows)], rows, strict=False)
        ]
        self._lines[-1] += " */"

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """``head { ... }``."""
        self.line(f"{head} {{" if head else "{")
        self._depth += 1
        yield
        self._depth -= 1
        self.line("}")

    @contextmanager
    def members(self, head: str, tail: str) -> Iterator[None]:
        """``head { ... } tail;``: a struct or union."""
        self.line(f"{head} {{")
        self._depth += 1
        yield
        self._depth -= 1
        self.line(f"}} {tail};")

    @contextmanager
    def loop(self, index: str, count: int | str, *, start: int | str = 0) -> Iterator[None]:
        """A loop over ``index``."""
        with self.block(f"for (int32_t {index} = {start}; {index} < {count}; ++{index})"):
            yield

    @contextmanager
    def function(self, head: str) -> Iterator[None]:
        """A function, with an empty line behind it."""
        self.line(head)
        self.line("{")
        self._depth += 1
        yield
        self._depth -= 1
        self.line("}")
        self.line()

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"


def shown(text: str) -> str:
    """Text from a file as it may stand in a comment: printable ASCII, without what opens or ends a comment, a line
    that goes on, or a trigraph."""
    plain = "".join(each if " " <= each <= "~" else "?" for each in text).replace("\\", "/")
    return re.sub(r"\*(?=/)|/(?=\*)|\?(?=\?)", r"\g<0> ", plain)


class Identifiers:
    """C names for the nodes of a graph, each once. They stand behind a prefix: none is a word of the language."""

    def __init__(self, names: Iterable[str]) -> None:
        self._made: dict[str, str] = {}
        taken: set[str] = set()
        for name in names:
            stem = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:48] or "node"
            chosen, number = stem, 1
            while chosen in taken:
                number += 1
                chosen = f"{stem}_{number}"
            taken.add(chosen)
            self._made[name] = chosen

    def __getitem__(self, name: str) -> str:
        return self._made[name]
