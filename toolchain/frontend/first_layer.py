"""What images a network takes, as far as its first layer says so."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikec.errors import ToolchainError
from spikec.frontend.calls import name_of
from spikec.frontend.copying import require_network
from spikec.frontend.modes import evaluating
from spikec.frontend.sites import run, site, users_line

#: Heights and widths that are tried, the usual ones first.
_SIZES = (32, 28, 224, 64, 96, 128, 16, 8, 48, 112, 256, 299)
#: Channels that are tried where nothing says how many there are.
_CHANNELS = (3, 1)
#: Lengths of vectors that are tried first; the network itself says then what it wants.
_NUMBERS = 16


@dataclass(frozen=True)
class FirstLayer:
    """``numbers``: the channels that a convolution reads, or the numbers that a linear layer reads of each image.
    ``reshaped``: something brings the image into another shape before it."""

    name: str
    image: bool
    numbers: int
    reshaped: bool

    @property
    def wanted(self) -> str:
        if self.image:
            return f"images of {self.numbers} channel{'s' if self.numbers > 1 else ''}"
        return f"{'images' if self.reshaped else 'vectors'} of {self.numbers} numbers"

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether images of ``shape``, (C, H, W) or (F,), may be meant for it; their height and width are not known."""
        if self.image:
            return self.reshaped or (len(shape) == 3 and shape[0] == self.numbers)
        return math.prod(shape) == self.numbers if self.reshaped else shape[-1] == self.numbers


def first_layer(model: nn.Module) -> FirstLayer | None:
    """The first layer with weights that reads the image, whatever it says to images of the wrong shape; None where the
    network gets to none on images of usual sizes, or starts with a convolution of signals."""
    try:
        require_network(model)
    except ToolchainError:
        return None
    with evaluating(model):
        for shape in _shapes():
            found = _first(model, shape)
            if found.stopped:
                return None
            for number in found.hints:  # a normalisation came first and wants other channels
                again = found if found.layer else _first(model, (number, *shape[1:]))
                found = again if again.layer else found
            if found.layer is not None:
                return _told(model, found.layer, shape)
    return None


def image_shape(model: nn.Module) -> tuple[int, ...] | None:
    """(C, H, W) of images that the network runs on: channels of its first layer, and the first usual size that works;
    None where that layer is no convolution of the image or no size works."""
    found = first_layer(model)
    if found is None or not found.image or found.reshaped:
        return None
    images = _running(model, [(found.numbers, size, size) for size in _SIZES])
    return None if images is None else tuple(images.shape[1:])


def runnable_images(model: nn.Module, example: Tensor | None = None) -> Tensor | None:
    """Images that the network runs on: ``example``, or two random ones, float [2, C, H, W] or [2, F]; None where no
    usual size works."""
    if example is not None and _runs(model, example):
        return example
    found = first_layer(model)
    if found is None or found.reshaped:
        shapes: list[tuple[int, ...]] = [(channels, size, size) for channels in _CHANNELS for size in _SIZES]
    elif found.image:
        shapes = [(found.numbers, size, size) for size in _SIZES]
    else:
        shapes = [(found.numbers,)]
    return _running(model, shapes)


def _running(model: nn.Module, shapes: list[tuple[int, ...]]) -> Tensor | None:
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    for shape in shapes:
        images = torch.rand((2, *shape), generator=torch.Generator().manual_seed(0)).to(weight)
        if _runs(model, images):
            return images
    return None


def _runs(model: nn.Module, images: Tensor) -> bool:
    try:
        with torch.no_grad(), evaluating(model), torch.random.fork_rng(devices=[]):
            model(images.clone())
    except Exception:  # the user's code may raise anything
        return False
    return True


def _shapes() -> Iterator[tuple[int, ...]]:
    yield from ((channels, _SIZES[0], _SIZES[0]) for channels in _CHANNELS)
    yield (_NUMBERS,)
    yield from ((channels, size, size) for channels in _CHANNELS for size in _SIZES[1:])


def _told(model: nn.Module, layer: FirstLayer, shape: tuple[int, ...]) -> FirstLayer:
    """``layer``, and for a convolution whether what it reads has the channels of the image, however many these are."""
    if not layer.image:
        return layer
    right, more = (_first(model, (number, *shape[1:])).layer for number in (layer.numbers, layer.numbers + 1))
    given = right is not None and right.image and not right.reshaped
    return replace(layer, reshaped=not given or (more is not None and more.reshaped))


class _StopError(BaseException):
    """The first layer is found. No ``Exception``, so that the network does not catch it."""


class _First(TorchFunctionMode):
    """Stops at the first convolution or linear function with weights."""

    def __init__(self, model: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layer: FirstLayer | None = None
        self.stopped = False
        self.hints: list[int] = []
        self._names = {module: name for name, module in model.named_modules()}
        self._shape = shape

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        if name == "batch_norm":
            given = dict(zip(("input", "running_mean"), args, strict=False)) | kwargs
            self.hints += [len(given["running_mean"])] if isinstance(given.get("running_mean"), Tensor) else []
        if name in ("conv1d", "conv2d", "linear") and not self.stopped and self.layer is None:
            self._found(name, dict(zip(("input", "weight"), args, strict=False)) | kwargs, args, kwargs)
        return func(*args, **kwargs)

    def _found(self, name: str, given: dict[str, Any], args: Any, kwargs: Any) -> None:
        x, weight = given["input"], given["weight"]
        _, modules, _ = site(self._names)
        inner = next((self._names[module] for module in modules if module in self._names), "")
        if name == "conv1d":
            self.stopped = True
        elif name == "conv2d":
            groups = kwargs.get("groups", args[6] if len(args) > 6 else 1)
            channels = x.shape[-3] if x.ndim > 2 else 0
            reshaped = len(self._shape) != 3 or x.ndim != 4 or channels != self._shape[0]
            self.layer = FirstLayer(inner or users_line(), True, weight.shape[1] * groups, reshaped)
        else:
            reshaped = tuple(x.shape[1:]) != self._shape
            self.layer = FirstLayer(inner or users_line(), False, weight.shape[1], reshaped)
        raise _StopError


def _first(model: nn.Module, shape: tuple[int, ...]) -> _First:
    mode = _First(model, shape)
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    images = torch.rand((1, *shape), generator=torch.Generator().manual_seed(0)).to(weight)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), mode:
            run(model, (images,), {})
    except (_StopError, Exception):  # the user's code may raise anything
        pass
    return mode
