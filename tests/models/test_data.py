"""Data sets: what is read equals what was written, and every malformed file is one sentence."""

from __future__ import annotations

import gzip
import pickle
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spikec.errors import DataError
from spikec.models.data import Dataset, load, open_dataset, open_sequences
from spikec.models.data.fashion_mnist import read_idx
from spikec.training.targets import IGNORED, kind_of

RNG = np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_fashion(root: Path, count: int = 7) -> tuple[np.ndarray, np.ndarray]:
    images = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = RNG.integers(0, 10, count, dtype=np.uint8)
    for prefix in ("train", "t10k"):
        (root / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (root / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return images, labels


def test_digits_are_449_test_images_and_disjoint_training_images() -> None:
    images, labels = load("digits", split="test")
    assert images.shape == (449, 1, 8, 8)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert float(images.min()) == 0.0
    assert float(images.max()) == 1.0
    assert torch.equal(images * 16, (images * 16).round())
    train, _ = load("digits", split="train")
    assert len(train) + len(images) == 1797


def test_fashion_mnist_reads_its_idx_files(tmp_path: Path) -> None:
    written, labels = write_fashion(tmp_path)
    images, read_labels = load("fashion-mnist", tmp_path, "test")
    assert torch.equal(images[:, 0], torch.from_numpy(written.astype(np.float32) / np.float32(255)))
    assert read_labels.tolist() == labels.tolist()


def test_fashion_mnist_pixels_are_the_nearest_floats_to_k_over_255(tmp_path: Path) -> None:
    write_fashion(tmp_path)
    dataset = open_dataset("fashion-mnist", tmp_path, "train")
    exact = (dataset.stored.astype(np.float64) / 255).astype(np.float32)
    assert np.array_equal(dataset.images().numpy(), exact)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x00",
        b"\x00\x00\x08\x03\x00\x00",
        idx(np.zeros((2, 3), np.uint8))[:-1],
        b"\x00\x00\x0d\x01" + struct.pack(">I", 1) + bytes(4),
        gzip.compress(idx(np.zeros((20, 30), np.uint8)), mtime=0)[:-9],
    ],
)
def test_malformed_idx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(DataError):
        read_idx(tmp_path / "broken")


def test_missing_fashion_mnist_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dataset-fashion-mnist"):
        load("fashion-mnist", tmp_path)


def cifar_arrays(count: int) -> tuple[np.ndarray, list[int]]:
    return RNG.integers(0, 256, (count, 3072), dtype=np.uint8), RNG.integers(0, 10, count).tolist()


