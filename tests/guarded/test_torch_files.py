"""Files of torch.save: what they hold is what PyTorch's own reader finds, and nothing in them runs or lies."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.errors import DataError
from spikec.guarded.pickles import Refused, Unread, read_pickle
from spikec.guarded.torch_files import read_torch_file

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool)
TENSORS = st.builds(
    lambda dtype, cut, turned: torch.arange(-3, 9).to(dtype).reshape(3, 4)[:, cut:].transpose(0, int(turned)),
    st.sampled_from((*DTYPES, torch.complex64)),
    st.integers(0, 4),
    st.booleans(),
)
LEAVES = TENSORS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
CONTENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=2).map(OrderedDict)
    ),
    max_leaves=8,
)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@settings(max_examples=drawn(60), deadline=None)
@given(content=CONTENTS, zipped=st.booleans(), protocol=st.sampled_from([2, 4]))
def test_everything_is_read_as_pytorch_reads_it(tmp_path_factory, content, zipped, protocol):
    path = tmp_path_factory.mktemp("pt") / "w.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    assert same(torch.load(path, weights_only=False), read_torch_file(path))


@pytest.mark.filterwarnings("ignore")
def test_quantised_sparse_and_shared_tensors(tmp_path):
    base = torch.arange(12.0)
    content = {
        "q": torch.quantize_per_tensor(base, 0.1, 3, torch.qint8),
        "c": torch.quantize_per_channel(base.view(3, 4), torch.ones(3), torch.zeros(3), 0, torch.qint8),
        "s": torch.eye(3).to_sparse(),
        "r": torch.eye(3).to_sparse_csr(),
        "p": torch.nn.Parameter(base[3:5]),
        "v": base[::2],
    }
    for zipped in (True, False):
        torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
        found = read_torch_file(tmp_path / "w.pt")
        for key in "qc":
            assert torch.equal(found[key].dequantize(), content[key].dequantize())
        for key in "srpv":
            assert torch.equal(found[key].to_dense(), content[key].detach().to_dense())
        assert found["v"].untyped_storage().data_ptr() == found["p"].untyped_storage().data_ptr()


def test_numbers_of_the_other_byte_order(tmp_path):
    torch.save({"w": torch.arange(5.0)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt") as little, zipfile.ZipFile(tmp_path / "big.pt", "w") as big:
        for name in little.namelist():
            content = little.read(name)
            if name.endswith("/byteorder"):
                content = b"big"
            if "/data/" in name:
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            big.writestr(name, content)
    assert torch.equal(read_torch_file(tmp_path / "big.pt")["w"], torch.arange(5.0))


def tensor(storage, offset, size, stride):
    """A pickle of one tensor with these numbers, in an archive with a storage of four floats."""
    out = io.BytesIO()
    writer = pickle._Pickler(out, 2)
    out.write(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n")
    out.write(b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu")
    for value in (storage,):
        writer.save(value)
    out.write(b"tQ")
    for value in (offset, size, stride, False):
        writer.save(value)
    out.write(b"ccollections\nOrderedDict\n)RtR.")
    return out.getvalue()


def archive(tmp_path, code):
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as file:
        file.writestr("w/data.pkl", code)
        file.writestr("w/data/0", struct.pack("<4f", 1, 2, 3, 4))
        file.writestr("w/version", "3\n")
    return tmp_path / "w.pt"


def test_tensors_stay_within_their_storage(tmp_path):
    assert read_torch_file(archive(tmp_path, tensor(4, 1, (3,), (1,)))).tolist() == [2, 3, 4]
    for numbers in (
        (4, 0, (5,), (1,)),
        (4, 1, (4,), (1,)),
        (4, 2**62, (1,), (1,)),
        (4, 0, (2, 2), (4, 1)),
        (4, 0, (2**40,), (0,)),
        (4, -1, (1,), (1,)),
        (4, 0, (-1,), (1,)),
        (4, 0, (2,), (-1,)),
        (4, 0, (2,), (1, 1)),
        (4, 0, ("a",), (1,)),
        (5, 0, (1,), (1,)),
        (2**60, 0, (1,), (1,)),
        (-4, 0, (1,), (1,)),
    ):
        with pytest.raises(DataError, match=r"cannot read .*w\.pt as PyTorch weights"):
            read_torch_file(archive(tmp_path, tensor(*numbers)))


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_nothing_but_tensors_is_built(tmp_path):
    import argparse
    import os

    for function in (os.system, eval, __import__, torch.jit.load, torch.load, getattr):
        torch.save({"a": Calls(function, "touch mark")}, tmp_path / "w.pt")
        with pytest.raises(Refused, match=f"names .*{function.__name__}"):
            read_torch_file(tmp_path / "w.pt")
    torch.save({"a": argparse.Namespace(b=1), "n": np.float64(3)}, tmp_path / "w.pt")
    assert all(isinstance(value, Unread) for value in read_torch_file(tmp_path / "w.pt").values())


def never(module, name):
    raise Refused(f"names {module}.{name}")


def test_pickles_that_cost_too_much_are_refused_or_cheap(monkeypatch):
    huge_memo = b"\x80\x02Nr\xff\xff\xff\x7f."
    assert read_pickle(io.BytesIO(huge_memo), never) is None
    twice = b"q\x00h\x00\x86"  # a tuple of what it was, two times
    found = read_pickle(io.BytesIO(b"\x80\x02})" + twice * 200 + b"K\x01s."), never)
    assert [type(key) for key in found] == [Unread]
    long = b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x."
    for code in (long, b"\x80\x02]", b"\x80\x02t.", b"\x80\x02h\x07.", b"\x82\x01.", b"(0" * 1000 + b"."):
        with pytest.raises((ValueError, LookupError, Refused)):
            read_pickle(io.BytesIO(code), never)
    monkeypatch.setattr("spikec.guarded.pickles._LONGEST", 100)
    with pytest.raises(Refused, match="more than 100 steps"):
        read_pickle(io.BytesIO(b"\x80\x02" + b"N0" * 100 + b"N."), never)


def test_values_are_built_as_pickle_builds_them():
    values = [
        1,
        -1,
        2**70,
        1.5,
        "ä",
        b"b",
        None,
        True,
        {1, 2},
        frozenset("ab"),
        (1, (2, (3, 4, 5, 6))),
        {"a": [{}]},
        (),
    ]
    for protocol in range(6):
        chosen = values if protocol > 3 else [v for v in values if not isinstance(v, set | frozenset | bytes)]
        assert read_pickle(io.BytesIO(pickle.dumps(chosen, protocol)), never) == chosen
