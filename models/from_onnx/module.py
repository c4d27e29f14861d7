"""The network of an ONNX file as a PyTorch module, and the parts of it that PyTorch has no module for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Step:
    """``path`` of the module that runs; names of the values it takes and gives, and of those not needed after it."""

    path: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    spent: tuple[str, ...] = ()


class OnnxNetwork(nn.Module):
    """Runs its modules in the order of the file's nodes. One output is a tensor, several are a dictionary by name."""

    def __init__(self, source: str, steps: Sequence[Step], source_of: dict[str, nn.Module], outputs: Sequence[str]):
        super().__init__()
        self.source, self.steps, self.outputs = source, tuple(steps), tuple(outputs)
        for path, module in source_of.items():
            place: nn.Module = self
            *folders, last = path.split(".")
            for folder in folders:
                if not hasattr(place, folder):
                    place.add_module(folder, nn.Module())
                place = getattr(place, folder)
            place.add_module(last, module)

    def forward(self, x: Tensor) -> Any:
        values: dict[str, Any] = {self.source: x}
        for step, results in self.run(values):
            values.update(zip(step.outputs, results, strict=False))
            for name in step.spent:
                del values[name]
        if len(self.outputs) == 1:
            return values[self.outputs[0]]
        return {name: values[name] for name in self.outputs}

    def run(self, values: dict[str, Any]) -> Iterator[tuple[Step, tuple[Any, ...]]]:
        """Each step with its results; the caller puts them into ``values``."""
        for step in self.steps:
            # By its path: training puts other activations and pools in place of modules.
            found = self.get_submodule(step.path)(*[values[name] for name in step.inputs])
            yield step, found if isinstance(found, tuple) else (found,)


class Fixed(nn.Module):
    """A function of tensors with fixed settings."""

    def __init__(self, function: Callable[..., Any], **settings: Any) -> None:
        super().__init__()
        self.function, self.settings = function, settings

    def forward(self, *tensors: Tensor) -> Any:
        return self.function(*tensors, **self.settings)

    def extra_repr(self) -> str:
        return ", ".join([self.function.__name__, *(f"{name}={value}" for name, value in self.settings.items())])


class WithConstant(nn.Module):
    """A function of two tensors, one of which stands in the file. ``left``: the constant comes first."""

    def __init__(self, function: Callable[[Any, Any], Tensor], constant: Tensor, left: bool) -> None:
        super().__init__()
        self.function, self.left = function, left
        self.register_buffer("constant", constant)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.constant, x) if self.left else self.function(x, self.constant)


class Reshape(nn.Module):
    """``shape``: -1 for the number of images."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(self.shape)


class Joined(nn.Module):
    """``torch.cat`` of tensors and of constants, in the places that ``constants`` says; these hold for every image."""

    def __init__(self, axis: int, count: int, constants: dict[int, Tensor]) -> None:
        super().__init__()
        self.axis, self.count, self.places = axis, count, tuple(constants)
        for place, value in constants.items():
            self.register_buffer(f"constant_{place}", value)

    def forward(self, *tensors: Tensor) -> Tensor:
        given = iter(tensors)
        images = tensors[0].shape[0]
        return torch.cat(
            [self._constant(i, images) if i in self.places else next(given) for i in range(self.count)], dim=self.axis
        )

    def _constant(self, place: int, images: int) -> Tensor:
        value: Tensor = getattr(self, f"constant_{place}")
        return value.expand(images, *value.shape[1:])


def plus_all(*tensors: Tensor) -> Tensor:
    total = tensors[0]
    for each in tensors[1:]:
        total = total + each
    return total


def mean_of(*tensors: Tensor) -> Tensor:
    return plus_all(*tensors) / len(tensors)


def pieces(x: Tensor, sizes: Sequence[int], axis: int) -> tuple[Tensor, ...]:
    return tuple(torch.split(x, list(sizes), dim=axis))


def cut(x: Tensor, slices: Sequence[tuple[int, int | None, int | None, int]]) -> Tensor:
    """Slices by axis with positive steps."""
    where: list[Any] = [slice(None)] * x.ndim
    for axis, start, stop, step in slices:
        where[axis] = slice(start, stop, step)
    return x[tuple(where)]


def picked(x: Tensor, index: int, axis: int) -> Tensor:
    return x.select(axis, index)


def picked_all(x: Tensor, indices: Sequence[int], axis: int) -> Tensor:
    return torch.cat([x.narrow(axis, index, 1) for index in indices], dim=axis)


def space_to_depth(x: Tensor, size: int) -> Tensor:
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // size, size, w // size, size)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(n, c * size * size, h // size, w // size)


def depth_to_space_dcr(x: Tensor, size: int) -> Tensor:
    n, c, h, w = x.shape
    x = x.reshape(n, size, size, c // (size * size), h, w)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(n, c // (size * size), h * size, w * size)
