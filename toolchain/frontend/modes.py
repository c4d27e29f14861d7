"""The modes of a network for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, ``model`` is in eval mode; afterwards every module has its own former mode again."""
    modes = [(module, getattr(module, "training", None)) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            if training is None:  # frozen modules have no mode
                vars(module).pop("training", None)
            else:
                module.training = training
