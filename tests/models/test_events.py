"""Recordings of event cameras: every format is read, and every event is in its bin."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_formats import AEDAT4
from spikec.errors import DataError
from spikec.models.data import open_dataset, open_sequences
from spikec.models.data.events import Binning
from spikec.models.data.recordings import read_events


def recording(rng, events=200, height=10, width=12, last=40_000):
    """Times, columns, rows, polarities; the first event at 0, the last at ``last``."""
    t = np.sort(rng.integers(0, last + 1, events))
    t[0], t[-1] = 0, last
    return t, rng.integers(0, width, events), rng.integers(0, height, events), rng.integers(0, 2, events)


def write_bin(path, events):
    """The format of N-MNIST, byte by byte."""
    with path.open("wb") as file:
        for t, x, y, p in zip(*events, strict=True):
            file.write(bytes([x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255]))


def write_prophesee(encoding):
    def write(path, events):
        expelliarmus = pytest.importorskip("expelliarmus")
        rows = np.zeros(len(events[0]), dtype=[("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
        for name, values in zip("txyp", events, strict=True):
            rows[name] = values
        expelliarmus.Wizard(encoding=encoding).save(fpath=str(path), arr=rows)

    return write


def write_aedat2(path, events):
    """A DVS128, whose rows count from below, with an event that is no pixel, byte by byte."""
    with path.open("wb") as file:
        file.write(b"#!AER-DAT2.0\r\n# HardwareInterface: DVS128\r\n")
        file.write(struct.pack(">II", 1 << 15, int(events[0][0])))
        for t, x, y, p in zip(*(part.tolist() for part in events), strict=True):
            file.write(struct.pack(">II", (127 - y) << 8 | x << 1 | p, t))


def write_aedat31(path, events):
    """Packets of 50 polarities, the last of each marked as not valid, and one of another type between."""
    with path.open("wb") as file:
        file.write(b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n")
        rows = list(zip(*(part.tolist() for part in events), strict=True))
        for first in range(0, len(rows), 50):
            part = rows[first : first + 50]
            file.write(struct.pack("<hhiiiiii", 0, 0, 8, 4, 0, 1, 1, 1) + bytes(8))
            file.write(struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, len(part) + 1, len(part) + 1, len(part)))
            for t, x, y, p in part:
                file.write(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t))
            file.write(struct.pack("<II", 3 << 17, 0))


WRITERS = {
    "bin": (".bin", write_bin),
    "dat": (".dat", write_prophesee("dat")),
    "evt2": (".raw", write_prophesee("evt2")),
    "evt3": (".raw", write_prophesee("evt3")),
    "aedat2": (".aedat", write_aedat2),
    "aedat3.1": (".aedat", write_aedat31),
}


def folder(root, rng, kind="bin", each=2):
    """A folder of two classes; the events by split, class and number."""
    suffix, write = WRITERS[kind]
    found = {}
    for split in ("train", "test"):
        for name in ("left", "right"):
            (root / split / name).mkdir(parents=True)
            for i in range(each):
                found[split, name, i] = recording(rng)
                write(root / split / name / f"{i}{suffix}", found[split, name, i])
    return found


def by_loops(events, height, width, bins, steps, down=1):
    """Event after event."""
    frames = np.zeros((steps, 2, -(-height // down), -(-width // down)), int)
    for b, x, y, p in zip(bins, *events[1:], strict=True):
        frames[b, p, y // down, x // down] += 1
    return frames


@pytest.mark.parametrize("kind", WRITERS)
def test_formats(tmp_path, kind):
    held = folder(tmp_path, np.random.default_rng(0), kind)
    found = open_sequences(f"events:{tmp_path},steps=8,size=10x12", None, "test")
    assert found.classes == ("left", "right")
    assert found.frames.shape == (4, 8, 2, 10, 12)
    for frames, label, number in zip(found.frames, found.labels, (0, 0, 1, 1), strict=True):
        events = held["test", found.classes[label], number]
        bins = [int(t) * 8 // 40_001 for t in events[0]]
        np.testing.assert_array_equal(frames, by_loops(events, 10, 12, bins, 8))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4))
@settings(max_examples=drawn(40), deadline=None)
def test_every_event_is_in_one_bin(seed, steps, down):
    rng = np.random.default_rng(seed)
    events = recording(rng, events=int(rng.integers(2, 100)))
    t = events[0]
    by_time = Binning(steps=steps, down=down).frames(events, 10, 12)
    np.testing.assert_array_equal(by_time, by_loops(events, 10, 12, [int(x) * steps // 40_001 for x in t], steps, down))
    by_count = Binning(steps=steps, by="count", down=down).frames(events, 10, 12)
    per_bin = by_count.sum(axis=(1, 2, 3))
    assert per_bin.sum() == len(t)
    assert per_bin.max() - per_bin.min() <= 1
    us = Binning(us=700, down=down).frames(events, 10, 12)
    np.testing.assert_array_equal(us, by_loops(events, 10, 12, [int(x) // 700 for x in t], 40_000 // 700 + 1, down))


def test_bins_of_microseconds_give_lengths(tmp_path):
    rng = np.random.default_rng(1)
    for name, last in (("a", 1_000), ("b", 2_999)):
        (tmp_path / "train" / name).mkdir(parents=True)
        write_bin(tmp_path / "train" / name / "0.bin", recording(rng, last=last))
    found = open_sequences(f"events:{tmp_path},us=1000", None, "train")
    assert found.lengths.tolist() == [2, 3]
    assert [len(sequence) for sequence in found.images()] == [2, 3]
    assert found.frames[0, 2:].sum() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("steps=0", "whole number of at least 1"),
        ("steps=x", "whole number of at least 1"),
        ("us=9999999999999999999999", "at most 9 digits"),
        ("steps=999999999", "frames of 2x10x12 take .* GiB of memory, and this machine has .* GiB; give fewer steps"),
        ("size=999999999", "2x999999999x999999999 take .* a smaller size"),
        ("us=1,size=30000", "4 recordings of up to 40001 frames .* a longer us"),
        ("by=space", "is not known"),
        ("speed=3", "is not known"),
        ("us=10,steps=4", "leave out steps"),
        ("size=4x4", "beyond the size 4x4"),
    ],
)
def test_refused_options(tmp_path, options, words):
    folder(tmp_path, np.random.default_rng(2))
    with pytest.raises(DataError, match=words):
        open_sequences(f"events:{tmp_path},{options}", None, "train")


def test_frames_need_the_memory_that_the_machine_has(tmp_path, monkeypatch):
    """2 recordings of 8 frames of 2 x 10 x 12 take 5 bytes for each count, and one of them 9 more."""
    folder(tmp_path, np.random.default_rng(2), each=1)
    needed = 8 * 240 * (5 * 2 + 9)
    monkeypatch.setattr("spikec.models.data.events.memory", lambda: needed)
    assert len(open_sequences(f"events:{tmp_path},steps=8,size=10x12", None, "train")) == 2
    monkeypatch.setattr("spikec.models.data.events.memory", lambda: needed - 1)
    with pytest.raises(DataError, match="2 recordings"):
        open_sequences(f"events:{tmp_path},steps=8,size=10x12", None, "train")


def test_damaged_recordings_are_refused(tmp_path):
    folder(tmp_path, np.random.default_rng(3))
    damaged = tmp_path / "train" / "left" / "9.bin"
    for content, words in ((b"", "no events"), (b"1234567", "no whole number of events")):
        damaged.write_bytes(content)
        with pytest.raises(DataError, match=words):
            open_sequences(f"events:{tmp_path}", None, "train")
    damaged.unlink()
    raw = tmp_path / "train" / "left" / "9.raw"
    raw.write_bytes(b"no header")
    with pytest.raises(DataError, match="neither EVT2 nor EVT3"):
        open_sequences(f"events:{tmp_path}", None, "train")


def test_recordings_as_images(tmp_path):
    """What a network of images gets: every bin's counts of both polarities, as channels."""
    events = folder(tmp_path, np.random.default_rng(4))
    images = open_dataset(f"events:{tmp_path},steps=3,size=10x12", None, "train")
    assert images.shape == (6, 10, 12)
    assert images.labels.tolist() == [0, 1, 0, 1]
    for image, (name, i) in zip(
        images.images().numpy(), [("left", 0), ("right", 0), ("left", 1), ("right", 1)], strict=True
    ):
        found = events["train", name, i]
        frames = by_loops(found, 10, 12, found[0] * 3 // (found[0][-1] + 1), 3)
        np.testing.assert_array_equal(image, frames.reshape(6, 10, 12))
    (tmp_path / "train" / "left" / "7.bin").write_bytes(bytes([1, 1, 0, 3, 3]))
    with pytest.raises(DataError, match="need equally many bins"):
        open_dataset(f"events:{tmp_path},us=5000", None, "train")


@pytest.mark.parametrize(("name", "content"), [("9.dat", b""), ("9.dat", b"junk"), ("9.raw", b"% evt 3.0\n% end\n")])
def test_recordings_in_which_the_reader_finds_nothing_are_refused(tmp_path, name, content):
    pytest.importorskip("expelliarmus")
    folder(tmp_path, np.random.default_rng(4))
    (tmp_path / "train" / "left" / name).write_bytes(content)
    with pytest.raises(DataError, match=f"cannot read .*{re.escape(name)} as a recording of events: expelliarmus"):
        open_sequences(f"events:{tmp_path}", None, "train")


#: What `AEDAT4` holds: its times from the first, columns, rows, polarities.
AEDAT4_EVENTS = (
    [0, 2, 5, 14, 23, 26, 45, 56, 57, 72, 75, 81],
    [2, 2, 3, 2, 2, 2, 2, 3, 1, 3, 2, 0],
    [1, 2, 1, 0, 2, 2, 2, 0, 0, 2, 0, 1],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
)


def test_aedat4(tmp_path):
    pytest.importorskip("aedat")
    (tmp_path / "x.aedat4").write_bytes(AEDAT4)
    t, x, y, p = read_events(tmp_path / "x.aedat4")
    for found, expected in zip((t - t[0], x, y, p), AEDAT4_EVENTS, strict=True):
        assert found.tolist() == expected


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.aedat", b"#!AER-DAT3.0\r\n", "neither AEDAT 2.0 nor 3.1"),
        ("x.aedat", b"junk", "neither AEDAT 2.0 nor 3.1"),
        ("x.aedat", b"#!AER-DAT2.0\r\n# AEChip: Davis346\r\n", "DAVIS"),
        ("x.aedat", b"#!AER-DAT2.0\r\n1234567", "no whole number of events"),
        ("x.aedat", b"#!AER-DAT2.0\r\n" + bytes([1] * 8), "not those of a DVS128"),
        ("x.aedat", b"#!AER-DAT2.0", "no events"),
        ("x.aedat", b"#!AER-DAT3.1\r\n#Format: RAW\r\n", "header does not end"),
        ("x.aedat", b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + bytes(9), "within a packet"),
        ("x.aedat", b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + bytes(28), "within a packet"),
        ("x.aedat", b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, 9, 9, 9), "within"),
        ("x.aedat", b"#!AER-DAT3.1\r\n#!END-HEADER\r\n", "no events"),
        ("x.aedat4", b"", "cannot read"),
        ("x.aedat4", b"#!AER-DAT4.0\r\njunk", "cannot read"),
    ],
)
def test_damaged_aedat_files_are_refused(tmp_path, name, content, words):
    if name.endswith("4"):
        pytest.importorskip("aedat")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_events(tmp_path / name)


