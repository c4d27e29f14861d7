"""Training of networks that survive conversion: activations, losses and the fit loop."""

from spikec.training.activations import ClipFloorShift, clip_floor_shift
from spikec.training.bit_count import BitCountPenalty
from spikec.training.config import FitConfig
from spikec.training.evaluation import evaluate
from spikec.training.fit import FitResult, fit
from spikec.training.from_quantised import without_quantisation
from spikec.training.from_relu import fold_normalisation, initialise_thresholds, replace_relu
from spikec.training.residual import ResidualNoise, residual_errors
from spikec.training.spiking import spiking, spiking_logits

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
    "without_quantisation",
]
