"""The modes of a network for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, ``model`` is in eval mode; afterwards every module has its own former mode again."""
    modes = [(module, module.training) for module in model.modules() if hasattr(module, "training")]  # frozen: none
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
