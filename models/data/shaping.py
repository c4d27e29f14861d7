"""How pictures of any size become images of one size: resize, crop and normalise, as torchvision's transforms do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.models.zoo.normalization import IMAGENET_MEAN, IMAGENET_STD
from spikec.words import did_you_mean

if TYPE_CHECKING:
    from PIL.Image import Image

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
_OPTIONS = "resize=N, resize=HxW, crop=N, crop=HxW, interpolation=bilinear, channels=1, channels=3, mean=M/M/M, "
_OPTIONS += "std=S/S/S, normalise=imagenet"
_NAMES = ("resize", "crop", "interpolation", "channels", "mean", "std", "normalise")
#: The longest side of an image that a network takes, and digits of an option that are surely a mistake beyond this.
_SIDE_MOST, _DIGITS = 2**13, 9


@dataclass(frozen=True)
class Normalising:
    """``(pixel / 255 - mean) / std`` in float32, channel by channel, as torchvision's ``Normalize``."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """``images`` [N, C, H, W] in [0, 1]; one number serves every channel."""
        mean, std = (np.asarray(values, np.float32).reshape(-1, 1, 1) for values in (self.mean, self.std))
        normalised: npt.NDArray[np.float32] = (images - mean) / std
        return normalised


@dataclass(frozen=True)
class Shaping:
    """From a picture to uint8 [C, H, W].

    ``resize``: one number, to which the shorter side is brought while the sides keep their ratio, or (height, width);
    with ``interpolation``, of all pixels under a filter that grows as the picture shrinks. ``crop``: (height, width) of
    the middle, in which what lies outside of the picture is an error. ``channels``: 1 or 3; by default 1 where every
    picture is grey. Sizes are rounded as torchvision's ``Resize`` and ``CenterCrop`` round them.
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    interpolation: Interpolation = "bilinear"
    channels: int | None = None
    normalising: Normalising | None = None

    @classmethod
    def parse(cls, text: str) -> Shaping:
        """From ``resize=256,crop=224,normalise=imagenet``. Raises :class:`DataError`."""
        given: dict[str, Any] = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name in given:
                raise DataError(f"pictures: {name} is given twice; leave one of them out")
            given[name] = _read(part, name, value)
        if "normalise" in given and ("mean" in given or "std" in given):
            raise DataError("pictures: normalise=imagenet gives mean and std; leave these out")
        if ("mean" in given) != ("std" in given):
            raise DataError("pictures: normalising needs both, mean=M/M/M and std=S/S/S")
        normalising = given.pop("normalise", None)
        if "mean" in given:
            normalising = Normalising(given.pop("mean"), given.pop("std"))
        return cls(**given, normalising=normalising)

    @property
    def fixed(self) -> tuple[int, int] | None:
        """(height, width) of every image, where that does not depend on the picture."""
        return self.crop or (self.resize if isinstance(self.resize, tuple) else None)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size of a picture after ``resize``."""
        if not isinstance(self.resize, int):
            return self.resize or (height, width)
        short, long = sorted((height, width))
        other = int(self.resize * long / short)
        return (self.resize, other) if height <= width else (other, self.resize)

    def size(self, name: str, height: int, width: int) -> tuple[int, int]:
        """The size of the image that a picture of ``height`` and ``width``, called ``name``, becomes. Raises
        :class:`DataError` where the crop is larger, or the image is larger than any network takes."""
        resized = self.resized(height, width)
        if max(resized) > _SIDE_MOST and (self.resize is not None or self.crop is None):
            raise DataError(f"{name} becomes {_by(resized)}, and sides have at most {_SIDE_MOST}: resize it to less")
        if self.crop is None:
            return resized
        if self.crop[0] > resized[0] or self.crop[1] > resized[1]:
            raise DataError(
                f"{name} is {_by(resized)}, less than crop={_by(self.crop)}: give resize={min(self.crop)} or more, "
                "or a smaller crop"
            )
        return self.crop

    def pixels(self, name: str, image: Image, channels: int) -> npt.NDArray[np.uint8]:
        """uint8 [C, H, W]. Raises :class:`DataError` as :meth:`size` does."""
        from PIL import Image as Pillow

        height, width = self.size(name, image.height, image.width)
        converted = image.convert("L" if channels == 1 else "RGB")
        resized = self.resized(converted.height, converted.width)
        if resized != (converted.height, converted.width):
            how = Pillow.Resampling[self.interpolation.upper()]
            converted = converted.resize((resized[1], resized[0]), how)
        top, left = round((resized[0] - height) / 2), round((resized[1] - width) / 2)
        converted = converted.crop((left, top, left + width, top + height))
        found = np.asarray(converted, np.uint8).reshape(height, width, channels)
        return np.ascontiguousarray(found.transpose(2, 0, 1))


def _read(part: str, name: str, value: str) -> Any:
    if name == "resize":
        return _size(part, value) if "x" in value else _whole(part, value)
    if name == "crop":
        return _size(part, value) if "x" in value else (_whole(part, value),) * 2
    if name == "interpolation" and value in _INTERPOLATIONS:
        return value
    if name == "channels" and value in ("1", "3"):
        return int(value)
    if name in ("mean", "std"):
        return _numbers(part, name, value)
    if name == "normalise" and value == "imagenet":
        return Normalising(tuple(IMAGENET_MEAN), tuple(IMAGENET_STD))
    hint = "" if name in _NAMES else f"{did_you_mean(name, _NAMES, '{}')}; "
    raise DataError(f"pictures: {part!r} is not known; {hint}known, with commas between: {_OPTIONS}")


def _size(part: str, value: str) -> tuple[int, int]:
    height, _, width = value.partition("x")
    return _whole(part, height), _whole(part, width)


def _whole(part: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()) or len(value) > _DIGITS or not 1 <= int(value) <= _SIDE_MOST:
        raise DataError(f"pictures: {part!r} needs a whole number from 1 to {_SIDE_MOST}")
    return int(value)


def _numbers(part: str, name: str, value: str) -> tuple[float, ...]:
    try:
        found = tuple(float(each) for each in value.split("/"))
    except ValueError:
        found = ()
    if len(found) not in (1, 3) or not np.isfinite(np.asarray(found, np.float32)).all():
        raise DataError(f"pictures: {part!r} needs one number, or three with / between, in units of pixel / 255")
    if name == "std" and min(found) < np.finfo(np.float32).tiny:
        raise DataError(f"pictures: {part!r} is divided by: give numbers above 0")
    return found


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
