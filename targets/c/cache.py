"""The folder in which built libraries are kept: whose it must be, and how it stays small."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from pathlib import Path

KEPT = 64
_SUFFIX = ".so"
#: What a build that was killed leaves behind is removed after a day.
_STALE_SECONDS = 24 * 3600.0
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_folder() -> Path:
    """``$SPIKEC_CACHE/c``, else ``$XDG_CACHE_HOME/spikec/c``, else ``~/.cache/spikec/c``. Relative paths in
    ``XDG_CACHE_HOME`` are ignored, as its specification says."""
    own, shared = os.environ.get("SPIKEC_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser().absolute() / "c"
    if shared and Path(shared).is_absolute():
        return Path(shared) / "spikec" / "c"
    return Path(os.path.expanduser("~")).absolute() / ".cache" / "spikec" / "c"


def unusable(folder: Path) -> str | None:
    """Makes ``folder`` where it is missing. Why it cannot be used, in words; None where it can: it can be written to,
    and nobody but its owner and root can put or exchange files in it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole = folder.resolve(strict=True)
        for place in (whole, *whole.parents):
            if not _safe(place.stat(), inside=place != whole):
                return f"other users may write to {place}"
    except OSError as error:
        return f"{error.filename or folder}: {error.strerror}"
    return None if os.access(whole, os.W_OK | os.X_OK) else f"{folder} cannot be written to"


def trusted(library: Path) -> bool:
    """Whether ``library`` is a file that only its owner, who is this user, can have written."""
    try:
        about = library.lstat()
    except OSError:
        return False
    return stat.S_ISREG(about.st_mode) and _safe(about, inside=False)


def kept_as(folder: Path, key: str) -> Path:
    """Where the library with this key lies, or would."""
    return folder / f"{key}{_SUFFIX}"


def used(library: Path) -> None:
    """Marks a library as used now: the ones not used for longest are removed first."""
    with contextlib.suppress(OSError):
        os.utime(library)


def trim(folder: Path, keep: int = KEPT) -> None:
    """Removes all but the ``keep`` libraries that were used last, and what killed builds left behind. A process that
    has loaded a library keeps it."""
    libraries = sorted(folder.glob(f"*{_SUFFIX}"), key=_age)
    for library in libraries[keep:]:
        with contextlib.suppress(OSError):
            library.unlink()
    for left in folder.glob(".build-*"):
        if _age(left) > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _age(path: Path) -> float:
    """Seconds since the last use; one that another process has just removed counts as old."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")


def _safe(about: os.stat_result, *, inside: bool) -> bool:
    """Whether nobody but this user and root may exchange what lies there. ``inside``: something of this user lies
    deeper; a folder with the sticky bit, such as /tmp, then protects it."""
    if not hasattr(os, "getuid"):  # Windows: its permissions are no bits; the cache lies in the user's own folder
        return True
    owners = {os.getuid(), 0} if inside else {os.getuid()}
    protected = inside and bool(about.st_mode & stat.S_ISVTX)
    return about.st_uid in owners and (protected or not about.st_mode & _OTHERS_WRITE)
