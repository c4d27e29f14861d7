"""The process that touches HDF5.

On damaged files the HDF5 library can crash or run for ever, which no ``except`` catches. So files are read in a process
whose time and memory are bounded and which can open no other file. It gets the open file and a pipe, and sends back
plain values. Where the system can fork, one process waits for files and forks for each, so that the libraries are
loaded once.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import select
import signal
import socket
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, BinaryIO

from spikec.hdf5.foreign import foreign
from spikec.hdf5.question import NIR, Question, Verdict
from spikec.hdf5.seal import is_whole
from spikec.hdf5.tree import FileTree, Keep, Problem, read_tree, whole
from spikec.hdf5.wire import Sender, send
from spikec.processes import limit, signal_at_end_of

_BASE_MEMORY = 2**30
#: Seconds between two looks at a fork, where the system cannot tell of its end.
_LOOK = 0.002
#: Reading holds the file, what is unpacked from it, and what nir makes of that.
_COPIES = 3


def serve(control: socket.socket) -> None:
    """Fork for each file that arrives: a message with a question and two descriptors, of the file and of a pipe. The
    answer to the message is how the fork ended: its exit code, or the negative number of a signal."""
    _warm_up()
    if gc.isenabled():  # a command that forked this process has no cycles to look for yet
        gc.collect()
    gc.disable()  # forks are short, and share the memory that nobody touches
    gc.freeze()
    server = os.getpid()
    while True:
        message, descriptors, *_ = socket.recv_fds(control, 4096, 2)
        if not message:
            return
        file, out = descriptors
        question = Question(**json.loads(message))
        if question.ask_nir:
            _load_nir()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                control.close()
                signal_at_end_of(server, signal.SIGKILL)
                answer(file, out, question)
                code = 0
            finally:
                os._exit(code)
        os.close(file)
        os.close(out)
        status = _awaited(child, control)
        control.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode() + b"\n")


def _awaited(child: int, control: socket.socket) -> int:
    """The status of a fork that has ended. Ends this process, and with it the fork, once nobody is there to be told."""
    watched: list[Any] = [control]
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):  # an old kernel
            watched.append(os.pidfd_open(child))
    try:
        while True:
            ready = select.select(watched, [], [], _LOOK if len(watched) == 1 else None)[0]
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status
            if control in ready:  # nothing is asked while an answer is under way: the other end has closed
                os.kill(child, signal.SIGKILL)
                sys.exit(1)
    finally:
        for each in watched[1:]:
            os.close(each)


def load_libraries() -> None:
    """Load what reading takes."""
    import h5py  # noqa: F401
    import numpy as np  # noqa: F401

    with contextlib.suppress(ImportError):
        import resource  # noqa: F401


def _warm_up() -> None:
    """What every fork needs, once: libraries, what they load when it is first used, and HDF5's own start."""
    load_libraries()
    import h5py
    import numpy as np

    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        inner = file.create_group("node/metadata")
        texts = ("words", np.array(b"words", "S5"), np.array(["a", "b"], dtype=h5py.string_dtype()))
        odd = (np.array(True), np.zeros(2, [("a", "f4")]), np.zeros(2, "V2"), h5py.Empty("f4"))
        for place, value in enumerate((*texts, *odd)):
            inner[str(place)] = value
        inner.create_dataset("packed", data=np.zeros(4), compression="gzip")
        inner["link"] = h5py.SoftLink("/node")
        inner["nowhere"] = h5py.ExternalLink("absent", "/")
    for content in (made.getvalue(), made.getvalue()[:-1], b""):
        sender = Sender(io.BytesIO())
        sender.tree(tree_of(content, 2**20, keep=sender.array))


@cache
def _load_nir() -> None:
    """The library nir, once it is asked something: not every file is its, and loading it takes a while."""
    verdict(b"")


def answer(file: int, out: int, question: Question) -> None:
    """Read the file behind a descriptor; send the tree and, where asked, the verdict of nir."""
    with open(file, "rb") as source, open(out, "wb", buffering=0) as pipe:
        size = os.fstat(file).st_size
        # From here on it opens and starts nothing.
        limit(question.seconds, _BASE_MEMORY + _COPIES * (size + question.limit), fsize=0, nproc=0, nofile=0)
        content = source.read()
        stream: BinaryIO = io.BufferedWriter(pipe, 2**20)
        sender = Sender(stream)  # sends arrays while they are read: they may not fit beside each other
        tree = tree_of(content, question.limit, question.names, keep=sender.array)
        sender.tree(tree)
        if question.ask_nir:
            send(stream, asdict(verdict(content) if tree.safe else Verdict()))


def tree_of(content: bytes, limit: int, names: Sequence[str] = NIR, *, keep: Keep = whole) -> FileTree:
    """The tree of a file's bytes; the seal is looked at before HDF5 sees them. ``keep``: as in :func:`read_tree`."""
    if is_whole(content) is False:
        message = "the file was damaged after it was written: its bytes do not match the SHA-256 at its end"
        return FileTree(problems=[Problem("damaged", "", "error", message, "get it again")], safe=False)
    other = foreign(content)
    if other is not None:
        return FileTree(problems=[other], safe=False)
    return read_tree(content, limit, names, keep=keep)


def verdict(content: bytes) -> Verdict:
    """What nir.read says."""
    import nir

    said = []
    for check in (True, False):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                nir.read(io.BytesIO(content), type_check=check)
            said.append("")
        except Exception as error:  # nir raises many kinds
            words = " ".join(f"{type(error).__name__}: {error}".split())[:400]
            said.append(words.encode("ascii", "backslashreplace").decode())  # names may hold anything
    return Verdict(*said)


def main(words: list[str]) -> Any:
    """``serve NUMBER``: of a socket. ``once QUESTION``: the file is standard input, the pipe standard output."""
    if words[0] == "serve":
        return serve(socket.socket(fileno=int(words[1])))
    question = Question(**json.loads(words[1]))
    _warm_up()
    if question.ask_nir:
        _load_nir()
    out = os.dup(1)
    os.dup2(2, 1)  # whatever else prints must not get in between
    return answer(0, out, question)
