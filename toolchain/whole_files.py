"""Files that appear whole or not at all, and the names of everything that is temporary.

A temporary name says which process made it: ``spikec_MACHINE_BOOT_PID_START_RANDOM``, after ``.OUTPUT.`` beside one.
What a process left that was killed is removed by the next one that writes to the same folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spikec.errors import ToolchainError
from spikec.processes import Process, this_process

_PREFIX = "spikec"
#: A temporary name, with the output that it is for before it, or what a library adds behind it.
_TEMPORARY = re.compile(
    rf"(?:\..*\.)?{_PREFIX}_([0-9a-f]{{8}})_([0-9a-f]{{8}})_(\d+)_(\d+)_[0-9a-f]{{8}}(?:_[0-9a-f]+)?"
)
#: So many characters of an output's name stand in that of its temporary file, which may have 255 bytes in all.
_SHOWN = 40
#: Folders this process has looked through for what others left.
_tidied: set[tuple[int, str]] = set()


def no_path(text: str | os.PathLike[str]) -> str | None:
    """Why no file can have this name, with the way out; None where one can. Asked first, so that nothing behind has to
    expect what the system says to such names."""
    try:
        os.lstat(text)
    except UnicodeEncodeError:
        return "it holds half of a character, which no file name does; leave it out"
    except ValueError:
        return "a path holds no zero bytes; leave them out"
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return "the name is too long for this system; give a shorter one"
    return None


def is_device(path: Path) -> bool:
    """Whether ``path`` exists and is neither a file nor a folder: a device or a pipe."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def place_of(path: Path) -> Path:
    """The real path behind ``path`` with all links followed, so that a link keeps pointing to what is written.

    Raises ``OSError`` for links that form a loop and for a device or a pipe: replacing one, such as /dev/null, would
    break it for every program.
    """
    if is_device(path):
        raise OSError(errno.EINVAL, "no regular file", str(path))
    place = Path(os.path.realpath(path))
    if os.path.islink(place):  # realpath leaves a link only where links form a loop
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return place


def temporary_name(output: str = "") -> str:
    """A new name for something temporary of this process, hidden where it stands beside an ``output`` of that name."""
    name = "_".join((_PREFIX, *map(str, this_process()), secrets.token_hex(4)))
    return f".{output[:_SHOWN]}.{name}" if output else name


def remove_stale(folder: Path) -> None:
    """Remove the temporary files and folders in ``folder`` that processes left which have ended.

    Those of living processes, of other users and of other machines stay, and so does what cannot be removed.
    """
    if not hasattr(os, "geteuid"):
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = _TEMPORARY.fullmatch(entry.name)
            if name is None:
                continue
            machine, boot, pid, start = name.groups()
            with contextlib.suppress(OSError):
                about = entry.stat(follow_symlinks=False)
                if about.st_uid != os.geteuid() or not Process(machine, boot, int(pid), int(start)).has_ended():
                    continue
                if stat.S_ISDIR(about.st_mode):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def tidy(folder: Path) -> None:
    """:func:`remove_stale`, once in the life of this process: a folder may hold very many files."""
    key = os.getpid(), os.path.abspath(folder)
    if key not in _tidied:
        _tidied.add(key)
        remove_stale(folder)


@contextmanager
def temporary_folder(parent: Path | None = None, output: str = "") -> Iterator[Path]:
    """Context manager that gives an empty folder, open to this user only, and removes it with all that it then holds.

    ``parent``: where (default: where the system keeps temporary files). ``output``: see :func:`temporary_name`.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    tidy(place)
    folder = place / temporary_name(output)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context manager that gives an empty temporary file beside ``path`` to write to.

    When the block ends without an error, the file replaces ``path``; otherwise it is deleted. It has the permissions of
    any new file.

    Raises ``OSError`` that names ``path`` where the folder is missing or cannot be written to, the disk is full, or
    ``path`` is a device.
    """
    place = place_of(path)
    tidy(place.parent)
    temporary = place.with_name(temporary_name(place.name))
    try:
        temporary.touch(exist_ok=False)
        yield temporary
        os.replace(temporary, place)
    except OSError as error:
        if error.filename == str(temporary):  # the caller does not know this name
            raise OSError(error.errno, error.strerror, str(path)) from error
        if error.filename is None:  # a full disk
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # no such folder, for one
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """:func:`replacing`, with :class:`ToolchainError` where ``path`` cannot be written."""
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise ToolchainError(f"cannot write {path}: {error.strerror or error}; choose another path") from error


def write_text(path: Path, content: str) -> None:
    """Put ``content`` at ``path``, in UTF-8, so that no reader sees half of it; a missing folder is made. Bytes of file
    names that are no UTF-8 become escapes.

    Raises ``ToolchainError`` where ``path`` cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolchainError(f"cannot write {path}: {error.strerror}; choose another path") from error
    with writing(path) as temporary:
        temporary.write_text(content, encoding="utf-8", errors="backslashreplace", newline="\n")
