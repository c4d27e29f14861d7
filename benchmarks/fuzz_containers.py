"""Changes inside what is packed and carries checksums: the checksums are made right again, as somebody would who means
harm."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib

import numpy as np

from benchmarks.fuzz_changes import changed_bytes

Rng = np.random.Generator
_PNG = b"\x89PNG\r\n\x1a\n"


def changed_inside(rng: Rng, whole: bytes) -> bytes | None:
    """A zip archive, gzip file or PNG picture with changed content and right checksums; None for another file."""
    if zipfile.is_zipfile(io.BytesIO(whole)):
        return _zip(rng, whole)
    if whole.startswith(b"\x1f\x8b"):
        return gzip.compress(changed_bytes(rng, gzip.decompress(whole)), mtime=0)
    return _png(rng, whole) if whole.startswith(_PNG) else None


def _zip(rng: Rng, whole: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(made, "w") as new:
        chosen = int(rng.integers(len(old.infolist())))
        for number, info in enumerate(old.infolist()):
            content = old.read(info)
            if number == chosen and content:
                # The header of an array and the program of a pickle are short, and what follows is only numbers.
                end = min(len(content), 160) if rng.random() < 0.7 else len(content)
                content = changed_bytes(rng, content[:end]) + content[end:]
            plain = zipfile.ZipInfo(info.filename)
            plain.compress_type = info.compress_type
            new.writestr(plain, content)
    return made.getvalue()


def _png(rng: Rng, whole: bytes) -> bytes:
    """A changed chunk; that of the size in half of them."""
    chunks, at = [], len(_PNG)
    while at + 12 <= len(whole):
        (size,) = struct.unpack(">I", whole[at : at + 4])
        chunks.append((whole[at + 4 : at + 8], whole[at + 8 : at + 8 + size]))
        at += 12 + size
    chosen = 0 if rng.random() < 0.5 else int(rng.integers(len(chunks)))
    made = [_PNG]
    for number, (kind, content) in enumerate(chunks):
        if number == chosen and content:
            content = (
                zlib.compress(changed_bytes(rng, zlib.decompress(content)))
                if kind == b"IDAT"
                else changed_bytes(rng, content)
            )
        sum_ = zlib.crc32(kind + content)
        made.append(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", sum_))
    return b"".join(made)
