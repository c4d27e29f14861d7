"""How every figure looks: sizes of a paper's column, colours that colour-blind people tell apart, few lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spikec.packages import needed

Axes = Any
#: Width of one column and of both, inches.
COLUMN, PAGE = 3.5, 7.2
#: Okabe and Ito's colours, the palest last.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#F0E442")
GREY = "#7a7a7a"
_TEXT, _SMALL = 8, 7
_STYLE = {
    "font.size": _TEXT,
    "axes.titlesize": _TEXT,
    "axes.labelsize": _TEXT,
    "legend.fontsize": _SMALL,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "xtick.labelsize": _SMALL,
    "ytick.labelsize": _SMALL,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
    "savefig.dpi": 300,
}


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


@contextmanager
def drawing(ax: Axes | None, height: float, width: float = COLUMN) -> Iterator[Axes]:
    """The axes to draw into: ``ax``, or those of a new figure ``width`` by ``height`` inches. Raises
    ``PackageMissing``."""
    pyplot = needed("matplotlib.pyplot", "tc.plot", "pip install 'spikec[plot]'")
    if ax is not None:
        yield ax
        return
    with pyplot.rc_context(_STYLE):
        _, made = pyplot.subplots(figsize=(width, height), layout="constrained")
        # Ticks are made later, when these settings are gone.
        made.tick_params(labelsize=_SMALL, width=0.6, length=2.5)
        yield made


def whole_steps(ax: Axes, axis: str = "x") -> None:
    """Ticks at whole numbers only."""
    ticker = needed("matplotlib.ticker", "tc.plot", "pip install 'spikec[plot]'")
    getattr(ax, f"{axis}axis").set_major_locator(ticker.MaxNLocator(integer=True))


def level(ax: Axes, value: float, text: str) -> None:
    """A dashed line at the network's own level, across the axes, with its text in the legend."""
    ax.axhline(value, color=GREY, linestyle=(0, (4, 2)), linewidth=0.9, zorder=1, label=text)


def rows(ax: Axes, names: list[str]) -> None:
    """A line of the figure for each name, the first at the top."""
    ax.set_yticks(range(len(names)), [short(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)


def height_of(lines: int, each: float = 0.2, around: float = 0.75) -> float:
    """Inches for so many lines and what stands around them."""
    return around + each * max(lines, 2)


def short(name: str, most: int = 18) -> str:
    """A name of a layer that leaves room for the figure: its end, which tells layers apart."""
    return name if len(name) <= most else f"…{name[1 - most :]}"
