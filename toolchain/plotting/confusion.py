"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.plotting.chosen import trace_of
from spikec.plotting.style import COLUMN, Axes, drawing
from spikec.simulation.trace import Trace

#: Classes up to which every cell has its number.
_NUMBERED = 20


@named_arguments
def confusion(
    trace: Trace, labels: npt.ArrayLike, *, names: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """The confusion matrix: a row for each true class, as shares of its images; numbers of images in the cells.

    ``labels``: integers [N]; ``names`` of the classes. Raises ``DataError`` as ``trace.confusion`` does.

    >>> ax = tc.plot.confusion(trace, labels)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('class of the network', 'true class')
    """
    found = trace_of(trace).confusion(labels)
    classes = len(found)
    if names is not None and len(names) != classes:
        raise DataError(f"names has {len(names)} entries, the network {classes} classes")
    shares = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
    numbered = classes <= _NUMBERED
    with drawing(ax, COLUMN * 0.92) as ax:
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        if numbered:
            size = 7 if classes <= 10 else 4.5
            for row, column in zip(*np.nonzero(found), strict=True):
                ink = "white" if shares[row, column] > 0.55 else "black"
                ax.text(column, row, f"{found[row, column]}", ha="center", va="center", color=ink, fontsize=size)
            shown = [str(name) for name in names or range(classes)]
            tilted = max(map(len, shown)) > 3
            ax.set_xticks(range(classes), shown, rotation=45 if tilted else 0, ha="right" if tilted else "center")
            ax.set_yticks(range(classes), shown)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_xlabel("class of the network")
        ax.set_ylabel("true class")
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.85, pad=0.02, ticks=[0, 0.5, 1], format="{x:.0%}")
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=7)
        bar.set_label("share of the true class")
    return ax
