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
    """Something there that is neither a file nor a folder: a device or a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def place_of(path: Path) -> Path:
    """Where a file called ``path`` lies, behind links, so that a link keeps pointing to what is written. Raises
    ``OSError`` for a device or a pipe: to replace one, such as /dev/null, would take it from everybody."""
    if is_device(path):
        raise OSError(errno.EINVAL, "no regular file", str(path))
    place = Path(os.path.realpath(path))
    if place.is_symlink():  # what realpath leaves of links that lead to each other
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return place


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file beside ``path`` to write to: it takes the place of ``path`` where the block ends without an error,
    and is gone where it does not. It has the permissions of any new file.

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
        if error.filename == str(temporary):  # a name that nobody gave
            raise OSError(error.errno, error.strerror, str(path)) from error
        if error.filename is None:  # a full disk
            error.filename = str(path)
        raise
    finally:
        if made:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Put ``content`` at ``path``, in UTF-8, so that no reader sees half of it; a missing folder is made.

    Raises ``ToolchainError`` where ``path`` cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ToolchainError(f"cannot write {path}: {error.strerror}; choose another path") from error
