"""Scales, rounding, range analysis: from a float spiking network to integers."""

from toolchain.quantization.fine_tuning import FineTuned, finetune_quantised
from toolchain.quantization.lowering import lower
from toolchain.quantization.scales import Int8, Precision

__all__ = ["FineTuned", "Int8", "Precision", "finetune_quantised", "lower"]
