"""The last check: on the example images, the canonical graph computes what the network computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx

from spikec.errors import ConversionError
from spikec.frontend.outputs import named_outputs
from spikec.frontend.tracing import is_trained_activation

#: Relative to the largest output. Folding in float32 costs some 1e-6 on common networks.
_TOLERANCE = 1e-2
_FINE = 2**20


def require_equal(traced: fx.GraphModule, graph: fx.GraphModule, example: Tensor) -> None:
    """Raise :class:`ConversionError` where ``graph`` and the network behind ``traced`` differ on ``example``.

    Both run on all images and on the first alone, since a network may compute with the batch size. Meanwhile quantised
    activations get 2**20 levels: rounding in folded weights may move a value across a step, and that is no
    difference. ``graph`` must hold the same activation modules as ``traced``, so that the change acts on both.
    """
    with torch.no_grad(), _refined(traced):
        _require_equal(traced(example.clone()), graph(example))
        try:
            alone = traced(example[:1].clone())
        except RuntimeError:
            return  # written for batches of this size; the canonical graph takes any
        _require_equal(alone, graph(example[:1]))


def _require_equal(expected: Any, found: Any) -> None:
    named = named_outputs(expected)
    if named is not None:
        for name, values in named.items():
            _require_equal(values, found[name])
        return
    if not bool(torch.isfinite(expected).all()):
        raise ConversionError("the network returns values that are not finite on the example images")
    error = float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
    if error > _TOLERANCE:
        raise ConversionError(
            f"the traced network differs from the network on the example images (relative error {error:.2g}): "
            "something acts on it that tracing cannot see, such as a forward hook or the size of the batch; remove it"
        )


@contextmanager
def _refined(traced: fx.GraphModule) -> Iterator[None]:
    trained = [module for module in traced.modules() if is_trained_activation(module)]
    staircases = [(module.__dict__, module.levels) for module in trained if module.levels is not None]
    try:
        for attributes, _ in staircases:
            attributes["levels"] = _FINE
        yield
    finally:
        for attributes, levels in staircases:
            attributes["levels"] = levels
