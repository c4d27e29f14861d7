"""Scales, rounding, range analysis: from a float spiking network to integers."""

from spikec.quantization.fine_tuning import FineTuned, finetune_quantised
from spikec.quantization.lowering import lower
from spikec.quantization.scales import Int8, Precision

__all__ = ["FineTuned", "Int8", "Precision", "finetune_quantised", "lower"]
