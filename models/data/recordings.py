"""Files of event cameras, one reader for each format.

DAT and RAW files (EVT2, EVT3) of Prophesee are read by expelliarmus and AEDAT 4 by aedat; AEDAT 2.0 and 3.1 as
iniVation documents them, ``.bin`` files as those of N-MNIST and N-Caltech101.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.guarded import reading, regular_file
from spikec.whole_files import temporary_folder

#: Times in microseconds int64, columns, rows and polarities (0 or 1) int64, each [events].
Events = tuple[npt.NDArray[np.int64], ...]

#: AEDAT 3.1: bytes of the header of a packet; the type of its events that is read, and how many bytes one of them has.
_PACKET, _POLARITY, _POLARITY_BYTES = 28, 1, 8
#: A package has so many seconds of work for a file, so many by the clock, and one more of both for so many bytes.
_WORK, _PATIENCE, _BYTES_PER_SECOND = 2, 30, 2**20
#: Bytes of memory that it has, beside so many for each byte of the file.
_MEMORY, _MEMORY_PER_BYTE = 2**31, 64
#: Bytes of a recording: some hundred million events, whose columns take eight times as much memory.
_MOST = 2**31
#: Rows and columns of the DVS128.
_DVS128 = 128


def read_events(path: Path) -> Events:
    """The events of a file in the order of time. Raises :class:`DataError` where it is damaged, or holds none."""
    regular_file(path, most=_MOST)
    with reading(path, "a recording of events"):
        t, x, y, p = (np.asarray(part, dtype=np.int64) for part in READERS[path.suffix.lower()](path))
    if not len(t):
        raise DataError(f"{path} holds no events")
    if min(t.min(), x.min(), y.min()) < 0 or not np.isin(p, (0, 1)).all():
        raise DataError(f"{path} is damaged: times, places or polarities of its events are impossible")
    order = np.argsort(t, kind="stable")
    return tuple(part[order] for part in (t, x, y, p))


#: Both packages may hang in damaged files, or end their process: they run in one of their own, which ends with this.
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from spikec.processes import end_with, limit
end_with(int(sys.argv.pop(1)))
limit(**json.loads(sys.argv.pop(1)))
"""
_SAVE = "numpy.save(sys.argv[-1], numpy.stack([numpy.asarray(column, numpy.int64) for column in columns]))"
_PROPHESEE = f"""
import sys
import numpy
from expelliarmus import Wizard
found = Wizard(encoding=sys.argv[2]).read(sys.argv[1])
if found is None:  # it has said why, and returns nothing
    sys.exit("expelliarmus finds no " + sys.argv[2] + " in it")
columns = [found[name] for name in ("t", "x", "y", "p")]
{_SAVE}
"""
_AEDAT4 = f"""
import sys
import numpy
from aedat import Decoder
decoder = Decoder(sys.argv[1])
cameras = [stream for stream, about in decoder.id_to_stream().items() if about["type"] == "events"]
if not cameras:
    sys.exit("it holds no stream of events")
packets = [packet["events"] for packet in decoder if packet["stream_id"] == min(cameras)]
columns = [numpy.concatenate([packet[name] for packet in packets] or [[]]) for name in ("t", "x", "y", "on")]
{_SAVE}
"""


#: Threads of libraries would take memory, and do nothing here.
_ALONE = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _decoded(package: str, program: str, path: Path, *more: str) -> Events:
    """What a package of others reads in a file. Raises ``ValueError`` where it fails, hangs or dies."""
    if importlib.util.find_spec(package) is None:
        raise DataError(f"reading {path.suffix} recordings needs {package}: pip install {package}")
    size = path.stat().st_size
    more_seconds = size // _BYTES_PER_SECOND
    limits = json.dumps({"seconds": _WORK + more_seconds, "memory": _MEMORY + _MEMORY_PER_BYTE * size})
    seconds = _PATIENCE + more_seconds
    with temporary_folder() as folder:
        found = folder / "events.npy"
        start = [sys.executable, "-c", _START + program, json.dumps(sys.path), str(os.getpid()), limits]
        command = [*start, str(path), *more, str(found)]
        try:
            said = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, timeout=seconds, env=_ALONE
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"{package} does not end within {seconds:.0f} s") from None
        if said.returncode == -getattr(signal, "SIGXCPU", 24):
            raise ValueError(f"{package} does not end within {_WORK + more_seconds} s of work")
        if said.returncode:
            lines = said.stderr.strip().splitlines()
            raise ValueError(lines[-1] if said.returncode == 1 and lines else f"{package} cannot decode it")
        return tuple(np.load(found, allow_pickle=False))


