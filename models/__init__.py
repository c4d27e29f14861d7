"""Reference networks, data sets, training recipes and trained weights."""

from models.loading import load_weights, save_weights
from models.preparing import prepare, trained
from models.resolving import resolve
from models.weights import pretrained

__all__ = ["load_weights", "prepare", "pretrained", "resolve", "save_weights", "trained"]