def test_a_damaged_header_does_not_hang(tmp_path, monkeypatch):
    """expelliarmus never comes back from this one."""
    pytest.importorskip("expelliarmus")
    monkeypatch.setattr("spikec.models.data.recordings._WORK", 1)
    (tmp_path / "x.dat").write_bytes(b"%")
    with pytest.raises(DataError, match="expelliarmus does not end within 1 s of work"):
        read_events(tmp_path / "x.dat")


def test_impossible_times_are_refused(tmp_path):
    header = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n"
    packets = [
        struct.pack("<hhiiiiii", 1, 0, 8, 4, overflow, 1, 1, 1) + struct.pack("<II", 1, 0)
        for overflow in (0, 2**30, -5)
    ]
    (tmp_path / "x.aedat").write_bytes(header + packets[2])
    with pytest.raises(DataError, match="times, places or polarities"):
        read_events(tmp_path / "x.aedat")
    for split in ("train", "test"):
        (tmp_path / split / "a").mkdir(parents=True)
        (tmp_path / split / "a" / "x.aedat").write_bytes(header + packets[0] + packets[1])
    with pytest.raises(DataError, match="cannot be true"):
        open_sequences(f"events:{tmp_path}", None, "test")


def test_folders_that_are_none():
    with pytest.raises(DataError, match="is not a folder"):
        open_dataset("events:somewhere")
    with pytest.raises(DataError, match="names no path"):
        open_dataset("events:")
    with pytest.raises(DataError, match="names no path"):
        open_sequences("events:")
    with pytest.raises(DataError, match="have no path"):
        open_sequences("events:,steps=3")
    with pytest.raises(DataError, match="is not a folder"):
        open_sequences("events:nowhere")


def test_an_archive_holds_sequences_for_training_and_for_testing(tmp_path):
    x, test = np.arange(24).reshape(2, 4, 3), np.arange(18).reshape(3, 2, 3) / 4
    np.savez(tmp_path / "x.npz", x=x, y=[1, 0], lengths=[4, 3], x_test=test, y_test=np.ones((3, 2), np.float32) / 3)
    train, other = (open_sequences(f"npz:{tmp_path}/x.npz", None, split) for split in ("train", "test"))
    assert [each.tolist() for each in train.images()] == [x[0].tolist(), x[1, :3].tolist()]
    assert (train.labels.tolist(), train.lengths.tolist()) == ([1, 0], [4, 3])
    np.testing.assert_array_equal(other.frames, test)
    assert (other.labels.shape, other.labels.dtype, other.lengths) == ((3, 2), np.float32, None)
