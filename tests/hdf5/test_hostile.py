"""Files that were made to do harm: each is refused in one sentence, soon, and nothing of another file is shown."""

import os
import time
import zlib

import h5py
import numpy as np
import pytest
from helpers.nir_files import lif_net, write

import spikec as tc
from spikec.ir.profile.reading import read_nir

SECRET = b"seventeen secrets" * 64
NAME = "node/nodes/fc/weight"


def _net(path, change):
    """A plain NIR file in which the weights of ``fc`` are replaced."""

    def replaced(file):
        del file[NAME]
        change(file)

    return write(path, *lif_net(), change=replaced)


def _refusal(path, seconds=10.0):
    before = time.monotonic()
    with pytest.raises(tc.GraphError) as error:
        tc.load(path)
    assert time.monotonic() - before < seconds
    message = str(error.value)
    assert "\n" not in message
    assert "seventeen" not in message
    assert str(path) in message
    found = tc.nir.diagnose(path)
    assert found.errors or any(finding.rule == "too_large" for finding in found.findings)
    assert "seventeen" not in str(found)
    return message


def _chunked(file, shape, chunks, filters=(), kind=h5py.h5t.NATIVE_FLOAT):
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk(chunks)
    for one in filters:
        one(made)
    space = h5py.h5s.create_simple(shape)
    return h5py.h5d.create(file[os.path.dirname(NAME)].id, b"weight", kind, space, made)


def _gzip(made):
    made.set_deflate(9)


# --- more than there is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.create_dataset(NAME, (50_000, 100_000), "f4"),
        lambda file: file.create_dataset(NAME, (50_000, 100_000), "f4", chunks=(100, 100), compression="gzip"),
        lambda file: file.create_dataset(NAME, (2**60, 2**60), "f4", chunks=(100, 100)),
    ],
    ids=["contiguous", "gzip", "overflow"],
)
def test_a_small_file_that_declares_gigabytes(tmp_path, change):
    path = _net(tmp_path / "big.nir", change)
    assert path.stat().st_size < 100_000
    assert "would need" in _refusal(path)


def test_values_that_were_never_written(tmp_path):
    """Below the limit for all, but more than the file can hold: HDF5 would make them up."""
    path = _net(tmp_path / "big.nir", lambda file: file.create_dataset(NAME, (8000, 8000), "f4", fillvalue=3))
    assert "and the file holds 0 for it" in _refusal(path)


def test_a_gzip_bomb(tmp_path):
    """2 GiB in 2 MB, each chunk real."""
    packed = zlib.compress(bytes(2**20), 9)

    def change(file):
        data = _chunked(file, (2**11, 2**18), (1, 2**18), [_gzip])
        for row in range(2**11):
            data.write_direct_chunk((row, 0), packed)

    path = _net(tmp_path / "bomb.nir", change)
    assert path.stat().st_size < 3_000_000
    assert "would need 2147483648 bytes" in _refusal(path)


def test_a_bomb_in_a_bomb(tmp_path):
    packed = zlib.compress(zlib.compress(bytes(2**26), 9), 9)

    def change(file):
        _chunked(file, (2**24,), (2**24,), [_gzip, _gzip]).write_direct_chunk((0,), packed)

    path = _net(tmp_path / "bomb.nir", change)
    assert path.stat().st_size < 100_000
    assert "filter 1 (deflate), twice" in _refusal(path)


def test_a_filter_that_hdf5_would_load_from_the_disk(tmp_path):
    def change(file):
        unknown = lambda made: made.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)  # noqa: E731
        _chunked(file, (4, 4), (4, 4), [unknown])

    try:
        path = _net(tmp_path / "filter.nir", change)
    except (ValueError, OSError):
        pytest.skip("this HDF5 writes no dataset with a filter that it does not have")
    assert "filter 32015" in _refusal(path)


def test_a_chunk_far_larger_than_its_dataset(tmp_path):
    path = _net(
        tmp_path / "chunk.nir",
        lambda file: file.create_dataset(NAME, (4, 4), "f4", maxshape=(None, None), chunks=(2**14, 2**14)),
    )
    assert "it is cut into pieces of (16384, 16384)" in _refusal(path)


# --- other files ---------------------------------------------------------------------------------------------------


def _external(place, size):
    return lambda file: file.create_dataset(NAME, (size,), "u1", external=[(str(place), 0, size)])


def _virtual(place):
    def change(file):
        with h5py.File(place, "w") as other:
            other["x"] = np.frombuffer(SECRET, "u1")
        layout = h5py.VirtualLayout((len(SECRET),), "u1")
        layout[:] = h5py.VirtualSource(str(place), "x", (len(SECRET),))
        file.create_virtual_dataset(NAME, layout)

    return change


