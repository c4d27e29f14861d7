"""Fenced blocks of a Markdown page: files to write, scripts to run, commands with what they print.

    ```python title="net.py"     a file to write
    ```python                    a script to run
    ```console                   commands after "$ ", and below each what it prints
    ```text, ```toml, ...        only to be read

A comment on a line of its own before a block changes how it is taken: ``<!-- numbers may differ -->`` where another
machine rounds another way, ``<!-- not run: REASON -->``, ``<!-- exit code: N -->`` of the block's last command; any
other is an error. In what is printed, ``...`` stands for any text, and alone on a line for any lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

FENCE = re.compile(r"^```(\w+)?[ ]*(.*)$")
COMMENT = re.compile(r"^<!--\s*(.*?)\s*-->$")
#: A number that stands for itself: ``8`` of ``int8`` or of ``layer8`` is part of a name.
NUMBER = re.compile(r"(?<![\w.])([+-]?)\d[\d,]*(?:\.(\d+))?")
#: What a comment before a block may say.
SAID = ("numbers may differ", "not run", "exit code")


@dataclass(frozen=True)
class Command:
    """One command and what it prints; lines [first, last) of the page hold what it prints."""

    text: str
    printed: tuple[str, ...]
    first: int
    last: int


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` counts from 1 and is that of the fence."""

    language: str
    title: str
    lines: tuple[str, ...]
    line: int
    numbers_may_differ: bool = False
    not_run: str = ""
    exit_code: int = 0
    commands: tuple[Command, ...] = field(default=())


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page that start at the margin."""
    found, said, lines = [], {}, page.split("\n")
    at = 0
    while at < len(lines):
        comment, fence = COMMENT.match(lines[at]), FENCE.match(lines[at])
        if comment:
            said[comment[1].split(":")[0]] = comment[1].partition(":")[2].strip()
        elif fence:
            if "```" not in lines[at + 1 :]:
                raise ValueError(f"line {at + 1}: the block has no end, a line ```")
            for word in set(said) - set(SAID):
                raise ValueError(f"line {at + 1}: <!-- {word} --> before a block; known: {', '.join(SAID)}")
            end = lines.index("```", at + 1)
            found.append(_block(fence, lines[at + 1 : end], at + 1, said))
            at, said = end, {}
        elif lines[at].strip():
            said = {}
        at += 1
    return found


def _block(fence: re.Match[str], lines: list[str], line: int, said: dict[str, str]) -> Block:
    title = re.search(r'title="([^"]*)"', fence[2])
    return Block(
        language=fence[1] or "",
        title=title[1] if title else "",
        lines=tuple(lines),
        line=line,
        numbers_may_differ="numbers may differ" in said,
        not_run=said.get("not run", ""),
        exit_code=int(said.get("exit code", 0)),
        commands=tuple(_commands(lines, line)) if fence[1] == "console" else (),
    )


def _commands(lines: list[str], start: int) -> list[Command]:
    """``start``: index in the page of the first of ``lines``."""
    found, at = [], 0
    while at < len(lines):
        if not lines[at].startswith("$ "):
            raise ValueError(f"line {start + at + 1}: a console block begins with '$ '")
        text = lines[at][2:]
        while text.endswith("\\"):
            at += 1
            text += "\n" + lines[at]
        first = at + 1
        at = first
        while at < len(lines) and not lines[at].startswith("$ "):
            at += 1
        found.append(Command(text, tuple(lines[first:at]), start + first, start + at))
    return found


def _kind(number: re.Match[str]) -> str:
    """The same for numbers that may stand for each other."""
    sign, decimals = number[1], number[2] or ""
    return "+" * bool(sign) + "0" + "." * bool(decimals) + "0" * len(decimals)


def same(expected: tuple[str, ...], printed: list[str], numbers_may_differ: bool = False) -> bool:
    """Whether a command printed what the page says. Space between words counts only as space.

    Where ``numbers_may_differ``, only their digits may, and + and -: whether there is a sign, decimals, units, names
    and words are those of the page.
    """

    def plain(line: str) -> str:
        line = re.sub(r"\b[0-9a-f]{64}\b", "HASH", line)
        if numbers_may_differ:
            line = NUMBER.sub(_kind, line)
        return " ".join(line.split())

    def pattern(line: str) -> str:
        return re.escape(plain(line)).replace(r"\.\.\.", ".*") + "\n"

    wanted = "".join("(?:.*\n)*" if line.strip() == "..." else pattern(line) for line in expected)
    return re.fullmatch(wanted, "".join(plain(line) + "\n" for line in printed)) is not None
