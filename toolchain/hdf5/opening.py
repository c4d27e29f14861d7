"""Opens a file that a user named: a regular one, without waiting for anything."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

from spikec.errors import GraphError
from spikec.whole_files import no_path
from spikec.words import shown

_FILE_MAX = 2**33


def named(path: Any) -> Path:
    """The path of a NIR file. Raises :class:`GraphError` for what is no path."""
    try:
        source = Path(path)
    except TypeError as error:
        raise GraphError(f"a NIR file is named by its path, not by {type(path).__name__}") from error
    why = no_path(source)
    if why is not None:
        raise GraphError(f"there is no file {shown(source)}: {why}")
    return source


def opened(source: Path) -> int:
    """A descriptor of a regular file. Opening never waits, as it would for the other end of a pipe."""
    try:
        if not stat.S_ISREG(os.stat(source).st_mode):
            kind = "a folder" if os.path.isdir(source) else "a device or a pipe"
            raise GraphError(f"{source} is {kind}, not a NIR file")
        file = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise GraphError(f"there is no file {source}") from error
        raise GraphError(f"cannot read {source}: {error.strerror or error}") from error
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):  # exchanged in between
        os.close(file)
        raise GraphError(f"{source} is a device or a pipe, not a NIR file")
    if status.st_size > _FILE_MAX:
        os.close(file)
        raise GraphError(f"{source} has {status.st_size} bytes, more than the {_FILE_MAX} that a NIR file may have")
    return file
