"""What ``torch.save`` writes, read without running anything in it. ``torch.load`` is never called.

The rule for weights and checkpoints, whatever version of PyTorch there is: safetensors holds no code, and is what we
write. A file of ``torch.save`` is read here: its pickle by :mod:`spikec.guarded.pickles`, which knows tensors and plain
values; its numbers as bytes, each tensor within its storage. PyTorch's own reader is not used, since up to 2.5.1 a file
can make it run code even with ``weights_only`` (CVE-2025-32434), and since some versions hand TorchScript, which is
code, to ``torch.jit.load`` before they look at ``weights_only``. TorchScript, exported programs and tar archives are
not opened.
"""

from __future__ import annotations

import io
import mmap
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from spikec.errors import DataError
from spikec.guarded.archives import check_sizes, open_zip
from spikec.guarded.files import open_regular, reading
from spikec.guarded.pickles import Refused, Unread, read_pickle
from spikec.guarded.torch_tensors import TENSORS, Storage, strided

#: Packages of settings, numbers and records that training scripts keep beside their weights: their values are not read.
_HARMLESS = {
    *("addict", "argparse", "collections", "datetime", "easydict", "enum", "fastcore", "lightning", "lightning_fabric"),
    *("lightning_utilities", "ml_collections", "numpy", "omegaconf", "pathlib", "pytorch_lightning", "uuid", "yacs"),
}
_BUILTINS = {
    (module, name)
    for module in ("builtins", "__builtin__")
    for name in ("set", "frozenset", "bytes", "bytearray", "complex", "slice", "range", "object")
}
_NOT_READ = {*_BUILTINS, ("_codecs", "encode"), ("copyreg", "_reconstructor"), ("torch", "device")}
_VALUES = (torch.dtype, torch.layout, torch.qscheme)

#: The old names of typed storages.
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "QInt8Storage": torch.int8,
    "QUInt8Storage": torch.uint8,
    "QInt32Storage": torch.int32,
    "UntypedStorage": torch.uint8,
}
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_LENGTH = 8  # bytes before each storage of the old format


@dataclass(frozen=True)
class _StorageType:
    dtype: torch.dtype


#: The bytes of the storage called so, if they are as many.
Bytes = Callable[[str, int], bytearray]


def read_torch_file(path: Path) -> Any:
    """The content of a file of ``torch.save``: tensors on the CPU, plain values and their containers; values of known,
    harmless packages become :class:`~spikec.guarded.pickles.Unread`.

    Raises :class:`DataError` for a damaged file, and :class:`~spikec.guarded.pickles.Refused` that names what it
    refuses.
    """
    with open_regular(path) as file:
        start = file.read(4)
    return _zipped(path) if start == b"PK\3\4" else _plain(path)


def _zipped(path: Path) -> Any:
    with reading(path, "PyTorch weights"), open_zip(path, "PyTorch weights") as archive:
        members = {info.filename: info for info in archive.infolist()}
        found = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(found) != 1:
            raise DataError(f"cannot read {path} as PyTorch weights: it has {len(found)} members called data.pkl")
        folder = found[0].removesuffix("data.pkl")
        order = members.get(f"{folder}byteorder")
        swapped = order is not None and archive.read(order).strip() != sys.byteorder.encode()
        check_sizes(path, list(members.values()))

        def content(key: str, count: int) -> bytearray:
            info = members[f"{folder}data/{key}"]
            if info.file_size < count:
                raise ValueError(f"{info.filename} has {info.file_size:,} bytes, and should have {count:,}")
            return bytearray(archive.read(info))

        with archive.open(members[found[0]]) as stream:
            return _value(path, io.BytesIO(stream.read()), content, swapped)


