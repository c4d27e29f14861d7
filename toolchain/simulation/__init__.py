"""The integer golden model and what every execution leaves behind."""

from spikec.simulation.compare import Difference, compare
from spikec.simulation.encode import encode
from spikec.simulation.golden import GoldenModel, simulate
from spikec.simulation.trace import Trace

__all__ = ["Difference", "GoldenModel", "Trace", "compare", "encode", "simulate"]
