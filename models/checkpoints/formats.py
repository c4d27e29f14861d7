"""What kind a file of weights is, by its content: a name proves nothing, and some kinds run code when loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spikec.errors import DataError
from spikec.guarded import open_regular
from spikec.guarded.archives import open_zip

SAFETENSORS, TORCH = "safetensors", "torch"

_SAVE = 'save the state dictionary instead: torch.save(model.state_dict(), "weights.pt")'
#: What a file begins with, what it then is, and the way out.
_STARTS = (
    (b"\x89HDF\r\n", "HDF5, as Keras writes it", "export the network to ONNX with tf2onnx and give that file as MODEL"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the weights", "fetch them with git lfs pull"),
    (b"GGUF", "a GGUF file", _SAVE),
    (b"\x93NUMPY", "a NumPy array", _SAVE),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"<", "a page of text, perhaps what a server answered instead of the weights", "download them again"),
)
_LONGEST_HEADER = 100_000_000
#: Where a tar archive says that it is one.
_TAR, _TAR_AT = b"ustar", 257


def file_format(path: Path) -> str:
    """``safetensors`` or ``torch``. Reads the file's directory only, and runs nothing.

    Raises :class:`DataError` for anything else, TorchScript and exported programs included, which contain code.
    """
    with open_regular(path) as file:
        start = file.read(512)
    if not start:
        raise DataError(f"{path} is empty")
    if _is_safetensors(start):
        return SAFETENSORS
    for mark, what, way_out in _STARTS:
        if start.startswith(mark):
            raise DataError(f"{path} is {what}; {way_out}")
    if start[_TAR_AT:].startswith(_TAR):
        raise DataError(
            f"{path} is a tar archive, as TorchScript and PyTorch before 0.4 wrote it, and is not opened; {_SAVE}"
        )
    if start.startswith(b"PK"):
        _refuse_programs(path)
    return TORCH


def _is_safetensors(start: bytes) -> bool:
    """Eight bytes of length, then a JSON object."""
    return len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER


def _refuse_programs(path: Path) -> None:
    with open_zip(path, "PyTorch weights") as archive:
        full = archive.namelist()
    entries = {entry.rpartition("/")[2] for entry in full} | {entry.split("/")[1] for entry in full if "/" in entry}
    for belongs, what, way_out in _ARCHIVES:
        if belongs(entries):
            raise DataError(f"{path} is {what}; {way_out}")


_ARCHIVES: tuple[tuple[Callable[[set[str]], bool], str, str], ...] = (
    (
        lambda entries: "constants.pkl" in entries or "code" in entries,
        "a TorchScript archive, which contains code, and is not loaded",
        f"{_SAVE}, of the network it was made from or of torch.jit.load(...) run where you trust it",
    ),
    (
        lambda entries: any(e.startswith("serialized_exported_program") or e == "archive_format" for e in entries),
        "an exported program of torch.export, and is not loaded",
        _SAVE,
    ),
    (
        lambda entries: "model.weights.h5" in entries,
        "a Keras archive",
        "export the network to ONNX with tf2onnx and give that file as MODEL",
    ),
    (lambda entries: any(e.endswith(".npy") for e in entries), "an archive of NumPy arrays", _SAVE),
    (
        lambda entries: not any(e in ("data.pkl", "version") for e in entries),
        "an archive, but not one of PyTorch",
        "unpack it first",
    ),
)
