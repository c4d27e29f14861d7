"""Sequences as images: what a network that takes one frame for each step is trained and calibrated on."""

from __future__ import annotations

import numpy as np

from spikec.errors import DataError
from spikec.models.data.dataset import Dataset
from spikec.models.data.sequences import Sequences


def mean_frames(sequences: Sequences) -> Dataset:
    """The mean frame of each sequence over its own steps, as images float32 [N, C, H, W] or [N, F].

    Neurons that add up what arrives and subtract a threshold for each spike send, in the long run, what the network
    sends for the mean of its input: these are the images whose activations spikes of a sequence stand for. Raises
    :class:`DataError` for frames of other shapes.
    """
    if len(sequences.shape) not in (1, 3):
        raise DataError(
            f"{sequences.name}: frames of shape {list(sequences.shape)} are no images; make them "
            "[N, steps, C, H, W], or [N, steps, F] for a network of vectors"
        )
    total = sequences.padded().sum(axis=1, dtype=np.float64)
    lengths = np.full(len(sequences), sequences.steps) if sequences.lengths is None else sequences.lengths
    means = (total / lengths.reshape(-1, *[1] * (total.ndim - 1))).astype(np.float32)
    return Dataset(sequences.name, means, sequences.labels, 1.0, sequences.classes)
