"""Training of networks that survive conversion: activations, losses and the fit loop."""

from toolchain.training.activations import ClipFloorShift, clip_floor_shift

__all__ = ["ClipFloorShift", "clip_floor_shift"]
