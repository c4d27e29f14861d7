"""A trace in a file, as another process reads it: arrays of numbers, and a text of JSON for everything else."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.guarded import parse_json
from spikec.guarded.arrays import read_arrays
from spikec.ir.input_statistics import CodedInput
from spikec.simulation.registers import Place
from spikec.simulation.trace import TargetSteps, Trace
from spikec.whole_files import replacing

_ARRAYS: tuple[str, ...] = ("outputs", "counts", "events", "spikes", "membranes", "output_curves", "pooled_events")
_ARRAYS += ("count_totals", "event_totals", "image_events", "image_synops", "image_synops_nonzero")
_ARRAY = ("steps", "input_events")
_PLAIN = ("scales", "membrane", "overflows", "timesteps", "extra_steps", "target", "seconds", "info", "accumulator")
_OWN = ("first_overflow", "target_steps", "coding")
#: The member that holds the rest.
_TEXT = "text"


def write_trace(path: Path, trace: Trace, about: str) -> None:
    """Put ``trace`` at ``path``, whole or not at all, with ``about``, which tells what it is of. Integers are kept in
    the fewest bytes that hold them."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    text: dict[str, Any] = {"about": about, "arrays": {}, "plain": {}}

    def keep(place: list[str], array: npt.NDArray[Any]) -> None:
        member = str(len(arrays))
        text["arrays"][member] = [*place, str(array.dtype)]
        arrays[member] = _narrow(array)

    for name in (each.name for each in fields(Trace)):
        value = getattr(trace, name)
        if name in _ARRAYS:
            for key, array in value.items():
                keep([name, key], array)
        elif name in _ARRAY:
            if value is not None:
                keep([name, ""], value)
        elif name in _PLAIN:
            text["plain"][name] = value
        else:
            assert name in _OWN, f"no rule for the field {name} of a trace"
    text["first_overflow"] = {key: [at.image, at.neuron, at.value] for key, at in trace.first_overflow.items()}
    own = trace.target_steps
    text["target_steps"] = None if own is None else [own.processes, own.steps, own.seconds, own.latency]
    if trace.coding is not None:
        keep(["coding", "counts"], trace.coding.counts)
        keep(["coding", "moments"], trace.coding.moments)
    arrays[_TEXT] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for member, array in arrays.items():
            with file.open(f"{member}.npy", "w", force_zip64=True) as out:
                np.lib.format.write_array(out, array, allow_pickle=False)  # type: ignore[no-untyped-call]


def read_trace(path: Path, about: str) -> Trace:
    """What :func:`write_trace` wrote. Raises :class:`DataError` for anything else, and where it is of another run."""
    arrays = read_arrays(path)
    try:
        text = parse_json(arrays.pop(_TEXT).tobytes().decode(), str(path))
        if text["about"] != about:
            raise DataError(f"{path} is of another run")
        found: dict[str, Any] = {name: {} for name in _ARRAYS} | dict.fromkeys(_ARRAY) | {"coding": {}}
        for member, (name, key, dtype) in text["arrays"].items():
            array = arrays[member].astype(np.dtype(dtype))
            if name in _ARRAY:
                found[name] = array
            else:
                found[name][key] = array
        found |= {name: text["plain"][name] for name in _PLAIN}
        for name in ("membrane", "accumulator"):
            found[name] = {key: (int(low), int(high)) for key, (low, high) in found[name].items()}
        places = text["first_overflow"].items()
        found["first_overflow"] = {key: Place(image, tuple(at), value) for key, (image, at, value) in places}
        found["target_steps"] = None if text["target_steps"] is None else TargetSteps(*text["target_steps"])
        found["coding"] = CodedInput(**found["coding"]) if found["coding"] else None
        return Trace(**found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is not what spikec keeps of a shard") from error


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """In the fewest bytes that hold every number."""
    if array.dtype.kind not in "iu" or not array.size:
        return np.ascontiguousarray(array)
    low, high = int(array.min()), int(array.max())
    kind = np.min_scalar_type(high) if low >= 0 else np.promote_types(np.min_scalar_type(low), _signed(high))
    return np.ascontiguousarray(array, kind)


def _signed(high: int) -> np.dtype[Any]:
    """The smallest type of signed integers that holds ``high``."""
    return np.min_scalar_type(-high - 1) if high >= 0 else np.dtype(np.int8)


__all__ = ["read_trace", "write_trace"]