def _plain(path: Path) -> Any:
    """The format before PyTorch 1.6: a number, a version, sizes of the machine, the object, the names of its storages;
    then each of them, behind its length."""
    with (
        reading(path, "PyTorch weights"),
        open_regular(path) as file,
        closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as stream,
    ):
        first = [read_pickle(stream, _refuse) for _ in range(2)]
        about: Any = read_pickle(stream, _refuse)
        if first != [_MAGIC, _PROTOCOL] or not isinstance(about, Mapping):
            raise DataError(f"cannot read {path} as PyTorch weights: it is no file of torch.save")
        start, sizes = stream.tell(), dict[str, int]()

        def note(name: Any) -> Any:
            kind, key, _, _ = _storage_name(name)
            sizes[key] = kind.dtype.itemsize
            return Unread()

        read_pickle(stream, _storages_only, note)
        keys = [str(key) for key in read_pickle(stream, _refuse)]
        places = dict[str, tuple[int, int]]()
        for key in keys:
            count = int.from_bytes(stream.read(_LENGTH), "little") * sizes.get(key, 1)
            if key in places or stream.tell() + count > len(stream):
                raise ValueError("it ends within a storage")
            places[key] = stream.tell(), count
            stream.seek(count, 1)

        def content(key: str, count: int) -> bytearray:
            at, there = places[key]
            if there < count:
                raise ValueError(f"the storage {key} has {there:,} bytes, and should have {count:,}")
            return bytearray(stream[at : at + there])

        stream.seek(start)
        return _value(path, stream, content, not about.get("little_endian", True))


def _value(path: Path, stream: Any, content: Bytes, swapped: bool) -> Any:
    storages = dict[str, Storage]()

    def persistent(name: Any) -> Storage:
        kind, key, count, view = _storage_name(name)
        if key not in storages:
            raw = content(key, count * kind.dtype.itemsize)
            storages[key] = Storage(_values(raw, kind.dtype, swapped))
        whole = storages[key].values
        if whole.dtype != kind.dtype:
            whole = whole.view(kind.dtype)
        if view is not None:  # a part of a storage, as versions before 0.4 kept it
            _, offset, size = view
            return Storage(strided(Storage(whole), offset, (size,), (1,)))
        return Storage(whole)

    return read_pickle(stream, _named, persistent)


def _storage_name(name: Any) -> tuple[_StorageType, str, int, Any]:
    """Type, key, number of values and part of a persistent name."""
    kind: Any
    mark, kind, key, _, count, *more = name if isinstance(name, tuple) and 5 <= len(name) <= 6 else (None,) * 5
    if mark not in ("storage", b"storage") or not isinstance(kind, _StorageType):
        raise Refused("refers to something that is no storage of numbers")
    if not isinstance(count, int) or count < 0:
        raise ValueError("a storage has no size")
    return kind, str(key), count, more[0] if more else None


def _values(raw: bytearray, dtype: torch.dtype, swapped: bool) -> Tensor:
    if not raw:
        return torch.empty(0, dtype=dtype)
    part = dtype.itemsize // (2 if dtype.is_complex else 1)
    if swapped and part > 1:
        raw = bytearray(np.frombuffer(raw, np.dtype(f"u{part}")).byteswap().tobytes())
    return torch.frombuffer(raw, dtype=torch.uint8)[: len(raw) // dtype.itemsize * dtype.itemsize].view(dtype)


def _named(module: str, name: str) -> Any:
    if (module, name) in TENSORS:
        return TENSORS[module, name]
    if module in _STORAGE_MODULES and name in _STORAGES:
        return _StorageType(_STORAGES[name])
    if module == "torch" and isinstance(value := getattr(torch, name, None), _VALUES):
        return value
    if (module, name) in _NOT_READ or module.partition(".")[0] in _HARMLESS:
        return Unread
    raise Refused(f"names {module}.{name}")


def _storages_only(module: str, name: str) -> Any:
    """Names for a first pass, in which nothing is built."""
    kind = module in _STORAGE_MODULES and name in _STORAGES
    return _StorageType(_STORAGES[name]) if kind else Unread


def _refuse(module: str, name: str) -> NoReturn:
    raise Refused(f"names {module}.{name}")