@pytest.mark.parametrize("what", ["storage", "device", "link", "virtual"])
def test_other_files_are_never_read(tmp_path, what):
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    changes = {
        "storage": _external(secret, 100),
        "device": _external("/dev/zero", 2**30),
        "link": lambda file: file.__setitem__(NAME, h5py.ExternalLink(str(secret), "/x")),
        "virtual": _virtual(secret),
    }
    message = _refusal(_net(tmp_path / "net.nir", changes[what]))
    assert "its data lie in another file" in message or "it is a link into the file" in message


# --- shapes of the tree --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "said"), [(20, "it is the same group as /node/nodes/fc/more/a"), (39, "more than 32")]
)
def test_hard_links_that_double(tmp_path, levels, said):
    def change(file):
        group = file["node/nodes"].create_group("fc/more")
        for _ in range(levels):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner

    assert said in _refusal(_net(tmp_path / "net.nir", change))


def test_a_group_that_contains_itself(tmp_path):
    def change(file):
        file["node/nodes/fc/again"] = file["node/nodes"]

    assert "this group contains itself" in _refusal(_net(tmp_path / "net.nir", change))


def test_deep_groups(tmp_path):
    path = _net(tmp_path / "net.nir", lambda file: file["node/nodes/fc"].create_group("/".join("d" * 2000)))
    assert "more than 32 groups inside each other" in _refusal(path)


def test_soft_links_in_circles(tmp_path):
    path = _net(tmp_path / "net.nir", lambda file: file.__setitem__(NAME, h5py.SoftLink("/" + NAME)))
    assert "its links never end" in _refusal(path)


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"\x1b[31mred", "\u202ename".encode()])
def test_names_that_nobody_can_print(tmp_path, name):
    def change(file):
        h5py.h5g.create(file["node/nodes"].id, name)

    message = _refusal(_net(tmp_path / "net.nir", change))
    assert message.isprintable()


def test_text_that_is_no_utf8(tmp_path):
    def change(file):
        del file["node/nodes/fc/type"]
        file["node/nodes/fc/type"] = np.array(b"caf\xe9", "S4")

    assert "/node/nodes/fc/type holds text that is no UTF-8" in _refusal(_net(tmp_path / "net.nir", change))


@pytest.mark.parametrize(
    "kind",
    [np.dtype([("a", "f4")]), np.dtype("V4"), h5py.ref_dtype, h5py.vlen_dtype("f4"), np.dtype(("f4", (2,))), None],
    ids=["compound", "opaque", "references", "lists", "arrays", "empty"],
)
def test_types_that_hold_no_numbers(tmp_path, kind):
    given = {"data": h5py.Empty("f4")} if kind is None else {"shape": (3,), "dtype": kind}
    path = _net(tmp_path / "net.nir", lambda file: file.create_dataset(NAME, **given))
    assert "weight cannot be used: it" in _refusal(path)


def test_duplicate_edges_cost_no_more_than_their_number(tmp_path, net):
    path = tmp_path / "net.nir"
    path.write_bytes(net.read_bytes())
    with h5py.File(path, "r+") as file:
        edges = file["node/edges"][()]
        del file["node/edges"]
        many = np.concatenate([edges] * (20_000 // len(edges) + 1))
        file.create_dataset("node/edges", data=many, dtype=h5py.string_dtype())
    message = _refusal(path, seconds=10)
    assert len(message) < 2000


# --- what is no file -----------------------------------------------------------------------------------------------


def _repair(path):
    tc.nir.repair(path, "mended.nir")


@pytest.mark.parametrize("call", [tc.load, read_nir, tc.nir.diagnose, _repair])
def test_what_is_no_regular_file(tmp_path, call):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    cases = {
        tmp_path / "fifo": "is a device or a pipe, not a NIR file",
        tmp_path: "is a folder, not a NIR file",
        "": "is a folder, not a NIR file",
        "/dev/zero": "is a device or a pipe, not a NIR file",
        tmp_path / "loop": "cannot read",
        tmp_path / "absent": "there is no file",
        tmp_path / "absent" / "net.nir": "there is no file",
        "a\0b": "there is no file",
        "x" * 5000: "the name is too long",
        None: "a NIR file is named by its path, not by NoneType",
        b"": "a NIR file is named by its path, not by bytes",
        3: "a NIR file is named by its path, not by int",
    }
    for path, said in cases.items():
        with pytest.raises(tc.GraphError) as error:
            call(path)
        assert said in str(error.value)
        assert str(error.value).isprintable()


@pytest.mark.parametrize("place", ["node/type", "node/edges", "node/nodes/fc/type", "node/nodes", "node"])
@pytest.mark.parametrize("value", [np.zeros((3, 2)), np.array([["a", "b"]], dtype=object), "words", 3])
def test_values_of_another_kind_in_every_place(tmp_path, place, value):
    def change(file):
        del file[place]
        text = np.asarray(value).dtype.kind in "OU"
        file.create_dataset(place, data=value, dtype=h5py.string_dtype() if text else None)

    path = write(tmp_path / "net.nir", *lif_net(), change=change)
    with pytest.raises(tc.GraphError) as error:
        tc.load(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
