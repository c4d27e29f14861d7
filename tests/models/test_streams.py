"""Data sets that are read as they are needed: what torchvision and tarfile make of the same files is the oracle."""

import io
import tarfile

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spikec.errors import DataError
from spikec.guarded import tars
from spikec.models.data import load, open_dataset
from spikec.models.data.shaping import Shaping
from spikec.models.data.streams import Pictures

RNG = np.random.default_rng(7)


def picture(height, width, mode="RGB"):
    shape = (height, width) if mode == "L" else (height, width, 3)
    return Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8), mode)


@pytest.fixture
def folder(tmp_path):
    """train and val of two classes, pictures of five sizes, one of them grey and one in a folder below its class."""
    for split in ("train", "val"):
        for label, name in enumerate(("ant", "bee")):
            place = tmp_path / split / name
            (place / "more").mkdir(parents=True)
            for i, size in enumerate(((40, 60), (61, 33), (50, 50))):
                picture(*size).save(place / f"{i}.jpg")
            picture(35 + label, 90, "L").save(place / "more" / "3.png")
    return tmp_path


def transformed(path, *, resize, crop, normalise=True):
    transforms = pytest.importorskip("torchvision.transforms")
    steps = [transforms.Resize(resize), transforms.CenterCrop(crop), transforms.ToTensor()]
    if normalise:
        steps.append(transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return transforms.Compose(steps)(Image.open(path).convert("RGB"))


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ("resize=32,crop=28,normalise=imagenet", {"resize": 32, "crop": 28}),
        ("resize=33,crop=27x30", {"resize": 33, "crop": (27, 30), "normalise": False}),
        ("resize=20x31,crop=20x31", {"resize": (20, 31), "crop": (20, 31), "normalise": False}),
    ],
)
def test_pictures_become_what_torchvision_makes_of_them(folder, options, how):
    dataset = open_dataset(f"folder:{folder},{options}", split="test")
    paths = [
        folder / "val" / name / each for each in ("0.jpg", "1.jpg", "2.jpg", "more/3.png") for name in dataset.classes
    ]
    assert dataset.classes == ("ant", "bee")
    assert dataset.labels.tolist() == [0, 1] * 4
    assert torch.equal(dataset.images(), torch.stack([transformed(path, **how) for path in paths]))
    some = dataset.subset(slice(2, 7)).subset(np.array([4, 0]))
    assert torch.equal(some.images(), torch.stack([transformed(paths[i], **how) for i in (6, 2)]))
    assert torch.equal(dataset.images(np.array([5])), transformed(paths[5], **how)[None])


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=drawn(60), deadline=None)
def test_sizes_are_those_of_torchvision(height, width, resize, high, wide):
    transforms = pytest.importorskip("torchvision.transforms")
    image = Image.fromarray(np.arange(height * width, dtype=np.uint32).astype(np.uint8).reshape(height, width), "L")
    shaping = Shaping(resize=resize, crop=(high, wide))
    resized = transforms.Resize(resize)(image)
    assert shaping.resized(height, width) == (resized.height, resized.width)
    if high <= resized.height and wide <= resized.width:
        expected = np.asarray(transforms.CenterCrop((high, wide))(resized))
        assert np.array_equal(shaping.pixels("it", image, 1)[0], expected)
    else:
        with pytest.raises(DataError, match="less than crop"):
            shaping.pixels("it", image, 1)


def test_nothing_is_read_before_it_is_asked_for(folder, monkeypatch):
    (folder / "val/bee/2.jpg").write_bytes((folder / "val/bee/2.jpg").read_bytes()[:300])
    dataset = open_dataset(f"folder:{folder},resize=32,crop=28", split="test")
    assert isinstance(dataset.stored, Pictures)
    assert dataset.images(slice(0, 4)).shape == (4, 3, 28, 28)
    with pytest.raises(DataError, match=r"2\.jpg as a picture"):
        dataset.images(slice(4, 6))


