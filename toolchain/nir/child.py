"""The process that touches HDF5, and what starts it.

On damaged files the HDF5 library can crash or run for ever, which no ``except`` catches. So files are read in a child
process, which sends back plain values; its death is a finding like any other.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikec.errors import GraphError
from spikec.nir.findings import Finding
from spikec.nir.hdf5 import FileTree, read_tree

#: Bytes of data that are looked at, all datasets of a file together.
LIMIT = 2**30
#: Seconds of work after which reading is given up. A machine that does other things too gets more time by the clock.
SECONDS = 60.0
_BY_THE_CLOCK = 10
_MEMORY = 8 * 2**30
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from spikec.processes import end_with; "
    "end_with(int(sys.argv.pop())); from spikec.nir import child; child.main(sys.argv[2:])"
)


@dataclass
class Verdict:
    """What ``nir.read`` says: empty where it reads the file, with its type check and without; None where it was not
    asked because its answer might never come."""

    checked: str | None = None
    unchecked: str | None = None


def read(path: str | os.PathLike[str], *, limit: int = LIMIT, seconds: float = SECONDS) -> tuple[FileTree, Verdict]:
    """The file as a tree, and what ``nir.read`` says to it. Raises :class:`GraphError` where there is no such file."""
    source = Path(path)
    if not source.exists():
        raise GraphError(f"there is no file {source}")
    if source.is_dir():
        raise GraphError(f"{source} is a folder, not a NIR file")
    if not source.is_file():
        raise GraphError(f"{source} is a device or a pipe, not a NIR file")
    if not os.access(source, os.R_OK):
        raise GraphError(f"cannot read {source}: permission denied")
    words = [
        sys.executable,
        "-c",
        _START,
        json.dumps(sys.path),
        str(source.resolve()),
        str(limit),
        str(seconds),
        str(os.getpid()),
    ]
    late = f"does not end within {seconds:g} s"
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            timeout=_BY_THE_CLOCK * seconds,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # each takes memory
        )
        sent, ended = done.stdout, _ended(done.returncode, late)
    except subprocess.TimeoutExpired as error:
        sent, ended = error.stdout or b"", late
    stream = io.BytesIO(sent)
    tree = _received(stream)
    if not isinstance(tree, FileTree):
        message = f"the HDF5 library {ended or 'fails'} while it reads this file"
        return FileTree(
            findings=[Finding("damaged", "", "error", message, "get the file again")], safe=False
        ), Verdict()
    verdict = _received(stream)
    if not isinstance(verdict, Verdict):
        verdict = Verdict(f"it {ended}", f"it {ended}") if tree.safe else Verdict()
    return tree, verdict


def _ended(code: int, late: str) -> str:
    """How the child ended, in a phrase."""
    if code in (-_CPU_SIGNAL, -_KILLED):  # the soft limit, the hard one
        return late
    return f"crashes (signal {-code})" if code < 0 else "fails" if code else ""


_CPU_SIGNAL = getattr(signal, "SIGXCPU", 24)
_KILLED = getattr(signal, "SIGKILL", 9)


def _received(stream: io.BytesIO) -> Any:
    try:
        return pickle.load(stream)
    except Exception:  # cut off by the end of the child
        return None


def main(words: list[str]) -> None:
    """The child: send the tree, then the verdict of nir, as pickles on stdout."""
    path, limit = words[0], int(words[1])
    confine(float(words[2]))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not get in between
    for part in look(path, limit):
        pickle.dump(part, out, protocol=5)
        out.flush()


def confine(seconds: float) -> None:
    """Bound the memory and the time of this process, where the system can."""
    try:
        import resource
    except ImportError:
        return
    whole = max(1, math.ceil(seconds))
    limits = (("RLIMIT_AS", _MEMORY, _MEMORY), ("RLIMIT_CORE", 0, 0), ("RLIMIT_CPU", whole, whole + 5))
    for name, soft, hard in limits:
        with contextlib.suppress(ValueError, OSError):  # a lower limit holds already
            resource.setrlimit(getattr(resource, name), (soft, hard))


def look(path: str, limit: int = LIMIT) -> Iterator[FileTree | Verdict]:
    """The tree of a file, then what nir says to it; in this process."""
    tree = read_tree(path, limit)
    yield tree
    yield _verdict(path) if tree.safe else Verdict()


def _verdict(path: str) -> Verdict:
    import warnings

    import nir

    said = []
    for check in (True, False):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                nir.read(path, type_check=check)
            said.append("")
        except Exception as error:  # nir raises many kinds
            words = " ".join(f"{type(error).__name__}: {error}".split())[:400]
            said.append(words.encode("ascii", "backslashreplace").decode())  # names may hold anything
    return Verdict(*said)
