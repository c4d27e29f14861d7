"""What a page of the documentation claims in numbers: its sentences and tables that hold a figure.

A figure is a number in the text that is read. Numbers in code, in the targets of links, in headings and comments are none,
nor are those of a name (Loihi 2, int8, Python 3.10, arXiv 1901.10348), of a version or a year.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: What carries a number as part of its name: chips and processors, software with its version, papers, years.
_NAMED = re.compile(
    r"\b(?:Loihi|Cortex|Nengo Loihi|SpikingJelly|HDF5|AEDAT|SpiNNaker|IEEE|RFC|CVE|BSD|Section|section|Table|Figure|issue)"
    r"(?: \d+(?:\.\d+)*(?: and \d+)?\b|-[\w-]+)"
    r"|\b(?:Python|PyTorch|Torch|torch|NumPy|numpy|Lava|lava-dl|lava-nc|nir|NIR|h5py|snnTorch|Norse|sinabs|onnx|ONNX|"
    r"torchvision|Linux|GCC|gcc|Clang|clang|version|versions|since|from|before|in|of) "
    r"v?\d+\.\d+(?:\.\d+)*(?:(?: to | and |, | or )\d+\.\d+(?:\.\d+)*)*(?![\d.]*\s*%)(?=[\s,;:.)\]]|$)"
    r"|\barXiv[ :]\d{4}\.\d{4,5}|\b10\.\d{4,}/\S+|\b(?:19|20)\d\d\b(?!,)|https?://\S+"
)
_FIGURE = re.compile(r"(?<![\w.])[+±-]?\d")
_FENCE = re.compile(r"^[ ]*```.*?^[ ]*```[ ]*$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?:    .*\n)+(?:\n+(?:    .*\n)+)*")
#: What a benchmark writes stands between two such marks.
_WRITTEN = re.compile(r"^<!-- (\S+): begin -->$.*?^<!-- \1: end -->$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--(?! \S+: written -->).*?-->", re.DOTALL)
_ITEM = re.compile(r"^\s*(?:[-*]|\d+\.) ")
_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?]\))|(?<=[.!?]\*\*))\s+(?=[^a-z\s])")
_CODE = re.compile(r"`[^`]+`")


@dataclass(frozen=True)
class Claim:
    """A sentence; a table, by the line of its head and its first cell; or what a benchmark wrote, by its mark. ``figures``: whether it
    holds any. ``line`` counts from 1 and is that of the paragraph."""

    text: str
    figures: bool
    line: int


def claims(page: str) -> list[Claim]:
    """All sentences, tables and written parts of a page, in their order."""
    found: list[Claim] = []
    part: list[str] = []
    start = 0
    for number, line in enumerate([*_readable(page), ""], 1):
        written = line.startswith("<!--")
        alone = not line.strip() or line.startswith("#") or written
        other = bool(part) and line.startswith("|") != part[0].startswith("|")
        if part and (alone or other or _ITEM.match(line)):
            found += _table(part, start) if part[0].startswith("|") else _sentences(part, start)
            part = []
        if written:
            found.append(Claim(line, True, number))
        elif not alone:
            start = start if part else number
            part.append(line)
    return found


def has_figures(text: str) -> bool:
    """Whether a text, as it is in a page, holds a figure."""
    text = re.sub(r"\]\([^)]*\)", "]", _CODE.sub("", text))
    return _FIGURE.search(_NAMED.sub("", text)) is not None


def _readable(page: str) -> list[str]:
    """The lines of a page without code and comments; what a benchmark wrote is one line, its mark."""

    def blank(block: re.Match[str]) -> str:
        return "\n" * block[0].count("\n")

    page = _FENCE.sub(blank, page)
    page = _WRITTEN.sub(lambda part: f"<!-- {part[1]}: written -->{blank(part)}", page)
    for left_out in (_INDENTED, _COMMENT):
        page = left_out.sub(blank, page)
    return page.split("\n")


def _table(lines: list[str], start: int) -> list[Claim]:
    first = lines[2].split("|")[1] if len(lines) > 2 else ""
    return [Claim(" ".join(f"{lines[0]} {first}".split()), any(map(has_figures, lines[2:])), start)]


def _sentences(lines: list[str], start: int) -> list[Claim]:
    text = _ITEM.sub("", " ".join(" ".join(lines).split()))
    codes: list[str] = []

    def keep(code: re.Match[str]) -> str:
        codes.append(code[0])
        return f"`{len(codes) - 1}`"

    masked = _CODE.sub(keep, text)
    whole = [re.sub(r"`(\d+)`", lambda at: codes[int(at[1])], each) for each in _END.split(masked)]
    return [Claim(each, has_figures(each), start) for each in whole if each]