def test_class_folders_alone_serve_both_splits(folder):
    found = [open_dataset(f"folder:{folder / 'val'},resize=30,crop=30", split=split) for split in ("train", "test")]
    assert found[0].fingerprint() == found[1].fingerprint()
    assert found[0].classes == ("ant", "bee")
    other = open_dataset(f"folder:{folder / 'val'},resize=30,crop=29")
    assert other.fingerprint() != found[0].fingerprint()
    before = other.subset(slice(0, 1)).fingerprint()
    picture(40, 60).save(folder / "val/ant/0.jpg")
    assert open_dataset(f"folder:{folder / 'val'},resize=30,crop=29").subset(slice(0, 1)).fingerprint() != before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("resize=32", "resize all images to one size"),
        ("resize=20,crop=30", "less than crop=30x30"),
        ("resize=0", "a whole number from 1"),
        ("crop=99999", "a whole number from 1"),
        ("resise=3", "did you mean 'resize'"),
        ("resize=3,resize=4", "given twice"),
        ("mean=0.5", "needs both"),
        ("mean=0.5,std=0", "above 0"),
        ("mean=a,std=1", "one number, or three"),
        ("normalise=imagenet,mean=0.5,std=0.5", "leave these out"),
        ("channels=1,crop=9,mean=1/2/3,std=1/2/3", "give one, or channels=3"),
        ("interpolation=cubic", "known, with commas"),
    ],
)
def test_wrong_options_are_refused(folder, options, said):
    with pytest.raises(DataError, match=said):
        load(f"folder:{folder},{options}", split="test")


def write_tar(path, samples, *, end=True):
    """``samples``: (name, bytes) in order."""
    with tarfile.open(path, "w") as archive:
        for name, content in samples:
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    if not end:
        path.write_bytes(path.read_bytes().rstrip(b"\0") + b"\0")


def packed(image, form="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def test_webdataset_archives_in_order(tmp_path):
    pictures = [picture(20 + i, 30) for i in range(7)]
    for shard, members in enumerate((range(4), range(4, 7))):
        samples = [("./notes.txt", b"hello")]
        for i in members:
            samples += [
                (f"./{i:04}.json", b"{}"),
                (f"./{i:04}.png", packed(pictures[i])),
                (f"./{i:04}.cls", b"%d\n" % (i % 3)),
            ]
        write_tar(tmp_path / f"val-{shard:02}.tar", samples)
    expected = torch.stack([torch.from_numpy(np.asarray(p)[:20, :30].copy()) for p in pictures])
    for name in ("val-{00..01}.tar", ""):
        dataset = open_dataset(f"webdataset:{tmp_path / name},crop=20x30", split="test")
        assert dataset.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
        found = (dataset.images() * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        offset = [round((p.height - 20) / 2) for p in pictures]
        crops = [torch.from_numpy(np.asarray(p)[o : o + 20].copy()) for p, o in zip(pictures, offset, strict=True)]
        assert torch.equal(found, torch.stack(crops))
    assert expected.shape == found.shape
    with pytest.raises(DataError, match="begins with train"):
        open_dataset(f"webdataset:{tmp_path},crop=20", split="train")
    alone = open_dataset(f"webdataset:{tmp_path / 'val-01.tar'},crop=9").subset(np.array([2, 0]))
    assert alone.labels.tolist() == [0, 1]
    assert alone.images().shape == (2, 3, 9, 9)


ONE = packed(Image.new("RGB", (4, 4)))


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([("a.png", ONE)], "has no .cls with its class"),
        ([("a.cls", b"1")], "has no picture"),
        ([("a.png", ONE), ("a.cls", b"one")], "number of a class"),
        ([("a.png", ONE), ("a.cls", b"1" * 40)], "number of a class"),
        ([("a.png", ONE), ("a.jpg", ONE), ("a.cls", b"1")], "two pictures"),
        ([("a.png", b"no picture"), ("a.cls", b"1")], "picture at byte 512, as a picture"),
        ([("a.png", ONE), ("a.cls", b"99999999")], "at most"),
        ([("a.txt", b"")], "no pictures in"),
    ],
)
def test_wrong_samples_are_refused(tmp_path, samples, said):
    write_tar(tmp_path / "a.tar", samples)
    with pytest.raises(DataError, match=said):
        load(f"webdataset:{tmp_path / 'a.tar'}", split="test")


