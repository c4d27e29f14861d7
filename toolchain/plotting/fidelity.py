"""Where error comes from, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.plotting.style import COLOURS, Axes, drawing, height_of, rows

if TYPE_CHECKING:
    from spikec.evidence.fidelity import Fidelity

#: The cause, and how a reader calls it.
_CAUSES = {
    "clipping": "clipping",
    "quantisation": "levels",
    "unevenness": "timing and rounding",
    "propagation": "from layers before",
}


@named_arguments
def fidelity(fidelity: Fidelity, *, ax: Axes | None = None) -> Axes:
    """Mean error of each layer by its causes, in percent of the layer's mean activation; the worst layer at the top.

    The mark is the error of all causes together, which may undo each other.

    ``fidelity``: of ``tc.fidelity``. Raises ``DataError`` for anything else.

    >>> ax = tc.plot.fidelity(fidelity)
    >>> ax.get_xlabel()
    'error (% of the mean activation)'
    """
    from spikec.evidence.fidelity import Fidelity

    if not isinstance(fidelity, Fidelity) or not fidelity.layers:
        raise DataError(f"expected what tc.fidelity returns, with a layer at least, got {fidelity!r}")
    layers = fidelity.layers
    with drawing(ax, height_of(len(layers), 0.22, 1.05)) as ax:
        start = [0.0] * len(layers)
        for shade, (cause, name) in zip((0, 1, 2, 5), _CAUSES.items(), strict=True):
            widths = [100 * getattr(layer, cause) for layer in layers]
            ax.barh(range(len(layers)), widths, left=start, color=COLOURS[shade], height=0.6, label=name)
            start = [a + b for a, b in zip(start, widths, strict=True)]
        total = [100 * layer.total for layer in layers]
        ax.plot(total, range(len(layers)), "D", color="black", markersize=3, label="in all")
        rows(ax, [layer.layer for layer in layers])
        ax.set_xlim(left=0)
        ax.set_xlabel("error (% of the mean activation)")
        ax.legend(loc="lower left", bbox_to_anchor=(-0.1, 1.0), ncols=3, columnspacing=1.0, borderaxespad=0.2)
    return ax
