"""The one way to read an HDF5 file: in a process of its own (:mod:`spikec.hdf5.child`)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Any, BinaryIO

from spikec.errors import GraphError
from spikec.hdf5.opening import named, opened
from spikec.hdf5.question import NIR, Question, Verdict
from spikec.hdf5.starting import Ended, ask
from spikec.hdf5.tree import FileTree, Problem
from spikec.hdf5.wire import Broken, receive, receive_tree

#: Bytes of data that are looked at, all datasets of a file together.
LIMIT = 2**30
#: Seconds of work after which reading is given up. A machine that does other things too gets more time by the clock.
SECONDS = 60.0


def read(
    path: str | os.PathLike[str],
    *,
    limit: int = LIMIT,
    seconds: float = SECONDS,
    ask_nir: bool = False,
    names: Sequence[str] = NIR,
) -> tuple[FileTree, Verdict]:
    """The file as a tree and, where ``ask_nir``, what ``nir.read`` says to it.

    ``limit``: bytes of data that are read. ``seconds``: of work. ``names``: what is read at the root. What is wrong
    with the file is in the tree, also where the process dies on it. Raises :class:`GraphError` where there is no
    regular file that can be read.
    """
    source = named(path)
    file = opened(source)
    try:
        return _asked(file, Question(limit, seconds, ask_nir, tuple(names)))
    except OSError as error:
        reason = error.strerror or error
        raise GraphError(f"cannot read {source}: the process that reads files does not start: {reason}") from error
    finally:
        os.close(file)


def _asked(file: int, question: Question) -> tuple[FileTree, Verdict]:
    found: list[Any] = []

    def listen(pipe: BinaryIO) -> None:
        def fill(view: memoryview) -> None:
            while view:
                count = pipe.readinto(view)  # type: ignore[attr-defined]
                if not count:
                    raise Broken("the process has ended")
                view = view[count:]

        with contextlib.suppress(Broken):
            found.append(receive_tree(fill, question.limit))
            if question.ask_nir:
                words = receive(fill)
                found.append(Verdict(*(said if said is None else str(said) for said in words.values())))

    ended = ask(file, question, listen)
    how = _how(ended, question.seconds)
    if not found:
        message = f"the HDF5 library {how or 'fails'} while it reads this file"
        return FileTree(problems=[Problem("damaged", "", "error", message, "get it again")], safe=False), Verdict()
    tree: FileTree = found[0]
    if question.ask_nir and len(found) < 2:
        return tree, Verdict(f"it {how}", f"it {how}") if tree.safe else Verdict()
    return tree, found[1] if question.ask_nir else Verdict()


def _how(ended: Ended, seconds: float) -> str:
    if ended.late or ended.code in (-getattr(signal, "SIGXCPU", 24), -getattr(signal, "SIGKILL", 9)):
        return f"does not end within {seconds:g} s"
    return f"crashes (signal {-ended.code})" if ended.code < 0 else "fails" if ended.code else ""
