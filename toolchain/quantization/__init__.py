"""Scales, rounding, range analysis: from a float spiking network to integers."""

from toolchain.quantization.lowering import lower
from toolchain.quantization.scales import Int8, Precision

__all__ = ["Int8", "Precision", "lower"]
