"""Whether two networks compute the same, and the first layer that differs where they do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikec.errors import ConversionError
from spikec.frontend.calls import tensors_in

#: Of differences, relative to the largest output.
_TOLERANCE = 1e-4


def draws(example: Tensor) -> list[Tensor]:
    """``example`` and two random draws of other values of its shape, within its range."""
    generator = torch.Generator().manual_seed(0)
    low, high = float(example.min()), float(example.max())
    uniform = torch.rand(example.shape, generator=generator) * ((high - low) or 1.0) + low
    normal = torch.randn(example.shape, generator=generator) * float(example.std(correction=0)) + float(example.mean())
    return [example, *(each.to(example) for each in (uniform, normal.clamp(low, high)))]


def require_same(
    expected: Callable[..., Any],
    found: Callable[..., Any],
    example: Tensor,
    what: str,
    watched: tuple[nn.Module, nn.Module],
) -> None:
    """Raise :class:`ConversionError` that names the first layer where ``found`` differs from ``expected``, on the
    example images or on two draws of other values. ``what``: what ``found`` is. ``watched``: the networks whose layers
    run in the one and in the other."""
    images = draws(example)
    problem = difference(expected, found, images)
    if problem is None:
        return
    for each in images:
        ours, theirs = (_outputs(run, network, each) for run, network in zip((expected, found), watched, strict=True))
        for (_, a), (name, b) in zip(ours, theirs, strict=False):
            error = _gap(a, b)
            if error is None or error > _TOLERANCE:
                raise ConversionError(
                    f"{what} computes something else than the network from layer {name} on ({problem})"
                )
    raise ConversionError(f"{what} computes something else than the network behind its last layer ({problem})")


def difference(expected: Callable[..., Any], found: Callable[..., Any], images: list[Tensor]) -> str | None:
    """What is the matter with ``found`` where it differs from ``expected`` on ``images``, the example images and draws
    of others; None where they are the same. Random numbers are the same for both."""
    for number, each in enumerate(images):
        try:
            wanted = _run(expected, each)
        except Exception:  # the user's code refuses these values
            if number == 0:
                raise
            continue
        kind = "the example images" if number == 0 else "random images"
        error = _gap(wanted, _run(found, each))
        if error is None:
            return f"other shapes on {kind}"
        if error > _TOLERANCE:
            return f"relative error {error:.2g} on {kind}"
    return None


def _run(network: Callable[..., Any], images: Tensor) -> list[Tensor]:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return list(tensors_in(network(images.clone())))


def _gap(wanted: list[Tensor], given: list[Tensor]) -> float | None:
    """The largest difference, relative to the largest of the values wanted; infinite where only one is a number; None
    for other shapes."""
    if [t.shape for t in wanted] != [t.shape for t in given]:
        return None
    largest = 0.0
    for a, b in zip(wanted, given, strict=True):
        a, b = a.double(), b.double()
        gap = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs()).nan_to_num(math.inf, math.inf)
        scale = a.abs().nan_to_num(0.0, 0.0, 0.0).max() if a.numel() else a.new_zeros(())
        largest = max(largest, float((gap / scale.clamp(min=1e-30)).max()) if a.numel() else 0.0)
    return largest


def _outputs(run: Callable[..., Any], network: nn.Module, images: Tensor) -> list[tuple[str, list[Tensor]]]:
    """What the layers of ``network`` give in a run, by name, in order."""
    found: list[tuple[str, list[Tensor]]] = []

    def keep(name: str, result: Any) -> None:
        found.append((name, [tensor.clone() for tensor in tensors_in(result)]))

    handles = [
        module.register_forward_hook(lambda _module, _inputs, result, name=name: keep(name, result))
        for name, module in network.named_modules()
        if not module._modules
    ]
    try:
        _run(run, images)
    finally:
        for handle in handles:
            handle.remove()
    return found
