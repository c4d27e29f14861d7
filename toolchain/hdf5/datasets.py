"""What a dataset declares, looked at before anything of it is read; and its values."""

from __future__ import annotations

import math
from typing import Any, Literal

import h5py
import numpy as np

#: Filters that may stand between the file and the numbers, by HDF5's numbers for them, and how many bytes each can
#: make of one. HDF5 loads a program from the disk for a filter that it does not know.
_FILTERS = {
    h5py.h5z.FILTER_DEFLATE: 1032,
    h5py.h5z.FILTER_LZF: 264,
    h5py.h5z.FILTER_SZIP: 2**15,
    h5py.h5z.FILTER_SHUFFLE: 1,
    h5py.h5z.FILTER_FLETCHER32: 1,
}
#: Bytes that one dataset may have without being backed by bytes of the file: HDF5 fills what was never written.
_UNBACKED = 2**20
#: What a chunk may hold beyond the dataset's own size, in bytes.
_CHUNK_SPARE = 2**20


class Refused(Exception):
    """A dataset that is not read. ``rule``: of :data:`spikec.nir.findings.RULES`; ``why``: for its value."""

    def __init__(self, rule: str, message: str, hint: str = "", *, severity: Literal["error", "warning"] = "error"):
        super().__init__(message)
        self.rule, self.hint, self.severity = rule, hint, severity
        self.why = message if severity == "error" else "it is too large to look at"


class Allowance:
    """How many bytes may still be read.

    ``limit``: bytes of all datasets together. ``file_size``: bytes of the file, which bounds what can lie behind them.
    """

    def __init__(self, limit: int, file_size: int) -> None:
        self._left, self._limit, self._file_size = limit, limit, file_size

    def spend(self, size: int) -> None:
        self._left -= size

    def granted(self, data: h5py.h5d.DatasetID, shape: tuple[int, ...], itemsize: int) -> int:
        """The bytes that a dataset declares. Raises :class:`Refused` where its data lie in another file, pass through a
        filter that is not listed, are more than the file can hold, or more than is left."""
        made = data.get_create_plist()
        layout = made.get_layout()
        if layout == h5py.h5d.VIRTUAL or (layout == h5py.h5d.CONTIGUOUS and made.get_external_count()):
            raise Refused("external_link", "its data lie in another file", "copy the data into this file")
        size = math.prod(shape) * itemsize
        factor = _factor(made)
        backed = data.get_storage_size()
        if size > self._left:
            message = f"{shape} {data.dtype} would need {size} bytes, {self._left} are left"
            raise Refused("too_large", f"{message}; its values are not looked at", severity="warning")
        if size > _UNBACKED and size > factor * min(backed, self._file_size):
            message = f"{shape} {data.dtype} would need {size} bytes, and the file holds {backed} for it"
            raise Refused("too_large", message, "write the file anew")
        if layout == h5py.h5d.CHUNKED and math.prod(made.get_chunk()) * itemsize > 2 * size + _CHUNK_SPARE:
            message = f"it is cut into pieces of {made.get_chunk()}, and is {shape} itself"
            raise Refused("too_large", message, "write the file anew")
        return size

    def text(self, size: int) -> None:
        """Count the bytes of a text that was read: what a text needs is not declared."""
        self._left -= size
        if self._left < 0:
            raise Refused("too_large", f"its texts are more than the {self._limit} bytes that are looked at")


def _factor(made: Any) -> int:
    """How many bytes the filters of a dataset can make of one."""
    factor, seen = 1, set()
    for place in range(made.get_nfilters()):
        number, _, _, name = made.get_filter(place)
        if number not in _FILTERS or number in seen:
            called = f"filter {number} ({name.decode('ascii', 'replace')})"
            why = "twice" if number in seen else "which is not one of gzip, lzf, szip, shuffle and fletcher32"
            raise Refused("unreadable_object", f"it is packed with {called}, {why}", "write it with gzip")
        seen.add(number)
        factor *= _FILTERS[number]
    if sum(_FILTERS[number] > 1 for number in seen) > 1:
        raise Refused("unreadable_object", "it is packed in two ways, one inside the other", "write it with gzip")
    return factor


def values_of(data: h5py.h5d.DatasetID, shape: tuple[int, ...]) -> Any:
    """The values of a dataset as an array of its shape; strings as HDF5 holds them."""
    values = np.zeros(shape, data.dtype)
    if values.size:
        data.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values


def strings_of(held: Any, allowance: Allowance) -> Any:
    """A string, or an object array of strings; bytes that are no UTF-8 become surrogates."""
    strings = np.empty(held.shape, dtype=object)
    flat = strings.reshape(-1)
    for place, item in enumerate(held.reshape(-1)):
        allowance.text(len(item))
        flat[place] = item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)
    return strings if held.ndim else strings[()]
