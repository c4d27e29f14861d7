"""Names of the NIR profile ``spikec.nir/1`` and access to its metadata (documented in ``docs/nir-profile.md``)."""

from __future__ import annotations

import json
from typing import Any, get_args

import nir
import numpy as np

from spikec.errors import GraphError
from spikec.ir.delays import Steps
from spikec.ir.limits import LIMITS
from spikec.ir.types import Schedule

KEY = "spikec"
SCHEMA = "spikec.nir/1"
#: The version that is written: its hashes go over numbers as narrow as they are (:mod:`spikec.ir.profile.hashes`).
WRITTEN = f"{SCHEMA}.1"
INPUT, OUTPUT = "input", "output"
#: Of the graph: what was measured at export, what the calibration images were like, and the edges that carry
#: what was sent some steps before.
MEASURED, CALIBRATED, DELAYS = "measured", "calibrated", "delays"
#: In ``info``: the command line that exported the file.
EXPORT = "export"
SCHEDULES = get_args(Schedule)
#: The item of ``requires`` for a file that NIR's own type check would refuse.
TYPE_CHECK_OFF = "nir_type_check=off"


def metadata_of(value: nir.NIRNode) -> dict[str, Any]:
    """The profile's metadata of a node or graph, empty where there is none."""
    metadata = value.metadata if isinstance(value.metadata, dict) else {}
    found = metadata.get(KEY, {})
    return found if isinstance(found, dict) else {}


def text_of(metadata: dict[str, Any], key: str, default: str = "") -> str:
    """A string value, which HDF5 may hand back as bytes or as a numpy scalar."""
    value = metadata.get(key, default)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def shown(value: Any) -> str:
    """A value as messages show it: at most 80 characters; of an array of more than 4 numbers, its dtype and shape."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"{value.dtype} of shape {value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def int_of(metadata: dict[str, Any], key: str, default: int) -> int:
    """An integer value. Raises :class:`GraphError` where it is anything else."""
    value = np.asarray(metadata.get(key, default)).reshape(-1)
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value[0]) or value[0] != int(value[0]):
        raise GraphError(f"metadata {key!r} must be one integer, not {shown(metadata.get(key))}")
    return int(value[0])


def float_of(metadata: dict[str, Any], key: str) -> float:
    """A finite real value. Raises :class:`GraphError` where it is missing or anything else."""
    value = np.asarray(metadata.get(key, np.nan)).reshape(-1)
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value[0]):
        raise GraphError(f"metadata {key!r} must be one finite number, not {shown(metadata.get(key))}")
    return float(value[0])


def delays_of(metadata: dict[str, Any]) -> dict[tuple[str, str], Steps]:
    """The edges of the graph that carry what was sent some steps before, and how many, by all senders or by each.
    Raises :class:`GraphError` where they are anything but a JSON list of source, target and steps."""
    raw = text_of(metadata, DELAYS, "[]")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list) or not all(_is_delay(item) for item in value):
        raise GraphError(f"metadata {DELAYS!r} must be a JSON list of [source, target, steps], not {shown(raw)}")
    return {(a, b): steps if isinstance(steps, int) else tuple(steps) for a, b, steps in value}


def _is_delay(item: Any) -> bool:
    """Whether an item names two nodes and a whole number of steps, or different ones in a list."""
    if not isinstance(item, list) or len(item) != 3:
        return False
    source, target, steps = item
    if not (isinstance(source, str) and isinstance(target, str)):
        return False
    if not isinstance(steps, list):
        return _is_steps(steps, 1)
    return all(_is_steps(each, 0) for each in steps) and len(set(steps)) > 1


def _is_steps(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= LIMITS["graph"]["delays"].high


def list_of(metadata: dict[str, Any], key: str) -> list[str]:
    """A list of strings stored as JSON. Raises :class:`GraphError` where it is anything else."""
    raw = text_of(metadata, key, "[]")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise GraphError(f"metadata {key!r} must be a JSON list of strings, not {shown(raw)}")
    return value
