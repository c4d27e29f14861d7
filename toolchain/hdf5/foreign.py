"""What a file is that is no HDF5 file: who names the wrong file hears which one it is, not what a library calls it."""

from __future__ import annotations

from spikec.hdf5.tree import Problem

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: HDF5 may begin behind a block of the user's own, of 512 bytes or a power of two times that.
_FIRST_BLOCK = 512
_TEXT_SHOWN = 30
_LOOKED_AT = 4096

_NETWORK = "give it to spikec export as MODEL, which writes a NIR file"
_WEIGHTS = "spikec export MODEL --weights FILE makes a NIR file of a network and its weights"
_DATA = "it may be data for --data npz:FILE; spikec export writes NIR files"
_OTHER = "spikec export and nir.write write NIR files"

#: What files begin with, what they then are, and the way out.
_STARTS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch the file with git lfs pull"),
    (b"\x93NUMPY", "a NumPy array", _DATA),
    (b"\x80", "a pickle of Python, as old PyTorch weights are", _WEIGHTS),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"<", "a page of text, perhaps what a server answered instead of the file", "get it again"),
)


def foreign(content: bytes) -> Problem | None:
    """What a file of these bytes is; None for one that begins as HDF5 does, whole or not."""
    if not content:
        return Problem("damaged", "", "error", "the file is empty", "get it again")
    if _SIGNATURE.startswith(content[: len(_SIGNATURE)]):
        return None
    place = _FIRST_BLOCK
    while place < len(content):
        if content.startswith(_SIGNATURE, place):
            return None
        place *= 2
    what, hint = _looks_like(content)
    return Problem("not_hdf5", "", "error", f"it is no HDF5 file but {what}", hint)


def _looks_like(content: bytes) -> tuple[str, str]:
    """What the bytes are taken for, and the way out."""
    for mark, what, hint in _STARTS:
        if content.startswith(mark):
            return what, hint
    if content.startswith(b"PK\x03\x04"):
        return _archive(content)
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") <= len(content):
        return "weights in safetensors", _WEIGHTS
    if content[:1] == b"\x08" and content[2:3] == b"\x12":  # the number of the format, the name of the producer
        return "an ONNX file, by its first bytes", _NETWORK
    text = content[:_LOOKED_AT].decode("utf-8", "replace")
    head = " ".join(text.split())
    if text.rstrip("\ufffd").replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable():
        return f"text that begins with {head[:_TEXT_SHOWN]!a}", _OTHER
    return "of a format that is not known here", _OTHER


def _archive(content: bytes) -> tuple[str, str]:
    """A zip archive, by the name of its first entry."""
    length = int.from_bytes(content[26:28], "little")
    first = content[30 : 30 + length]
    if first.endswith((b"/data.pkl", b"/version", b"/byteorder")):
        return "what torch.save writes", _WEIGHTS
    if first.endswith(b".npy"):
        return "an archive of NumPy arrays", _DATA
    return "a zip archive", "unpack it first"
