"""Numbers and names that several commands take where nothing is said."""

from __future__ import annotations

#: Bundled with scikit-learn, so always there.
DATA = "digits"
DATA_SETS = "digits, fashion-mnist, cifar10, cifar100, folder:PATH or npz:PATH"
METHOD = "qcfs"
#: Steps per image, of methods that run in more than one.
TIMESTEPS = 4
FORMAT = "generic24"
BITS = 8
#: Training images that choose thresholds and units.
CALIBRATION_IMAGES = 256
#: Images whose spike counts are kept one by one, for the spread between images in the energy. Accuracy and counts take
#: all images.
SPREAD_IMAGES = 1000
