"""From real images to the integers a deployment reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spikec.errors import DataError
from spikec.ir.coding import InputNode, rounded
from spikec.ir.input_statistics import CodedInput, code
from spikec.ir.types import Int64, lifted

Images = npt.ArrayLike | torch.Tensor | Iterator[npt.ArrayLike | torch.Tensor]

#: Most frames of a sequence. Files hold networks of fewer steps; how long a sequence is, its data say.
_STEPS_MAX = 2**20


def as_images(node: InputNode, images: npt.ArrayLike | torch.Tensor) -> npt.NDArray[np.floating[Any]]:
    """``images`` as a floating-point array [N, *node.shape], N >= 1, checked but not yet scaled.

    Raises ``DataError`` for another shape or number of axes, a dtype that is not floating point, or no images.
    """
    try:
        if isinstance(images, torch.Tensor):
            dtype = torch.float32 if images.dtype is torch.bfloat16 else images.dtype
            images = images.detach().to("cpu", dtype).numpy()
        array = np.asarray(images)
    except ValueError as error:
        raise DataError("images: not a rectangular array; give one float array [N, ...]") from error
    except (TypeError, RuntimeError) as error:  # sparse, quantised, nested and meta tensors
        raise DataError("images: not a dense tensor of numbers; give one float array [N, ...]") from error
    _unmasked(images)
    if node.encoding == "sequence":
        return as_sequences(node, images)[0]
    if len(node.shape) == 3 and node.shape[1] == 1 and array.shape[1:] == (node.shape[0], node.shape[2]):
        array = array[:, :, None, :]  # signals run as images of height one
    wanted = f"[N, {', '.join(map(str, node.shape))}]"
    if array.shape[1:] != node.shape or array.ndim != len(node.shape) + 1:
        hint = "; add a batch axis" if array.shape == node.shape else ""
        raise DataError(f"images have shape {list(array.shape)}, the network takes {wanted}{hint}")
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"images have dtype {array.dtype}; give them as floats in the units the network was trained with "
            "(pixels are usually divided by 255)"
        )
    if array.shape[0] == 0:
        raise DataError(f"there are no images; give at least one, {wanted}")
    return array


def batches(node: InputNode, images: Images) -> tuple[Iterator[npt.NDArray[np.floating[Any]]], int | None]:
    """Images as batches that :func:`as_images` checked, and how many there are, where that is known."""
    if isinstance(images, Iterator):
        return (as_images(node, part) for part in images), None
    array = as_images(node, images)
    return iter([array]), len(array)


def as_sequences(node: InputNode, sequences: Any) -> tuple[npt.NDArray[np.floating[Any]], Int64 | None]:
    """``sequences`` as a floating-point array [N, steps, *node.shape], and the length of each, int64 [N], where they
    differ (None where they do not). ``sequences``: one array, or a list of arrays [steps, *node.shape]; shorter ones
    are filled up with zeros.

    Numbers of any type are taken: frames often hold counts of events. Raises ``DataError`` for another shape or dtype,
    no sequences and sequences without steps.
    """
    wanted = f"[N, steps, {', '.join(map(str, node.shape))}]"
    if isinstance(sequences, Iterator):
        raise DataError(f"sequences come as one array {wanted} or as a list, not as an iterator")
    try:
        arrays = [_numbers(part) for part in sequences]
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"sequences: not arrays of numbers; give one array {wanted}, or a list of sequences") from error
    if not arrays:
        raise DataError(f"there are no sequences; give at least one, {wanted}")
    arrays = [a.reshape(len(a), *node.shape) if lifted(a.shape[1:]) == node.shape else a for a in arrays]
    for number, array in enumerate(arrays):
        if array.shape[1:] != node.shape or array.ndim != len(node.shape) + 1:
            raise DataError(f"sequence {number} has shape {list(array.shape)}, the network takes {wanted}")
        if len(array) == 0:
            raise DataError(f"sequence {number} has no steps")
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    if lengths.max() > _STEPS_MAX:
        raise DataError(f"sequence {lengths.argmax()} has {lengths.max()} steps; the most is {_STEPS_MAX}")
    whole = np.zeros((len(arrays), int(lengths.max()), *node.shape), np.result_type(*arrays, np.float32))
    for row, array in zip(whole, arrays, strict=True):
        row[: len(array)] = array
    return whole, None if (lengths == lengths[0]).all() else lengths


def _unmasked(values: Any) -> None:
    """Raises ``DataError`` for a masked array with masked values: what stands behind a mask is no value."""
    if isinstance(values, np.ma.MaskedArray) and bool(np.any(values.mask)):
        raise DataError("images: some values are masked; give them values, such as images.filled(0)")


def _numbers(values: npt.ArrayLike | torch.Tensor) -> npt.NDArray[Any]:
    """An array of numbers. Raises ``TypeError`` for anything else."""
    if isinstance(values, torch.Tensor):
        dtype = torch.float32 if values.dtype is torch.bfloat16 else values.dtype
        values = values.detach().to("cpu", dtype).numpy()
    _unmasked(values)
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError
    return array


def encode(node: InputNode, images: npt.ArrayLike | torch.Tensor, *, first: int = 0) -> Int64:
    """Integers the network reads: ``clip(round_half_even(real / scale), range of node.dtype)``.

    ``images``: float [N, *node.shape] in the units the network was trained with. Returns int64 [N, *node.shape]. The
    quotient is taken in float64. Raises ``DataError`` for a wrong shape or dtype, no images, values that are not
    finite, and sequences beyond ``node.limit``; ``first`` is the number of the first image in that message.
    """
    return encoded(node, images, first=first)[0]


def encoded(
    node: InputNode, images: npt.ArrayLike | torch.Tensor, *, first: int = 0, lengths: Int64 | None = None
) -> tuple[Int64, CodedInput]:
    """:func:`encode`, and what the coding did to the images: :func:`spikec.simulation.input_warning.told` says it.
    ``lengths`` [N]: where sequences end early."""
    array = as_images(node, images)
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        number, position = first + index[0], list(index[1:])
        raise DataError(f"image {number} holds {array[index]} at {position}; every value must be finite")
    if node.encoding == "sequence" and node.limit is not None:
        whole = rounded(node, array)
        beyond = (whole < node.low) | (whole > node.high)
        if beyond.any():
            index = tuple(int(i) for i in np.argwhere(beyond)[0])
            value, place = array[index], list(index[1:])
            known = f"values from {node.low * node.scale:g} to {node.high * node.scale:g}"
            raise DataError(
                f"sequence {first + index[0]} holds {value} at {place}; the network was made for {known}: "
                "export it with sequences that hold such ones"
            )
    return code(node, array, lengths)
