"""Files as they are written: packed by us, read by HDF5, by nir and through the process that reads files."""

from __future__ import annotations

import copy
import io
import tracemalloc

import h5py
import nir
import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.hdf5 import packing, unpacking, writing
from spikec.hdf5.child import tree_of
from spikec.hdf5.wire import Sender, receive_tree


def _read(graph: nir.NIRNode, place: str) -> np.ndarray:
    content = io.BytesIO()
    writing.write_graph(content, graph)
    with h5py.File(content) as file:
        return file[place][()]


@settings(max_examples=drawn(25), deadline=None)
@given(
    shape=st.sampled_from([(7,), (300, 3), (3, 5, 3, 3), (2, 130, 70), (1, 4000)]),
    dtype=st.sampled_from(["f4", "f8", "i1", "i4", "i8", "u2"]),
    spread=st.sampled_from([0, 1, 30, 127]),
    seed=st.integers(0, 99),
)
def test_hdf5_reads_what_is_packed(shape, dtype, spread, seed):
    array = np.random.default_rng(seed).integers(0 if dtype == "u2" else -spread, spread + 1, shape).astype(dtype)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "_LARGE", 1)
        patched.setattr(writing, "_CHUNK", 256)
        read = _read(
            nir.Affine(array[None], np.zeros(1), metadata={"more": {"held": array}}), "node/metadata/more/held"
        )
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_large_weights_are_small_and_read_by_nir(tmp_path):
    weight = np.clip(np.rint(np.random.default_rng(0).normal(0, 25, (500, 700))), -127, 127).astype(np.float32)
    graph = nir.NIRGraph(
        {"in": nir.Input({"input": np.array([700])}), "a": nir.Affine(weight, np.zeros(500, np.float32)),
         "out": nir.Output({"output": np.array([500])})},
        [("in", "a"), ("a", "out")],
    )  # fmt: skip
    content = io.BytesIO()
    writing.write_graph(content, graph)
    again = io.BytesIO()
    writing.write_graph(again, copy.deepcopy(graph))
    assert content.getvalue() == again.getvalue()
    assert len(content.getvalue()) < 2.1 * weight.size
    path = tmp_path / "net.nir"
    path.write_bytes(content.getvalue())
    np.testing.assert_array_equal(nir.read(path).nodes["a"].weight, weight)
    nir.write(tmp_path / "theirs.nir", graph)
    with h5py.File(path) as ours, h5py.File(tmp_path / "theirs.nir") as theirs:
        names: list[list[str]] = [[], []]
        ours.visit(names[0].append)
        theirs.visit(names[1].append)
        assert names[0] == names[1]


def test_fields_are_those_of_nir_and_not_copied():
    weight = np.ones((2, 3))
    node = nir.Affine(weight, np.zeros(2), metadata={"spikec": {"weight_int": weight}})
    fields = writing.fields_of(node)
    assert list(fields) == list(node.to_dict())
    assert fields["weight"] is node.weight
    assert fields["metadata"]["spikec"]["weight_int"] is weight


def _travelled(content: bytes, limit: int = 2**22):
    """The tree of a file as it is received, and how many bytes came."""
    pipe = io.BytesIO()
    sender = Sender(pipe)
    sender.tree(tree_of(content, limit, keep=sender.array))
    size = pipe.tell()
    pipe.seek(0)

    def fill(view: memoryview) -> None:
        assert pipe.readinto(view) == len(view)

    return receive_tree(fill, limit), size


def _written(array: np.ndarray, **packing) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("node/x", data=array, **packing)
    return content.getvalue()


@pytest.mark.parametrize("odd", [-0.0, 0.5, 40000.0, np.nan, np.inf, -129.0, None])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("packing", [{}, {"compression": "gzip", "shuffle": True, "chunks": (2**14, 1)}])
def test_what_is_sent_narrow_comes_back_in_every_bit(odd, dtype, packing):
    array = (np.arange(2**19 + 5) % 255 - 127).astype(dtype).reshape(-1, 1)
    if odd is not None:
        array[-2] = odd
    found, size = _travelled(_written(array, **packing), 2**23)
    back = found.node["x"].data
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()
    assert size < 1.2 * array.size


