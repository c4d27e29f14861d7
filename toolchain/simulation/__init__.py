"""The integer golden model and what every execution leaves behind."""

from toolchain.simulation.compare import Difference, compare
from toolchain.simulation.encode import encode
from toolchain.simulation.golden import GoldenModel, simulate
from toolchain.simulation.trace import Trace

__all__ = ["Difference", "GoldenModel", "Trace", "compare", "encode", "simulate"]
