"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def place_of(path: Path) -> Path:
    """Where a file called ``path`` lies, behind links, so that a link keeps pointing to what is written. Raises
    ``OSError`` for a device or a pipe: to replace one, such as /dev/null, would take it from everybody."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return path.resolve()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file beside ``path`` to write to: it takes the place of ``path`` where the block ends without an error,
    and is gone where it does not. It has the permissions of any new file.

    Raises ``OSError`` where the folder is missing or cannot be written to, or ``path`` is a device.
    """
    path = place_of(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None:  # a full disk: say what could not be written
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
