"""Regular files only, in bounds, with the name of the file in every sentence."""

import hashlib
import os

import pytest

from spikec.errors import DataError
from spikec.guarded import file_digest, open_regular, read_bytes, read_text, reading, regular_file
from spikec.guarded.files import reason


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    pipe, folder, loop = tmp_path / "pipe", tmp_path / "folder", tmp_path / "loop"
    os.mkfifo(pipe)
    folder.mkdir()
    loop.symlink_to(loop)
    for path, words in (
        (pipe, "is a pipe, a socket or a device"),
        ("/dev/zero", "is a pipe, a socket or a device"),
        (folder, "is a folder"),
        (tmp_path / "none", "there is no file"),
        (loop, "cannot read"),
        ("a\0b", "cannot read"),
        (tmp_path / ("x" * 5000), "cannot read"),
    ):
        for read in (regular_file, open_regular, lambda p: read_bytes(p, most=9), file_digest):
            with pytest.raises(DataError, match=words):
                read(path)


def test_a_file_that_becomes_a_pipe_meanwhile_does_not_block(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("spikec.guarded.files.regular_file", lambda *_, **__: 0)
    with pytest.raises(DataError, match="is a pipe"):
        open_regular(tmp_path / "pipe")


def test_sizes_are_bounded_also_where_the_system_does_not_say_them(tmp_path):
    path = tmp_path / "five"
    path.write_bytes(b"12345")
    assert read_bytes(path, most=5) == b"12345"
    with pytest.raises(DataError, match=r"five has 5 bytes or more, and such a file has at most 4"):
        read_bytes(path, most=4)
    with pytest.raises(DataError, match="such a file has at most 4"):
        read_bytes("/proc/self/maps", most=4)


def test_text_is_utf_8(tmp_path):
    (tmp_path / "t").write_bytes(b"ok \xff")
    with pytest.raises(DataError, match=r"t is no text in UTF-8: .* at byte 3"):
        read_text(tmp_path / "t", most=9)


def test_digests(tmp_path):
    (tmp_path / "a").write_bytes(b"a" * 3_000_000)
    begun = hashlib.sha256(b"b")
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"a" * 3_000_000).hexdigest()
    assert file_digest(tmp_path / "a", into=begun) == hashlib.sha256(b"b" + b"a" * 3_000_000).hexdigest()


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("x"), KeyError("k"), ValueError("a\nb" * 900)])
def test_whatever_a_reader_raises_is_one_short_sentence(error):
    with pytest.raises(DataError, match=r"^cannot read net\.x as a thing: \S") as raised, reading("net.x", "a thing"):
        raise error
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_an_error_that_cannot_say_what_it_is_has_its_name():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    assert reason(Mute()) == "Mute"


def test_our_own_errors_and_interrupts_pass():
    for error in (DataError("mine"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as raised, reading("net.x", "a thing"):
            raise error
        assert raised.value is error
