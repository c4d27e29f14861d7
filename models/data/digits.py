"""The 8x8 handwritten digits that come with scikit-learn (UCI "optical recognition of handwritten digits")."""

from __future__ import annotations

import numpy as np

from spikec.errors import DataError
from spikec.models.data.dataset import Dataset

#: Every fourth image (index 3, 7, ...) is a test image: 449 of 1,797.
TEST_EVERY = 4


def load_digits(split: str) -> Dataset:
    """1,348 training or 449 test images, uint8 [N, 1, 8, 8], values 0..16."""
    try:
        from sklearn.datasets import load_digits as bundled
    except ImportError as error:
        raise DataError("the digits data come with scikit-learn: pip install scikit-learn") from error
    images, labels = bundled(return_X_y=True)
    is_test = np.arange(len(labels)) % TEST_EVERY == TEST_EVERY - 1
    chosen = is_test if split == "test" else ~is_test
    stored = images[chosen].reshape(-1, 1, 8, 8).astype(np.uint8)
    return Dataset("digits", stored, labels[chosen].astype(np.int64), 1 / 16, tuple("0123456789"))
