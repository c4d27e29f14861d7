"""Figures for papers, ``tc.plot``: each takes a value, draws into ``ax`` or a new figure, and returns the axes.

They need matplotlib (``pip install 'spikec[plot]'``). New figures are as wide as one column of a paper (3.5 inches),
with small text and colours that are told apart without red and green; axes that are given keep their style.
``tc.plot.save`` writes SVG, PDF or PNG with the fonts inside.
"""

from spikec.plotting.accuracy import accuracy
from spikec.plotting.confusion import confusion
from spikec.plotting.counts import counts
from spikec.plotting.energy import energy
from spikec.plotting.fidelity import fidelity
from spikec.plotting.membrane import membrane
from spikec.plotting.pareto import pareto
from spikec.plotting.placement import placement
from spikec.plotting.raster import raster
from spikec.plotting.rates import rates
from spikec.plotting.saving import save

__all__ = [
    "accuracy",
    "confusion",
    "counts",
    "energy",
    "fidelity",
    "membrane",
    "pareto",
    "placement",
    "raster",
    "rates",
    "save",
]
