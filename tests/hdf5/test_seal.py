"""The SHA-256 at the end of a file: finds every damage, is in no reader's way, goes when others edit the file."""

import hashlib

import h5py
import nir
import pytest
from helpers.same import same
from hypothesis import given
from hypothesis import strategies as st
from nir.serialization import read_version

import spikec as tc
from spikec.hdf5.seal import LENGTH, is_whole, sealed
from spikec.ir import decode


@given(st.binary(max_size=300))
def test_what_is_sealed_is_whole(content):
    made = sealed(content)
    assert is_whole(made) is True
    assert made[: len(content)] == content
    assert len(made) == len(content) + LENGTH
    assert made[-65:-1].decode() == hashlib.sha256(content).hexdigest()
    assert is_whole(content) is None or b"spikec sha256" in content


@given(st.binary(min_size=1, max_size=300), st.data())
def test_no_changed_byte_is_taken(content, data):
    """A byte of the content, of the mark or of the digits breaks the seal."""
    made = bytearray(sealed(content))
    place = data.draw(st.integers(0, len(made) - 1))
    made[place] ^= data.draw(st.integers(1, 255))
    assert is_whole(made) is False


def test_a_last_line_of_digits_is_no_seal():
    assert is_whole(b"content\n" + b"a" * 64 + b"\n") is None


@given(st.binary(max_size=300), st.integers(1, LENGTH))
def test_no_file_that_is_cut_off_is_whole(content, cut):
    assert is_whole(sealed(content)[:-cut]) is not True


def test_older_files_without_a_seal_are_read(sealed_net, net):
    assert same(decode(tc.load(sealed_net)), decode(tc.load(net)))


def test_other_readers_take_sealed_files(sealed_net, net):
    ours, theirs = nir.read(sealed_net), nir.read(net)
    assert ours.nodes.keys() == theirs.nodes.keys()
    assert read_version(sealed_net) == nir.version
    for name, node in theirs.nodes.items():
        if hasattr(node, "weight"):
            assert (ours.nodes[name].weight == node.weight).all()
    with h5py.File(sealed_net) as file:
        assert set(file) == {"node", "version"}


def test_a_program_that_edits_the_file_takes_the_seal_off(sealed_net, tmp_path):
    path = tmp_path / "edited.nir"
    path.write_bytes(sealed_net.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["version"]
    assert is_whole(path.read_bytes()) is None
    assert same(decode(tc.load(path)), decode(tc.load(sealed_net)))


@pytest.mark.parametrize("place", [0, 9, 2000, -LENGTH - 1, -2])
def test_damage_is_told_before_hdf5_sees_the_file(sealed_net, tmp_path, place):
    content = bytearray(sealed_net.read_bytes())
    content[place] ^= 1
    path = tmp_path / "net.nir"
    path.write_bytes(content)
    words = "the file was damaged after it was written: its bytes do not match the SHA-256 at its end"
    with pytest.raises(tc.GraphError) as error:
        tc.load(path)
    assert str(error.value) == f"{path} cannot be read: {words}; get it again"
    (finding,) = tc.nir.diagnose(path).findings
    assert (finding.rule, finding.message) == ("damaged", words)