def test_damaged_archives_are_refused(tmp_path):
    path, samples = (
        tmp_path / "a.tar",
        [(f"{i}.{kind}", text) for i in range(3) for kind, text in (("png", ONE), ("cls", b"1"))],
    )
    write_tar(path, samples)
    whole = path.read_bytes()
    for content in (whole[:700], whole[:1024], whole[: 3 * 1024], whole[:1024] + b"x" * 512 + whole[1536:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.tar"):
            load(f"webdataset:{path}", split="test")
    path.write_bytes(b"\x1f\x8b" + whole)
    with pytest.raises(DataError, match="gunzip"):
        load(f"webdataset:{path}", split="test")
    # An extended header that says it is as large as the memory, and one of -1024 bytes.
    for size in (b"77777777777\0", b"\xff" * 10 + b"\xfc\0"):
        head = bytearray(whole[:512])
        head[124:136], head[156:157] = size, b"x"
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
        path.write_bytes(bytes(head) + whole)
        with pytest.raises(DataError, match=r"a\.tar"):
            load(f"webdataset:{path}", split="test")


OWN = """
import torch

class Set:
    classes = ["no", "yes", "maybe"]
    def __init__(self, number): self.number, self.read = number, 0
    def __len__(self): return self.number
    def __getitem__(self, i):
        self.read += 1
        if i >= self.number: raise IndexError(i)
        return torch.full((1, 4, 5), i / 10), i % 3

class Known(Set):
    def __init__(self, number, wrong=None):
        super().__init__(number)
        self.targets = [i % 3 if i != wrong else 2 for i in range(number)]

def dataset(split): return Known(6 if split == "test" else 9)
def plain(): return Set(6)
def broken(): return Known(6, wrong=3)
def stream(): return iter([])
def raising(): raise RuntimeError("told to")
instance = Known(4)

class Odd(Known):
    def __getitem__(self, i): return torch.zeros(1, 4, 5 + (i == 2)), i % 3
odd = Odd(4)
"""


def test_a_data_set_of_own_code(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    expected = torch.stack([torch.full((1, 4, 5), i / 10) for i in range(6)])
    for name in ("dataset", "plain"):
        dataset = open_dataset("mine.py:" + name, tmp_path, "test")
        assert dataset.labels.tolist() == [0, 1, 2] * 2
        assert dataset.classes == ("no", "yes", "maybe")
        assert torch.equal(dataset.images(), expected)
        assert torch.equal(dataset.subset(slice(1, 5)).subset(slice(2)).images(), expected[1:3])
    assert len(open_dataset(f"{tmp_path}/mine.py:dataset", None, "train")) == 9
    assert len(open_dataset(f"{tmp_path}/mine.py:instance")) == 4
    known = open_dataset("mine.py:dataset", tmp_path)
    assert known.stored._data.read == 1  # the first image says the shape; labels come from .targets


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "image 3 comes with the label 0"),
        ("stream", "no __len__ and __getitem__"),
        ("raising", "told to"),
        ("odd", "image 2 is float32"),
        ("datset", "did you mean"),
    ],
)
def test_own_code_that_does_not_fit(tmp_path, name, said):
    (tmp_path / "mine.py").write_text(OWN)
    with pytest.raises(DataError, match=said):
        load(f"{tmp_path}/mine.py:{name}", split="test")


def test_the_contents_of_an_archive_are_not_read_to_list_it(tmp_path, monkeypatch):
    samples = [(f"{i}.png", bytes(10**6)) for i in range(3)]
    write_tar(tmp_path / "a.tar", samples)
    own, sizes = tars._Headers.read, []
    monkeypatch.setattr(tars._Headers, "read", lambda self, size=-1: sizes.append(size) or own(self, size))
    found = list(tars.members(tmp_path / "a.tar"))
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert [tuple(each) for each in found] == [(m.name, m.offset_data, m.size) for m in archive]
    assert min(sizes) >= 0
    assert sum(sizes) <= 512 * 5
