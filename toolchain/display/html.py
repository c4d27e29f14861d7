"""A table for notebooks: plain HTML in the colours of the page around it, light or dark. No script, no style sheet."""

from __future__ import annotations

from spikec.display.table import Table
from spikec.terminal import in_markup

_LINE = "1px solid rgba(128,128,128,.45)"
_CELL = "padding:.15em .7em .15em 0;vertical-align:top"
#: Long cells may wrap, short ones do not.
_WRAPPED = 40


def html(table: Table) -> str:
    """The table; every text in it is escaped."""
    if not table.rows:
        return f"<div>{in_markup(table.title)}{_notes(table)}</div>"
    columns, shown = table.shown()
    heads = "".join(
        f'<th scope="col" style="{_CELL};text-align:{_side(column.left)};border-bottom:{_LINE}">'
        f"{in_markup(column.head)}</th>"
        for column in columns
    )
    lines = "".join(
        "<tr>" + "".join(_cell(cell, column.left) for cell, column in zip(cells, columns, strict=True)) + "</tr>"
        for cells in shown
    )
    # Not a caption, which would be as narrow as the table.
    title = in_markup(table.title)
    return (
        f'<div style="overflow-x:auto"><div style="padding:0 0 .3em">{title}</div>'
        f'<table aria-label="{title}" style="border-collapse:collapse;margin:0;font-size:90%;width:auto">'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>{_notes(table)}</div>"
    )


def _cell(cell: str, left: bool) -> str:
    wrap = "normal;min-width:16em;max-width:36em" if len(cell) > _WRAPPED else "nowrap"
    return f'<td style="{_CELL};text-align:{_side(left)};white-space:{wrap}">{in_markup(cell)}</td>'


def _side(left: bool) -> str:
    return "left" if left else "right"


def _notes(table: Table) -> str:
    return "".join(f'<div style="font-size:85%;opacity:.75">{in_markup(note)}</div>' for note in table.below)
