"""Reference networks, data sets, training recipes and trained weights."""

from spikec.models.loading import load_weights, save_weights
from spikec.models.preparing import prepare, trained
from spikec.models.resolving import resolve
from spikec.models.weights import pretrained

__all__ = ["load_weights", "prepare", "pretrained", "resolve", "save_weights", "trained"]
