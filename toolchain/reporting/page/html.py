"""HTML that is balanced and escaped by construction: text is escaped unless it already is ``Html``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spikec.terminal import in_markup

_UNIT = re.compile(r"(\d) (%|[fpnµmkMG]?[Js]\b)")
_VOID = frozenset({"meta", "br", "rect", "line", "circle", "path", "img"})
_BLOCK = frozenset({"section", "table", "thead", "tbody", "tr", "figure", "header", "footer", "dl", "div", "ul", "h2"})


class Html(str):
    """A piece of finished HTML; everything else is text."""

    __slots__ = ()


def text(value: object) -> Html:
    """``value`` ready to stand in HTML or in an attribute."""
    return value if isinstance(value, Html) else Html(in_markup(str(value)))


def prose(value: object) -> Html:
    """Text in which a line never breaks between a number and its unit."""
    return Html(_UNIT.sub("\\1\N{NO-BREAK SPACE}\\2", text(value)))


def join(parts: Iterable[object]) -> Html:
    return Html("".join(text(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """``tag("a", "x < y", class_="k")`` is ``<a class="k">x &lt; y</a>``; attributes that are None are left out."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Html(f"<{name}{pairs}/>")
    end = "\n" if name in _BLOCK else ""
    return Html(f"<{name}{pairs}>{join(children)}</{name}>{end}")


def command(line: str) -> Html:
    """A command line to copy. It wraps between words alone; browsers would break an option behind its hyphens."""
    words = (tag("span", word) for word in line.split(" "))
    return tag("pre", tag("code", Html(" ".join(words))))


@dataclass(frozen=True)
class Column:
    """``kind``: "name" heads its row, "number" is aligned right, "word" stays on a line, "text" wraps."""

    title: str
    kind: str = "number"
    hint: str | None = None


def table(label: str, columns: Sequence[Column], rows: Iterable[Sequence[object]], class_: str | None = None) -> Html:
    """A table that scrolls sideways inside its own box; ``label`` is its caption. The script makes one of several rows
    sortable; of the class "totalled", the last row stays last."""
    head = tag("tr", *(tag("th", c.title, scope="col", class_=c.kind, title=c.hint) for c in columns))
    body = [
        tag(
            "tr",
            *(
                tag("th", cell, scope="row", class_="name") if c.kind == "name" else tag("td", cell, class_=c.kind)
                for c, cell in zip(columns, row, strict=True)
            ),
        )
        for row in rows
    ]
    classes = " ".join(filter(None, ("sortable" if len(body) > 1 else None, class_))) or None
    inner = tag("table", tag("caption", label), tag("thead", head), tag("tbody", *body), class_=classes)
    return tag("div", inner, class_="scroll", role="region", aria_label=label, tabindex=0)
