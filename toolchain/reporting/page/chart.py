"""What every chart shares: its frame for readers of all kinds, axes, and marks that answer to a pointer or a key.

Charts are about 400 units wide with text of 12, so that a phone shows them whole and legible; colours come from the
style sheet, so one drawing serves light, dark and print. A mark's ``title`` is what a pointer, or an arrow key, shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from spikec.reporting.page.html import Html, tag

#: Width of a chart in its own units.
WIDTH = 400.0
Axis = Callable[[float], float]
#: Colours in the style sheet.
SLOTS = 10


def chart(
    title: str,
    described: str,
    width: float,
    height: float,
    parts: Sequence[object],
    class_: str = "",
    keys: bool = True,
) -> Html:
    """``title`` and ``described`` are for readers who see nothing; ``keys``: arrow keys go from mark to mark."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", described),
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
        tabindex=0 if keys else None,
        class_=f"chart {class_}".strip(),
    )


def figure(drawing: Html, caption: object, name: str | None, class_: str | None = None) -> Html:
    """A chart with its caption; ``name``: of the file when it is saved; None: it cannot be."""
    return tag(
        "figure",
        tag("div", drawing, class_="plot"),
        tag("figcaption", caption) if caption else "",
        data_name=name,
        class_=class_,
    )


def mark(shape: Html, told: str, class_: str | None = None) -> Html:
    """``shape``, which tells ``told``."""
    return tag("g", tag("title", told), shape, class_=f"mark {class_}" if class_ else "mark")


def label(text: object, x: float, y: float, class_: str = "tick") -> Html:
    return tag("text", text, x=round(x, 1), y=round(y, 1), class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return tag("line", x1=round(x1, 1), x2=round(x2, 1), y1=round(y1, 1), y2=round(y2, 1), class_=class_)


def linear(low: float, high: float, start: float, end: float) -> Axis:
    """Values ``low`` to ``high`` to places ``start`` to ``end``."""
    span = (high - low) or 1.0
    return lambda value: round(start + (value - low) / span * (end - start), 1)


def logarithmic(low: float, high: float, start: float, end: float) -> Axis:
    span = math.log(high / low) or 1.0
    return lambda value: round(start + math.log(max(value, 1e-300) / low) / span * (end - start), 1)


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """1, 2 and 5 times powers of ten from ``low`` to ``high``; only the powers, or every so many of them, where that
    would be more than ``most``."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for parts in ((1, 2, 5), (1, 3), (1,)):
        found = [part * 10.0**power for power in range(first, last + 1) for part in parts]
        found = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(found) <= most:
            return found
    return found[:: math.ceil(len(found) / most)]


def slot(index: int) -> int:
    return index % SLOTS
