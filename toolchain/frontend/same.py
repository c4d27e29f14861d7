"""Whether two networks compute the same, and the first layer that differs where they do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from spikec.errors import ConversionError
from spikec.frontend.calls import tensors_in

Outputs: TypeAlias = list[Tensor]
#: Of differences, relative to the largest output.
TOLERANCE = 1e-4


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
    images: list[Tensor],
    what: str,
    watched: tuple[nn.Module, nn.Module],
    wanted: list[Outputs | None] | None = None,
) -> None:
    """Raise :class:`ConversionError` that names the first layer where ``found`` differs from ``expected`` on ``images``
    (see :func:`draws`). ``what``: what ``found`` is. ``watched``: the networks whose layers run in the one and in the
    other. ``wanted``: what ``expected`` gives, where that is known (:func:`outputs`)."""
    problem = difference(outputs(expected, images) if wanted is None else wanted, found, images)
    if problem is None:
        return
    for each in images:
        ours, theirs = (_of_layers(run, network, each) for run, network in zip((expected, found), watched, strict=True))
        for (_, a), (name, b) in zip(ours, theirs, strict=False):
            error = _gap(a, b)
            if error is None or error > TOLERANCE:
                raise ConversionError(
                    f"{what} computes something else than the network from layer {name} on ({problem})"
                )
    raise ConversionError(f"{what} computes something else than the network behind its last layer ({problem})")


def outputs(network: Callable[..., Any], images: list[Tensor]) -> list[Outputs | None]:
    """The tensors that a network gives; None for images behind the first whose values its code refuses."""
    found: list[Outputs | None] = [_run(network, images[0])]
    for each in images[1:]:
        try:
            found.append(_run(network, each))
        except Exception:  # the user's code may raise anything
            found.append(None)
    return found


def difference(wanted: list[Outputs | None], found: Callable[..., Any], images: list[Tensor]) -> str | None:
    """What is the matter where ``found`` gives something else than ``wanted`` on ``images``; None where it does not.
    Random numbers are the same as for ``wanted``."""
    for number, (each, expected) in enumerate(zip(images, wanted, strict=True)):
        if expected is None:
            continue
        kind = "the example images" if number == 0 else "random images"
        error = _gap(expected, _run(found, each))
        if error is None:
            return f"other shapes on {kind}"
        if error > TOLERANCE:
            return f"relative error {error:.2g} on {kind}"
    return None


def _run(network: Callable[..., Any], images: Tensor) -> Outputs:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return list(tensors_in(network(images.clone())))


def _gap(wanted: Outputs, given: Outputs) -> float | None:
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


def _of_layers(run: Callable[..., Any], network: nn.Module, images: Tensor) -> list[tuple[str, Outputs]]:
    """What the layers of ``network`` give in a run, by name, in order."""
    found: list[tuple[str, Outputs]] = []

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
