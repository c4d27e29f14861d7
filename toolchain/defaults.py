"""Numbers and names that hold where nothing is said, each written here alone."""

from __future__ import annotations

from typing import Literal

#: Bundled with scikit-learn, so always there.
DATA = "digits"
DATA_SETS = "digits, fashion-mnist, cifar10, cifar100, folder:PATH or npz:PATH"
METHOD = "qcfs"
#: Steps per image, of methods that run in more than one.
TIMESTEPS = 4
#: Number format of the target.
FORMAT = "generic24"
#: Width of weights, what shares a unit, and how the unit is chosen.
BITS = 8
PER: Literal["layer", "channel"] = "layer"
SCALE: Literal["max", "power_of_two", "spikes"] = "max"
#: Training images that a command gives to choose thresholds and units.
CALIBRATION_IMAGES = 256
#: Calibration images that conversion uses at most.
CALIBRATION_IMAGES_MAX = 1000
#: Images whose spike counts are kept one by one, for the spread between images in the energy. Accuracy and counts take
#: all images.
SPREAD_IMAGES = 1000
#: Test images of commands that measure on a part.
MEASURED_IMAGES = 1000
