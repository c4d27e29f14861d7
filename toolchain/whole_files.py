"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spikec.errors import ToolchainError


def is_device(path: Path) -> bool:
    """Whether ``path`` exists and is neither a file nor a folder: a device or a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def place_of(path: Path) -> Path:
    """The real path behind ``path`` with all links followed, so that a link keeps pointing to what is written.

    Raises ``OSError`` for links that form a loop and for a device or a pipe: replacing one, such as /dev/null, would
    break it for every program.
    """
    if is_device(path):
        raise OSError(errno.EINVAL, "no regular file", str(path))
    place = Path(os.path.realpath(path))
    if place.is_symlink():  # realpath leaves a link only where links form a loop
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return place


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context manager that gives an empty temporary file beside ``path`` to write to.

    When the block ends without an error, the file replaces ``path``; otherwise it is deleted. It has the permissions of
    any new file.

    Raises ``OSError`` that names ``path`` where the folder is missing or cannot be written to, the disk is full, or
    ``path`` is a device.
    """
    place = place_of(path)
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
    made = False
    try:
        temporary.touch(exist_ok=False)
        made = True
        yield temporary
        os.replace(temporary, place)
    except OSError as error:
        if error.filename == str(temporary):  # the caller does not know this name
            raise OSError(error.errno, error.strerror, str(path)) from error
        if error.filename is None:  # a full disk
            error.filename = str(path)
        raise
    finally:
        if made:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Put ``content`` at ``path``, in UTF-8, so that no reader sees half of it; a missing folder is made. Bytes of file
    names that are no UTF-8 become escapes.

    Raises ``ToolchainError`` where ``path`` cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise ToolchainError(f"cannot write {path}: {error.strerror}; choose another path") from error
