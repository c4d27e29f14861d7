"""Checkpoints that other people's training wrote: what a file holds, and which part of it fits a network."""

from spikec.models.checkpoints.fitting import Fit, fit, holds
from spikec.models.checkpoints.reading import Checkpoint, read_checkpoint
from spikec.models.checkpoints.shards import files_of

__all__ = ["Checkpoint", "Fit", "files_of", "fit", "holds", "read_checkpoint"]
