"""What a page of the documentation claims in numbers: its sentences and tables that hold a figure.

    python -m benchmarks.docs_claims            # what tests/claims does not list, and what is no longer in a page
    python -m benchmarks.docs_claims --write    # a sentence that changed stays held by what held it: look at each

A figure is a number in the text that is read. Numbers in code, in targets of links, in headings and comments are none,
nor are those of a name (Loihi 2, int8, Python 3.10, arXiv 1901.10348), of a version or a year. ``tests/test_claims.py``
says what the lists are.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikec.guarded.documents import read_toml_file
from spikec.whole_files import replacing

ROOT = Path(__file__).resolve().parent.parent
LISTS = ROOT / "tests" / "claims"
_FIRST = ("README", "SECURITY", "CONTRIBUTING")
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / f"{name}.md" for name in _FIRST)])

#: What carries a number as part of its name: chips and processors, software with its version, papers, years.
_NAMED = re.compile(
    r"\b(?:Loihi|Cortex|SpikingJelly|HDF5|AEDAT|IEEE|CVE|BSD|issue)(?: \d+(?:\.\d+)*(?: and \d+)?\b|-[\w-]+)"
    r"|\b(?:Python|PyTorch|[Tt]orch|NumPy|numpy|Lava|lava-dl|lava-nc|nir|NIR|h5py|snnTorch|Norse|sinabs|onnx|GCC|gcc) "
    r"\d+\.\d+(?:\.\d+)*(?:(?: to | and |, | or )\d+\.\d+(?:\.\d+)*)*(?![\d.]*\s*%)(?=[\s,;:.)\]]|$)"
    r"|\b\d+\.\d+\.\d+\b|\barXiv[ :]\d{4}\.\d{4,5}|\b(?:19[5-9]\d|20(?:0[1-9]|[12]\d))\b(?!,)|https?://\S+"
)
_FIGURE = re.compile(r"(?<![\w.])[+±-]?\d")
_FENCE = re.compile(r"^[ ]*```.*?^[ ]*```[ ]*$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?:    .*\n)+(?:\n+(?:    .*\n)+)*")
#: What a benchmark writes stands between two such marks.
_WRITTEN = re.compile(r"^<!-- (\S+): begin -->$.*?^<!-- \1: end -->$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--(?! \S+: written -->).*?-->", re.DOTALL)
_ITEM = re.compile(r"^\s*(?:[-*]|\d+\.) ")
_END = re.compile(r"(?:(?<=[.!?])(?<!et al\.)|(?<=[.!?]\))|(?<=[.!?]\*\*))\s+(?=[^a-z\s])")
_CODE = re.compile(r"`[^`]+`")


@dataclass(frozen=True)
class Claim:
    """A sentence; a table, by the line of its head and its first cell; or what a benchmark wrote, by its mark.

    ``figures``: whether it holds any. ``line`` counts from 1 and is that of the paragraph.
    """

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


@dataclass(frozen=True)
class Compared:
    """A page beside its list: claims that the list lacks, and sentences that the page has no longer."""

    document: dict[str, Any]
    new: list[Claim]
    gone: list[str]

    def nearest(self, claim: Claim) -> str | None:
        """The sentence that ``claim`` probably was."""
        return next(iter(difflib.get_close_matches(claim.text, self.gone, 1, 0.6)), None)


def compared(page: Path) -> Compared:
    """``page`` beside its list. Raises ``DataError`` where there is none."""
    document = read_toml_file(LISTS / f"{page.stem}.toml", "the list of claims")
    found = claims(page.read_text(encoding="utf-8"))
    there = {claim.text for claim in found}
    known = {sentence for entry in document["claims"] for sentence in entry["sentences"]}
    wanted = [claim for claim in found if claim.figures or document["complete"]]
    new = list({claim.text: claim for claim in wanted if claim.text not in known}.values())
    return Compared(document, new, [sentence for sentence in sorted(known) if sentence not in there])


def written(page: Path, document: dict[str, Any]) -> str:
    """A list as TOML."""

    def listed(key: str, values: list[str]) -> str:
        quoted = [json.dumps(value, ensure_ascii=False) for value in values]  # a string of JSON is one of TOML
        if key == "held_by" and len(quoted) == 1:
            return f"{key} = [{quoted[0]}]"
        return "\n".join([f"{key} = [", *(f"  {each}," for each in quoted), "]"])

    which = "every sentence" if document["complete"] else "sentences with a figure"
    parts = [f"complete = {str(document['complete']).lower()}  # {which} of {page.relative_to(ROOT)}\n"]
    for entry in document["claims"]:
        parts.append("\n".join(["[[claims]]", *(listed(key, entry[key]) for key in ("held_by", "sentences")), ""]))
    return "\n".join(parts if document["claims"] else [*parts, "claims = []\n"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put sentences that changed into the lists")
    args = parser.parse_args()
    left = 0
    for page in PAGES:
        found = compared(page)
        was = {claim.text: found.nearest(claim) for claim in found.new}
        now = {old: text for text, old in was.items() if old is not None}
        for claim in found.new:
            print(f"{page.name}:{claim.line}: {claim.text}\n    was: {was[claim.text]}")
        for sentence in found.gone:
            if sentence not in now:
                print(f"{page.name}: no longer there: {sentence}")
        left += len(found.new) + len(found.gone)
        if args.write and (found.new or found.gone):
            for entry in found.document["claims"]:
                kept = [now.get(each, None if each in found.gone else each) for each in entry["sentences"]]
                entry["sentences"] = [each for each in kept if each is not None]
            found.document["claims"] = [entry for entry in found.document["claims"] if entry["sentences"]]
            with replacing(LISTS / f"{page.stem}.toml") as temporary:
                temporary.write_text(written(page, found.document), encoding="utf-8")
            left -= len(now) + len(found.gone)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
