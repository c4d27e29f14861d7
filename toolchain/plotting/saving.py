"""Writes a figure for print: fonts inside, and no date."""

from __future__ import annotations

import os
from pathlib import Path

from spikec.arguments import file_path
from spikec.errors import DataError
from spikec.packages import needed
from spikec.plotting.style import Axes
from spikec.whole_files import replacing

#: Fonts whole in PDF, which publishers ask for; text as outlines in SVG, which looks the same everywhere.
_PRINT = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "spikec", "savefig.dpi": 300}
_NO_DATE = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}


def save(ax: Axes, path: str | os.PathLike[str]) -> Path:
    """Write the figure of ``ax``, axes or a figure, to ``path``, whose suffix says how: .svg, .pdf or .png (300 dots
    per inch). Returns the path. Raises ``DataError`` for another suffix and where it cannot be written.

    >>> path = tc.plot.save(tc.plot.energy(estimate), folder / "energy.svg")
    >>> path.name
    'energy.svg'
    """
    matplotlib = needed("matplotlib", "tc.plot", "pip install 'spikec[plot]'")
    target = file_path(path, "a figure")
    if target.suffix not in _NO_DATE:
        raise DataError(f"{target}: figures are written as {', '.join(_NO_DATE)}; name the file like that")
    figure = getattr(ax, "figure", None) or ax
    try:
        with replacing(target) as temporary, matplotlib.rc_context(_PRINT):
            figure.savefig(temporary, format=target.suffix[1:], metadata=_NO_DATE[target.suffix])
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    return target