def test_cifar10_pickles(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    parts = [cifar_arrays(3) for _ in range(5)]
    for i, (data, labels) in enumerate(parts, 1):
        batch = {b"data": data, b"labels": labels, b"batch_label": b"training batch", b"filenames": [b"x.png"]}
        (folder / f"data_batch_{i}").write_bytes(pickle.dumps(batch, protocol=2))
    dataset = open_dataset("cifar10", tmp_path, "train")
    assert dataset.shape == (3, 32, 32)
    expected = np.concatenate([d for d, _ in parts]).reshape(-1, 3, 32, 32)
    assert np.array_equal(dataset.stored, expected)
    assert dataset.labels.tolist() == [label for _, labels in parts for label in labels]


def test_cifar100_binary_uses_the_fine_label(tmp_path: Path) -> None:
    data, _ = cifar_arrays(4)
    coarse, fine = [1, 2, 3, 4], [99, 0, 57, 3]
    records = b"".join(bytes([c, f]) + row.tobytes() for c, f, row in zip(coarse, fine, data, strict=True))
    (tmp_path / "test.bin").write_bytes(records)
    dataset = open_dataset("cifar100", tmp_path, "test")
    assert dataset.labels.tolist() == fine
    assert np.array_equal(dataset.stored.reshape(4, -1), data)
    assert len(dataset.classes) == 100


class RunsCode:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (eval, ("(_ for _ in ()).throw(SystemError('code ran'))",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({b"data": RunsCode(), b"labels": [1]}), "never contains"),
        (b"\x80\x02}", "not a cifar10 batch"),
        (b"", "not a cifar10 batch"),
        (pickle.dumps([1, 2]), "not a cifar10 batch"),
        (pickle.dumps({b"data": np.zeros((2, 3), np.uint8), b"labels": [1, 2]}), "expected N x 3072"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}), "expected N x 3072"),
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}), "labels run from 10"),
    ],
)
def test_malformed_cifar_is_refused_without_running_code(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_dataset("cifar10", tmp_path, "test")


def test_cifar_needs_a_root_and_files_of_whole_records(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give root, the folder"):
        load("cifar10")
    with pytest.raises(DataError, match="give the folder as root"):
        load("cifar10", tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(bytes(3072))
    with pytest.raises(DataError, match="3073"):
        load("cifar10", tmp_path, "test")


def write_folder(root: Path, mode: str, size: tuple[int, int] = (5, 4)) -> None:
    image = pytest.importorskip("PIL.Image")
    for split in ("train", "test"):
        for label, name in enumerate(("ant", "bee")):
            (root / split / name).mkdir(parents=True)
            for i in range(2):
                image.new(mode, size, 40 * label + i if mode == "L" else (10, 40 * label, i)).save(
                    root / split / name / f"{i}.png"
                )


def test_folder_of_grey_and_of_colour_images(tmp_path: Path) -> None:
    write_folder(tmp_path / "grey", "L")
    dataset = open_dataset(f"folder:{tmp_path / 'grey'}", split="test")
    assert dataset.shape == (1, 4, 5)
    assert dataset.classes == ("ant", "bee")
    assert dataset.labels.tolist() == [0, 1, 0, 1]  # classes take turns: the first images are a sample of all
    assert dataset.stored[:][:, 0, 0, 0].tolist() == [0, 40, 1, 41]
    write_folder(tmp_path / "colour", "RGB")
    images, _ = load("folder:colour", tmp_path, "train")
    assert images.shape == (4, 3, 4, 5)
    assert torch.equal(images[3, :, 0, 0] * 255, torch.tensor([10.0, 40.0, 1.0]))


def test_malformed_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        load(f"folder:{tmp_path / 'missing'}")
    write_folder(tmp_path / "a", "L")
    (tmp_path / "a/test/cat").mkdir()
    with pytest.raises(DataError, match="cat"):
        load(f"folder:{tmp_path / 'a'}", split="test")
    write_folder(tmp_path / "b", "L")
    (tmp_path / "b/train/ant/0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png"):
        load(f"folder:{tmp_path / 'b'}")
    write_folder(tmp_path / "c", "L")
    pytest.importorskip("PIL.Image").new("L", (9, 9)).save(tmp_path / "c/train/bee/1.png")
    with pytest.raises(DataError, match="resize"):
        load(f"folder:{tmp_path / 'c'}")


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NHW"])
def test_npz_layouts_give_the_same_images(tmp_path: Path, layout: str) -> None:
    pixels = RNG.integers(0, 256, (6, 1 if layout == "NHW" else 3, 7, 9), dtype=np.uint8)
    x = {"NCHW": pixels, "NHWC": pixels.transpose(0, 2, 3, 1), "NHW": pixels[:, 0]}[layout]
    y = np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8)
    np.savez(tmp_path / "set.npz", x=x, y=y)
    images, labels = load(f"npz:{tmp_path / 'set.npz'}", split="test")
    assert torch.equal(images, torch.from_numpy(pixels.astype(np.float32) / np.float32(255)))
    assert labels.tolist() == y.tolist()


def test_npz_of_vectors(tmp_path: Path) -> None:
    x = RNG.normal(size=(4, 6)).astype(np.float32)
    np.savez(tmp_path / "set.npz", x=x, y=np.arange(4))
    dataset = open_dataset("npz:set.npz", tmp_path, "train")
    assert dataset.shape == (6,)
    assert torch.equal(dataset.images(), torch.from_numpy(x))


def test_npz_floats_are_taken_as_they_are_and_test_arrays_are_used(tmp_path: Path) -> None:
    x = RNG.normal(size=(4, 1, 5, 5))
    np.savez(tmp_path / "set.npz", x=x, y=np.arange(4), x_test=x[:2] * 2, y_test=np.array([3, 1]))
    images, _ = load("npz:set.npz", tmp_path, "train")
    assert torch.equal(images, torch.from_numpy(x.astype(np.float32)))
    images, labels = load("npz:set.npz", tmp_path, "test")
    assert torch.equal(images, torch.from_numpy((x[:2] * 2).astype(np.float32)))
    assert labels.tolist() == [3, 1]


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.zeros((2, 1, 4, 4), np.float32)},
        {"x": np.zeros((2, 1, 4, 4), np.float32), "y": np.zeros(3, np.int64)},
        {"x": np.zeros((2, 5), np.float32), "y": np.zeros((2, 4), np.int64)},
        {"x": np.zeros((2, 5), np.float32), "y": np.array([0.5, np.inf])},
        {"x": np.zeros((2, 5), np.float32), "y": np.array(["a", "b"])},
        {"x": np.zeros((2, 5), np.float32), "y": np.zeros(3)},
        {"x": np.zeros((2, 5), np.float32), "y": np.float64(3)},
        {"x": np.zeros((2, 1, 4, 4), np.float32), "y": np.array([-1, 0])},
        {"x": np.zeros((2, 1, 4, 4), np.int32), "y": np.zeros(2, np.int64)},
        {"x": np.full((2, 1, 4, 4), np.nan), "y": np.zeros(2, np.int64)},
        {"x": np.zeros((2, 3, 4, 3), np.float32), "y": np.zeros(2, np.int64)},
        {"x": np.zeros((2, 5, 4, 7), np.float32), "y": np.zeros(2, np.int64)},
        {"x": np.zeros((2, 1, 1, 4, 4), np.float32), "y": np.zeros(2, np.int64)},
        {"x": np.zeros(2, np.float32), "y": np.zeros(2, np.int64)},
        {"x": np.zeros((0, 1, 4, 4), np.float32), "y": np.zeros(0, np.int64)},
        {"x": np.array([{}, {}], dtype=object), "y": np.zeros(2, np.int64)},
        {"z": np.zeros(3)},
    ],
)
def test_malformed_npz_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DataError):
        load(f"npz:{tmp_path / 'set.npz'}")


