"""lava-dl files that nobody vouches for: each is refused in one sentence, and no other file is read."""

import os

import h5py
import numpy as np
import pytest

from spikec.errors import GraphError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.kinds import SignedIF
from spikec.ir.operations import Affine, Convolution, Flatten
from spikec.targets.netx import read, write
from spikec.targets.netx.reading import sound_tree

ZERO = np.zeros(3, np.int64)


@pytest.fixture
def file(tmp_path):
    """A sound file: conv, neurons, flatten, dense, readout."""
    kernel, full = np.ones((2, 2, 1, 1), np.int64), np.full((2, 3, 3), 4)
    pairs = ((1, 1), (0, 0), (1, 1))
    nodes = (
        InputNode("input", (2, 3, 3), "uint8", 1.0),
        Convolution("conv", ("input",), (2, 3, 3), (2, 3, 3), kernel, ZERO[:2], *pairs),
        Population("fire", ("conv",), (2, 3, 3), SignedIF(theta_neg=2), full, full // 2),
        Flatten("flat", ("fire",), (2, 3, 3), (18,)),
        Affine("fc", ("flat",), (18,), (3,), np.ones((3, 18), np.int64), ZERO),
        Readout("readout", ("fc",), (3,), ZERO, 1.0),
    )
    write(IntegerGraph({node.name: node for node in nodes}, 4, "pipelined"), tmp_path / "net.hdf5")
    return tmp_path / "net.hdf5"


def _put(place, value):
    def change(file):
        del file[place]
        file[place] = value

    return change


def _drop(place):
    return lambda file: file.__delitem__(place)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_put("layer/1/weight", h5py.ExternalLink("/etc/passwd", "/")), "a link into the file /etc/passwd"),
        (_put("layer/1/weight", h5py.SoftLink("/layer/1/weight")), "its links never end"),
        (_put("layer/1/weight", np.ones((2, 2, 1, 1)) / 3), "holds float64, it must be whole numbers"),
        (_put("layer/1/weight", np.full((2, 2, 1, 1), 2**64 - 1, np.uint64)), "whole numbers of at most 63 bits"),
        (_put("layer/1/weight", np.full((2, 2, 1, 1), -(2**63))), "weight lies between"),
        (_put("layer/1/weight", np.ones((2, 5, 1, 1), np.int32)), "conv: it makes nothing of"),
        (_put("layer/1/bias", np.ones(7, np.int32)), "bias has shape"),
        (_put("layer/1/dilation", np.array([2**63 - 1, 1])), "dilation is .* it must be whole numbers between 1 and"),
        (_put("layer/1/padding", np.array([20_000, 0])), "padding is .* between 0 and 4096"),
        (_put("layer/1/stride", np.array([1, 1, 1])), "it must hold 2 numbers"),
        (_put("layer/1/shape", np.array([2, 2**20, 2**20])), "its shape is .* values at most"),
        (_put("layer/1/groups", np.int64(0)), "groups is 0"),
        (_put("layer/1/type", np.array([b"pool"])), "has the type 'pool', this reads dense, conv"),
        (_put("layer/1/name", np.array([b"input"])), "two of its nodes are called 'input'"),
        (_put("layer/1/neuron/kind", np.array([b"nonsense"])), "nonsense"),
        (_put("layer/1/neuron/theta", np.zeros((2, 3, 3), np.int64)), "theta lies between 0 and 0"),
        (_put("layer/1/neuron/thetaNeg", np.int64(-3)), "must be between 1"),
        (_put("layer/1/neuron/vInit", np.zeros(4, np.int64)), "v_init has shape"),
        (_put("layer/0/shape", np.array([-1, 3, 3])), "its shape is"),
        (_put("spikec/timesteps", np.int64(2**20)), "timesteps is 1048576, it must be between 1 and 32768"),
        (_put("spikec/drain", np.int64(2**62)), "drain is"),
        (_put("spikec/input_scale", np.float64("nan")), "scale is nan"),
        (_put("spikec/readout_scale", np.array([b"x"])), "is no number"),
        (_put("spikec/schedule", np.array([b"never"])), "schedule 'never' is none of"),
        (_put("spikec/format", np.array(["\x1b[2J"], h5py.string_dtype())), "has the format"),
        (_drop("layer/2"), "/layer has no group 2"),
        (_drop("layer/1/neuron/theta"), "has no vThMant"),
        (_drop("spikec"), "it lacks /spikec or /layer"),
    ],
)
def test_a_file_that_lies(file, change, said):
    with h5py.File(file, "r+") as opened:
        change(opened)
    with pytest.raises(GraphError, match=said) as caught:
        read(file)
    assert str(caught.value).isprintable()
    assert str(file) in str(caught.value)


def test_what_is_no_file(file, tmp_path):
    for place, said in ((tmp_path, "is a folder"), ("/dev/zero", "is a device or a pipe"), (None, "named by its path")):
        with pytest.raises(GraphError, match=said):
            read(place)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GraphError, match="is a device or a pipe"):
        read(tmp_path / "pipe")
    (tmp_path / "early").write_bytes(file.read_bytes()[:700])
    with pytest.raises(GraphError, match="is not an HDF5 file written by spikec netx"):
        read(tmp_path / "early")


def test_data_in_another_file_are_never_given_to_lava_dl(file, tmp_path):
    (tmp_path / "secret").write_bytes(b"\1" * 16)
    with h5py.File(file, "r+") as opened:
        del opened["layer/1/weight"]
        place = [(bytes(tmp_path / "secret"), 0, 16)]
        opened.create_dataset("layer/1/weight", (2, 2, 1, 1), "i4", external=place)
    with pytest.raises(GraphError, match="its data lie in another file"):
        sound_tree(file)
