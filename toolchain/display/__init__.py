"""How values show themselves: one line where Python prints them, a table in notebooks, a frame for pandas."""

from spikec.display.shown import Shown, ShownList, ShownTuple, shows
from spikec.display.table import Column, Table, count, share, words

__all__ = ["Column", "Shown", "ShownList", "ShownTuple", "Table", "count", "share", "shows", "words"]
