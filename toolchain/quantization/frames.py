"""Networks of images that take sequences: one frame for each step."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from spikec.calls import outside
from spikec.conversion.from_nir.sequences import sequence_range
from spikec.conversion.input_scale import choose_range
from spikec.conversion.network import Frames, SpikingNetwork
from spikec.errors import ConversionError, DataError, InputWarning
from spikec.ir.coding import InputNode
from spikec.ir.kinds.together import sequence_problems
from spikec.simulation.encode import as_sequences

#: So many sequences are kept to measure on, as of images.
_KEPT = 64


def on_frames(network: SpikingNetwork, sequences: Any) -> SpikingNetwork:
    """The same network, its modules shared, for sequences: numbers [N, steps, *input shape], or a list of sequences
    of different lengths.

    The coding of the input is chosen on all of them: whole numbers that fit 8 bits stay as they are; a few values far
    beyond the rest are cut, with a warning. T is the length
    of the longest, and the examples become the mean frames of the last. Raises ``ConversionError`` where the network
    cannot run on sequences, ``DataError`` for anything but sequences.
    """
    kinds = [neuron.spec.kind for neuron in network.neurons.values()]
    problems = list(sequence_problems(kinds, network.schedule, network.drain))
    if problems:
        raise ConversionError(
            f"the network cannot take one frame for each step: {'; '.join(problems)}. qcfs and error-compensation "
            "without drain, with the schedule 'pipelined', make networks that can"
        )
    node = InputNode("input", tuple(network.example.shape[1:]), "int8", 1.0, encoding="sequence")
    whole, lengths = as_sequences(node, sequences)
    every = whole.astype(np.float64)
    if not np.isfinite(every).all():
        raise DataError("the frames hold values that are not finite")
    ends = np.full(len(every), every.shape[1], np.int64) if lengths is None else lengths
    chosen = choose_range(torch.from_numpy(every), rule=sequence_range, channels=2, what="sequence")
    for sentence in chosen.remarks:
        warnings.warn(sentence, InputWarning, stacklevel=outside())
    kept = chosen.held(torch.from_numpy(every[-_KEPT:])).numpy()
    made = copy.copy(network)
    made.frames = Frames(kept, ends[-_KEPT:])
    made.timesteps, made.input_range, made.calibrated = every.shape[1], chosen.coding, chosen.statistics
    example = torch.from_numpy(made.frames.mean(made.frames.frames)).to(network.example)
    settings = network.provenance.settings | {"timesteps": str(made.timesteps), "frames": "one for each step"}
    made.provenance = replace(network.provenance, settings=settings)
    made._buffers = {**network._buffers, "example": example}
    return made
