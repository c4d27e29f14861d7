"""The process that reads files: what it may not do, how it ends, who may ask it."""

import os
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.same import same
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.hdf5 import starting, wire
from spikec.hdf5.process import read
from spikec.hdf5.tree import FileTree, Problem, Value
from spikec.ir import decode

needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="the limits of Linux")


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@needs_limits
@pytest.mark.parametrize(
    "attempt",
    ["open('/etc/hostname')", "open(place, 'w')", "os.fork()", "socket.socket()", "np.ones(2**36)", "os.pipe()"],
)
def test_the_process_opens_and_starts_nothing(net, tmp_path, reader_code, attempt):
    if attempt == "os.fork()" and os.geteuid() == 0:
        pytest.skip("the number of processes is not limited for root")
    reader_code(
        f"import os, socket, numpy as np\nplace = {str(tmp_path / 'made')!r}\n"
        f"def tree_of(content, *_, **__):\n"
        f"    try: {attempt}\n"
        f"    except (OSError, MemoryError) as error: return child.FileTree(extra=[type(error).__name__])\n"
        f"    return child.FileTree(extra=['done'])\n"
        f"child.tree_of = tree_of"
    )
    tree, _ = read(net)
    assert tree.extra in (["OSError"], ["MemoryError"], ["BlockingIOError"])
    assert not (tmp_path / "made").exists()


def test_what_it_says_is_what_it_read(net):
    tree, verdict = read(net, ask_nir=True)
    assert verdict.checked == verdict.unchecked == ""
    assert read(net)[1].checked is None
    assert isinstance(tree.node, dict)


def test_a_process_that_was_ended_is_started_again(net):
    before = decode(tc.load(net))
    (server,) = starting._current
    server.kill()
    assert same(decode(tc.load(net)), before)
    assert starting._current[0] is not server


def test_it_ends_with_its_socket(net):
    tc.load(net)
    pid = starting._current[0].process.pid
    starting.close()
    assert not _alive(pid)


def test_threads_share_it(net):
    found = []
    threads = [threading.Thread(target=lambda: found.append(decode(tc.load(net)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(same(each, found[0]) for each in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_of_the_asking_process_starts_its_own(net):
    tc.load(net)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            tc.load(net)
            code = 0
            starting.close()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert tc.load(net).nodes


def test_without_fork_each_file_gets_a_process(net, tmp_path, monkeypatch):
    expected = decode(tc.load(net))
    monkeypatch.delattr(socket, "send_fds")
    monkeypatch.setattr(starting, "_Server", None)
    assert same(decode(tc.load(net)), expected)
    (tmp_path / "cut.nir").write_bytes(net.read_bytes()[:5000])
    with pytest.raises(tc.GraphError, match=r"cut\.nir is damaged or holds no NIR graph"):
        tc.load(tmp_path / "cut.nir")


def test_it_starts_without_torch():
    code = "import spikec.hdf5.child, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ).returncode == 0


# --- what travels --------------------------------------------------------------------------------------------------


def _through(content, limit=2**20):
    left = memoryview(content)

    def fill(view):
        nonlocal left
        if len(view) > len(left):
            raise wire.Broken("cut off")
        view[:] = left[: len(view)]
        left = left[len(view) :]

    return wire.receive_tree(fill, limit)


class _Sink:
    def __init__(self):
        self.content = b""

    def write(self, part):
        self.content += bytes(part)

    def flush(self):
        pass


def _sent(tree):
    sink = _Sink()
    wire.Sender(sink).tree(tree)
    return sink.content


ARRAYS = [
    np.arange(6, dtype=">i2").reshape(2, 3),
    np.array(2.5),
    np.zeros((0, 3), "f4"),
    np.array([True, False]),
    np.array([1 + 2j]),
    np.array([["a", "\udcff"], ["", "b"]], dtype=object),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: str(a.dtype))
def test_arrays_arrive_as_they_were_sent(array):
    tree = FileTree({"x": Value(array.shape, "kind", array), "none": Value((3,), "kind", why="why")})
    tree.problems.append(Problem("damaged", "", "error", "message"))
    found = _through(_sent(tree))
    value = found.node["x"]
    assert value.data.dtype == array.dtype
    np.testing.assert_array_equal(value.data, array)
    assert value.data.flags.writeable
    assert found.node["none"] == tree.node["none"]
    assert found.problems == tree.problems


SENT = _sent(FileTree({"x": Value((4,), "f4", np.zeros(4, "f4")), "y": {"z": Value((), "text", "t")}}))


@settings(max_examples=drawn(200), deadline=None)
@given(st.one_of(st.binary(max_size=200), st.tuples(st.integers(0, len(SENT) - 1), st.integers(0, 255))))
def test_anything_else_is_broken_or_small(made):
    """What a process that a file took over may send."""
    if isinstance(made, tuple):
        place, byte = made
        made = SENT[:place] + bytes([byte]) + SENT[place + 1 :]
    try:
        found = _through(made)
    except wire.Broken:
        return
    assert isinstance(found, FileTree)


def test_more_than_was_asked_for_is_not_taken():
    with pytest.raises(wire.Broken):
        _through(_sent(FileTree({"x": Value((4,), "f8", np.zeros(4))})), limit=31)
    deep = inner = {}
    for _ in range(40):
        inner["a"] = {}
        inner = inner["a"]
    with pytest.raises(wire.Broken):
        _through(_sent(FileTree(deep)))
