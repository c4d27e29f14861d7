"""Augmentation: what moves, what stays, and that every draw comes from the generator."""

from __future__ import annotations

import pytest
import torch

from spikec.errors import DataError
from spikec.training.augment import augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.arange(1, 1 + 200 * 2 * 5 * 6, dtype=torch.float32).reshape(200, 2, 5, 6)


def test_nothing_asked_nothing_done(images: torch.Tensor) -> None:
    assert torch.equal(augment(images, generator(), flip=False, shift=0, cutout=0), images)
    vectors = images.flatten(1)
    assert torch.equal(augment(vectors, generator(), flip=False, shift=0, cutout=0), vectors)
    with pytest.raises(DataError, match="leave them out for vectors"):
        augment(vectors, generator(), flip=False, shift=1, cutout=0)


def test_flip_mirrors_whole_images_about_half_of_the_time(images: torch.Tensor) -> None:
    result = augment(images, generator(), flip=True, shift=0, cutout=0)
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(result, images, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(result, images, strict=True)]
    assert all(m != s for m, s in zip(mirrored, same, strict=True))
    assert 60 < sum(mirrored) < 140


def test_shift_translates_and_fills_with_zero(images: torch.Tensor) -> None:
    result = augment(images, generator(), flip=False, shift=2, cutout=0)
    offsets = set()
    for moved, image in zip(result, images, strict=True):
        padded = torch.zeros(2, 9, 10)
        padded[:, 2:7, 2:8] = image
        found = [(y, x) for y in range(5) for x in range(5) if torch.equal(padded[:, y : y + 5, x : x + 6], moved)]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) == 25


def test_cutout_zeroes_one_square_cut_off_at_the_border(images: torch.Tensor) -> None:
    result = augment(images, generator(), flip=False, shift=0, cutout=3)
    for cut, image in zip(result, images, strict=True):
        hole = (cut != image).any(0)
        assert torch.equal(cut, image.masked_fill(hole, 0))
        rows, columns = hole.any(1).sum(), hole.any(0).sum()
        assert hole.sum() == rows * columns
        assert 1 <= rows <= 3
        assert 1 <= columns <= 3


def test_same_generator_state_same_result(images: torch.Tensor) -> None:
    options = {"flip": True, "shift": 1, "cutout": 2}
    torch.manual_seed(1)
    first = augment(images, generator(4), **options)
    torch.manual_seed(2)
    assert torch.equal(first, augment(images, generator(4), **options))
    assert not torch.equal(first, augment(images, generator(5), **options))
