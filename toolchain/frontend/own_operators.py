"""Functions of ours that a recording holds as one operator."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

_F = TypeVar("_F", bound=Callable[..., Any])
#: Names of our own operators.
OWN: dict[Any, str] = {}


def one_operator(function: _F) -> _F:
    """A function of tensors that a recording holds as one operator, under the function's name."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not torch.compiler.is_compiling():
            tensors = tuple(each for each in (*args, *kwargs.values()) if isinstance(each, Tensor))
            if has_torch_function(tensors):
                return handle_torch_function(call, tensors, *args, **kwargs)
        return function(*args, **kwargs)

    OWN[call] = function.__name__
    return cast(_F, call)


def is_own_operator(function: Any) -> bool:
    """Whether a function was made by :func:`one_operator`."""
    return function in OWN
