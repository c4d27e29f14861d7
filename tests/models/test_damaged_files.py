"""Every reader of weights and data on bytes that were changed at random, and on what bombs and liars send."""

import gzip
import os
import pickle
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from spikec.deployment.weights_file import weights_file
from spikec.energy import load_profile
from spikec.errors import DataError, ToolchainError
from spikec.models import load_weights, resolve
from spikec.models.data import open_dataset, open_sequences
from spikec.models.data.fashion_mnist import read_idx
from spikec.models.data.recordings import read_events

STATE = nn.Linear(3, 2).state_dict()


def picture(path, size=(8, 8)):
    Image.new("L", size, 3).save(path)
    return path


def folder_of(path):
    for split in ("train", "test"):
        (path / split / "a").mkdir(parents=True, exist_ok=True)
    picture(path / "train/a/1.png")
    return picture(path / "test/a/1.png")


def weights(path, **options):
    torch.save(STATE, path, **options)
    return path


def safe(path, info=None):
    save_file(STATE, path, None if info is None else {"spikec": info})
    return path


def npz(path):
    rng = np.random.default_rng(0)
    np.savez_compressed(path, x=rng.integers(0, 256, (4, 1, 5, 5), np.uint8), y=np.arange(4))
    return path


def cifar(path):
    path.write_bytes(pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2]}, 2))
    return path


def idx(path):
    path.write_bytes(gzip.compress(b"\0\0\x08\2" + struct.pack(">II", 2, 3) + b"abcdef"))
    return path


def profile(path):
    from spikec.data_files import chip_files
    from spikec.energy import profile as module

    path.write_bytes(chip_files("energy", module._FOLDER)["cmos45"].read_bytes())
    return path


READERS = {
    "weights": (lambda at: weights(at / "w.pt"), lambda path: load_weights(nn.Linear(3, 2), path)),
    "old weights": (
        lambda at: weights(at / "w.pt", _use_new_zipfile_serialization=False),
        lambda path: load_weights(nn.Linear(3, 2), path),
    ),
    "safetensors": (lambda at: safe(at / "w.safetensors", "{}"), lambda path: load_weights(nn.Linear(3, 2), path)),
    "npz": (lambda at: npz(at / "a.npz"), lambda path: open_dataset(f"npz:{path}")),
    "sequences": (lambda at: npz(at / "a.npz"), lambda path: open_sequences(f"npz:{path}")),
    "cifar": (lambda at: cifar(at / "test_batch"), lambda path: open_dataset("cifar10", path.parent)),
    "idx": (lambda at: idx(at / "a.gz"), read_idx),
    "pictures": (folder_of, lambda path: open_dataset(f"folder:{path.parents[2]}")),
    "profile": (lambda at: profile(at / "energy.toml"), lambda path: load_profile(str(path))),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", READERS)
def test_random_damage_is_read_or_one_sentence(tmp_path, kind):
    make, read = READERS[kind]
    path = make(tmp_path)
    read(path)
    whole, random = path.read_bytes(), np.random.default_rng(len(kind))
    refused = []
    for number in range(80):
        at = int(random.integers(0, len(whole)))
        content = whole[:at] + bytes(random.integers(0, 256, int(random.integers(1, 4)), np.uint8)) + whole[at + 1 :]
        content = content if number % 4 else whole[:at]
        replaced = path.with_name("new")
        replaced.write_bytes(content)
        os.replace(replaced, path)
        try:
            read(path)
        except ToolchainError as error:
            refused.append(str(error))
    assert len(refused) > 8
    assert not any("\n" in sentence for sentence in refused)


@pytest.mark.parametrize(
    "info",
    [
        "[1]",
        "[" * 10_000,
        "9" * 100,
        "{",
        '{"levels": 1e400}',
        '{"levels": -1}',
        '{"levels": "x"}',
        '{"method": [1]}',
        '{"max_pool": 3}',
        '{"trained_precision": {}}',
        '{"trained_precision": 7}',
        '{"through_spikes": true}',
        '{"neuron": 1}',
    ],
)
def test_headers_of_other_types_are_one_sentence(tmp_path, info):
    path = safe(tmp_path / "w.safetensors", info)
    with pytest.raises(DataError, match=r"w\.safetensors.* header"):
        weights_file(path)


def test_labels_beyond_all_classes(tmp_path):
    x = np.zeros((2, 1, 5, 5), np.uint8)
    for label in (2**40, 2**62, np.uint64(2**64 - 1)):
        np.savez(tmp_path / "a.npz", x=x, y=np.array([0, label], np.uint64))
        for read in (open_dataset, open_sequences):
            with pytest.raises(DataError, match=rf"y holds.* {label}"):
                read(f"npz:{tmp_path}/a.npz")


def bomb(path, width, height):
    """A PNG that says it is so large, with no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    about = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", about) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


@pytest.mark.filterwarnings("error")
def test_pictures_beyond_all_bounds_and_of_other_kinds(tmp_path):
    path = folder_of(tmp_path)
    for size, words in (((10_000, 9_000), "10000x9000 pixels"), ((20_000, 20_000), "1.png"), ((2**31 - 1, 9), "1.png")):
        bomb(path, *size)
        with pytest.raises(DataError, match=words):
            open_dataset(f"folder:{tmp_path}")
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\n")
    with pytest.raises(DataError, match=r"cannot read .*1\.png as a picture"):
        open_dataset(f"folder:{tmp_path}")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="is a pipe"):
        open_dataset(f"folder:{tmp_path}")


def test_gzip_bombs_and_pipes(tmp_path, monkeypatch):
    monkeypatch.setattr("spikec.models.data.fashion_mnist._MOST", 10**5)
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(10**6)))
    with pytest.raises(DataError, match=r"a\.gz unpacks to more than 100,000 bytes"):
        read_idx(tmp_path / "a.gz")
    os.mkfifo(tmp_path / "a.bin")
    for read in (read_idx, read_events):
        with pytest.raises(DataError, match="is a pipe"):
            read(tmp_path / "a.bin")


@pytest.mark.parametrize("call", [open_dataset, open_sequences, resolve])
@pytest.mark.parametrize("name", [None, b"", 3, [], {}, float("nan"), ("a",), "\0", "x" * 5000, "", ":"])
def test_what_is_no_name(call, name):
    with pytest.raises(DataError) as caught:
        call(name)
    assert "\n" not in str(caught.value)
