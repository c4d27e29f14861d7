"""Training of networks that survive conversion: activations, losses and the fit loop."""

from toolchain.training.activations import ClipFloorShift, clip_floor_shift
from toolchain.training.config import FitConfig
from toolchain.training.fit import FitResult, evaluate, fit

__all__ = ["ClipFloorShift", "FitConfig", "FitResult", "clip_floor_shift", "evaluate", "fit"]
