"""NumPy archives that are damaged, lie about sizes, or hold objects."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spikec.errors import DataError
from spikec.guarded.arrays import array_names, read_arrays


def header(shape, descr="|u1"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"shape": shape, "fortran_order": False, "descr": descr})
    return out.getvalue()


def archive(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@settings(max_examples=drawn(30))
@given(arrays.arrays(st.sampled_from(["u1", ">i4", "f8", "?"]), arrays.array_shapes(min_dims=0, min_side=0)))
def test_arrays_are_those_that_numpy_wrote(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez_compressed(path, a=array, b=np.asfortranarray(array))
    found = read_arrays(path)
    assert array_names(path) == ["a", "b"]
    for each in found.values():
        np.testing.assert_array_equal(each, array)
        assert each.dtype == array.dtype


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header((20_000_000_000,)), "promises 20000000000 of uint8, 20,000,000,000 bytes, and holds 0"),
        (header((2**62, 2**62)) + b"1", "promises"),
        (header((2**32, 2**32)), "promises"),
        (header((-1,)), "promises|shape"),
        (header((3,)) + b"12", "promises 3 of uint8, 3 bytes, and holds 2"),
        (header((1,), "|O") + b"12345678", "holds Python objects"),
        (header((1,), [("a", "|O")]) + b"12345678", "holds Python objects"),
        (header((2,), [("a", "<i4")]) + b"12345678", "no numbers"),
        (header((1,), "<M8[s]") + b"12345678", "no numbers"),
        (header((9_999_999_999,), "<U0"), "no numbers"),
        (header((2,), "|V4") + b"12345678", "no numbers"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "header|deep|nested"),
        (b"\x93NUMPY\x09\x00", "cannot read|version"),
        (b"", "cannot read"),
    ],
)
def test_headers_that_lie_are_one_sentence(tmp_path, content, words):
    path = archive(tmp_path / "a.npz", {"x.npy": content})
    with pytest.raises(DataError, match=words) as raised:
        read_arrays(path, ("x",))
    assert "a.npz" in str(raised.value)


def test_damage_within_compressed_data_is_one_sentence(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(5000) % 251)
    whole = path.read_bytes()
    for at in range(60, 400, 20):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(DataError, match=r"a\.npz"):
            read_arrays(path)


def test_archives_that_unpack_to_more_than_the_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("spikec.guarded.archives.usable_memory", lambda: 10**6)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros(2 * 10**6, np.uint8), y=np.zeros(1))
    with pytest.raises(DataError, match=r"unpacks to 0\.002 GB, and there are 0\.001 GB"):
        read_arrays(path, ("x",))
    assert read_arrays(path, ("y",))["y"].shape == (1,)


def test_an_array_is_in_memory_once(tmp_path):
    size = 2**25
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(size, np.uint8))
    tracemalloc.start()
    try:
        found = read_arrays(tmp_path / "a.npz")
        highest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found["x"].nbytes == size
    assert size < highest < 1.3 * size


def test_directories_beyond_their_bound_and_double_names_are_refused(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.npz", {f"{n}.npy": b"" for n in range(50)})
    monkeypatch.setattr("spikec.guarded.archives._DIRECTORY", 1000)
    with pytest.raises(DataError, match="a directory of"):
        read_arrays(path)
    monkeypatch.undo()
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as file:
        file.writestr("x.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("x.npy", b"")
    with pytest.raises(DataError, match="two members of one name"):
        read_arrays(tmp_path / "b.npz")
