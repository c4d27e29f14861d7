"""Default numbers and names, and the most that a command line takes. Each is written only here."""

from __future__ import annotations

from typing import Literal

#: Bundled with scikit-learn, so always there.
DATA = "digits"
DATA_SETS = (
    "digits, fashion-mnist, cifar10, cifar100, folder:PATH, webdataset:PATH, npz:PATH, events:PATH or file.py:name"
)
METHOD = "qcfs"
#: Steps per image, for methods that run more than one step.
TIMESTEPS = 4
#: Most steps a network may run.
TIMESTEPS_MAX = 2**15
#: Number format of the target.
FORMAT = "generic24"
#: Width of weights in bits, what shares one unit (a layer or a channel), and how the unit is chosen.
BITS = 8
PER: Literal["layer", "channel"] = "layer"
SCALE: Literal["max", "power_of_two", "spikes"] = "max"
#: Whether a weight becomes the nearest integer, or the one that changes the sums of its layer least on images.
ROUNDING: Literal["nearest", "gptq"] = "nearest"
#: Number of training images from which commands choose thresholds and units.
CALIBRATION_IMAGES = 256
#: Largest number of calibration images that conversion uses.
CALIBRATION_IMAGES_MAX = 1000
#: Images whose spike counts are kept one by one, for the spread between images in the energy. Accuracy and counts take
#: all images.
SPREAD_IMAGES = 1000
#: Number of test images in commands that do not measure on all of them, such as export.
MEASURED_IMAGES = 1000
#: Choice of calibration images, and of the draws of an energy interval.
SEED = 0
#: The chip that graphs are checked against and placed on, and the energy profile.
CHIP = PROFILE = "loihi2"
#: Joint draws of the constants of an energy profile.
ENERGY_DRAWS = 2000
#: Images that are compared with another executor, spike by spike.
COMPARED_IMAGES = 20
#: Images that ``spikec run`` gives Lava, which simulates every process at every step.
LAVA_IMAGES = 100
#: Images on which a report compares the spiking network with the quantised one.
CERTIFIED_IMAGES = 200
#: How long advice may take, and the loss of accuracy, in points, up to which the fastest deployment is taken.
BUDGET, TOLERANCE = "5min", 0.5
