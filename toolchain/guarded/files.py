"""Regular files, and nothing else: a pipe would block, and a device never ends."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from spikec.errors import DataError, ToolchainError

#: Characters of a reason in a sentence: libraries quote whole files.
_REASON = 300
_PART = 2**20


def regular_file(path: str | os.PathLike[str], *, most: int | None = None) -> int:
    """The size of a file in bytes. Opens nothing.

    Raises :class:`DataError` where there is none, for a folder, a pipe, a socket or a device, and for a file of more
    than ``most`` bytes.
    """
    try:
        about = os.stat(path)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:  # no permission, a loop of links; a zero byte in the name
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    return _checked(path, about, most)


def open_regular(path: str | os.PathLike[str], *, most: int | None = None) -> BinaryIO:
    """The file, open for reading. Raises as :func:`regular_file`, also where the file was replaced meanwhile."""
    regular_file(path, most=most)
    try:
        # Without O_NONBLOCK, opening what has become a pipe since would wait for a writer.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    try:
        _checked(path, os.fstat(number), most)
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_bytes(path: str | os.PathLike[str], *, most: int) -> bytes:
    """The content of a regular file of at most ``most`` bytes. Raises :class:`DataError`."""
    with open_regular(path, most=most) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > most:  # files of /proc have size 0, and others may grow
        raise DataError(_too_large(path, len(content), most))
    return content


def read_text(path: str | os.PathLike[str], *, most: int) -> str:
    """The same as text in UTF-8."""
    try:
        return read_bytes(path, most=most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}") from error


def file_digest(path: str | os.PathLike[str], *, into: Any = None) -> str:
    """SHA-256 of a regular file in hexadecimal digits; with ``into``, a hash that has begun, of both. Raises
    :class:`DataError`."""
    digest = hashlib.sha256() if into is None else into
    with reading(path, "a file"), open_regular(path) as file:
        while part := file.read(_PART):
            digest.update(part)
    return str(digest.hexdigest())


@contextmanager
def reading(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Inside, whatever a reader of foreign bytes raises becomes ``cannot read PATH as WHAT: ...``; errors of our own
    pass. Libraries raise almost anything for damaged files, so this catches every ``Exception``."""
    try:
        yield
    except ToolchainError:
        raise
    except Exception as error:
        raise DataError(f"cannot read {path} as {what}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """What an error of a library says, as a short piece of one line."""
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    try:
        said = " ".join(str(getattr(error, "strerror", None) or error).split())  # not [Errno 5]
    except Exception:  # the error's own words are code of others too
        said = ""
    said = said if len(said) <= _REASON else f"{said[: _REASON - 3]}..."
    if said and isinstance(error, ValueError | OSError):  # these mostly say it in words
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _checked(path: str | os.PathLike[str], about: os.stat_result, most: int | None) -> int:
    if stat.S_ISDIR(about.st_mode):
        raise DataError(f"{path} is a folder; give a file")
    if not stat.S_ISREG(about.st_mode):
        raise DataError(f"{path} is a pipe, a socket or a device; give a regular file")
    if most is not None and about.st_size > most:
        raise DataError(_too_large(path, about.st_size, most))
    return about.st_size


def _too_large(path: str | os.PathLike[str], size: int, most: int) -> str:
    return f"{path} has {size:,} bytes or more, and such a file has at most {most:,}; it is another file, or damaged"