@pytest.mark.parametrize(
    ("y", "kind", "dtype", "outputs"),
    [
        (RNG.normal(size=6), "numbers", np.float32, 1),
        (RNG.normal(size=(6, 3)).astype(np.float16), "numbers", np.float32, 3),
        (RNG.integers(0, 3, (6, 4, 4)).astype(np.uint8), "masks", np.int64, 3),
        (np.array([0, 2, 1, 0, 1, 2], np.int8), "classes", np.int64, 3),
    ],
)
def test_npz_holds_classes_masks_or_numbers(
    tmp_path: Path, y: np.ndarray, kind: str, dtype: type, outputs: int
) -> None:
    if kind == "masks":
        y[0, 0, 0], y[1, 0, 0] = 2, IGNORED  # which is no class
    np.savez(tmp_path / "set.npz", x=RNG.random((6, 1, 5, 5)).astype(np.float32), y=y)
    dataset = open_dataset("npz:set.npz", tmp_path, "test")
    assert (kind_of(dataset.labels), dataset.labels.dtype, dataset.outputs) == (kind, dtype, outputs)
    np.testing.assert_array_equal(dataset.labels, y.astype(dtype))
    train, held_out = dataset.split(0.34, 0)
    assert len(train) + len(held_out) == 6
    assert len(held_out) >= 2
    assert dataset.targets(slice(2)).shape == y[:2].shape
    frames = RNG.integers(0, 2, (6, 5, 3))
    np.savez(tmp_path / "seq.npz", x=frames, y=y)
    sequences = open_sequences("npz:seq.npz", tmp_path, "test")
    assert sequences.labelled
    np.testing.assert_array_equal(sequences.labels, y.astype(dtype))
    np.savez(tmp_path / "seq.npz", x=frames)
    assert not open_sequences("npz:seq.npz", tmp_path, "test").subset(slice(2)).labelled


def _labels(tmp_path: Path, split: str, **arrays: int) -> dict[str, list[int]]:
    """Labels by output of an archive whose arrays ``y...`` are filled with one number each."""
    x = {key: np.zeros((2, 5), np.float32) for key in ("x", *(["x_test"] if "x_test" in arrays else []))}
    np.savez(tmp_path / "set.npz", **x, **{k: np.full(2, n) for k, n in arrays.items() if k != "x_test"})
    labels = open_dataset(f"npz:{tmp_path / 'set.npz'}", split=split).labels
    return {name: labels[name].tolist() for name in labels.dtype.names} if labels.dtype.names else {"": labels.tolist()}