def _prophesee(encoding: str) -> Callable[[Path], Events]:
    return lambda path: _decoded("expelliarmus", _PROPHESEE, path, encoding)


def _raw(path: Path) -> Events:
    """A RAW file says in its header which of the encodings it has."""
    with path.open("rb") as file:
        header = file.read(4096)
    for version in ("2", "3"):
        if f"evt {version}".encode() in header.lower() or f"format EVT{version}".lower().encode() in header.lower():
            return _prophesee(f"evt{version}")(path)
    raise ValueError("its header names neither EVT2 nor EVT3")


def _atis(path: Path) -> Events:
    """40 bits an event: column, row, polarity and time of 23 bits (Orchard et al., Frontiers in Neuroscience 2015)."""
    raw = np.fromfile(path, dtype=np.uint8)
    if len(raw) % 5:
        raise ValueError(f"{len(raw)} bytes are no whole number of events of 5 bytes")
    column, row, high, middle, low = raw.reshape(-1, 5).astype(np.int64).T
    return ((high & 0x7F) << 16) | (middle << 8) | low, column, row, high >> 7


def _aedat(path: Path) -> Events:
    """AEDAT 2.0 and 3.1 say in their first line what they are."""
    content = path.read_bytes()
    first, _, _ = content.partition(b"\n")
    if first.startswith(b"#!AER-DAT2.0"):
        return _aedat2(content)
    if first.startswith(b"#!AER-DAT3.1"):
        return _aedat31(content)
    raise ValueError("its first line names neither AEDAT 2.0 nor 3.1; convert it to AEDAT 4 (.aedat4)")


def _aedat2(content: bytes) -> Events:
    """Pairs of 32 bits, big-endian: address and time. Address of a DVS128: polarity in bit 0, column in bits 1 to 7,
    row from below in bits 8 to 14, bit 15 for what is no pixel (iniVation, AEDAT 1.0 and 2.0)."""
    header, start = b"", 0
    while content[start : start + 1] == b"#":
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end + 1
        header, start = header + content[start:end], end
    if b"davis" in header.lower():
        raise ValueError(
            "it is of a DAVIS camera, and only those of a DVS128 are read; convert it to AEDAT 4 (.aedat4)"
        )
    if (len(content) - start) % 8:
        raise ValueError(f"{len(content) - start} bytes are no whole number of events of 8 bytes")
    address, time = np.frombuffer(content, ">u4", offset=start).astype(np.int64).reshape(-1, 2).T
    if (address >> 16).any():
        raise ValueError("its addresses are not those of a DVS128; convert it to AEDAT 4 (.aedat4)")
    pixel = address >> 15 == 0
    address, time = address[pixel], time[pixel]
    return time, address >> 1 & 127, _DVS128 - 1 - (address >> 8 & 127), address & 1


def _aedat31(content: bytes) -> Events:
    """Packets of 28 bytes of header, little-endian, and events. Those with polarities have 32 bits of data, valid in
    bit 0, polarity in bit 1, row in bits 2 to 16, column in bits 17 to 31, and the time, whose higher bits are in
    the header (iniVation, AEDAT 3.1)."""
    mark = b"#!END-HEADER"
    at = content.find(mark)
    start = content.find(b"\n", at) + 1
    if at < 0 or not start:
        raise ValueError("its header does not end")
    found = [np.zeros((4, 0), np.int64)]
    while start < len(content):
        if start + _PACKET > len(content):
            raise ValueError("it ends within a packet")
        kind = int(np.frombuffer(content, "<i2", 1, start)[0])
        size, _, overflow, _, number, _ = (int(n) for n in np.frombuffer(content, "<i4", 6, start + 4))
        start += _PACKET
        if size < 1 or number < 0 or start + size * number > len(content):
            raise ValueError("it ends within a packet")
        if kind == _POLARITY:
            if size != _POLARITY_BYTES:
                raise ValueError(f"its events have {size} bytes, not {_POLARITY_BYTES}")
            data, time = np.frombuffer(content, "<u4", 2 * number, start).astype(np.int64).reshape(-1, 2).T
            every = np.stack([time + (overflow << 31), data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1])
            found.append(every[:, data & 1 == 1])
        start += size * number
    return tuple(np.concatenate(found, axis=1))


def _aedat4(path: Path) -> Events:
    return _decoded("aedat", _AEDAT4, path)


#: By the ending of the file.
READERS: dict[str, Callable[[Path], Events]] = {
    ".dat": _prophesee("dat"),
    ".raw": _raw,
    ".bin": _atis,
    ".aedat": _aedat,
    ".aedat4": _aedat4,
}