@settings(max_examples=drawn(25), deadline=None)
@given(
    shape=st.sampled_from([(7,), (300, 3), (3, 5, 3, 3), (2, 130, 70), (1, 4000), (4, 1, 9)]),
    dtype=st.sampled_from(["f4", "f8", "i1", "i4", "i8", "u2", ">f4", "c8", "?"]),
    spread=st.sampled_from([0, 1, 30, 127, 40000]),
    chunk=st.integers(1, 300),
    packing=st.sampled_from([{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True},
                             {"compression": "lzf", "shuffle": True, "fletcher32": True}, {"shuffle": True}]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_a_dataset_arrives_as_hdf5_reads_it(shape, dtype, spread, chunk, packing, seed):
    """In chunks of any shape, packed in any way, read in parts."""
    rng = np.random.default_rng(seed)
    spread = min(spread, 127) if np.dtype(dtype).itemsize == 1 else spread
    array = rng.integers(0 if dtype == "u2" else -spread, spread + 1, shape).astype(dtype)
    chunks = tuple(min(n, max(1, int(c))) for n, c in zip(shape, rng.integers(1, chunk + 1, len(shape)), strict=True))
    packing = {**packing, "chunks": chunks} if packing or seed % 2 else {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(unpacking, "_LARGE", 1)
        patched.setattr(unpacking, "_LEAST", 1)
        found = _travelled(_written(array, **packing))[0].node["x"].data
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@settings(max_examples=drawn(25), deadline=None)
@given(
    shape=st.sampled_from([(7,), (300, 3), (3, 5, 3, 3), (2, 130, 70), (1, 4000)]),
    dtype=st.sampled_from(["f4", "f8", "i1", "i4", "i2", "u2"]),
    spread=st.sampled_from([0, 1, 30, 127]),
    seed=st.integers(0, 99),
)
def test_what_is_packed_here_arrives_and_is_unpacked_here(shape, dtype, spread, seed):
    array = np.random.default_rng(seed).integers(0 if dtype == "u2" else -spread, spread + 1, shape).astype(dtype)
    content = io.BytesIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "_LARGE", 1)
        patched.setattr(writing, "_CHUNK", 256)
        patched.setattr(unpacking, "_LARGE", 1)
        patched.setattr(unpacking, "_LEAST", 1)
        writing.write_graph(content, nir.Affine(array[None], np.zeros(1)))
        found, _ = _travelled(content.getvalue())
    np.testing.assert_array_equal(found.node["weight"].data[0], array)
    assert found.node["weight"].data.dtype == array.dtype


def _with_chunk(array: np.ndarray, packed: bytes) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        packing = {"compression": "gzip", "shuffle": True, "chunks": array.shape}
        data = file.create_dataset("node/x", array.shape, array.dtype, **packing)
        data.id.write_direct_chunk((0,) * array.ndim, packed)
    return content.getvalue()


def test_a_damaged_stream_is_refused_as_by_hdf5():
    """Whoever unpacks it: a byte anywhere that HDF5 finds is found here too."""
    array = np.random.default_rng(0).integers(-127, 128, 2**19).astype(np.float32)
    sound = packing.packed(array)
    places = [0, 1, 3, len(packing.zeros(array.size, False)) + 1, len(sound) // 2, len(sound) - 70_000, -5, -1]
    for place in places:
        damaged = bytearray(sound)
        damaged[place] ^= 1
        content = _with_chunk(array, bytes(damaged))
        with h5py.File(io.BytesIO(content)) as file, pytest.raises(OSError, match=r"filter|inflate"):
            file["node/x"][()]
        found, _ = _travelled(content)
        assert "x" not in found.node
        assert found.problems, place
    for cut in (1, 4, 5, 1000):
        assert _travelled(_with_chunk(array, sound[:-cut]))[0].problems
    found, _ = _travelled(_with_chunk(array, sound))
    np.testing.assert_array_equal(found.node["x"].data, array)


def test_little_is_held_while_a_dataset_travels():
    """Bytes at once on the side that sends, by the number of weights."""
    weight = np.random.default_rng(0).integers(-127, 128, (2048, 2**12)).astype(np.float32)
    content = io.BytesIO()
    writing.write_graph(content, nir.Affine(weight, np.zeros(2048, np.float32)))

    class Nothing(io.RawIOBase):
        def writable(self):
            return True

        def write(self, part):
            return len(part)

    tracemalloc.start()
    sender = Sender(io.BufferedWriter(Nothing(), 2**16))
    sender.tree(tree_of(content.getvalue(), 2**26, keep=sender.array))
    peak = tracemalloc.get_traced_memory()[1] / weight.size
    tracemalloc.stop()
    assert peak < 3.5  # the file itself is 2