def test_an_output_may_be_called_test(tmp_path: Path) -> None:
    box = {"x_test": 0, "y_box": 1, "y_box_test": 2}
    assert _labels(tmp_path, "train", **box) == {"box": [1, 1]}
    assert _labels(tmp_path, "test", **box) == {"box": [2, 2]}
    named = {"y_test": 1, "y_box_test": 3}
    for split in ("train", "test"):
        assert _labels(tmp_path, split, **named) == {"test": [1, 1], "box_test": [3, 3]}
    named |= {"x_test": 0, "y_test_test": 2, "y_box_test_test": 4}
    assert _labels(tmp_path, "train", **named) == {"test": [1, 1], "box_test": [3, 3]}
    assert _labels(tmp_path, "test", **named) == {"test": [2, 2], "box_test": [4, 4]}
    assert _labels(tmp_path, "test", x_test=0, y=1, y_test=2) == {"": [2, 2]}
    for arrays, says in (
        ({**box, "y_box_test_test": 4}, "give the output 'box_test' another name"),
        ({"x_test": 0, "y": 1, "y_box": 2}, "holds y and y_box: give y, or y_NAME"),
        ({"y": 1, "y_test": 2}, "holds y_test and no x_test"),
    ):
        with pytest.raises(DataError, match=says):
            _labels(tmp_path, "train", **arrays)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name in ("text.npz", "single.npy", "missing.npz"):
        with pytest.raises(DataError, match=name.split(".")[0]):
            load(f"npz:{tmp_path / name}")


def test_unknown_names_and_splits() -> None:
    with pytest.raises(DataError, match="did you mean 'fashion-mnist'"):
        load("fasion-mnist")
    with pytest.raises(DataError, match="npz:PATH"):
        load("npz:")
    with pytest.raises(DataError, match="split"):
        load("digits", split="validation")


def test_split_is_disjoint_stratified_and_decided_by_the_seed() -> None:
    dataset = open_dataset("digits", split="train")
    train, validation = dataset.split(0.2, 1)
    assert len(train) + len(validation) == len(dataset)
    together = np.sort(np.concatenate([train.stored, validation.stored]).reshape(len(dataset), -1), axis=0)
    assert np.array_equal(together, np.sort(dataset.stored.reshape(len(dataset), -1), axis=0))
    counts = np.bincount(dataset.labels)
    assert np.bincount(validation.labels).tolist() == [round(0.2 * c) for c in counts]
    again, other = dataset.split(0.2, 1)[1], dataset.split(0.2, 2)[1]
    assert np.array_equal(validation.stored, again.stored)
    assert not np.array_equal(validation.labels, other.labels)
    with pytest.raises(DataError):
        dataset.split(1.0, 0)


def test_batches_cover_the_set_in_order() -> None:
    dataset = open_dataset("digits", split="test")
    batches = list(dataset.batches(100))
    assert [len(y) for _, y in batches] == [100, 100, 100, 100, 49]
    assert torch.equal(torch.cat([x for x, _ in batches]), dataset.images())


def test_draws_are_decided_by_the_seed_and_keep_the_order() -> None:
    numbered = Dataset("numbered", np.arange(40, dtype=np.uint8)[:, None], np.zeros(40, np.int64), 1.0, ("one",))
    first, again, other, more = (
        numbered.draw(*how).stored.ravel().tolist() for how in ((9, 1), (9, 1), (9, 2), (99, 0))
    )
    assert len(set(first)) == 9
    assert first == sorted(first) == again != other
    assert more == list(range(40))


def test_the_same_images_are_known_whatever_their_labels():
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 3, 3), np.uint8)
    one, other = (
        Dataset("x", images.copy(), labels, 1.0, ("a", "b")) for labels in (np.arange(4) % 2, np.ones(4, int))
    )
    assert one.same_images(other)
    changed = images.copy()
    changed[3, 0, 2, 2] ^= 1
    assert not one.same_images(replace(other, stored=changed))
    assert not one.same_images(other.subset(slice(3)))


def test_images_are_held_as_they_are_stored(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=np.full((5, 8, 8), 51, np.uint8), y=np.arange(5))
    found = open_dataset(f"npz:{tmp_path / 'set.npz'}")
    assert isinstance(found.stored, np.ndarray)
    assert (found.stored.dtype, found.stored.nbytes) == (np.uint8, 5 * 64)
    assert found.images(slice(2)).unique().tolist() == pytest.approx([0.2])
