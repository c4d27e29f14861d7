"""Training of networks that survive conversion: activations, losses and the fit loop."""

from toolchain.training.activations import ClipFloorShift, clip_floor_shift
from toolchain.training.bit_count import BitCountPenalty
from toolchain.training.config import FitConfig
from toolchain.training.fit import FitResult, evaluate, fit
from toolchain.training.from_relu import fold_normalisation, initialise_thresholds, replace_relu
from toolchain.training.residual import ResidualNoise, residual_errors
from toolchain.training.spiking import spiking, spiking_logits

__all__ = [
    "BitCountPenalty",
    "ClipFloorShift",
    "FitConfig",
    "FitResult",
    "ResidualNoise",
    "clip_floor_shift",
    "evaluate",
    "fit",
    "fold_normalisation",
    "initialise_thresholds",
    "replace_relu",
    "residual_errors",
    "spiking",
    "spiking_logits",
]
