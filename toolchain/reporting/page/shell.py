"""The frame of every page: one file with its style, its script and its drawings inside.

The policy in the head allows this style and this script only, by their hashes, and pictures that are in the page: no
request is possible, and nothing that a name smuggled in could run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from spikec.reporting.page.html import Html, tag

_HERE = Path(__file__).parent
#: Under the title of a page about several integer models.
SIMULATED = "Integer models simulated on CPU; never run on a chip."
_STYLES = ("style.css", "charts.css")


def shell(title: str, *children: object) -> str:
    """The page ``title`` with ``children`` in its body."""
    style = "\n" + "\n".join((_HERE / name).read_text(encoding="utf-8") for name in _STYLES)
    script = "\n" + (_HERE / "script.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data: blob:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", title),
        Html(f"<style>{style}</style>"),
    )
    skip = tag("a", "Skip to the content", href="#content", class_="skip")
    body = tag("body", skip, *children, Html(f"<script>{script}</script>"))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def header(eyebrow: str, title: object, simulated: str, verdict: object, *below: Html) -> Html:
    """The first lines of a page: what it is, of what, that nothing ran on a chip, and what came out."""
    return tag(
        "header",
        tag("p", eyebrow, class_="eyebrow"),
        tag("h1", title),
        tag("p", simulated, class_="simulated"),
        tag("p", verdict, class_="verdict"),
        *below,
    )


def whole(title: str, opening: Sequence[Html], parts: Sequence[tuple[str, Sequence[object]]]) -> str:
    """The page: ``opening``, then a section for each of ``parts``, (title, children), with links to them above all."""
    sections = [section(name, *children) for name, children in parts]
    main = tag("main", *opening, *sections, id="content")
    return shell(title, contents([name for name, _ in parts]), main)


def section(title: str, *children: object, lead: object = None) -> Html:
    """A part of the page that the contents lead to; ``lead``: a sentence below its title."""
    name = anchor(title)
    intro = tag("p", lead, class_="lead") if lead else ""
    return tag(
        "section", tag("h2", title, id=f"{name}-title"), intro, *children, id=name, aria_labelledby=f"{name}-title"
    )


def anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def contents(titles: Sequence[str]) -> Html:
    """Links to the sections called so."""
    links = [tag("li", tag("a", title, href=f"#{anchor(title)}")) for title in titles]
    return tag("nav", tag("ul", *links), aria_label="Contents", class_="contents")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
